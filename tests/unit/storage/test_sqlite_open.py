"""Opening a SQLite store: what is made, what is refused, and what is said about it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from tests.conformance.backends import name, record, records, row

from stratarouter_runtime.errors import (
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
    StoreVersion,
)
from stratarouter_runtime.storage.sqlite import connection as opening
from stratarouter_runtime.storage.sqlite import open_readonly, open_store
from stratarouter_runtime.storage.sqlite.lock import Ownership

NOBODY = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def filled(path: Path) -> Path:
    """A closed store with one execution of two records."""
    store = open_store(path)
    await store.create(row(1), records(0, 1))
    await store.close()
    return path


def execute(path: Path, text: str) -> None:
    """Change a database behind the store's back."""
    connection = apsw.Connection(str(path))
    connection.execute(text)
    connection.close()


def size(path: Path) -> int:
    return path.stat().st_size


# What outlives a process.


async def test_everything_is_there_when_opened_again(filled: Path) -> None:
    store = open_store(filled)
    assert await store.find(name(1)) == row(1, records=2, updated=1_001)
    await store.append(name(1), records(2))
    await store.close()
    store = open_store(filled)
    assert await store.read(name(1)) == records(0, 1, 2)
    assert not await store.create(row(1), [])
    await store.close()


async def test_missing_folders_are_made(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a" / "b" / "store.db")
    assert await store.create(row(1), records(0))
    await store.close()


async def test_a_path_may_hold_any_characters(tmp_path: Path) -> None:
    path = tmp_path / "ä #?%20&'.db"
    store = open_store(path)
    await store.create(row(1), records(0))
    await store.close()
    reading = open_readonly(path)
    assert await reading.read(name(1)) == records(0)
    await reading.close()
    assert all(entry.startswith(path.name) for entry in os.listdir(tmp_path))  # noqa: PTH208  decoded by nobody


async def test_a_small_step_takes_little_room(path: Path) -> None:
    """Of 300 executions side by side, with all that belongs to them."""
    store = open_store(path)
    body = bytes(200)
    await asyncio.gather(*[store.create(row(number), [record(0, body)]) for number in range(300)])
    for seq in range(1, 24):
        await asyncio.gather(*[store.append(name(number), [record(seq, body)]) for number in range(300)])
    await store.close()
    assert size(path) / (300 * 24) < 300


# Reading beside the owner.


async def test_a_reader_sees_what_the_owner_writes(filled: Path) -> None:
    owner, reader = open_store(filled), open_readonly(filled)
    await owner.append(name(1), records(2))
    assert await reader.read(name(1)) == records(0, 1, 2)
    await reader.close()
    await owner.close()


async def test_a_reader_writes_nothing(filled: Path) -> None:
    reader = open_readonly(filled)
    with pytest.raises(StoreReadOnly):
        await reader.append(name(1), records(2))
    with pytest.raises(StoreReadOnly):
        await reader.create(row(2), [])
    await reader.close()


def test_there_must_be_something_to_read(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="there is no store"):
        open_readonly(path)
    assert not path.exists()


# Ownership.


async def test_a_process_opens_a_store_once(filled: Path) -> None:
    store = open_store(filled)
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        open_store(filled)
    other_way = filled.parent / "link.db.lock"
    other_way.symlink_to(f"{filled}.lock")
    with pytest.raises(StoreLocked):
        Ownership(filled.parent / "link.db")
    await store.close()
    await open_store(filled).close()


ORPHAN = """
import os, pathlib, sys, time
from stratarouter_runtime.storage.sqlite.lock import Ownership
owned = Ownership(pathlib.Path(sys.argv[1]))
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(30)
    os._exit(0)
print(child, flush=True)
os.kill(os.getpid(), 9)
"""


async def test_a_child_does_not_keep_its_killed_parents_store(path: Path) -> None:
    """A worker that outlives a killed server must not lock the next one out."""
    command = [sys.executable, "-c", ORPHAN, str(path)]
    killed = subprocess.run(command, check=False, stdout=subprocess.PIPE)  # noqa: S603, ASYNC221  our own script
    orphan = int(killed.stdout)
    try:
        assert killed.returncode == -9
        os.kill(orphan, 0)
        await open_store(path).close()
    finally:
        os.kill(orphan, 9)


async def test_a_failed_opening_gives_the_lock_back(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)  # noqa: ASYNC240  a test may wait for its disk
    with pytest.raises(StoreUnavailable):
        open_store(path)
    path.unlink()  # noqa: ASYNC240  a test may wait for its disk
    await open_store(path).close()


async def test_a_program_that_holds_the_file_is_named_as_such(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE", 10)
    store = open_store(filled)
    foreign = apsw.Connection(str(filled))
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked, match="another program"):
        await store.append(name(1), records(2))
    foreign.execute("ROLLBACK")
    await store.append(name(1), records(2))
    foreign.close()
    await store.close()


# What is no store of ours.


@pytest.mark.parametrize("opens", [open_store, open_readonly])
@pytest.mark.parametrize(
    ("spoil", "kind", "said"),
    [
        ("PRAGMA user_version = 99", StoreVersion, "schema 99, newer than the"),
        ("PRAGMA application_id = 7", StoreUnavailable, "database of another program"),
        ("PRAGMA application_id = 0; PRAGMA user_version = 0", StoreUnavailable, "another program"),
    ],
)
def test_a_strange_database_is_refused(
    filled: Path, opens: type, spoil: str, kind: type[StoreError], said: str
) -> None:
    execute(filled, spoil)
    before = filled.read_bytes()
    with pytest.raises(kind, match=said) as caught:
        opens(filled)
    assert caught.value.hint
    assert filled.read_bytes() == before


@pytest.mark.parametrize("opens", [open_store, open_readonly])
def test_a_file_that_is_no_database_is_refused_unharmed(path: Path, opens: type) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreUnavailable, match="is not a database") as caught:
        opens(path)
    assert caught.value.hint
    assert path.read_bytes() == b"no database at all" * 100


async def test_a_damaged_page_is_reported_where_it_is_read(filled: Path) -> None:
    content = filled.read_bytes()  # noqa: ASYNC240  a test may wait for its disk
    filled.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))  # noqa: ASYNC240  likewise
    reader = open_readonly(filled)
    with pytest.raises(StoreUnavailable, match="damaged") as caught:
        await reader.find(name(1))
    assert caught.value.hint
    await reader.close()


@pytest.mark.parametrize(("opens", "said"), [(open_store, "cannot be opened"), (open_readonly, "no store")])
def test_a_folder_is_no_store(tmp_path: Path, opens: type, said: str) -> None:
    with pytest.raises(StoreUnavailable, match=said):
        opens(tmp_path)


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        open_store(tmp_path / "file" / "store.db")


@pytest.mark.parametrize(
    ("errno", "kind"),
    [(28, StoreFull), (122, StoreFull), (30, StoreReadOnly), (13, StoreReadOnly), (5, StoreUnavailable)],
)
def test_what_keeps_the_lock_file_from_being_made_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, errno: int, kind: type[StoreError]
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno, os.strerror(errno))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(kind) as caught:
        open_store(path)
    assert caught.value.hint


# Without the right to write.


@pytest.fixture
def guarded(filled: Path) -> Iterator[Path]:
    """The filled store, in a folder that this process may only read for as long as the test runs."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        copy = folder / "store.db"
        copy.write_bytes(filled.read_bytes())
        copy.chmod(0o444)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        yield copy
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_store_that_may_not_be_written_is_not_owned(guarded: Path) -> None:
    with pytest.raises(StoreReadOnly, match="may be read but not written") as caught:
        open_store(guarded)
    assert caught.value.hint
    with pytest.raises(StoreReadOnly):
        open_store(guarded.parent / "folder" / "new.db")


async def test_a_store_that_may_not_be_written_can_be_read(guarded: Path) -> None:
    reader = open_readonly(guarded)
    assert await reader.read(name(1)) == records(0, 1)
    await reader.close()


def test_a_file_that_may_not_be_written_in_a_folder_that_may(filled: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        copy = Path(made, "store.db")
        copy.write_bytes(filled.read_bytes())
        copy.chmod(0o444)
        Path(made).chmod(0o777)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            with pytest.raises(StoreReadOnly):
                open_store(copy)
        finally:
            if root:
                os.seteuid(0)
