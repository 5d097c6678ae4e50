"""What is left of a SQLite store after the process, or the disk, failed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import apsw
import pytest
from tests.conformance.backends import name, record, records, row
from tests.unit.storage.disks import Disk, between

from stratarouter_runtime.errors import Conflict, StoreError, StoreFull, StoreLocked, StoreUnavailable
from stratarouter_runtime.storage.sqlite import SqliteStore, open_readonly, open_store
from stratarouter_runtime.storage.sqlite.writer import LOG_PAGES

ROOT = Path(__file__).parents[3]
SCRIPTS = "tests.unit.storage"


@contextmanager
def victim(path: Path, drivers: int) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A child that owns the store and appends; it has said `ready`."""
    command = [sys.executable, "-m", f"{SCRIPTS}.victim", str(path), str(drivers)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:  # noqa: S603  our own script
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"ready\n"
            yield child, child.stdout
        finally:
            child.kill()


def log_size(store: SqliteStore) -> int:
    """Bytes of the write-ahead log; 0 where there is none."""
    log = Path(f"{store.path}-wal")
    return log.stat().st_size if log.exists() else 0


@pytest.fixture
def disk() -> Iterator[Disk]:
    with between() as disk:
        yield disk


@pytest.fixture
async def store(disk: Disk, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = open_store(tmp_path / "store.db")
    yield opened
    await opened.close()


# Killed.


@pytest.mark.parametrize("moment", [0, 1, 30, 700, 3_000])
async def test_what_a_killed_process_acknowledged_is_there(tmp_path: Path, moment: int) -> None:
    path = tmp_path / "store.db"
    with victim(path, drivers=20) as (child, output):
        told = [output.readline() for _ in range(moment)]
        child.kill()
        told += output.readlines()
    acknowledged = Counter(int(line.split()[0]) for line in told)
    store = open_store(path)
    for number, count in acknowledged.items():
        kept = await store.read(name(number))
        assert [one.seq for one in kept] == list(range(len(kept)))
        assert len(kept) >= count
        await store.append(name(number), records(len(kept)))
    assert len(await store.unfinished()) >= len(acknowledged)
    await store.close()


async def test_one_process_owns_a_store_and_others_may_read(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with victim(path, drivers=1) as (child, output):
        assert output.readline() == b"0 0\n"
        with pytest.raises(StoreLocked, match=f"in use by process {child.pid}") as caught:
            open_store(path)
        assert caught.value.hint
        reading = open_readonly(path)
        assert len(await reading.read(name(0))) >= 1
        child.kill()
        child.wait()
        owned = open_store(path)
        assert len(await reading.read(name(0))) == len(await owned.read(name(0)))
    await reading.close()
    await owned.close()


# Synced.


async def test_an_append_is_acknowledged_after_its_sync(store: SqliteStore, disk: Disk) -> None:
    await store.create(row(1), records(0))
    for seq in range(1, 11):
        before = disk.syncs
        await store.append(name(1), records(seq))
        assert disk.syncs == before + 1


async def test_what_waits_shares_one_sync(store: SqliteStore, disk: Disk) -> None:
    await store.create(row(1), records(0))
    before = disk.syncs
    await asyncio.gather(*[store.append(name(1), records(seq)) for seq in range(1, 501)])
    assert disk.syncs == before + 1


async def test_a_commit_takes_a_thousand_rows_at_most(store: SqliteStore, disk: Disk) -> None:
    await store.create(row(1), records(0))
    before = disk.syncs
    await asyncio.gather(*[store.append(name(1), records(seq)) for seq in range(1, 2_501)])
    assert disk.syncs == before + 3
    await store.append(name(1), records(*range(2_501, 5_001)))
    assert disk.syncs == before + 4


# No room, and broken disks.


@pytest.mark.parametrize(
    ("fault", "kind"), [(apsw.FullError("no room"), StoreFull), (apsw.IOError("broken"), StoreUnavailable)]
)
@pytest.mark.parametrize("place", ["write_fault", "sync_fault"])
async def test_a_failing_disk_fails_every_waiter_and_loses_nothing(
    store: SqliteStore, disk: Disk, place: str, fault: apsw.Error, kind: type[StoreError]
) -> None:
    await store.create(row(1), records(0, 1))
    setattr(disk, place, fault)
    tries = [
        store.append(name(1), records(2)),
        store.create(row(2), records(0)),
        store.keep_plan(row(1).plan, b""),
    ]
    outcomes: list[Any] = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [kind] * 3
    assert all(outcome.hint and str(store.path) in outcome.message for outcome in outcomes)
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert await store.read(name(1)) == records(0, 1)
    setattr(disk, place, None)
    await store.append(name(1), records(2))
    assert await store.create(row(2), records(0))
    with pytest.raises(Conflict):
        await store.append(name(1), records(2))


@pytest.mark.parametrize(
    ("fault", "again"),
    [(apsw.FullError("no room"), range(1)), (apsw.IOError("broken"), range(LOG_PAGES, LOG_PAGES + 50))],
)
async def test_a_failing_checkpoint_fails_nobody_and_is_made_up_for(
    store: SqliteStore, disk: Disk, fault: apsw.Error, again: range
) -> None:
    assert store._writer is not None
    await store.create(row(1), records(0))
    disk.checkpoint_fault = fault
    store._writer._checkpoint_at = 0
    await store.append(name(1), records(1))
    await store.append(name(1), records(2))
    assert store._writer._checkpoint_at in again
    disk.checkpoint_fault = None
    store._writer._checkpoint_at = 0
    await store.append(name(1), records(3))
    await store.append(name(1), records(4))
    assert store._writer._checkpoint_at == LOG_PAGES
    assert await store.read(name(1)) == records(0, 1, 2, 3, 4)


async def test_a_disk_that_fails_to_the_end_does_not_hinder_closing(disk: Disk, tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db")
    await store.create(row(1), records(0))
    disk.write_fault = disk.sync_fault = apsw.IOError("broken")
    await store.close()
    disk.write_fault = disk.sync_fault = None
    again = open_store(tmp_path / "store.db")
    assert await again.read(name(1)) == records(0)
    await again.close()


async def test_a_long_log_does_not_fill_the_disk(store: SqliteStore, disk: Disk) -> None:
    """What is full when the log may not grow has room again when the log begins anew."""
    await store.create(row(1), records(0))
    for seq in range(1, 20):
        await store.append(name(1), [record(seq, bytes(2_000))])
    disk.log_room = log_size(store)
    for seq in range(20, 60):
        await store.append(name(1), [record(seq, bytes(2_000))])
    assert log_size(store) == disk.log_room
    assert len(await store.read(name(1))) == 60


async def test_a_store_that_may_not_grow_is_full_until_it_may(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    command = [sys.executable, "-m", f"{SCRIPTS}.cramped", str(path)]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603, ASYNC221  our own script
    full, code, kept = told.stdout.split()
    assert code == "store-full"
    assert int(kept) == int(full) > 10
    store = open_store(path)
    assert len(await store.read(name(1))) == int(full) + 100
    await store.close()


# Growth.


async def test_the_log_does_not_grow_without_end(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db")
    assert store._writer is not None
    await store.create(row(1), records(0))
    for seq in range(1, 200):
        store._writer._checkpoint_at = 50
        await store.append(name(1), [record(seq, os.urandom(8_000))])
    assert 0 < log_size(store) < 80 * 4_200
    await store.close()
    assert log_size(store) == 0
