"""What every shelf does, and the audit that its changes leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.conformance.backends import ANN, BACKENDS, BOB, PLAN

from stratarouter_runtime.audit import START, Line, fault, head_of
from stratarouter_runtime.errors import Conflict, LimitExceeded, StoreUnavailable, WorkflowQuota
from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.ports import Deployed, Kept, Store
from stratarouter_runtime.storage.rules import MAX_BODY


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await BACKENDS[request.param](tmp_path)
    yield opened
    await opened.close()


def deployed(name: str, *, source: str = "flow: x") -> Deployed:
    """A flow of Ann's, deployed at microsecond 5."""
    return Deployed(FlowId(name), ANN, PLAN, source, 5)


async def told(store: Store) -> list[tuple[int, str, str, str]]:
    """Number, author, deed and name of every line of the audit."""
    return [(line.number, line.by, line.what, line.name) for line in await store.audit.lines()]


# Documents.


async def test_a_document_is_kept_until_the_next_takes_its_place(store: Store) -> None:
    assert await store.shelf.put(ANN, "rule", "a", b"one", at=10) == 1
    assert await store.shelf.get(ANN, "rule", "a") == Kept(ANN, "rule", "a", 1, b"one", 10, 10)
    assert await store.shelf.put(ANN, "rule", "a", b"two", at=20) == 2
    assert await store.shelf.get(ANN, "rule", "a") == Kept(ANN, "rule", "a", 2, b"two", 10, 20)


async def test_kinds_and_tenants_share_nothing(store: Store) -> None:
    await store.shelf.put(ANN, "rule", "a", b"one", at=1)
    assert await store.shelf.get(BOB, "rule", "a") is None
    assert await store.shelf.get(ANN, "agent", "a") is None
    assert not await store.shelf.remove(BOB, "rule", "a", at=2)
    assert await store.shelf.put(BOB, "rule", "a", b"other", at=3) == 1
    assert [kept.body for kept in await store.shelf.all(ANN, "rule")] == [b"one"]


async def test_names_and_bytes_come_back_as_they_went(store: Store) -> None:
    name, body = "a\x00\x01'\"ä😀/ b", bytes(range(256))
    await store.shelf.put(ANN, "rule", name, body, at=2**62)
    assert await store.shelf.get(ANN, "rule", name) == Kept(ANN, "rule", name, 1, body, 2**62, 2**62)


async def test_what_was_removed_is_gone_and_its_version_never_comes_again(store: Store) -> None:
    await store.shelf.put(ANN, "rule", "a", b"one", at=1)
    assert await store.shelf.remove(ANN, "rule", "a", at=2)
    assert await store.shelf.get(ANN, "rule", "a") is None
    assert await store.shelf.all(ANN, "rule") == []
    assert not await store.shelf.remove(ANN, "rule", "a", at=3)
    assert await store.shelf.put(ANN, "rule", "a", b"new", at=4) == 2
    assert await store.shelf.get(ANN, "rule", "a") == Kept(ANN, "rule", "a", 2, b"new", 4, 4)


@pytest.mark.parametrize("expected", [1, 3])
async def test_another_version_than_expected_is_not_replaced(store: Store, expected: int) -> None:
    for body in (b"one", b"two"):
        await store.shelf.put(ANN, "rule", "a", body, at=1)
    with pytest.raises(Conflict, match="is version 2"):
        await store.shelf.put(ANN, "rule", "a", b"three", at=2, expected=expected)
    with pytest.raises(Conflict, match="is version 2"):
        await store.shelf.remove(ANN, "rule", "a", at=2, expected=expected)
    assert await store.shelf.put(ANN, "rule", "a", b"three", at=2, expected=2) == 3
    assert await store.shelf.remove(ANN, "rule", "a", at=3, expected=3)


async def test_none_may_be_expected(store: Store) -> None:
    assert await store.shelf.put(ANN, "rule", "a", b"one", at=1, expected=0) == 1
    with pytest.raises(Conflict, match="expected was none"):
        await store.shelf.put(ANN, "rule", "a", b"two", at=1, expected=0)
    await store.shelf.remove(ANN, "rule", "a", at=2)
    assert await store.shelf.put(ANN, "rule", "a", b"three", at=3, expected=0) == 2
    with pytest.raises(Conflict, match="is not there"):
        await store.shelf.put(ANN, "rule", "b", b"one", at=1, expected=1)


async def test_of_many_who_expect_one_version_one_replaces_it(store: Store) -> None:
    await store.shelf.put(ANN, "rule", "a", b"one", at=1)
    writes = [store.shelf.put(ANN, "rule", "a", b"%d" % n, at=2, expected=1) for n in range(20)]
    came = await asyncio.gather(*writes, return_exceptions=True)
    assert came.count(2) == 1
    assert sum(isinstance(each, Conflict) for each in came) == 19


async def test_a_quota_is_never_passed_however_many_come_at_once(store: Store) -> None:
    writes = [store.shelf.put(ANN, "rule", f"n{n}", b"", at=1, quota=5) for n in range(20)]
    came = await asyncio.gather(*writes, return_exceptions=True)
    assert came.count(1) == 5
    assert sum(isinstance(each, LimitExceeded) for each in came) == 15
    kept = await store.shelf.all(ANN, "rule")
    assert len(kept) == 5
    await store.shelf.put(ANN, "rule", kept[0].name, b"again", at=2, quota=5)
    await store.shelf.put(BOB, "rule", "mine", b"", at=2, quota=5)
    await store.shelf.remove(ANN, "rule", kept[1].name, at=3)
    await store.shelf.put(ANN, "rule", "new", b"", at=4, quota=5)


async def test_a_body_beyond_the_limit_is_refused(store: Store) -> None:
    with pytest.raises(LimitExceeded):
        await store.shelf.put(ANN, "rule", "a", bytes(MAX_BODY + 1), at=1)
    assert await store.audit.lines() == []


async def test_a_listing_goes_on_behind_a_name(store: Store) -> None:
    for name in ("c", "a", "B", "ä"):
        await store.shelf.put(ANN, "rule", name, b"", at=1)
    first = await store.shelf.all(ANN, "rule", limit=2)
    assert [kept.name for kept in first] == ["B", "a"]
    assert [kept.name for kept in await store.shelf.all(ANN, "rule", first[-1].name)] == ["c", "ä"]


async def test_all_tenants_are_listed_in_order(store: Store) -> None:
    for tenant, name in ((BOB, "a"), (ANN, "z"), (ANN, "b"), (BOB, "c")):
        await store.shelf.put(tenant, "rule", name, b"", at=1)
    found = [(kept.tenant, kept.name) for kept in await store.shelf.all(None, "rule")]
    assert found == [(ANN, "b"), (ANN, "z"), (BOB, "a"), (BOB, "c")]
    behind = await store.shelf.all(None, "rule", f"{ANN}\x00z", limit=1)
    assert [(kept.tenant, kept.name) for kept in behind] == [(BOB, "a")]


# Flows.


async def test_a_tenant_never_has_a_workflow_more_than_its_quota(store: Store) -> None:
    writes = [store.deploy(deployed(f"flow{n}"), quota=3) for n in range(10)]
    came = await asyncio.gather(*writes, return_exceptions=True)
    assert came.count(None) == 3
    assert sum(isinstance(each, WorkflowQuota) for each in came) == 7
    there = await store.flows(ANN)
    assert len(there) == 3
    await store.deploy(replace(there[0], source="flow: y"), quota=3)
    assert await store.retire(ANN, there[1].flow, at=9)
    await store.deploy(deployed("another"), quota=3)
    with pytest.raises(WorkflowQuota, match="has 3 workflows"):
        await store.deploy(deployed("one-more"), quota=3)


async def test_a_retired_flow_is_deployed_no_longer(store: Store) -> None:
    await store.deploy(deployed("triage"))
    assert not await store.retire(BOB, FlowId("triage"), at=6)
    assert await store.retire(ANN, FlowId("triage"), at=6, by="cli")
    assert await store.deployed(ANN, FlowId("triage")) is None
    assert not await store.retire(ANN, FlowId("triage"), at=7)


# The audit.


async def test_every_change_leaves_a_line_and_a_refused_one_leaves_none(store: Store) -> None:
    assert (await store.audit.lines(), await store.audit.head()) == ([], START)
    await store.shelf.put(ANN, "rule", "a", b"one", at=1, by="key one")
    with pytest.raises(Conflict):
        await store.shelf.put(ANN, "rule", "a", b"two", at=2, expected=0)
    with pytest.raises(LimitExceeded):
        await store.shelf.put(ANN, "rule", "b", b"two", at=2, quota=1)
    await store.shelf.remove(ANN, "rule", "missing", at=2)
    await store.shelf.remove(ANN, "rule", "a", at=3, by="cli")
    await store.deploy(deployed("triage"), by="cli")
    await store.retire(ANN, FlowId("triage"), at=6, by="cli")
    assert await told(store) == [
        (1, "key one", "put rule", "a"),
        (2, "cli", "remove rule", "a"),
        (3, "cli", "deploy workflow", "triage"),
        (4, "cli", "retire workflow", "triage"),
    ]
    lines = await store.audit.lines()
    assert [(line.tenant, line.at, line.version) for line in lines] == [
        (ANN, 1, 1),
        (ANN, 3, 1),
        (ANN, 5, 0),
        (ANN, 6, 0),
    ]
    assert [bool(line.digest) for line in lines] == [True, False, True, False]
    assert await store.audit.lines(after=2, limit=1) == lines[2:3]


async def test_changes_made_at_once_stand_in_one_chain(store: Store) -> None:
    writes = [store.shelf.put(tenant, "rule", f"n{n}", b"", at=n) for n in range(25) for tenant in (ANN, BOB)]
    await asyncio.gather(*writes)
    lines = await store.audit.lines()
    head = START
    for line in lines:
        assert fault(head, line) == ""
        head = head_of(line)
    assert len(lines) == 50
    assert await store.audit.head() == head


async def test_a_closed_store_has_no_shelf(tmp_path: Path) -> None:
    for name, opens in BACKENDS.items():
        (tmp_path / name).mkdir()
        store = await opens(tmp_path / name)
        await store.close()
        with pytest.raises(StoreUnavailable):
            await store.shelf.get(ANN, "rule", "a")
        with pytest.raises(StoreUnavailable):
            await store.shelf.put(ANN, "rule", "a", b"", at=1)


async def test_documents_and_lines_outlive_the_process_that_made_them(tmp_path: Path) -> None:
    opens = BACKENDS["sqlite"]
    first = await opens(tmp_path)
    await first.shelf.put(ANN, "rule", "a", b"one", at=1)
    before = await first.audit.lines()
    await first.close()
    second = await opens(tmp_path)
    assert await second.shelf.put(ANN, "rule", "a", b"two", at=2) == 2
    after = await second.audit.lines()
    await second.close()
    assert after[:1] == before
    assert isinstance(after[1], Line)
    assert fault(head_of(after[0]), after[1]) == ""
