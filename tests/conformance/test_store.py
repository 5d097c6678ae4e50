"""What every store does. A new back-end passes by adding its line to `backends.BACKENDS`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.conformance.backends import ANN, BACKENDS, BOB, PLAN, name, record, records, row

from stratarouter_runtime.errors import Conflict, LimitExceeded, NotFound, StoreUnavailable
from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import Deployed, Execution, Status, Store
from stratarouter_runtime.state.events import Failure, Record, Usage
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.storage.rules import MAX_BODY
from stratarouter_runtime.storage.sqlite.store import SqliteStore
from stratarouter_runtime.storage.statistics import WriterStats

NOBODY = ExecutionId("exec_nobody")


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await BACKENDS[request.param](tmp_path)
    yield opened
    await opened.close()


async def ids(store: Store, **wanted: Any) -> list[int]:
    """The numbers of the executions that a search finds."""
    return [int(found.id.removeprefix("exec_"), 16) for found in await store.search(**wanted)]


# Journals.


async def test_a_created_execution_is_found_with_its_records(store: Store) -> None:
    assert await store.create(row(1), records(0, 1))
    assert await store.find(name(1)) == row(1, records=2, updated=1_001)
    assert await store.read(name(1)) == records(0, 1)


async def test_an_id_is_taken_once_and_the_second_changes_nothing(store: Store) -> None:
    assert await store.create(row(1), records(0))
    assert not await store.create(row(1, tenant=BOB, flow=FlowId("other")), records(0, 1, 2))
    assert await store.find(name(1)) == row(1, records=1, updated=1_000)
    assert await store.read(name(1)) == records(0)


async def test_one_of_many_creators_of_an_id_wins(store: Store) -> None:
    won = await asyncio.gather(*[store.create(row(1, created=at), records(0)) for at in range(50)])
    assert sum(won) == 1
    found = await store.find(name(1))
    assert found is not None
    assert found.created == won.index(True)


async def test_an_execution_may_begin_without_records(store: Store) -> None:
    assert await store.create(row(1), [])
    assert await store.read(name(1)) == []
    await store.append(name(1), records(0))
    assert await store.read(name(1)) == records(0)


async def test_appended_records_stand_behind_those_there_are(store: Store) -> None:
    await store.create(row(1), records(0))
    await store.append(name(1), records(1, 2))
    await store.append(name(1), records(3))
    assert await store.read(name(1)) == records(0, 1, 2, 3)


@pytest.mark.parametrize(("after", "numbers"), [(-1, [0, 1, 2]), (0, [1, 2]), (1, [2]), (2, []), (99, [])])
async def test_reading_goes_on_behind_a_number(store: Store, after: int, numbers: list[int]) -> None:
    await store.create(row(1), records(0, 1, 2))
    assert await store.read(name(1), after) == records(*numbers)


async def test_bytes_come_back_as_they_went(store: Store) -> None:
    body = bytes(range(256)) * 300
    await store.create(row(1), [Record(0, 2**62, body, b"\x00\xff")])
    assert await store.read(name(1)) == [Record(0, 2**62, body, b"\x00\xff")]


@pytest.mark.parametrize("numbers", [[1], [0], [3], [2, 2], [2, 4], [1, 2], [3, 2]])
async def test_a_taken_or_skipped_number_is_refused_and_nothing_written(
    store: Store, numbers: list[int]
) -> None:
    await store.create(row(1), records(0, 1))
    with pytest.raises(Conflict, match="has 2 records"):
        await store.append(name(1), records(*numbers), row(1, status="failed"))
    assert await store.read(name(1)) == records(0, 1)
    assert await store.find(name(1)) == row(1, records=2, updated=1_001)


@pytest.mark.parametrize("numbers", [[1], [0, 0], [0, 2]])
async def test_an_execution_begins_with_record_zero(store: Store, numbers: list[int]) -> None:
    with pytest.raises(Conflict, match="has 0 records"):
        await store.create(row(1), records(*numbers))
    assert await store.find(name(1)) is None


async def test_of_two_drivers_of_one_execution_exactly_one_wins_each_number(store: Store) -> None:
    await store.create(row(1), records(0))

    async def drive(body: bytes) -> int:
        won = 0
        for seq in range(1, 50):
            try:
                await store.append(name(1), [record(seq, body)])
                won += 1
            except Conflict:
                return won
        return won

    first, second = await asyncio.gather(drive(b"first"), drive(b"second"))
    kept = [kept.body for kept in await store.read(name(1), after=0)]
    assert sorted([first, second]) == [0, 49]
    assert kept == [b"first" if first else b"second"] * 49


async def test_a_refused_append_spoils_no_other(store: Store) -> None:
    for number in range(20):
        await store.create(row(number), records(0))
    tried = [store.append(name(number), records(number % 2)) for number in range(20)]
    outcomes = await asyncio.gather(*tried, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Conflict, type(None)] * 10
    assert [len(await store.read(name(number))) for number in range(20)] == [1, 2] * 10


async def test_what_cannot_be_kept_fails_alone(store: Store) -> None:
    """A time beyond 64 bits is the caller's mistake; it must not reach its neighbours."""
    await store.create(row(1), records(0))
    await store.create(row(2), records(0))
    wrong = asyncio.create_task(store.append(name(1), [Record(1, 2**70, b"", b"")]))
    created, _ = await asyncio.gather(store.create(row(3), records(0)), store.append(name(2), records(1)))
    await asyncio.wait([wrong])
    assert created
    assert isinstance(wrong.exception(), OverflowError | None)
    assert await store.read(name(2)) == records(0, 1)
    assert await store.read(name(3)) == records(0)


async def test_an_unknown_execution_takes_no_records(store: Store) -> None:
    with pytest.raises(NotFound, match="exec_nobody"):
        await store.append(NOBODY, records(0))
    assert await store.find(NOBODY) is None
    assert await store.read(NOBODY) == []


async def test_a_record_too_large_is_refused_before_anything_is_written(store: Store) -> None:
    await store.create(row(1), [record(0, bytes(MAX_BODY))])
    with pytest.raises(LimitExceeded, match=r"record 2 .* 16777217 bytes") as caught:
        await store.append(name(1), [record(1), record(2, bytes(MAX_BODY + 1))])
    assert caught.value.hint
    with pytest.raises(LimitExceeded):
        await store.create(row(2), [record(0, bytes(MAX_BODY + 1))])
    assert len(await store.read(name(1))) == 1
    assert await store.find(name(2)) is None


async def test_ten_thousand_appends_at_once(store: Store) -> None:
    await asyncio.gather(*[store.create(row(number), records(0)) for number in range(1_000)])

    async def drive(number: int) -> None:
        for seq in range(1, 11):
            await store.append(name(number), records(seq))

    await asyncio.gather(*[drive(number) for number in range(1_000)])
    journals = [await store.read(name(number)) for number in range(0, 1_000, 37)]
    assert all(journal == records(*range(11)) for journal in journals)
    assert sum(found.records for found in await store.search(limit=2_000)) == 11_000


async def test_appends_of_one_driver_in_flight_together_keep_their_order(store: Store) -> None:
    await store.create(row(1), records(0))
    await asyncio.gather(*[store.append(name(1), records(seq)) for seq in range(1, 3_000)])
    assert await store.read(name(1)) == records(*range(3_000))


async def test_a_cancelled_append_leaves_the_store_at_work(store: Store) -> None:
    await store.create(row(1), records(0))
    waiting = [asyncio.create_task(store.append(name(1), records(seq))) for seq in range(1, 100)]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    kept = await store.read(name(1))
    assert [one.seq for one in kept] == list(range(len(kept)))
    await store.append(name(1), records(len(kept)))


# The listed row.


async def test_a_status_is_told_with_the_records_that_bring_it_about(store: Store) -> None:
    await store.create(row(1), records(0))
    end = row(
        1,
        status="failed",
        updated=5_000,
        output={"reply": ["ä", None, 1.5, 2**53]},
        failure=Failure("agent.refused", "no", {"why": 1}, "2/do/0"),
        usage=Usage(0.25, 10, 20, 1.5),
    )
    await store.append(name(1), records(1, 2), end)
    assert await store.find(name(1)) == replace(end, records=3)


async def test_without_a_status_the_row_keeps_its_own(store: Store) -> None:
    await store.create(row(1, status="waiting", output=7), records(0))
    await store.append(name(1), records(1))
    assert await store.find(name(1)) == row(1, status="waiting", output=7, records=2, updated=1_001)


async def test_a_status_may_change_without_a_record(store: Store) -> None:
    await store.create(row(1), records(0))
    await store.append(name(1), [], row(1, status="paused", updated=2_000))
    assert await store.find(name(1)) == row(1, status="paused", updated=2_000, records=1)


async def test_a_status_changes_neither_identity_nor_count_nor_turns_time_back(store: Store) -> None:
    await store.create(row(1, updated=9_000), records(0))
    lie = row(7, tenant=BOB, flow=FlowId("x"), status="paused", records=42)
    await store.append(name(1), records(1), lie)
    assert await store.find(name(1)) == row(1, status="paused", updated=9_000, records=2)


async def test_a_status_says_which_plan_is_in_force(store: Store) -> None:
    await store.create(row(1), records(0))
    await store.append(name(1), records(1), row(1, plan=Digest("cd")))
    found = await store.find(name(1))
    assert found is not None
    assert found.plan == "cd"


@pytest.mark.parametrize("output", [0, "", [], {}, False])
async def test_an_empty_output_is_an_output(store: Store, output: object) -> None:
    await store.create(row(1, output=output), [])
    found = await store.find(name(1))
    assert found is not None
    assert found.output == output
    assert found.output is not None


# Searching.


async def test_the_newest_come_first_and_the_later_of_one_moment(store: Store) -> None:
    for number, created in [(1, 10), (2, 30), (3, 20), (4, 20), (5, 20)]:
        await store.create(row(number, created=created), [])
    assert await ids(store) == [2, 5, 4, 3, 1]


async def test_pages_cover_everything_once(store: Store) -> None:
    for number in range(1, 24):
        await store.create(row(number, created=number // 5), [])
    seen: list[int] = []
    page = await ids(store, limit=4)
    while page:
        seen += page
        page = await ids(store, limit=4, before=name(page[-1]))
    assert seen == list(range(23, 0, -1))


async def test_a_page_does_not_move_when_newer_ones_arrive(store: Store) -> None:
    for number in range(1, 7):
        await store.create(row(number), [])
    page = await ids(store, limit=3)
    await store.create(row(99), [])
    assert await ids(store, before=name(page[-1])) == [3, 2, 1]


async def test_a_search_narrows_by_all_it_is_given(store: Store) -> None:
    other = FlowId("other")
    await store.create(row(1), [])
    await store.create(row(2, tenant=BOB), [])
    await store.create(row(3, flow=other, status="completed"), [])
    await store.create(row(4, status="failed"), [])
    await store.create(row(5, flow=other, status="waiting"), [])
    assert await ids(store, tenant=ANN) == [5, 4, 3, 1]
    assert await ids(store, flow=other) == [5, 3]
    assert await ids(store, status=["failed", "completed"]) == [4, 3]
    assert await ids(store, tenant=ANN, flow=other, status=["waiting"], limit=1) == [5]
    assert await ids(store, tenant=ANN, flow=other, before=name(5)) == [3]
    assert await ids(store, tenant=Tenant("nobody")) == []
    assert await ids(store, limit=0) == []


async def test_a_cursor_need_not_match_the_rest_of_the_search(store: Store) -> None:
    await store.create(row(1, status="failed"), [])
    await store.create(row(2), [])
    assert await ids(store, status=["failed"], before=name(2)) == [1]


async def test_a_cursor_of_another_tenant_is_as_unknown_as_none(store: Store) -> None:
    await store.create(row(1), [])
    await store.create(row(2, tenant=BOB), [])
    with pytest.raises(NotFound) as foreign:
        await store.search(tenant=ANN, before=name(2))
    with pytest.raises(NotFound) as absent:
        await store.search(tenant=ANN, before=name(3))
    assert foreign.value.message.replace(name(2), "") == absent.value.message.replace(name(3), "")


@pytest.mark.parametrize("text", ["%", "_", "'", '"', "ann' OR 1=1 --", "a\x00b", "ä"])
async def test_names_are_compared_as_they_are(store: Store, text: str) -> None:
    await store.create(row(1), [])
    await store.create(row(2, tenant=Tenant(text), flow=FlowId(text)), [])
    assert await ids(store, tenant=Tenant(text)) == [2]
    assert await ids(store, flow=FlowId(text)) == [2]


async def test_the_unfinished_are_listed_oldest_first(store: Store) -> None:
    every: list[Status] = [
        "queued", "completed", "running", "failed", "waiting", "cancelled", "paused", "timed_out"
    ]  # fmt: skip
    for number, status in enumerate(every):
        await store.create(row(number, created=100 - number, status=status), [])
    found: list[Execution] = await store.unfinished()
    assert [one.status for one in found] == ["paused", "waiting", "running", "queued"]


async def test_a_finished_execution_is_no_longer_unfinished(store: Store) -> None:
    await store.create(row(1), records(0))
    await store.create(row(2), records(0))
    await store.append(name(1), records(1), row(1, status="completed"))
    assert [one.id for one in await store.unfinished()] == [name(2)]


# The catalog.


def version(number: int, **changes: Any) -> Deployed:
    first = Deployed(flow=FlowId("triage"), tenant=ANN, plan=PLAN, source=f"tcfp: {number}", created=number)
    return replace(first, **changes)


async def test_a_plan_is_kept_once(store: Store) -> None:
    assert await store.plan(PLAN) is None
    await store.keep_plan(PLAN, b"{}")
    await store.keep_plan(PLAN, b"another")
    assert await store.plan(PLAN) == b"{}"


async def test_the_last_deployed_version_runs(store: Store) -> None:
    assert await store.deployed(ANN, FlowId("triage")) is None
    await store.deploy(version(1))
    assert await store.deployed(ANN, FlowId("triage")) == version(1)
    await store.deploy(version(2, plan=Digest("cd" * 32)))
    assert await store.deployed(ANN, FlowId("triage")) == version(2, plan=Digest("cd" * 32))
    assert await store.retire(ANN, FlowId("triage"), at=3)
    assert await store.deployed(ANN, FlowId("triage")) is None


async def test_tenants_have_flows_of_their_own(store: Store) -> None:
    await store.deploy(version(1, flow=FlowId("b")))
    await store.deploy(version(2, flow=FlowId("a")))
    await store.deploy(version(3, flow=FlowId("b"), tenant=BOB))
    assert [flow.source for flow in await store.flows(ANN)] == ["tcfp: 2", "tcfp: 1"]
    assert list((await store.deployed_plans(ANN)).items()) == [
        (flow.flow, flow.plan) for flow in await store.flows(ANN)
    ]
    assert await store.deployed_plans(Tenant("nobody")) == {}
    pages = [("", 1), ("a", 1), ("a", None), ("b", 1)]
    told = [[flow.flow for flow in await store.flows(ANN, after, limit)] for after, limit in pages]
    assert told == [["a"], ["b"], ["b"], []]
    assert await store.deployed(BOB, FlowId("a")) is None
    assert await store.deployed(BOB, FlowId("b")) == version(3, flow=FlowId("b"), tenant=BOB)


# The end.


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.create(row(1), records(0))
    await store.close()
    await store.close()
    tries = [
        store.create(row(2), []),
        store.append(name(1), records(1)),
        store.read(name(1)),
        store.find(name(1)),
        store.search(),
        store.unfinished(),
        store.keep_plan(PLAN, b""),
        store.plan(PLAN),
        store.deploy(version(1)),
        store.deployed(ANN, FlowId("triage")),
        store.flows(ANN),
        store.deployed_plans(ANN),
    ]
    for tried in tries:
        with pytest.raises(StoreUnavailable, match="closed"):
            await tried


async def test_closing_finishes_what_waits(store: Store) -> None:
    await store.create(row(1), records(0))
    waiting = [asyncio.create_task(store.append(name(1), records(seq))) for seq in range(1, 500)]
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), store.close())
    assert await asyncio.gather(*waiting) == [None] * 499


async def test_a_probe_writes_and_changes_nothing(store: Store) -> None:
    assert await store.create(row(1), records(0, 1))
    before = commits(store)
    await store.probe()
    assert await store.read(name(1)) == records(0, 1)
    assert await ids(store) == [1]
    if isinstance(store, SqliteStore):  # the others have no commits, or sessions of other kinds
        assert commits(store) == before + 1


async def test_what_is_written_is_counted(store: Store) -> None:
    before = commits(store)
    await store.create(row(1), records(0, 1))
    assert (commits(store) > before) == (not isinstance(store, MemoryStore))


def commits(store: Store) -> int:
    """How many its writer has counted."""
    stats = store.stats()
    assert isinstance(stats, WriterStats)
    made = sum(stats.batch.counts)
    # The part of a server's sync is known to that server alone.
    synced = made if isinstance(store, SqliteStore) else 0
    assert (sum(stats.commit_seconds.counts), sum(stats.sync_seconds.counts)) == (made, synced)
    return made


async def test_a_store_that_is_closed_cannot_be_written(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.probe()
