"""The flow as written: one record for every construct of the language, with positions.

Loaders and the Python builder make these; the validator reads them. Nothing here
is checked beyond its shape: names may dangle, expressions are still text, types may
hold unresolved `Ref`s. Must never know: rules of typing, plans, or runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stratarouter_runtime.tcfp.types import Type

Effect: TypeAlias = Literal["pure", "idempotent", "effect"]
CachePolicy: TypeAlias = Literal["run", "shared", "semantic", "never"]
EFFECTS: Final[tuple[Effect, ...]] = ("pure", "idempotent", "effect")
OnCrash: TypeAlias = Literal["fail", "retry", "ask"]
ON_CRASH: Final[tuple[OnCrash, ...]] = ("fail", "retry", "ask")


Jump: TypeAlias = tuple[int, int, int]
"""From this character of a text on, it stands at this line and column."""


class Where(Struct, frozen=True):
    """A place in a document: JSON Pointer, and 1-based line and column (0 where there is no text).

    `jumps`, in order, are where a text that begins here goes on elsewhere than in the next column.
    """

    pointer: str = ""
    line: int = 0
    column: int = 0
    jumps: tuple[Jump, ...] = ()

    def after(self, offset: int) -> Where:
        """The place of the character `offset` of the text that begins here."""
        if not self.line:
            return self
        start, line, column = max(
            (jump for jump in self.jumps if jump[0] <= offset), default=(0, self.line, self.column)
        )
        rest = tuple((at - offset, down, right) for at, down, right in self.jumps if at > offset)
        return Where(self.pointer, line, column + offset - start, rest)


NOWHERE: Final = Where()


# Values: YAML data in which strings that start with `=` are expressions.


class Constant(Struct, frozen=True):
    """A scalar without an expression: null, bool, int, float or string."""

    data: bool | int | float | str | None
    at: Where = NOWHERE


class Expression(Struct, frozen=True):
    """TCFP-E source, without the leading `=`; `at` is where its first character stands."""

    source: str
    at: Where = NOWHERE


class ListValue(Struct, frozen=True):
    """A written list of values."""

    items: tuple[Value, ...]
    at: Where = NOWHERE


class RecordValue(Struct, frozen=True):
    """A written mapping of values, in written order."""

    fields: tuple[tuple[str, Value], ...]
    at: Where = NOWHERE


Value: TypeAlias = Constant | Expression | ListValue | RecordValue


# Signatures and constraints.


class Cost(Struct, frozen=True):
    """Upper bound of one call: US dollars and model tokens. What is reserved before it."""

    usd: float = 0.0
    tokens: int = 0


class Batch(Struct, frozen=True):
    """How calls of an agent become one: at most `max` inputs, of which none waits longer than `wait` (µs).

    It is how an agent is carried out, so it is no part of a signature or a digest.
    """

    max: int
    wait: int


class Needs(Struct, frozen=True):
    """What an agent asks of its sandbox: hosts, tools, CPUs and memory in MiB."""

    hosts: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    cpu: float = 1.0
    memory_mb: int = 256


class Signature(Struct, frozen=True):
    """What a caller may rely on of an agent or a flow. Durations are in microseconds.

    `input` is a record type; `cache=None` means the default that effect and stability
    imply; `errors` are the own kinds it may raise, with the type of their data; `on_crash=None`
    means `ask`, and is the only one for what has no side effects.
    """

    input: Type
    output: Type
    effect: Effect = "effect"
    stable: bool = False
    cache: CachePolicy | None = None
    semantic: tuple[str, ...] = ()
    accepts: frozenset[str] = frozenset()
    errors: tuple[str, ...] = ()
    about: str = ""
    tags: tuple[str, ...] = ()
    needs: Needs = Needs()
    cost: Cost = Cost()
    time: int | None = None
    on_crash: OnCrash | None = None
    at: Where = NOWHERE


class AgentRef(Struct, frozen=True):
    """An agent a flow names: with the signature it requires, or without (taken from the registry)."""

    name: str
    signature: Signature | None = None
    at: Where = NOWHERE


class Limits(Struct, frozen=True):
    """Constraints on a flow or step; None is unlimited. `time` is in microseconds.

    `hosts`, `tools` and `labels` are allow-lists: what agents below may need, and
    which labels may flow below.
    """

    usd: float | None = None
    tokens: int | None = None
    time: int | None = None
    steps: int | None = None
    parallel: int | None = None
    hosts: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    at: Where = NOWHERE


# Operators.


class Call(Struct, frozen=True):
    """Run an agent or a flow."""

    agent: str
    with_: Value
    at: Where = NOWHERE


class Rule(Struct, frozen=True):
    """A rule of a route: where `when` is true, `pick` answers."""

    when: Value
    pick: str
    at: Where = NOWHERE


class Among(Struct, frozen=True):
    """Candidates by tag and output type, taken from the registry at link time."""

    tag: str
    output: Type
    at: Where = NOWHERE


class Route(Struct, frozen=True):
    """Choose one agent by rule or by meaning, and run it."""

    query: Value
    among: tuple[str, ...] | Among
    with_: Value
    rules: tuple[Rule, ...] = ()
    min: float | None = None
    otherwise: str | None = None
    at: Where = NOWHERE


class Let(Struct, frozen=True):
    """A pure value; with `type`, a checked conversion that may raise `type`."""

    value: Value
    type: Type | None = None
    at: Where = NOWHERE


class Do(Struct, frozen=True):
    """Steps in written order; `result` is the value after them (None: that of the last step)."""

    steps: tuple[Step, ...]
    result: Value | None = None
    at: Where = NOWHERE


class Match(Struct, frozen=True):
    """Choose an arm by the value of `subject`; labels are enum members, `true`, `false` or `null`."""

    subject: Value
    cases: tuple[tuple[str, Step], ...]
    otherwise: Step | None = None
    at: Where = NOWHERE


class Par(Struct, frozen=True):
    """All branches at once; the first failure cancels the rest."""

    branches: tuple[tuple[str, Step], ...]
    at: Where = NOWHERE


class Race(Struct, frozen=True):
    """The first branch that succeeds wins; the rest are cancelled."""

    branches: tuple[tuple[str, Step], ...]
    at: Where = NOWHERE


class Each(Struct, frozen=True):
    """Map a list: `item` and `index` are the binders; results in input order."""

    items: Value
    body: Step
    max: int
    item: str | None = None
    index: str | None = None
    parallel: int | None = None
    at: Where = NOWHERE


class Loop(Struct, frozen=True):
    """A state machine: test, then body, at most `max` times."""

    initial: Value
    test: Value
    body: Step
    max: int
    state: str | None = None
    result: Value | None = None
    type: Type | None = None
    at: Where = NOWHERE


class Ask(Struct, frozen=True):
    """Wait for a typed value from outside, at most `time` microseconds."""

    type: Type
    time: int
    sender: str | None = None
    show: Value | None = None
    otherwise: Value | None = None
    at: Where = NOWHERE


class Sleep(Struct, frozen=True):
    """A timer of `time` microseconds."""

    time: int
    at: Where = NOWHERE


class Fail(Struct, frozen=True):
    """Raise a declared error."""

    kind: str
    message: Value | None = None
    data: Value | None = None
    at: Where = NOWHERE


Operator: TypeAlias = Call | Route | Let | Do | Match | Par | Race | Each | Loop | Ask | Sleep | Fail


# Modifiers and steps.


class Retry(Struct, frozen=True):
    """Try again after a failure, at most `max` more times.

    The n-th wait is `wait * factor**(n-1)` microseconds, jittered from the run's
    seed; `on` are the error kinds (prefixes) to retry, empty for those that may pass: `timeout` and `agent`.
    """

    max: int
    wait: int = 0
    factor: float = 1.0
    on: tuple[str, ...] = ()
    unsafe: bool = False
    at: Where = NOWHERE


class Catch(Struct, frozen=True):
    """A handler: the kinds it catches (prefixes), the name of the error in it, and what it does."""

    on: tuple[str, ...]
    body: Step
    binder: str = "error"
    at: Where = NOWHERE


class Step(Struct, frozen=True):
    """One operator with its modifiers."""

    does: Operator
    id: str | None = None
    guard: Value | None = None
    time: int | None = None
    retry: Retry | None = None
    catch: tuple[Catch, ...] = ()
    undo: Step | None = None
    limits: Limits | None = None
    note: str = ""
    at: Where = NOWHERE


class Flow(Struct, frozen=True):
    """A whole document."""

    name: str
    input: tuple[tuple[str, Type], ...]
    output: Type
    body: Do
    types: Mapping[str, Type]
    agents: tuple[AgentRef, ...] = ()
    errors: tuple[tuple[str, Type], ...] = ()
    raises: tuple[str, ...] = ()
    limits: Limits | None = None
    stable: bool = False
    cache: CachePolicy | None = None
    semantic: tuple[str, ...] = ()
    about: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    at: Where = NOWHERE
    places: Mapping[str, Where] = {}
    """JSON Pointer of every node of the document -> its place; empty for flows built in Python."""
