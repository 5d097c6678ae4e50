"""Every durable store beside the reference: whatever is done to both, both say the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.conformance.backends import ANN, BOB, name, row
from tests.postgres import server
from typing_extensions import override

from stratarouter_runtime.errors import StrataError
from stratarouter_runtime.ids import Digest, FlowId
from stratarouter_runtime.ports import Deployed, Store
from stratarouter_runtime.state.events import Failure, Record, Usage
from stratarouter_runtime.storage import postgres, sqlite
from stratarouter_runtime.storage.memory import MemoryStore

NUMBERS = st.integers(0, 5)
TENANTS = st.sampled_from([ANN, BOB])
FLOWS = st.sampled_from([FlowId("a"), FlowId("b")])
STATUSES = st.sampled_from(["queued", "running", "waiting", "paused", "completed", "failed", "cancelled"])
OUTPUTS = st.none() | st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FAILURES = st.none() | st.builds(Failure, kind=st.text(), message=st.text(), data=OUTPUTS, step=st.text())
USAGES = st.none() | st.builds(Usage, usd=st.floats(0, 10), tokens_in=st.integers(0, 2**40))
ROWS = st.builds(
    row,
    NUMBERS,
    tenant=TENANTS,
    flow=FLOWS,
    status=STATUSES,
    created=st.integers(0, 3),
    updated=st.integers(0, 2_000),
    output=OUTPUTS,
    failure=FAILURES,
    usage=USAGES,
)
BODIES = st.lists(st.binary(max_size=40), max_size=3)


class BothStores(RuleBasedStateMachine):
    """Runs each operation on both stores and compares what comes of it."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._memory = MemoryStore()
        self._durable = self._open()
        self._time = 1_000

    def _open(self) -> Store:
        """The durable store, with all it kept when it was open last."""
        raise NotImplementedError

    @override
    def teardown(self) -> None:
        self._runner.run(self._durable.close())
        self._runner.close()

    def _same(self, act: Callable[[Store], Awaitable[Any]]) -> None:
        async def outcome(store: Store) -> Any:
            try:
                return await act(store)
            except StrataError as error:
                return type(error), error.message

        assert self._runner.run(outcome(self._durable)) == self._runner.run(outcome(self._memory))

    def _records(self, first: int, bodies: list[bytes]) -> list[Record]:
        self._time += 7
        return [Record(seq, self._time, body, body[:2]) for seq, body in enumerate(bodies, first)]

    @rule(told=ROWS, first=st.sampled_from([0, 0, 0, 1]), bodies=BODIES)
    def create(self, told: Any, first: int, bodies: list[bytes]) -> None:
        kept = self._records(first, bodies)
        self._same(lambda store: store.create(told, kept))

    @rule(number=NUMBERS, slip=st.sampled_from([0, 0, 0, 0, -1, 1]), bodies=BODIES, told=st.none() | ROWS)
    def append(self, number: int, slip: int, bodies: list[bytes], told: Any) -> None:
        first = len(self._runner.run(self._memory.read(name(number)))) + slip
        kept = self._records(first, bodies)
        self._same(lambda store: store.append(name(number), kept, told))

    @rule(number=NUMBERS, after=st.integers(-1, 10))
    def read(self, number: int, after: int) -> None:
        self._same(lambda store: store.read(name(number), after))
        self._same(lambda store: store.find(name(number)))

    @rule(
        tenant=st.none() | TENANTS,
        flow=st.none() | FLOWS,
        status=st.lists(STATUSES, max_size=2),
        before=st.none() | NUMBERS.map(name),
        limit=st.integers(0, 5),
    )
    def search(self, **wanted: Any) -> None:
        self._same(lambda store: store.search(**wanted))
        self._same(lambda store: store.unfinished())

    @rule(tenant=TENANTS, flow=FLOWS, source=st.text(max_size=20), created=st.integers(0, 9))
    def deploy(self, tenant: Any, flow: FlowId, source: str, created: int) -> None:
        deployed = Deployed(flow=flow, tenant=tenant, plan=Digest("p"), source=source, created=created)
        self._same(lambda store: store.deploy(deployed))
        self._same(lambda store: store.deployed(tenant, flow))
        self._same(lambda store: store.flows(tenant))

    @rule(plan=st.sampled_from("pq"), document=st.binary(max_size=20))
    def keep_plan(self, plan: str, document: bytes) -> None:
        self._same(lambda store: store.keep_plan(Digest(plan), document))
        self._same(lambda store: store.plan(Digest(plan)))

    @rule()
    def reopen(self) -> None:
        self._runner.run(self._durable.close())
        self._durable = self._open()


class SqliteBesideMemory(BothStores):
    """On a file of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        super().__init__()

    @override
    def _open(self) -> Store:
        return sqlite.open_store(Path(self._folder.name, "store.db"))

    @override
    def teardown(self) -> None:
        super().teardown()
        self._folder.cleanup()


class PostgresBesideMemory(BothStores):
    """In a database of its own."""

    def __init__(self) -> None:
        self._url: str | None = None
        super().__init__()

    @override
    def _open(self) -> Store:
        if self._url is None:
            self._url = self._runner.run(server().database())
        return self._runner.run(postgres.open_store(self._url))


TestSqlite = SqliteBesideMemory.TestCase
TestPostgres = PostgresBesideMemory.TestCase
