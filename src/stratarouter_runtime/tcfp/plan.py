"""The compiled flow: flat, immutable, and all that a run needs to know.

A plan is an array of ops. Control flow is by index: an op knows its parent and the
op that follows it in its block; blocks end in an `Exit`. Names are gone: values live
in slots, addressed by (depth, index), where each round of an `each` or `loop` opens
one depth more. Code is compiled, types have become checkers. Must never know: runs,
agents' implementations, or the text the flow came from (save pointers for messages).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.tcfp.allowed import ANYTHING, Allowed
from stratarouter_runtime.tcfp.ir import Effect, Limits, Retry, Signature
from stratarouter_runtime.tcfp.types import Labels, Type

Value: TypeAlias = Any
"""A value of a flow: None, bool, int, float, str, bytes, list or dict of these. Never mutated."""

Environment: TypeAlias = tuple[list[Value], ...]
"""One list of slots a depth; slot (0, 0) holds the record `run`: {id, seed, started}."""

NONE: Final = -1
"""No op, no slot."""


class Code(Struct, frozen=True):
    """A checked expression or value, compiled. `run` raises `expressions.ExpressionFailed`.

    `reads` are the slots it looks at: (depth, index).
    """

    source: str
    type: Type
    run: Callable[[Environment], Value]
    constant: bool = False
    reads: frozenset[tuple[int, int]] = frozenset()


class Checker(Struct, frozen=True):
    """A type compiled to its projection; `project` raises `values.Misfit`."""

    type: Type
    project: Callable[[Value], Value]


class LinkedAgent(Struct, frozen=True):
    """An agent as this plan calls it. `digest` covers signature and implementation version."""

    name: AgentName
    signature: Signature
    digest: Digest
    input: Checker
    output: Checker


# What an op does. Kinds: CALL ROUTE LET ENTER EXIT SWITCH FORK RACE MAP LOOP ASK FAIL.


class Call(Struct, frozen=True):
    """CALL: run agent number `agent` with `input`."""

    agent: int
    input: Code


class Pick(Struct, frozen=True):
    """A compiled rule: where `when` is true, candidate number `agent` answers."""

    when: Code
    agent: int


class Route(Struct, frozen=True):
    """ROUTE: choose among `candidates` (numbers of agents, written order), then run the choice."""

    query: Code
    candidates: tuple[int, ...]
    input: Code
    rules: tuple[Pick, ...]
    min: float
    otherwise: int


class Let(Struct, frozen=True):
    """LET: a pure value, converted where `check` is given."""

    value: Code
    check: Checker | None


class Enter(Struct, frozen=True):
    """ENTER: open a block; `first` is its first op (an `Exit` where the block is empty)."""

    first: int


class Exit(Struct, frozen=True):
    """EXIT: close the parent block with `value`, or with the result of the op before it."""

    value: Code | None


class Switch(Struct, frozen=True):
    """SWITCH: continue with the arm of the subject's value; keys are str, True, False or None."""

    subject: Code
    arms: Mapping[str | bool | None, int]
    otherwise: int


class Fork(Struct, frozen=True):
    """FORK: run all branches; the result is a record of their results."""

    branches: tuple[tuple[str, int], ...]


class Race(Struct, frozen=True):
    """RACE: run all branches; the result is {by, out} of the first that succeeds."""

    branches: tuple[tuple[str, int], ...]


class Map(Struct, frozen=True):
    """MAP: run `body` for every item, `parallel` at a time (0: all).

    Slots of one round: item, index, then `size - 2` more.
    """

    items: Code
    body: int
    max: int
    parallel: int
    size: int


class Loop(Struct, frozen=True):
    """LOOP: while `test`, run `body`. Slots of one round: state, then `size - 1` more.

    `test` and `result` see the round's slots; `project` brings a state to its type.
    """

    initial: Code
    test: Code
    body: int
    max: int
    size: int
    result: Code | None
    project: Checker


class Ask(Struct, frozen=True):
    """ASK: wait for a value of the type of `answer`, at most `time` microseconds.

    `sleep` is an ask of null whose time running out is its answer.
    """

    answer: Checker
    time: int
    sender: str
    show: Code | None
    otherwise: Code | None
    sleep: bool = False


class Fail(Struct, frozen=True):
    """FAIL: raise `kind`."""

    kind: str
    message: Code | None
    data: Code | None


Does: TypeAlias = Call | Route | Let | Enter | Exit | Switch | Fork | Race | Map | Loop | Ask | Fail


class Handler(Struct, frozen=True):
    """A compiled catch: kinds (prefixes), the slot that gets the error, and the op that handles it."""

    on: tuple[str, ...]
    slot: int
    op: int


class Bound(Struct, frozen=True):
    """Worst case of an op and all below it. `time` is the critical path in microseconds, 0 unbounded."""

    steps: int = 0
    attempts: int = 0
    usd: float = 0.0
    tokens: int = 0
    time: int = 0


class Op(Struct, frozen=True):
    """One step, compiled.

    `path` is the plan position (its identity: steps keys derive from it), `pointer` the
    place in the document, `name` what people call it. `parent` and `next` are indices of
    ops; `out` the slot, at `depth`, that gets the result. `time` is in microseconds and
    bounds each attempt; `allowed` is what all limits around it
    allow together, `carries` the labels that what it gives to an agent may carry, by the agent. Modifiers apply in the order of the language: guard; attempts,
    each bounded by `time`, with `retry` around them; `catch`; bind; register `undo`.
    """

    index: int
    path: str
    pointer: str
    name: str
    does: Does
    type: Type
    parent: int
    next: int
    depth: int
    out: int
    guard: Code | None
    time: int | None
    retry: Retry | None
    catch: tuple[Handler, ...]
    undo: int
    limits: Limits | None
    bound: Bound
    allowed: Allowed = ANYTHING
    carries: Mapping[AgentName, Labels] = {}


class Plan(Struct, frozen=True):
    """A flow, checked, linked and compiled; the same digest means the same plan.

    `ops[0]` is the body, an `Enter`. `size` is the number of slots at depth 0: `run`,
    then the inputs in the order of `inputs`, then the rest. `document` is the JSON (keys
    sorted) from which this very plan can be compiled again. `errors` are the own kinds
    that may come up in it, with the checker of their data: handlers rely on its type.
    """

    name: str
    digest: Digest
    flow_digest: Digest
    ops: tuple[Op, ...]
    agents: tuple[LinkedAgent, ...]
    inputs: tuple[str, ...]
    input: Checker
    output: Checker
    size: int
    limits: Limits
    effect: Effect
    raises: tuple[str, ...]
    bound: Bound
    router: str
    document: bytes
    signature: Signature
    errors: Mapping[str, Checker] = {}

    def describe(self, indices: Sequence[int]) -> str:
        """The names of these ops, for messages."""
        return ", ".join(self.ops[index].name for index in indices)
