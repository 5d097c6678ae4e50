"""The checked flow: every step with its type, slot, compiled values, effect, errors and worst case.

It has the shape of the flow as written; the compiler makes it flat. Must never know how
checking is done, or a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.diagnostics import Diagnostic
from stratarouter_runtime.tcfp.expressions import Scope
from stratarouter_runtime.tcfp.ir import Effect
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.registry import Registry
from stratarouter_runtime.tcfp.types import Type
from stratarouter_runtime.tcfp.validation.bounds import Worst
from stratarouter_runtime.tcfp.validation.kinds import Kinds


class Call(Struct, frozen=True):
    """Run the agent of this name."""

    agent: str
    input: Code


class Route(Struct, frozen=True):
    """Choose among agents, in written order; rules pick by name."""

    query: Code
    candidates: tuple[str, ...]
    input: Code
    rules: tuple[tuple[Code, str], ...]
    min: float
    otherwise: str | None


class Let(Struct, frozen=True):
    """A value, converted where `type` is given."""

    value: Code
    type: Type | None


class Do(Struct, frozen=True):
    """A block; `scope` are the names at its end, which `result` sees."""

    steps: tuple[Step, ...]
    result: Code | None
    scope: Scope


class Match(Struct, frozen=True):
    """The arms by the subject's value."""

    subject: Code
    arms: tuple[tuple[str | bool | None, Step], ...]
    otherwise: Step | None


class Par(Struct, frozen=True):
    """All branches."""

    branches: tuple[tuple[str, Step], ...]


class Race(Struct, frozen=True):
    """The first branch that succeeds."""

    branches: tuple[tuple[str, Step], ...]


class Each(Struct, frozen=True):
    """A round an item; `size` counts the slots of a round, of which 0 is the item and 1 the index."""

    items: Code
    body: Step
    max: int
    parallel: int
    size: int


class Loop(Struct, frozen=True):
    """A round a turn; `size` counts the slots of a round, of which 0 is the state."""

    initial: Code
    test: Code
    body: Step
    max: int
    size: int
    result: Code | None
    state: Type


class Ask(Struct, frozen=True):
    """A wait for a value from outside; a sleep is an ask of null that nobody answers."""

    type: Type
    time: int
    sender: str
    show: Code | None
    otherwise: Code | None
    sleep: bool


class Fail(Struct, frozen=True):
    """Raise an own kind."""

    kind: str
    message: Code | None
    data: Code | None


Operator: TypeAlias = Call | Route | Let | Do | Match | Par | Race | Each | Loop | Ask | Fail


class Handler(Struct, frozen=True):
    """A catch: what it catches, the slot of the error, and what handles it."""

    on: tuple[str, ...]
    slot: int
    body: Step


class Facts(Struct, frozen=True):
    """What a caller has to reckon with: effect, kinds that may come out, worst case."""

    effect: Effect = "pure"
    raises: Kinds = frozenset()
    worst: Worst = Worst()


class Step(Struct, frozen=True):
    """One step, checked.

    `type` is the type of what the step binds, null of a false guard included; `path` its
    position in the plan; (`depth`, `slot`) where the result goes (slot NONE: nowhere).
    """

    source: ir.Step
    name: str
    path: str
    does: Operator
    type: Type
    depth: int
    slot: int
    facts: Facts
    guard: Code | None = None
    catch: tuple[Handler, ...] = ()
    undo: Step | None = None


class Checked(Struct, frozen=True):
    """A whole flow, checked. The tree is to be compiled only where `ok`.

    `agents` are the signatures of the agents that steps use, by name, types resolved, as the
    agents of `registry` complete them; `errors` the own kinds with their data; `escaping`
    every kind that may leave the flow; `size` the slots of depth 0.
    """

    flow: ir.Flow
    registry: Registry | None
    diagnostics: tuple[Diagnostic, ...]
    body: Step
    input: Type
    output: Type
    agents: Mapping[str, ir.Signature]
    errors: Mapping[str, Type]
    escaping: Kinds
    effect: Effect
    worst: Worst
    size: int
    routes: bool

    @property
    def ok(self) -> bool:
        """Whether there is no diagnostic of severity error."""
        return all(found.severity != "error" for found in self.diagnostics)


def children(step: Step) -> tuple[Step, ...]:
    """The steps whose errors may become this step's: those inside of it, and its handlers."""
    return (*_inside(step.does), *(handler.body for handler in step.catch))


def _inside(does: Operator) -> tuple[Step, ...]:
    match does:
        case Do():
            return does.steps
        case Match():
            arms = tuple(arm for _, arm in does.arms)
            return arms if does.otherwise is None else (*arms, does.otherwise)
        case Par() | Race():
            return tuple(branch for _, branch in does.branches)
        case Each() | Loop():
            return (does.body,)
        case _:
            return ()


def origin(step: Step, kind: str) -> Step:
    """The innermost step from which an error of this kind comes, the first in the order of the text."""
    for inner in children(step):
        if kind in inner.facts.raises:
            return origin(inner, kind)
    return step
