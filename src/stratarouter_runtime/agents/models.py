"""What is known of a model that answers calls: where it is asked, what, and within what.

Must never know: how a document declares it, or how it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from stratarouter_runtime.agents.prices import Price
from stratarouter_runtime.agents.template import Template
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp.ir import Signature

ROUNDS: Final = 8
"""How often a model may ask for tools, unless the document says otherwise."""


class Spec(Struct, frozen=True):
    """A model as declared. `key` and `headers` hold references to secrets, not secrets."""

    name: AgentName
    signature: Signature
    url: str
    model: str
    system: Template | None
    prompt: Template
    key: str = ""
    headers: Mapping[str, str] = {}
    version: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    uses: tuple[AgentName, ...] = ()
    rounds: int = ROUNDS
    stream: bool = False
    price: Price | None = None
    hosts: tuple[str, ...] = ()
