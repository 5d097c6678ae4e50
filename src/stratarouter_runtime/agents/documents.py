"""Registered agents as they are kept on the shelf.

Must never know: how an agent is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.tcfp.text import Kind

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Kept

KIND: Final = "agent"
"""Documents in force, by name."""
VERSIONS: Final = "agent-version"
"""Every version that can be called, by name and digest."""


class Document(Struct, frozen=True):
    """What is kept: the text as it was written, and the versions of the agents that it uses."""

    source: str
    notation: Kind
    kind: str
    digest: Digest
    uses: dict[AgentName, Digest] = {}


def read_document(kept: Kept) -> Document:
    """What stands on the shelf."""
    return msgspec.json.decode(kept.body, type=Document)
