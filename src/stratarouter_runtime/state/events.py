"""What the journal records: a closed, versioned union of facts.

Facts come from outside (an agent answered, a timer fired, a person decided) or follow
from the plan (`Chosen`, `Asked`, `Finished`); the latter are written too, so that anyone
can read what happened without the plan, and so that a replay can compare. A record is a
fact with its number and time. Must never know: how facts come about or are stored.

Encoded as JSON objects; the field `t` names the kind; fields at their default are left
out. A field may be added with a default; kinds and fields are never renamed or removed.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from stratarouter_runtime.ids import AgentName, Digest, StepPath, Tenant

VERSION: Final = 1
"""Of this union; kept with every execution."""

BRIEF: Final = 16
"""Hex digits of a digest that a fact keeps of what was given: 64 bits tell any two inputs apart.

Facts of earlier versions have all 64 digits.
"""

Value: TypeAlias = Any
"""A value in its JSON form (bytes as base64 text)."""


def brief(digest: Digest) -> Digest:
    """As much of a digest as a fact keeps: enough to see that a replay gives the same."""
    return Digest(digest[:BRIEF])


class Failure(Struct, frozen=True, omit_defaults=True):
    """A failure as a value: a dotted kind, what happened, own data, and which step raised it."""

    kind: str
    message: str = ""
    data: Value = None
    step: str = ""


class Usage(Struct, frozen=True, omit_defaults=True):
    """What one call really took: US dollars, tokens in and out, milliseconds in the agent.

    Behind walls also milliseconds of CPU, and the most memory (KiB) that its worker ever held.
    """

    usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    ms: float = 0.0
    cpu_ms: float = 0.0
    memory_kib: int = 0

    def __add__(self, other: Usage) -> Usage:
        """What both took, one after the other."""
        return Usage(
            self.usd + other.usd,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.ms + other.ms,
            self.cpu_ms + other.cpu_ms,
            max(self.memory_kib, other.memory_kib),
        )

    def plain(self) -> Usage:
        """The same, where each zero is the default itself: only that is left out when it is written."""
        ms, cpu_ms = self.ms or NO_USAGE.ms, self.cpu_ms or NO_USAGE.cpu_ms
        return Usage(self.usd or NO_USAGE.usd, self.tokens_in, self.tokens_out, ms, cpu_ms, self.memory_kib)


NO_USAGE: Final = Usage()


class Reused(Struct, frozen=True, omit_defaults=True):
    """An answer that was not worked out anew: how it was found, and the execution it comes from.

    `key` names it in the cache; `similarity` is the least cosine of the texts that matched by meaning.
    """

    kind: Literal["exact", "normalised", "semantic", "coalesced"]
    source: str
    key: Digest
    similarity: float = 1.0


class Wished(Struct, frozen=True, omit_defaults=True):
    """What a request asks of answers that are reused, beside its scope, and of keeping those that are made.

    `max_age` is in microseconds, `threshold` the least cosine; `tags` mark what is kept, and what is read.
    """

    keep: bool = True
    max_age: int | None = None
    threshold: float | None = None
    tags: tuple[str, ...] = ()


class Given(Struct, frozen=True, omit_defaults=True):
    """A routing decision that StrataRouter-Core made beforehand. Its confidence is not calibrated."""

    route_id: str
    confidence: float = 0.0
    scores: dict[str, float] = {}
    latency_ms: float = 0.0


class Why(Struct, frozen=True, omit_defaults=True):
    """Why an agent was chosen, or none (`agent` is empty), other than by the nearest `about`.

    `by` a rule of the tenant (`rule` names it), StrataRouter-Core, or a routing table (`table` is its
    digest). `confidence` was held against `threshold`; the score of `runner_up` is `margin` behind.
    """

    by: Literal["rule", "core", "table", "about"]
    agent: str = ""
    rule: str = ""
    confidence: float = 0.0
    threshold: float = 0.0
    runner_up: str = ""
    margin: float = 0.0
    table: str = ""
    note: str = ""


class Budget(Struct, frozen=True, omit_defaults=True):
    """What one execution may spend, whatever its flow allows: US dollars, and tokens in and out."""

    usd: float | None = None
    tokens: int | None = None


class Allowance(Struct, frozen=True, omit_defaults=True):
    """What the limits around the call of a flow allow it to reach, sorted; None allows everything."""

    hosts: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None


class Started(Struct, frozen=True, tag_field="t", tag="started", omit_defaults=True):
    """The execution was accepted. Always record 0. `id`, `seed` and the record's time become `run`.

    `trace` is the id of the distributed trace it belongs to, `span` the one in it that called for
    this, `sampled` whether the trace is recorded; `forked` the execution whose facts it took over.
    `routing` is a decision that came along, for the first route of the flow. `scope` is the user it
    is made for, as far as answers are reused; in a `fresh` one none of an earlier execution is.
    `budget` is what the caller wants to spend at most; of a flow that another one called, what that one
    had left, and `allowed` what the limits around the call allow. `tags` are the caller's own words for it.
    `wished` is what it asks of reuse besides; None asks for nothing.
    """

    id: str
    plan: Digest
    input: Value
    seed: str
    tenant: Tenant
    deadline: int | None = None
    parent: str | None = None
    trace: str = ""
    forked: str | None = None
    span: str = ""
    sampled: bool = False
    routing: Given | None = None
    scope: str = ""
    fresh: bool = False
    budget: Budget | None = None
    allowed: Allowance | None = None
    tags: tuple[str, ...] = ()
    wished: Wished | None = None


class Dispatched(Struct, frozen=True, tag_field="t", tag="dispatched", omit_defaults=True):
    """An agent with side effects is about to be called; written before the call is made."""

    step: StepPath
    attempt: int = 1


class Returned(Struct, frozen=True, tag_field="t", tag="returned", omit_defaults=True):
    """An agent answered, or would have: `reused` says where else the answer comes from.

    `input` is the `brief` digest of what it was given. `isolation` is the level that was in force, with what
    it had to do without; empty says `inline`. `since` is when the oldest answer was made that this one
    rests on, 0 where it was made for this call; one that is not `whole` is given to nobody else.
    """

    step: StepPath
    input: Digest
    output: Value = None
    attempt: int = 1
    usage: Usage = NO_USAGE
    reused: Reused | None = None
    isolation: str = ""
    whole: bool = True
    since: int = 0


class Failed(Struct, frozen=True, tag_field="t", tag="failed", omit_defaults=True):
    """One attempt to call an agent failed; `isolation` as in `Returned`."""

    step: StepPath
    input: Digest
    failure: Failure
    attempt: int = 1
    usage: Usage = NO_USAGE
    isolation: str = ""


class Interrupted(Struct, frozen=True, tag_field="t", tag="interrupted", omit_defaults=True):
    """A call with side effects was under way when its process ended: whether it took effect is not known."""

    step: StepPath
    attempt: int = 1


class Scored(Struct, frozen=True, tag_field="t", tag="scored", omit_defaults=True):
    """The router compared a query with the candidates: scores in written order, rounded to 1e-6.

    They are similarities to what each is about; with a routing table, probabilities. Where it was
    decided otherwise, and nothing was compared, there are none; `why` says what decided.
    """

    step: StepPath
    query: Digest
    scores: tuple[float, ...]
    attempt: int = 1
    why: Why | None = None


class Chosen(Struct, frozen=True, tag_field="t", tag="chosen", omit_defaults=True):
    """A route was decided: by `rule` (its number in the flow), by `meaning`, or by falling to `else`.

    Also by a rule of the `tenant`, or by StrataRouter-`core`. `why` explains all but rules of the flow.
    """

    step: StepPath
    agent: AgentName
    by: Literal["rule", "meaning", "else", "tenant", "core"]
    rule: int | None = None
    scores: tuple[float, ...] = ()
    attempt: int = 1
    why: Why | None = None


class Asked(Struct, frozen=True, tag_field="t", tag="asked", omit_defaults=True):
    """The execution waits for a value from outside until `until` (µs since the epoch; 0: without end).

    Where it is asked whether a call happened, `interrupted` names the agent, and its input is shown.
    """

    step: StepPath
    until: int
    type: str = "null"
    sender: str = ""
    show: Value = None
    attempt: int = 1
    interrupted: str = ""


class Answered(Struct, frozen=True, tag_field="t", tag="answered", omit_defaults=True):
    """A value came from outside, for a step that asked; `by` says from whom."""

    step: StepPath
    value: Value = None
    by: str = ""


class TimerFired(Struct, frozen=True, tag_field="t", tag="fired", omit_defaults=True):
    """A moment the plan waited for has come.

    It is an attempt's limit, a retry's wait, an ask's end, or a scope's limit of time.
    """

    step: StepPath
    timer: Literal["attempt", "retry", "ask", "limit"]
    attempt: int = 1


class CancelRequested(Struct, frozen=True, tag_field="t", tag="cancel", omit_defaults=True):
    """Somebody wants the execution to end; completed steps are undone."""

    reason: str = ""
    by: str = ""


class Migrated(Struct, frozen=True, tag_field="t", tag="migrated", omit_defaults=True):
    """From here on the execution runs another plan, on which all facts so far follow just the same."""

    plan: Digest
    by: str = ""


class Finished(Struct, frozen=True, tag_field="t", tag="finished", omit_defaults=True):
    """The end. `undo_failed` are undos that could not be done, beside the failure itself."""

    status: Literal["completed", "failed", "cancelled", "timed_out"]
    output: Value = None
    failure: Failure | None = None
    undo_failed: tuple[Failure, ...] = ()
    usage: Usage = NO_USAGE


Event: TypeAlias = (
    Started
    | Dispatched
    | Returned
    | Failed
    | Interrupted
    | Scored
    | Chosen
    | Asked
    | Answered
    | TimerFired
    | CancelRequested
    | Migrated
    | Finished
)


class Record(Struct, frozen=True):
    """A fact in its journal.

    `seq` counts from 0 without gaps; `at` is in µs since the epoch and never goes back;
    `body` is the event, encoded; `link` is the hash chain up to here.
    """

    seq: int
    at: int
    body: bytes
    link: bytes
