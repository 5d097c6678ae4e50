"""What every store does with what is large, and with what may go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.conformance.backends import BACKENDS, name, record, records, row

from stratarouter_runtime.ports import Orphans, Store

LARGE = b'{"t":"cancel","reason":"' + b"x" * 100_000 + b'"}'
OTHER = b'{"t":"cancel","reason":"' + b"y" * 65_600 + b'"}'


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = await BACKENDS[request.param](tmp_path)
    yield made
    await made.close()


async def ended(store: Store, number: int, bodies: tuple[bytes, ...] = (b"{}", b"{}")) -> None:
    """An execution that ended at microsecond 1,000 + `number`."""
    given = [record(seq, body) for seq, body in enumerate(bodies)]
    await store.create(row(number), given[:-1])
    await store.append(name(number), given[-1:], row(number, status="completed", updated=1_000 + number))


async def swept(store: Store, limit: int = 3) -> int:
    rounds = 1
    while await store.keeping.sweep(limit):
        rounds += 1
        assert rounds < 1_000
    return rounds


async def test_large_bodies_are_read_as_they_were_written(store: Store) -> None:
    given = [record(0, LARGE), record(1), record(2, OTHER), record(3, b"\x00like a reference")]
    await store.create(row(1), given[:2])
    await store.append(name(1), given[2:])
    await store.create(row(2), [record(0, LARGE), record(1, LARGE)])
    assert await store.read(name(1)) == given
    assert [each.body for each in await store.read(name(2), 0)] == [LARGE]
    assert (await store.keeping.beginnings()) == {name(1): LARGE, name(2): LARGE}
    assert await store.keeping.orphans() == Orphans()


async def test_a_start_that_comes_second_leaves_nothing_large_behind(store: Store) -> None:
    assert await store.create(row(1), [record(0, LARGE)])
    assert not await store.create(row(1), [record(0, OTHER)])
    assert [each.body for each in await store.read(name(1))] == [LARGE]
    assert await store.keeping.orphans() == Orphans()
    assert OTHER not in [body for _, body in await store.keeping.blobs(b"", 10)]


async def test_what_has_ended_is_taken_away_and_its_id_is_free_again(store: Store) -> None:
    await ended(store, 1, (b'{"n":1}',) * 9)
    await ended(store, 2)
    await store.create(row(3), records(0))
    assert await store.keeping.remove([name(1), name(3), name(4)]) == 1
    assert await store.find(name(1)) is None
    assert await store.read(name(1)) == []
    assert [each.id for each in await store.search()] == [name(3), name(2)]
    assert await store.create(row(1, created=9), [record(0, b"anew")])
    await store.append(name(1), records(1))
    await swept(store)
    assert [each.body for each in await store.read(name(1))] == [b"anew", record(1).body]
    assert len(await store.read(name(2))) == 2
    assert await store.keeping.orphans() == Orphans()
    size = await store.keeping.size()
    assert (size.executions, size.unfinished, size.records) == (3, 2, 5)


async def test_the_last_of_all_may_go_before_its_records_have(store: Store) -> None:
    """Whatever is created next must not be given the records of one that went."""
    await ended(store, 1, (b"{}",) * 12)
    assert await store.keeping.remove([name(1)]) == 1
    assert await store.create(row(2), records(0))
    assert len(await store.read(name(2))) == 1
    await swept(store)
    assert len(await store.read(name(2))) == 1


async def test_a_blob_goes_with_the_last_journal_that_refers_to_it(store: Store) -> None:
    await ended(store, 1, (LARGE, OTHER))
    await ended(store, 2, (LARGE, b"{}"))
    await store.keeping.remove([name(1)])
    await swept(store)
    assert [each.body for each in await store.read(name(2))] == [LARGE, b"{}"]
    kept = [body for _, body in await store.keeping.blobs(b"", 10)]
    assert kept in ([LARGE], [])  # none where bodies lie with their rows
    await store.keeping.remove([name(2)])
    await swept(store)
    assert await store.keeping.blobs(b"", 10) == []
    assert (await store.keeping.size()).bytes == 0


async def test_what_belongs_to_an_execution_goes_with_it(store: Store) -> None:
    for number in (1, 2):
        await store.create(row(number), records(0))
    await store.snapshots.save(name(1), 1, b"snapshot")
    letter, other = await store.mail.post(name(1), b"letter"), await store.mail.post(name(2), b"letter")
    for each in (letter, other):
        await store.mail.settle(each, b"done")
    await store.append(name(1), [], row(1, status="failed"))
    await store.keeping.remove([name(1)])
    await swept(store)
    assert await store.snapshots.load(name(1)) is None
    assert (await store.mail.outcome(letter), await store.mail.outcome(other)) == (None, b"done")
    assert await store.keeping.orphans() == Orphans()


async def test_the_past_is_told_oldest_first(store: Store) -> None:
    for number in (5, 3, 4):
        await ended(store, number, (b'{"n":"first"}', b"123"))
    await store.create(row(2), records(0))
    first = await store.keeping.past(None, 100, 2)
    assert [(each.id, each.created, each.ended, each.size) for each in first] == [
        (name(3), 3, 1_003, 16),
        (name(4), 4, 1_004, 16),
    ]
    assert first[0].first == b'{"n":"first"}'
    assert [each.id for each in await store.keeping.past(first[-1], 100, 2)] == [name(5)]
    assert [each.id for each in await store.keeping.past(None, 4, 9)] == [name(3)]


async def test_of_those_of_one_moment_none_is_missed(store: Store) -> None:
    for number in range(5):
        await store.create(replace(row(number), created=7), records(0))
        await store.append(name(number), [], row(number, status="completed"))
    seen, behind = [], None
    while page := await store.keeping.past(behind, 100, 2):
        seen += [each.id for each in page]
        behind = page[-1]
    assert seen == [name(number) for number in range(5)]
