"""Microagents, and flows as microagents: what is told to them, and what they answer.

Times are microseconds since the epoch (UTC). Must never know: an implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from stratarouter_runtime.tcfp.allowed import ANYTHING
from stratarouter_runtime.tenancy.policies import Manner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stratarouter_runtime.ids import AgentName, Digest, ExecutionId, Tenant
    from stratarouter_runtime.state.events import Budget, Failure, Usage, Wished
    from stratarouter_runtime.tcfp.allowed import Allowed
    from stratarouter_runtime.tcfp.ir import Batch, Signature
    from stratarouter_runtime.tenancy.policies import Policy


Isolation: TypeAlias = Literal["inline", "process", "sandbox", "wasm", "command"]
"""What stands between an agent's code and the server, from nothing to a box with one program in it."""


async def _certain() -> None:
    """Nobody else may be making the call."""


class AgentCall(Struct, frozen=True):
    """One attempt to call an agent.

    `key` is the step key: equal for every attempt of one step of one execution, so that an
    idempotent agent can recognise a call it has already answered. `seed` is the same for
    every attempt too. `deadline` is when the caller stops waiting. `trace` is the `traceparent`
    of this attempt, "" where nobody asked for a trace. `scope` is the user it is made for, as far as
    answers are reused; `fresh` says that no earlier answer will do, `wished` what else it asks of them. `step` is
    where it stands in the plan, for those who watch. `allowed` is what the limits around it and the policy
    of the tenant let it reach, `budget` what it may spend before a limit around it is reached.
    Whoever has a call wait awaits `confirm` before it begins: that raises `StoreError` where another
    process may be making it by then.
    """

    execution: ExecutionId
    tenant: Tenant
    key: Digest
    seed: str
    attempt: int
    input: Any
    deadline: int | None = None
    trace: str = ""
    scope: str = ""
    fresh: bool = False
    step: str = ""
    allowed: Allowed = ANYTHING
    budget: Budget | None = None
    wished: Wished | None = None
    carries: frozenset[str] = frozenset()
    """The labels of what it is given."""
    confirm: Callable[[], Awaitable[None]] = _certain


class AgentReply(Struct, frozen=True):
    """What came of it: an output not yet checked against the signature, or a failure.

    `isolation` is the level that was in force, with what was missing of it; empty says `inline`.
    An output that was cut short, or put in place of a refusal, is not `whole`: it is never reused, and
    neither is what rests on it. `since` is when the oldest answer was made that it rests on, 0 for now.
    `reported` says that the code behind walls told itself what it cost.
    """

    output: Any = None
    failure: Failure | None = None
    usage: Usage | None = None
    isolation: str = ""
    whole: bool = True
    since: int = 0
    reported: bool = False


WITHDRAWN: Final = "withdrawn"
"""The message with which a call is cancelled that nobody wants any more. A call that is only
interrupted, because its process stops, is cancelled without: it may be made again."""


class Operation(Struct, frozen=True):
    """What a call of an agent is, in OpenTelemetry's words for generative AI.

    `provider` and `model` are those of a `chat`, `tool` that of an `execute_tool`.
    """

    name: Literal["invoke_agent", "chat", "execute_tool", "invoke_workflow"] = "invoke_agent"
    provider: str = ""
    model: str = ""
    tool: str = ""


class Agent(Protocol):
    """A microagent. Failures are values: `call` raises nothing but `CancelledError`.

    `name` is what flows use, `signature` what callers may rely on, `digest` is of signature and
    implementation version: another behaviour, another digest. None of them ever changes. A flow
    that is called, and cannot go on for now, also raises `StoreError` or `Conflict`. `isolation` is
    the level it is built for; what was in force stands in each reply. `kind` is the one it was declared as,
    `remote` says that none of its code runs on this machine, `uses` are
    agents that it calls by itself; one that is `grouped` may be asked twice in a call, which another spoiled.
    """

    name: AgentName
    signature: Signature
    digest: Digest
    operation: Operation = Operation()
    isolation: Isolation = "inline"
    kind: str = "python"
    remote: bool = False
    grouped: bool = False
    uses: tuple[Agent, ...] = ()

    async def call(self, call: AgentCall) -> AgentReply:
        """Answer one call."""
        ...


@runtime_checkable
class Grouped(Protocol):
    """An agent that answers several calls together."""

    name: AgentName
    batch: Batch

    async def call_together(self, calls: Sequence[AgentCall]) -> Sequence[AgentReply]:
        """A reply each, in order: what one of them is about fails that one alone."""
        ...


class Groups(Protocol):
    """Where calls wait for others of the same agent and tenant."""

    async def call(self, agent: Grouped, call: AgentCall) -> AgentReply:
        """Answer one call, together with those that come soon."""
        ...


def manner_of(agent: Agent) -> Manner:
    """What an agent is, as policies ask."""
    return Manner(
        agent.name,
        agent.kind,
        "" if agent.remote else agent.isolation,
        agent.signature.needs.hosts,
        agent.operation.model,
        tuple(manner_of(used) for used in agent.uses),
    )


class Policies(Protocol):
    """What operators let the agents of tenants be."""

    async def policy(self, tenant: Tenant, /) -> Policy:
        """The policy of a tenant, as it is now. Raises `errors.StoreError`."""
        ...


class Cell(Struct, frozen=True):
    """Code that is to run behind walls, and what it may take there.

    `program` is the importable module that a worker runs, `setup` the JSON document it is started
    with. Calls share a worker where tenant and `digest` are equal, at most `calls` of them. `cpu` is
    reserved while a call runs, `memory` and `disk` (bytes) as long as its worker lives. `seconds` of
    wall time and `cpu_seconds` end a call, as do `output` bytes of JSON. `reads` are paths beside the
    interpreter's; `programs` are all that it may start.
    """

    level: Isolation
    program: str
    digest: Digest
    setup: bytes
    cpu: float = 1.0
    memory: int = 256 * 1024 * 1024
    disk: int = 64 * 1024 * 1024
    seconds: float = 60.0
    cpu_seconds: float = 60.0
    output: int = 8 * 1024 * 1024
    calls: int = 1_000
    reads: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    spawning: bool = False


class Ask(Protocol):
    """One call, as code in a cell hears of it; `time` is in seconds, and what is left of it."""

    @property
    def input(self) -> Any:
        """The projected input."""
        ...

    @property
    def seed(self) -> str:
        """The same for every attempt of one step of one execution."""
        ...

    @property
    def time(self) -> float:
        """Seconds until whoever asks gives up."""
        ...


Answer: TypeAlias = "Callable[[Ask], Any]"
"""Answers one call in a cell with a value of JSON; raises `AgentError`, or anything."""


class Cells(Protocol):
    """Where code runs behind walls."""

    def admit(self, name: str, cell: Cell) -> None:
        """Whether this machine has what the walls are made of.

        Raises `errors.LinkError` that names the features which are missing and not waived.
        """
        ...

    async def prepare(self) -> None:
        """Find out what this machine can build, without holding up the loop; `admit` waits for it otherwise."""
        ...

    async def call(self, cell: Cell, call: AgentCall) -> AgentReply:
        """Answer one call in there. Failures are values, among them `limit.*` and `sandbox.*`."""
        ...

    async def close(self) -> None:
        """End all workers; they come back when somebody calls again."""
        ...


class Agents(Protocol):
    """The agents at hand."""

    def get(self, name: AgentName, /) -> Agent | None:
        """The agent of this name."""
        ...


class Flows(Protocol):
    """Flows as agents, and agents that tenants registered: every version that was kept can be called."""

    async def flow_agent(self, name: AgentName, digest: Digest, tenant: Tenant, /) -> Agent | None:
        """The flow whose plan has this digest, or the agent that this tenant registered with it."""
        ...
