"""What the shell must do: the only thing the core ever asks for.

`decide` returns these; the driver carries them out after the facts they rest on are
durable, and answers with facts. Times are absolute, in microseconds since the epoch.
Must never know: who carries them out.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from stratarouter_runtime.ids import Digest, StepPath
from stratarouter_runtime.state.events import Budget, Event, Given, brief
from stratarouter_runtime.tcfp.allowed import ANYTHING, Allowed
from stratarouter_runtime.tcfp.plan import LinkedAgent, Value


class CallAgent(Struct, frozen=True):
    """Call an agent; answer with `Returned` or `Failed` for the same step, attempt and input.

    `guarded` says that the intent must be durable before the call (see `Dispatched`). `allowed` is what the
    limits around the step let it reach, `carries` are the labels of what it is given, and `budget` is what
    it may spend before a limit around it is reached; None where there is none.
    """

    step: StepPath
    attempt: int
    agent: LinkedAgent
    input: Value
    input_digest: Digest
    deadline: int | None
    guarded: bool
    allowed: Allowed = ANYTHING
    carries: frozenset[str] = frozenset()
    budget: Budget | None = None

    @property
    def brief(self) -> Digest:
        """What the fact that answers says of the input."""
        return brief(self.input_digest)


class ScoreRoutes(Struct, frozen=True):
    """Find who of the candidates a query is for; answer with `Scored`.

    `router` names what compares them, as the plan has it. `labels` are those of the query, `input` is
    what the chosen one will get (None where that cannot be said), both for rules to look at. `given`
    is a decision that came with the request.
    """

    step: StepPath
    attempt: int
    query: str
    query_digest: Digest
    candidates: tuple[LinkedAgent, ...]
    router: str = ""
    labels: tuple[str, ...] = ()
    input: Value = None
    given: Given | None = None

    @property
    def brief(self) -> Digest:
        """What the fact that answers says of the query."""
        return brief(self.query_digest)


class SetTimer(Struct, frozen=True):
    """Answer with `TimerFired` once it is `at`."""

    step: StepPath
    timer: Literal["attempt", "retry", "ask", "limit"]
    attempt: int
    at: int


class AwaitAnswer(Struct, frozen=True):
    """Let an `Answered` for this step in."""

    step: StepPath


class Withdraw(Struct, frozen=True):
    """Forget everything outstanding for this step: its call, scoring, timers and question."""

    step: StepPath


class Write(Struct, frozen=True):
    """Journal this fact, which follows from the others, behind the one that brought it about."""

    event: Event


Command: TypeAlias = CallAgent | ScoreRoutes | SetTimer | AwaitAnswer | Withdraw | Write
