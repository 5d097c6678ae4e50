"""What goes over the wire: the bodies of requests and answers, as records.

The names and shapes are the contract of the API and are documented in docs/api.md. Money
is a decimal string, time RFC 3339 in UTC, durations are milliseconds. A field that is
UNSET is left out. Must never know: how an answer comes about.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

from stratarouter_runtime.ports import Status
from stratarouter_runtime.state.difference import Difference
from stratarouter_runtime.state.events import Given, Why

Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=3600)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Text: TypeAlias = Annotated[str, Meta(max_length=1000)]
Tag: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Hash: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

# Requests. An unknown field is refused, so that a slip never passes silently.


class CacheOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """How earlier answers may be used: a request can only ask for less than the settings allow.

    `scope` is the user it is made for: nothing is reused across scopes. `tags` mark what is kept;
    only what carries all of them is read.
    """

    read: bool = True
    keep: bool = True
    max_age_seconds: Annotated[int, Meta(ge=0, le=31_536_000)] | None = None
    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    scope: Annotated[str, Meta(max_length=200)] = ""
    tags: Annotated[tuple[Tag, ...], Meta(max_length=20)] = ()


class BudgetWish(Struct, frozen=True, forbid_unknown_fields=True):
    """What an execution may spend at most: dollars, and tokens in and out."""

    usd: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    tokens: Annotated[int, Meta(ge=0)] | None = None


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """How to execute. Without `enable_cache` no earlier answer is used, and this one is not kept."""

    enable_cache: bool = True
    cache: CacheOptions = CacheOptions()
    timeout_seconds: Seconds | None = None
    mode: Literal["wait", "async"] = "wait"
    seed: Annotated[str, Meta(min_length=1, max_length=64)] | int | None = None
    plan: Hash | None = None
    budget: BudgetWish | None = None
    queue_seconds: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    tags: Annotated[tuple[Tag, ...], Meta(max_length=20)] = ()


class ExecuteRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/workflows/execute`. `routing` is what StrataRouter-Core decided beforehand."""

    workflow_id: Name
    input: Any = field(default_factory=dict)
    options: Options = Options()
    routing: Given | None = None


class CancelRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/executions/{id}/cancel`; the body may be left out."""

    reason: Text = ""
    by: Text = ""


class AnswerRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/executions/{id}/answer`: the step, by its path or its name, and the value."""

    step: Text
    value: Any
    by: Text = ""


# Answers.


class ForkRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different: another input, or another output of a step; else what failed is tried again."""

    step: str | None = None
    input: Any = UNSET
    output: Any = UNSET
    budget: BudgetWish | None = None


class DifferenceAnswer(Struct, frozen=True):
    """The steps that came to something else in one execution than in the other; `""` is the flow itself."""

    left: str
    right: str
    steps: tuple[Difference, ...]


class AgentCost(Struct, frozen=True):
    """What the calls of one agent came to."""

    usd: str = "0"
    tokens_in: int = 0
    tokens_out: int = 0


class Cost(Struct, frozen=True):
    """What was spent: US dollars as a decimal string, and tokens; with its steps told, of each agent too."""

    usd: str = "0"
    tokens_in: int = 0
    tokens_out: int = 0
    agents: dict[str, AgentCost] | UnsetType = UNSET


class Latency(Struct, frozen=True):
    """Milliseconds: in all, before it was admitted, in agents (summed), and the rest."""

    total_ms: float
    queue_ms: float
    agents_ms: float
    engine_ms: float


class RefusedGate(Struct, frozen=True):
    """An answer was near, and this gate said no."""

    gate: str
    why: str


class Cache(Struct, frozen=True):
    """Whether the answer came from the cache, and from which execution; or why none was looked for."""

    outcome: Literal["hit", "miss", "bypass"] = "bypass"
    why: str | UnsetType = UNSET
    kind: Literal["exact", "normalised", "semantic", "coalesced"] | UnsetType = UNSET
    key: str | UnsetType = UNSET
    similarity: float | UnsetType = UNSET
    source: str | UnsetType = UNSET
    refused: tuple[RefusedGate, ...] | UnsetType = UNSET


class Error(Struct, frozen=True):
    """A failure: the kind a flow can catch, and the step that raised it.

    `data` is what the flow gave its own kind of error; the errors of single steps leave it out.
    """

    kind: str
    message: str
    step: str
    data: Any = UNSET


class Routing(Struct, frozen=True):
    """One decision of a route: who was chosen, by what, and the scores in written order.

    `why` explains what was decided outside of the flow: by a rule of the tenant, a routing table, or
    StrataRouter-Core.
    """

    step: str
    agent: str
    by: Literal["rule", "meaning", "else", "tenant", "core"]
    rule: int | None
    scores: tuple[float, ...]
    why: Why | UnsetType = UNSET


class Question(Struct, frozen=True):
    """What a step asks for; labelled parts of `show` are redacted. `until` is null where no end is set.

    Where it is asked whether a call happened that a crash interrupted, `interrupted` names the agent.
    """

    type: str
    sender: str = field(name="from")
    until: str | None
    show: Any
    interrupted: str | UnsetType = UNSET


class Step(Struct, frozen=True):
    """One step as the journal tells it; labelled parts of `output` are redacted."""

    path: str
    name: str
    agent: str | None
    attempts: int
    status: Literal["running", "waiting", "completed", "failed", "timed_out", "cancelled"]
    ms: float
    cost: Cost
    question: Question | UnsetType = UNSET
    output: Any = UNSET
    error: Error | UnsetType = UNSET


class ExecutionAnswer(Struct, frozen=True):
    """An execution: the answer to executing, and, with its steps and times, to asking for it."""

    execution_id: str
    workflow_id: str
    plan: str
    status: Status
    cache: Cache
    coalesced: bool
    cost: Cost
    latency: Latency
    routing: tuple[Routing, ...]
    trace_id: str
    output: Any = UNSET
    error: Error | UnsetType = UNSET
    created: str | UnsetType = UNSET
    updated: str | UnsetType = UNSET
    records: int | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    steps: tuple[Step, ...] | UnsetType = UNSET


class ProofAnswer(Struct, frozen=True):
    """What a replay found. `link` is the head of the hash chain of the journal."""

    execution_id: str
    plan: str
    records: int
    link: str
    reproducible: bool
    divergence: str | UnsetType = UNSET
    hint: str | UnsetType = UNSET


class Worst(Struct, frozen=True):
    """The worst case of one execution of a flow, as the checker computed it."""

    steps: int
    attempts: int
    usd: str
    tokens: int


class WorkflowAnswer(Struct, frozen=True):
    """A deployed flow: what runs now, and the text its author wrote."""

    workflow_id: str
    plan: str
    flow: str
    flow_digest: str
    effect: str
    agents: tuple[str, ...]
    worst_case: Worst
    created: str
    source: str


class WorkflowSummary(Struct, frozen=True):
    """A deployed flow in a list."""

    workflow_id: str
    plan: str
    created: str


class WorkflowList(Struct, frozen=True):
    """A page of deployed flows, by name; `next_cursor` leads to the next one, where there is one."""

    workflows: tuple[WorkflowSummary, ...]
    next_cursor: str | None


class ExecutionSummary(Struct, frozen=True):
    """An execution in a list."""

    execution_id: str
    workflow_id: str
    plan: str
    status: Status
    created: str
    updated: str
    records: int
    cost: Cost
    error: Error | UnsetType = UNSET


class ExecutionList(Struct, frozen=True):
    """A page of executions, newest first; `next_cursor` leads to the next one, where there is one."""

    executions: tuple[ExecutionSummary, ...]
    next_cursor: str | None


class ChangeEvent(Struct, frozen=True):
    """The data of an event about an execution: its status, and since when."""

    execution_id: str
    workflow_id: str
    status: Status
    at: str


class ValidationAnswer(Struct, frozen=True):
    """What the checker says of a flow: mistakes and warnings, each with line and column."""

    valid: bool
    diagnostics: tuple[Misplaced, ...]
    plan: str | UnsetType = UNSET
    flow_digest: str | UnsetType = UNSET
    effect: str | UnsetType = UNSET
    agents: tuple[str, ...] | UnsetType = UNSET
    worst_case: Worst | UnsetType = UNSET


State: TypeAlias = Literal["ok", "draining"]


class StateAnswer(Struct, frozen=True):
    """Whether the server does its work, and of which version it is."""

    status: State
    version: str


class PartAnswer(Struct, frozen=True):
    """One part of the server, and the milliseconds that looking at it took."""

    status: Literal["ok", "down"]
    detail: str
    ms: float


class HealthAnswer(Struct, frozen=True):
    """The same, with the parts it does its work with."""

    status: State
    version: str
    parts: dict[str, PartAnswer]


class StatusAnswer(Struct, frozen=True):
    """What runs here. `isolation` is the level behind which each agent's code runs; `parts` are figures by part."""

    status: State
    version: str
    store: str
    uptime_seconds: float
    isolation: dict[str, str]
    parts: dict[str, Any]


class ProblemKind(Struct, frozen=True):
    """What the `type` of a problem means; `retry`: the same request may succeed later."""

    code: str
    title: str
    status: int
    retry: bool


class Misplaced(Struct, frozen=True, omit_defaults=True):
    """One mistake in what was sent: a JSON Pointer into it, and for flows line and column."""

    pointer: str
    detail: str
    code: str = ""
    severity: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""


class Problem(Struct, frozen=True):
    """RFC 9457. Every answer of 400 and above is one of these, with all of these fields."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    trace_id: str
    errors: tuple[Misplaced, ...] = ()
    hint: str = ""
    violated: tuple[str, ...] | UnsetType = field(default=UNSET, name="violated-policies")
