"""Every seam of the runtime, as Protocols: what the shell needs, said in the domain's words.

Times are microseconds since the epoch (UTC). Must never know: an implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from stratarouter_runtime.sharing import NOBODY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from stratarouter_runtime.audit import Head, Line
    from stratarouter_runtime.ids import AgentName, Digest, ExecutionId, FlowId, Tenant
    from stratarouter_runtime.quotas import Admission, Spent, Totals
    from stratarouter_runtime.sharing import Lease, Leases, Mail
    from stratarouter_runtime.state.events import Failure, Given, Record, Reused, Usage, Why
    from stratarouter_runtime.tcfp.ir import Signature
    from stratarouter_runtime.tcfp.plan import LinkedAgent

Status: TypeAlias = Literal[
    "queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out"
]

ENDED: Final = frozenset({"completed", "failed", "cancelled", "timed_out"})
"""The statuses that nothing changes any more."""


class Clock(Protocol):
    """What time it is."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        ...


class Entropy(Protocol):
    """What cannot be foreseen."""

    def execution_id(self) -> ExecutionId:
        """A new id."""
        ...

    def seed(self) -> str:
        """A new seed: 32 hex digits."""
        ...


# Agents.


class AgentCall(Struct, frozen=True):
    """One attempt to call an agent.

    `key` is the step key: equal for every attempt of one step of one execution, so that an
    idempotent agent can recognise a call it has already answered. `seed` is the same for
    every attempt too. `deadline` is when the caller stops waiting. `trace` is the `traceparent`
    of this attempt, "" where nobody asked for a trace. `scope` is the user it is made for, as far as
    answers are reused; `fresh` says that no earlier answer will do.
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


class AgentReply(Struct, frozen=True):
    """What came of it: an output not yet checked against the signature, or a failure.

    `isolation` is the level that was in force, with what was missing of it; empty says `inline`.
    An output that was cut short, or put in place of a refusal, is not `whole`: it is never reused.
    """

    output: Any = None
    failure: Failure | None = None
    usage: Usage | None = None
    isolation: str = ""
    whole: bool = True


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
    that is called, and cannot go on for now, also raises `StoreError` or `Conflict`.
    """

    name: AgentName
    signature: Signature
    digest: Digest
    operation: Operation = Operation()

    async def call(self, call: AgentCall) -> AgentReply:
        """Answer one call."""
        ...


Isolation: TypeAlias = Literal["inline", "process", "sandbox", "wasm", "command"]
"""What stands between an agent's code and the server, from nothing to a box with one program in it."""


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


class Cells(Protocol):
    """Where code runs behind walls."""

    def admit(self, name: str, cell: Cell) -> None:
        """Whether this machine has what the walls are made of.

        Raises `errors.LinkError` that names the features which are missing and not waived.
        """
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


class Scorer(Protocol):
    """Compares texts by meaning."""

    @property
    def identity(self) -> str:
        """Model, variant and dimension: part of every plan that routes."""
        ...

    async def score(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        """Cosine similarity of the query with each text, in order, rounded to 1e-6."""
        ...


class Asked(Struct, frozen=True):
    """What a route of a flow asks: for whom of `candidates` (name, what it is about) the query is.

    `router` names what compares them, as the plan was compiled with. `given` is a decision that came
    with the request.
    """

    tenant: Tenant
    query: str
    candidates: tuple[tuple[AgentName, str], ...]
    router: str = ""
    labels: tuple[str, ...] = ()
    input: Any = None
    given: Given | None = None


class Compared(Struct, frozen=True):
    """The scores of the candidates, in order (none where nothing was compared), and what decided."""

    scores: tuple[float, ...]
    why: Why | None = None


class CoreTable(Struct, frozen=True):
    """A routing table as StrataRouter-Core takes it: one vector a route (little-endian float32)."""

    digest: str
    names: tuple[str, ...]
    centroids: tuple[bytes, ...]


class Core(Protocol):
    """StrataRouter-Core in this process."""

    async def decide(self, table: CoreTable, query: str, vector: bytes) -> Given | str:
        """What Core decides; or why it did not, said behind "StrataRouter-Core". Raises nothing."""
        ...


class Switch(Protocol):
    """Finds for whom a query is: rules of the tenant, a decision that came along, tables, meaning."""

    async def pin(self, tenant: Tenant) -> str:
        """What compares candidates now: part of every plan that routes, compiled from now on."""
        ...

    async def compare(self, asked: Asked) -> Compared:
        """Decide, or compare. Raises `InvalidInput`, `InvalidState`, and what stores and encoders raise."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def identity(self) -> str:
        """Model, variant and dimension: part of every key that rests on its vectors."""
        ...

    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        """The vector of each text, in order: little-endian float32, of length 1 (0 without any feature)."""
        ...


# Callers.

Scope: TypeAlias = Literal["execute", "read", "deploy", "admin", "operate"]
"""What a caller may do: run and control executions, look, change what is deployed, all of this; and look
at the server as a whole, which no other scope includes since it tells of other tenants."""


class Caller(Struct, frozen=True):
    """Who makes a request, and what they may do. `by` is how the audit names them."""

    tenant: Tenant
    scopes: frozenset[Scope]
    by: str

    def may(self, scope: Scope) -> bool:
        """Whether this is allowed to them."""
        return scope in self.scopes or ("admin" in self.scopes and scope != "operate")


class Door(Protocol):
    """Lets callers in by what they show."""

    async def caller(self, shown: str, /) -> Caller | None:
        """Who shows this; None where it is not valid, for whatever reason. Raises `errors.StoreError`."""
        ...


# Storage.


class Execution(Struct, frozen=True):
    """An execution as the store lists it. `output` and `failure` are there once it is finished."""

    id: ExecutionId
    tenant: Tenant
    flow: FlowId
    plan: Digest
    status: Status
    created: int
    updated: int
    records: int
    output: Any = None
    failure: Failure | None = None
    usage: Usage | None = None


class Deployed(Struct, frozen=True):
    """A flow as deployed: the text its author wrote, and the plan it compiled to."""

    flow: FlowId
    tenant: Tenant
    plan: Digest
    source: str
    created: int


class Journal(Protocol):
    """Where facts become durable: what these methods return has been synced.

    Raises `errors.StoreError` and its kinds when the store cannot do its work.
    """

    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> bool:
        """Begin an execution with its first records, owned by `lease`; False where the id exists already.

        Raises `errors.LeaseLost` where the lease was taken: then nothing is written.
        """
        ...

    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        lease: Lease = NOBODY,
    ) -> None:
        """Add records behind those there are, all or none; `status` replaces the listed row.

        What is paused is owned by nobody. Raises `errors.LeaseLost` as `create`, and
        `errors.Conflict` where a number is taken: somebody else has driven this execution.
        """
        ...

    async def read(self, execution: ExecutionId, after: int = -1) -> list[Record]:
        """The records numbered above `after`, in order."""
        ...

    async def find(self, execution: ExecutionId) -> Execution | None:
        """The execution of this id."""
        ...

    async def search(
        self,
        *,
        tenant: Tenant | None = None,
        flow: FlowId | None = None,
        status: Sequence[Status] = (),
        before: ExecutionId | None = None,
        limit: int = 50,
    ) -> list[Execution]:
        """Executions, newest first, below `before` in that order."""
        ...

    async def unfinished(self) -> list[Execution]:
        """Every execution that has not finished, oldest first: what recovery must drive on."""
        ...


class Catalog(Protocol):
    """Plans by digest, and flows as deployed. Raises `errors.StoreError` like a journal."""

    async def keep_plan(self, plan: Digest, document: bytes) -> None:
        """Store what a plan can be compiled from; keeping it twice changes nothing."""
        ...

    async def plan(self, plan: Digest) -> bytes | None:
        """The document of a plan."""
        ...

    async def deploy(self, deployed: Deployed, *, by: str = "", quota: int | None = None) -> None:
        """Make this the version that new executions of the flow run, with a line in the audit.

        Raises `errors.WorkflowQuota` where it would be one more than `quota` flows of the tenant.
        """
        ...

    async def retire(self, tenant: Tenant, flow: FlowId, *, at: int, by: str = "") -> bool:
        """Deploy this flow no longer, with a line in the audit; False where it is not deployed."""
        ...

    async def deployed(self, tenant: Tenant, flow: FlowId) -> Deployed | None:
        """The version that runs now."""
        ...

    async def flows(self, tenant: Tenant) -> list[Deployed]:
        """All deployed flows of a tenant, by name."""
        ...


class Kept(Struct, frozen=True):
    """A document on the shelf. `version` counts from 1 and never comes twice for one name."""

    tenant: Tenant
    kind: str
    name: str
    version: int
    body: bytes
    created: int
    updated: int


class Shelf(Protocol):
    """Small documents by tenant, kind and name; what these methods return has been synced.

    Every change leaves a line in the audit, in the same transaction. `by` names who made it, `at`
    is when. Raises `errors.StoreError` like a journal.
    """

    async def put(
        self,
        tenant: Tenant,
        kind: str,
        name: str,
        body: bytes,
        *,
        at: int,
        by: str = "",
        expected: int | None = None,
        quota: int | None = None,
    ) -> int:
        """Keep a document under its name, in place of the one before; its version.

        `expected` is the version it replaces (0: none may be there): raises `errors.Conflict`
        where it is another. Raises `errors.LimitExceeded` where it would be one more than `quota`
        documents of this tenant and kind.
        """
        ...

    async def get(self, tenant: Tenant, kind: str, name: str) -> Kept | None:
        """The document of this name."""
        ...

    async def all(self, tenant: Tenant | None, kind: str, after: str = "", limit: int = 1_000) -> list[Kept]:
        """Documents behind `after` in the order of their names.

        Where `tenant` is None those of all tenants, in the order of tenant and name; `after` is then
        both, with a NUL between them.
        """
        ...

    async def remove(
        self, tenant: Tenant, kind: str, name: str, *, at: int, by: str = "", expected: int | None = None
    ) -> bool:
        """Take a document away; False where there is none. Raises `errors.Conflict` as `put`."""
        ...


class Audit(Protocol):
    """The audit as it is kept; written by the changes themselves. Raises `errors.StoreError`."""

    async def lines(self, after: int = 0, limit: int = 1_000) -> list[Line]:
        """The lines numbered above `after`, in order."""
        ...

    async def head(self) -> Head:
        """The last line, as noted apart from the lines."""
        ...


class Snapshots(Protocol):
    """The newest snapshot of each execution that has not finished: a shortcut, never a source.

    Losing one loses nothing. Raises `errors.StoreError` like a journal.
    """

    async def save(self, execution: ExecutionId, seq: int, body: bytes) -> None:
        """Keep a snapshot of the first `seq` records; nothing where a newer one is kept, or it has ended."""
        ...

    async def load(self, execution: ExecutionId) -> bytes | None:
        """The snapshot that is kept."""
        ...

    async def drop(self, execution: ExecutionId) -> None:
        """Keep none any more."""
        ...


class Quotas(Protocol):
    """What tenants have used of their limits; durable, and true for all processes at once.

    Raises `errors.StoreError` like a journal.
    """

    async def create(
        self, execution: Execution, records: Sequence[Record], lease: Lease, admission: Admission
    ) -> bool:
        """Begin an execution like `Journal.create`, if its tenant may have one more now and on this day.

        Counted in the transaction that begins it; one whose id exists already is not. Raises
        `errors.QuotaExceeded` where it may not: then nothing is written.
        """
        ...

    async def spend(self, tenant: Tenant, limit: int, now: int) -> Spent:
        """Count a request, unless there were `limit` within the last minute."""
        ...

    async def requests(self, tenant: Tenant, now: int) -> int:
        """Requests that were counted within the last minute."""
        ...

    async def started(self, tenant: Tenant, now: int) -> int:
        """Executions under a limit that began on this day of UTC."""
        ...

    async def active(self, tenant: Tenant) -> int:
        """Executions under a limit that have not ended."""
        ...

    async def totals(self, tenant: Tenant, flow: FlowId | None = None, since: int = 0) -> Totals:
        """What the executions created since then came to, of all flows or of one."""
        ...


class Store(Journal, Catalog, Protocol):
    """All that is durable, in one place."""

    leases: Leases
    mail: Mail
    snapshots: Snapshots
    shelf: Shelf
    cache: CacheStore
    audit: Audit
    quotas: Quotas

    async def probe(self) -> None:
        """Commit what changes nothing, synced as any commit. Raises `errors.StoreError` where that fails."""
        ...

    def stats(self) -> Struct:
        """What its writer has counted; a `Source`."""
        ...

    async def close(self) -> None:
        """Finish what waits, and let go of the store."""
        ...


class CacheEntry(Struct, frozen=True):
    """An answer kept for reuse. `body` is opaque, and checked by whoever reads it.

    `key` names exactly what it answers, `group` those entries among which it may be found by
    meaning (empty: none). `space` is the flow or agent it belongs to, for forgetting; `source` the
    execution it came from.
    """

    tenant: Tenant
    key: Digest
    space: str
    group: str
    source: ExecutionId
    created: int
    expires: int
    tags: tuple[str, ...]
    body: bytes


class Selection(Struct, frozen=True):
    """Which entries of a tenant: of one `space`, with a tag, created before, of a source, or by key."""

    tenant: Tenant
    space: str | None = None
    tag: str | None = None
    before: int | None = None
    source: ExecutionId | None = None
    key: Digest | None = None

    @property
    def whole(self) -> bool:
        """Whether it is all of a space: then what is still being worked out is not kept either."""
        rest = (self.tag, self.before, self.source, self.key)
        return self.space is not None and all(part is None for part in rest)


class Generation(Struct, frozen=True):
    """How often a space was emptied (`epoch`), and how often anything was taken from it (`revision`)."""

    tenant: Tenant
    space: str
    epoch: int
    revision: int


class Holding(Struct, frozen=True):
    """What is kept of one space."""

    space: str
    entries: int
    bytes: int


class CacheStore(Protocol):
    """Where answers to be reused outlive the process. Raises `errors.StoreError` like a journal."""

    async def keep(self, entries: Sequence[CacheEntry]) -> None:
        """Keep entries, each in place of the one with its tenant and key."""
        ...

    async def find(self, tenant: Tenant, key: Digest) -> CacheEntry | None:
        """The entry of this key."""
        ...

    async def group(self, tenant: Tenant, group: str, limit: int) -> list[CacheEntry]:
        """The entries of a group, newest first."""
        ...

    async def count(self, selection: Selection) -> int:
        """How many entries `forget` would take away."""
        ...

    async def forget(self, selection: Selection) -> list[tuple[str, Digest]]:
        """Take entries away; space and key of each. A whole space gets a new epoch, else a new revision."""
        ...

    async def generations(self) -> list[Generation]:
        """Of every space from which anything was ever taken."""
        ...

    async def prune(self, now: int, most: int) -> int:
        """Take away what expired before `now`, and the oldest above `most`; how many."""
        ...

    async def holdings(self, tenant: Tenant) -> list[Holding]:
        """What is kept for a tenant, by space."""
        ...


class Reuse(Protocol):
    """Answers single agent calls from what is known, where the agent allows it."""

    async def call(
        self,
        agent: LinkedAgent,
        call: AgentCall,
        given: Digest,
        make: Callable[[AgentCall], Awaitable[AgentReply]],
    ) -> tuple[AgentReply, Reused | None]:
        """The answer to a call: a known one, or what `make` gives. Raises what `make` raises.

        `given` is the digest of the input's canonical form.
        """
        ...


# Observation.


class Observer(Protocol):
    """Hears of facts; cannot answer, cannot fail a run, does not see payloads it need not."""

    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        """These facts of this execution are durable now."""
        ...


Source: TypeAlias = "Callable[[], Struct | None]"
"""The statistics of a part as they stand now: a frozen record, read whenever somebody asks.

Its fields are numbers, `tally.Distribution`s, or maps to either from a label (or a tuple of labels).
It is called on the loop, must not wait, and never raises. None where the part is not at work yet.
"""
