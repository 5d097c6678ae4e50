"""The kinds of agent that a document may declare, as one table; each is a module of its own.

A kind's module offers `FIELDS`, the keys it adds to a signature, and `read`, which makes a
blueprint of them. It is imported when a document names it. Must never know: documents, or how
any kind does its work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast, runtime_checkable

from msgspec.structs import replace

from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp.ir import Signature

if TYPE_CHECKING:
    from pathlib import Path

    from stratarouter_runtime.agents.secrets import Secrets
    from stratarouter_runtime.agents.workshop import Workshop
    from stratarouter_runtime.ports import Agent
    from stratarouter_runtime.tcfp.loading.fields import Fields

_HERE: Final = "stratarouter_runtime.agents"

KINDS: Final[dict[str, str]] = {
    "http": f"{_HERE}.http",
    "llm": f"{_HERE}.llm",
    "mcp": f"{_HERE}.tools",
    "sandbox": f"{_HERE}.snippets",
    "wasm": f"{_HERE}.wasm",
    "command": f"{_HERE}.command",
}
"""What documents write after `kind:` -> the module of the kind."""

WALLED: Final = ("sandbox", "wasm", "command")
"""Those that need walls, which this machine may not be able to build."""


LOCAL: Final[dict[str, tuple[str, ...]]] = {
    "command": ("command",),
    "mcp": ("command", "env"),
    "wasm": ("file",),
}
"""The keys that name something of this machine: for an operator to write, and nobody else."""


@runtime_checkable
class Using(Protocol):
    """A blueprint of an agent that calls others at hand: these are built before it."""

    @property
    def uses(self) -> tuple[AgentName, ...]:
        """Their names."""
        ...


class Blueprint(Protocol):
    """An agent as declared, complete and without mistakes, still to be built."""

    @property
    def name(self) -> AgentName:
        """What flows call it."""
        ...

    @property
    def signature(self) -> Signature:
        """What callers may rely on."""
        ...

    def build(self, workshop: Workshop) -> Agent:
        """The agent. Opens nothing: connections and workers begin with the first call."""
        ...


@dataclass(frozen=True, slots=True)
class Capped:
    """A blueprint of an agent whose answers may have fewer bytes than those of others."""

    blueprint: Blueprint
    cap: int

    @property
    def name(self) -> AgentName:
        """What flows call it."""
        return self.blueprint.name

    @property
    def signature(self) -> Signature:
        """What callers may rely on."""
        return self.blueprint.signature

    @property
    def uses(self) -> tuple[AgentName, ...]:
        """The agents that it calls."""
        return self.blueprint.uses if isinstance(self.blueprint, Using) else ()

    def build(self, workshop: Workshop) -> Agent:
        """The agent."""
        return self.blueprint.build(replace(workshop, max_output=min(workshop.max_output, self.cap)))


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a kind reads: its own keys and `version`, with the signature read already.

    Mistakes go to `fields.diagnostics`. `secrets`, where given, tell whether a reference can be resolved,
    `hosts` is what may be connected to although it is not public. `folder` is where files that it
    names are found; None where it may name none. A `guest` is what a caller sent, not an operator.
    """

    name: AgentName
    signature: Signature
    version: str
    fields: Fields
    secrets: Secrets | None
    hosts: tuple[str, ...] = ()
    folder: Path | None = None
    guest: bool = False


class Kind(Protocol):
    """What the module of a kind offers."""

    FIELDS: tuple[str, ...]

    def read(self, declaration: Declaration, /) -> Blueprint | None:
        """The blueprint; None after a diagnostic."""
        ...


@cache
def kind_of(name: str) -> Kind:
    """The kind of this name. Raises KeyError for one that is not in the table."""
    return cast("Kind", import_module(KINDS[name]))
