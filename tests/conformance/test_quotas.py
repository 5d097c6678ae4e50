"""What every store counts for tenants: never one too many, however many come at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.conformance.backends import ANN, BACKENDS, BOB, name, record, records, row
from tests.postgres import server

from stratarouter_runtime.errors import Conflict, QuotaExceeded
from stratarouter_runtime.ids import FlowId, Tenant
from stratarouter_runtime.ports import Execution, Store
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.state.events import Usage
from stratarouter_runtime.storage import postgres
from stratarouter_runtime.tenancy.quotas import Admission, Totals
from stratarouter_runtime.tenancy.windows import DAY, MINUTE, SECOND

NOON = 20_000 * DAY + DAY // 2
THREE = Admission(concurrent=3, daily=None)
DAILY = Admission(concurrent=None, daily=3)


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await BACKENDS[request.param](tmp_path)
    yield opened
    await opened.close()


def at(number: int, moment: int = NOON, tenant: Tenant = ANN) -> Execution:
    """Execution `number`, created at this moment."""
    return row(number, created=moment, updated=moment, tenant=tenant)


async def create(store: Store, execution: Execution, admission: Admission) -> str:
    """Try to begin an execution: `begun`, `taken`, or the policy that refused it."""
    try:
        begun = await store.quotas.create(execution, records(0), NOBODY, admission)
    except QuotaExceeded as refused:
        return refused.policy
    return "begun" if begun else "taken"


async def many(store: Store, numbers: range, admission: Admission) -> list[str]:
    """Try to begin so many at once; what came of them."""
    return sorted(await asyncio.gather(*[create(store, at(number), admission) for number in numbers]))


async def test_an_execution_under_a_limit_is_one_like_any_other(store: Store) -> None:
    assert await create(store, at(1), THREE) == "begun"
    assert await store.find(name(1)) == replace(at(1), records=1)
    await store.append(name(1), [record(1)], at(1))
    assert await store.read(name(1)) == records(0, 1)
    assert [found.id for found in await store.unfinished()] == [name(1)]


async def test_whose_id_is_taken_learns_that_before_all_else(store: Store) -> None:
    assert await create(store, at(1), THREE) == "begun"
    for wrong in (records(0), records(1), records(0, 2)):
        assert not await store.quotas.create(at(1), wrong, NOBODY, THREE)
    with pytest.raises(Conflict):
        await store.quotas.create(at(2), records(1), NOBODY, THREE)
    assert await store.find(name(2)) is None


async def test_one_that_ended_and_was_taken_away_counts_no_more(store: Store) -> None:
    for number in range(3):
        assert await create(store, at(number), THREE) == "begun"
    await store.append(name(1), [], replace(at(1), status="completed"))
    assert await store.keeping.remove([name(1)]) == 1
    assert [await create(store, at(number), THREE) for number in (4, 5)] == ["begun", "concurrent-executions"]


@pytest.mark.parametrize(
    ("admission", "policy"), [(THREE, "concurrent-executions"), (DAILY, "daily-executions")]
)
async def test_never_one_more_than_the_limit(store: Store, admission: Admission, policy: str) -> None:
    assert await many(store, range(20), admission) == sorted(["begun"] * 3 + [policy] * 17)
    assert await create(store, at(99), admission) == policy
    assert await create(store, at(99, tenant=BOB), admission) == "begun"
    assert (await store.quotas.active(ANN), await store.quotas.started(ANN, NOON)) == (3, 3)
    assert len(await store.search(tenant=ANN)) == 3


async def test_one_that_ended_makes_room_and_one_that_waits_does_not(store: Store) -> None:
    await many(store, range(3), THREE)
    for number, status in ((0, "waiting"), (1, "paused")):
        await store.append(name(number), [record(1)], replace(at(number), status=status))
    assert await create(store, at(10), THREE) == "concurrent-executions"
    await store.append(name(2), [record(1)], replace(at(2), status="failed"))
    assert await store.quotas.active(ANN) == 2
    assert await create(store, at(10), THREE) == "begun"
    assert await create(store, at(11), THREE) == "concurrent-executions"


async def test_what_is_without_a_limit_is_not_counted(store: Store) -> None:
    for number in range(5):
        await store.create(at(number), records(0))
    assert (await store.quotas.active(ANN), await store.quotas.started(ANN, NOON)) == (0, 0)
    assert await create(store, at(9), THREE) == "begun"


async def test_the_same_id_again_is_neither_begun_nor_counted_nor_refused(store: Store) -> None:
    one = Admission(concurrent=1, daily=1)
    came = await asyncio.gather(*[create(store, at(1), one) for _ in range(10)])
    assert sorted(came) == ["begun", *["taken"] * 9]
    assert await store.quotas.started(ANN, NOON) == 1


async def test_a_day_is_one_of_utc(store: Store) -> None:
    midnight = 20_001 * DAY
    assert await many(store, range(3), DAILY) == ["begun"] * 3
    assert await create(store, at(3, midnight - 1), DAILY) == "daily-executions"
    assert await create(store, at(4, midnight), DAILY) == "begun"
    assert await store.quotas.started(ANN, midnight) == 1
    # A clock that steps back opens no new day.
    assert await create(store, at(5, midnight - 1), DAILY) == "begun"
    assert await create(store, at(6, midnight), DAILY) == "begun"
    assert await create(store, at(7, midnight - DAY), DAILY) == "daily-executions"


async def test_requests_are_counted_in_any_minute(store: Store) -> None:
    came = await asyncio.gather(*[store.quotas.spend(ANN, 10, NOON) for _ in range(25)])
    assert sum(spent.allowed for spent in came) == 10
    assert not (await store.quotas.spend(ANN, 10, NOON + MINUTE)).allowed
    assert (await store.quotas.spend(BOB, 10, NOON)).left == 9
    later = await store.quotas.spend(ANN, 10, NOON + MINUTE + SECOND)
    assert (later.allowed, later.left) == (True, 9)
    assert await store.quotas.requests(ANN, NOON + MINUTE + SECOND) == 1
    assert await store.quotas.requests(Tenant("nobody"), NOON) == 0


async def test_totals_are_of_one_tenant_and_flow_and_time(store: Store) -> None:
    assert await store.quotas.totals(ANN) == Totals()
    rows = [
        at(1),
        replace(at(2), status="completed", usage=Usage(0.5, 10, 2, 3.5)),
        replace(at(3), status="failed", usage=Usage(usd=0.25)),
        replace(at(4, NOON + 1), status="timed_out", flow=FlowId("other")),
        replace(at(5, tenant=BOB), status="completed", usage=Usage(9.0)),
    ]
    for each in rows:
        await store.create(each, records(0))
    assert await store.quotas.totals(ANN) == Totals(4, 1, 2, 0.75, 10, 2, 3.5)
    assert await store.quotas.totals(ANN, FlowId("other")) == Totals(1, 0, 1)
    assert await store.quotas.totals(ANN, since=NOON + 1) == Totals(1, 0, 1)


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_what_was_counted_outlives_the_process(backend: str, tmp_path: Path) -> None:
    first = await BACKENDS[backend](tmp_path)
    both = Admission(concurrent=3, daily=3)
    assert await many(first, range(3), both) == ["begun"] * 3
    assert (await first.quotas.spend(ANN, 1, NOON)).allowed
    await first.append(name(0), [record(1)], replace(at(0), status="completed"))
    await first.close()
    second = await BACKENDS[backend](tmp_path)
    assert await create(second, at(10), both) == "daily-executions"
    assert await create(second, at(11), THREE) == "begun"
    assert await create(second, at(12), THREE) == "concurrent-executions"
    assert not (await second.quotas.spend(ANN, 1, NOON + SECOND)).allowed
    await second.close()


async def test_processes_that_share_a_database_count_together() -> None:
    url = await server().database()
    stores = [await postgres.open_store(url) for _ in range(2)]
    both = Admission(concurrent=5, daily=7)
    came = await asyncio.gather(*[create(stores[n % 2], at(n), both) for n in range(40)])
    assert came.count("begun") == 5
    spent = await asyncio.gather(*[stores[n % 2].quotas.spend(ANN, 9, NOON) for n in range(40)])
    assert sum(each.allowed for each in spent) == 9
    for store in stores:
        await store.close()
