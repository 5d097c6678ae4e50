"""The group committer: the queue's bound, faults of single writes, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.backends import name, records, row

from stratarouter_runtime.errors import NotFound, StoreUnavailable
from stratarouter_runtime.storage.sqlite.connection import open_writer
from stratarouter_runtime.storage.sqlite.transaction import REMEMBERED, Head, Transaction
from stratarouter_runtime.storage.sqlite.writer import BYTES, Writer
from stratarouter_runtime.storage.sqlite.writes import append, create
from stratarouter_runtime.storage.waiting import QUEUE


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    opened = Writer(open_writer(tmp_path / "store.db"), tmp_path / "store.db")
    yield opened
    await opened.close()


async def test_a_full_queue_makes_callers_wait(writer: Writer) -> None:
    most = 0

    def count(transaction: Transaction) -> None:
        nonlocal most
        most = max(most, writer.waiting)

    await asyncio.gather(*[writer.submit(count) for _ in range(3 * QUEUE)])
    assert most == QUEUE
    assert writer.waiting == 0


async def test_those_who_wait_for_room_are_refused_when_the_store_closes(writer: Writer) -> None:
    tasks = [asyncio.create_task(writer.submit(lambda transaction: 1)) for _ in range(QUEUE + 10)]
    await asyncio.sleep(0)
    await writer.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[:QUEUE] == [1] * QUEUE
    assert {type(outcome) for outcome in outcomes[QUEUE:]} == {StoreUnavailable}


async def test_a_write_that_breaks_the_transaction_fails_alone_and_is_undone(writer: Writer) -> None:
    def broken(transaction: Transaction) -> None:
        create(row(9), records(0))(transaction)
        raise ZeroDivisionError

    outcomes = await asyncio.gather(
        writer.submit(create(row(1), records(0))),
        writer.submit(broken),
        writer.submit(append(name(1), records(1), None)),
        writer.submit(append(name(9), records(1), None)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [bool, ZeroDivisionError, type(None), NotFound]


@pytest.mark.parametrize("many", [1, 15, 16, 17, 127, 128, 150, 300])
async def test_whatever_the_number_of_rows_each_is_written(writer: Writer, many: int) -> None:
    """By statements of 128 rows, of 16, and of one."""
    begun = [writer.submit(create(row(n), records(0))) for n in range(many)]
    ended = [
        writer.submit(append(name(n), records(1, 2), row(n, status="completed", updated=n + 5, output=n)))
        for n in range(many)
    ]
    await asyncio.gather(*begun, *ended)
    found = "SELECT count(*), sum(output), sum(updated), min(status), max(status) FROM executions"
    listed = await writer.submit(lambda transaction: transaction.connection.execute(found).fetchone())
    numbers = sum(range(many))
    assert listed == (many, numbers, numbers + 5 * many, "completed", "completed")
    count = "SELECT count(*), count(DISTINCT execution), sum(seq) FROM records"
    kept = await writer.submit(lambda transaction: transaction.connection.execute(count).fetchone())
    assert kept == (3 * many, many, 3 * many)


async def test_a_write_sees_what_others_of_the_same_commit_have_told(writer: Writer) -> None:
    def status(transaction: Transaction) -> object:
        return transaction.connection.execute("SELECT status, updated FROM executions").fetchone()

    _, _, first, _, then = await asyncio.gather(
        writer.submit(create(row(1), records(0))),
        writer.submit(append(name(1), [], row(1, status="waiting", updated=9))),
        writer.submit(status),
        writer.submit(append(name(1), [], row(1, status="failed", updated=3))),
        writer.submit(status),
    )
    assert (first, then) == (("waiting", 9), ("failed", 9))


async def test_large_writes_do_not_share_a_commit_without_end(writer: Writer) -> None:
    await asyncio.gather(*(writer.submit(lambda transaction: None, 1, BYTES // 2) for _ in range(6)))
    assert sum(writer.commits.stats().batch.counts) == 3


async def test_heads_are_not_remembered_without_end(writer: Writer) -> None:
    def crowd(transaction: Transaction) -> int:
        for number in range(REMEMBERED + 1):
            transaction.remember(name(number + 10), Head(number, 1))
        return len(transaction._heads)

    await writer.submit(create(row(1), records(0)))
    assert await writer.submit(crowd) == REMEMBERED + 2
    await writer.submit(append(name(1), records(1), None))
    assert await writer.submit(lambda transaction: list(transaction._heads)) == [name(1)]


def test_a_loop_that_ended_holds_nobody_up(tmp_path: Path) -> None:
    async def leave() -> Writer:
        writer = Writer(open_writer(tmp_path / "store.db"), tmp_path / "store.db")
        task = asyncio.create_task(writer.submit(create(row(1), records(0))))
        await asyncio.sleep(0)
        task.cancel()
        return writer

    writer = asyncio.run(leave())

    async def go_on() -> bool:
        taken = await writer.submit(create(row(1), records(0)))
        await writer.close()
        return taken

    assert asyncio.run(go_on()) is False
