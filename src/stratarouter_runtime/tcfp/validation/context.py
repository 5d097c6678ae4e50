"""What every part of the check shares: the flow, its agents and kinds, and where names and slots stand.

Must never know how any one operator is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.canonical import escape
from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.allowed import Allowed
from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.expressions import Scope
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.types import JSON, NULL, Type
from stratarouter_runtime.tcfp.validation.kinds import BUILT_IN

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.registry import Registry
    from stratarouter_runtime.tcfp.validation.aliases import Aliases
    from stratarouter_runtime.tcfp.validation.tree import Step


class Frame:
    """The slots of one depth, handed out in order and never twice."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.size = 0

    def slot(self) -> int:
        """The next free slot."""
        self.size += 1
        return self.size - 1


class Place(Struct, frozen=True):
    """Where a step stands: its plan position, the names it sees, its slots and the policy around it."""

    path: str
    scope: Scope
    frame: Frame
    policy: Allowed

    def into(self, *parts: str) -> Place:
        """The same place, one position further down."""
        return replace(self, path="/".join((self.path, *parts)) if self.path else "/".join(parts))

    def seeing(self, scope: Scope) -> Place:
        """The same place with other names in scope."""
        return replace(self, scope=scope)


class Checking:
    """One check of one flow: collects diagnostics, and knows what the flow declares.

    `check_step` checks any step; it stands here so that operators and steps, which
    contain each other, need not import each other.
    """

    def __init__(
        self,
        flow: ir.Flow,
        registry: Registry | None,
        aliases: Aliases,
        diagnostics: Diagnostics,
        check_step: Callable[[Checking, ir.Step, Place], Step],
    ) -> None:
        self.flow = flow
        self.registry = registry
        self.aliases = aliases
        self.diagnostics = diagnostics
        self.agents: dict[str, ir.Signature] = {}
        """Signatures by name, types resolved; of every agent that is known."""
        self.unknown: set[str] = set()
        """Agents about which a diagnostic has been given, and nothing is known."""
        self.errors: dict[str, Type] = {}
        self.strange: set[str] = set()
        """Kinds of errors of which it has been said that nobody knows them."""
        self.used: set[str] = set()
        """Agents that a step calls or may choose."""
        self.routes = False
        self.long: list[tuple[Where, int]] = []
        """Waits and limits above what a host allows without being asked, in µs, with their places."""
        self._check_step = check_step

    def step(self, step: ir.Step, place: Place) -> Step:
        """The step, checked."""
        return self._check_step(self, step, place)

    def add(self, code: str, at: Where, message: str, hint: str = "") -> None:
        """Note a mistake."""
        self.diagnostics.add(code, at, message, hint)

    def at(self, parent: Where, *keys: str | int) -> Where:
        """The place of a key below a node; the node's own line and column where there is no text."""
        pointer = parent.pointer + "".join(f"/{escape(key)}" for key in keys)
        found = self.flow.places.get(pointer)
        return found if found is not None else Where(pointer, parent.line, parent.column)

    def whole(self, value: ir.Value) -> Where:
        """The place of a value as a whole: for an expression, of the `=` before it."""
        return self.flow.places.get(value.at.pointer, value.at)

    def resolve(self, type_: Type, at: Where) -> Type:
        """The type without names."""
        return self.aliases.resolve(type_, at)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind of error there is in this flow."""
        return (*self.errors, *sorted(BUILT_IN))

    def data_of(self, kind: str) -> Type:
        """The type of the data of a kind: null for those built in, json for those only a registry knows."""
        return NULL if kind in BUILT_IN else self.errors.get(kind, JSON)
