"""Large bodies where several hold on to one, and where a commit does not come true."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conformance.backends import name, record, row
from tests.postgres import server

from stratarouter_runtime.errors import StoreError
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import Orphans, Store
from stratarouter_runtime.storage import postgres, sqlite
from stratarouter_runtime.storage.blobs import LARGE, MARK, digest_of, parted
from stratarouter_runtime.storage.postgres import blobs
from stratarouter_runtime.storage.sqlite.transaction import Transaction

BODY = b"x" * (LARGE + 1)


@given(st.lists(st.one_of(st.binary(max_size=5), st.sampled_from([b"y" * LARGE, BODY, MARK, MARK + b"z"]))))
def test_every_body_is_found_again_and_none_is_taken_for_a_reference(bodies: list[bytes]) -> None:
    rows, apart = parted(name(1), [record(seq, body) for seq, body in enumerate(bodies)])
    kept = [body for _, _, body, _ in rows]
    assert [apart[body[1:]] if body.startswith(MARK) else body for body in kept] == bodies
    assert all(digest_of(body) == digest for digest, body in apart.items())
    assert all(len(body) <= LARGE for body in kept)


async def test_a_commit_that_fails_leaves_no_blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = sqlite.open_store(tmp_path / "store.db")

    def fail(transaction: Transaction) -> None:
        raise apsw.IOError("the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr(Transaction, "commit", fail)
        with pytest.raises(StoreError, match="the disk is gone"):
            await store.create(row(1), [record(0, BODY)])
    assert await store.keeping.blobs(b"", 1) == []
    assert await store.keeping.orphans() == Orphans()
    assert await store.create(row(1), [record(0, BODY)])
    assert (await store.read(name(1)))[0].body == BODY
    await store.close()


async def test_of_two_writes_in_one_commit_one_that_is_refused_takes_no_blob_along(tmp_path: Path) -> None:
    store = sqlite.open_store(tmp_path / "store.db")
    await store.create(row(1), [record(0)])
    wrong = store.append(name(1), [record(5, BODY)])
    outcomes = await asyncio.gather(wrong, store.append(name(1), [record(1)]), return_exceptions=True)
    assert [type(each).__name__ for each in outcomes] == ["Conflict", "NoneType"]
    assert await store.keeping.blobs(b"", 1) == []
    await store.close()


async def test_processes_that_write_and_forget_one_body_never_lose_it() -> None:
    """One process takes away executions as fast as the other begins them, all with the same body."""
    url = await server().database()
    writer, forgetter = await postgres.open_store(url), await postgres.open_store(url)
    ended: asyncio.Queue[ExecutionId | None] = asyncio.Queue()

    async def write(first: int) -> None:
        for number in range(first, first + 40):
            await writer.create(row(number), [record(0, BODY)])
            assert (await writer.read(name(number)))[0].body == BODY
            await writer.append(name(number), [record(1)], row(number, status="completed"))
            await ended.put(name(number))

    async def forget() -> None:
        while (each := await ended.get()) is not None:
            assert await forgetter.keeping.remove([each]) == 1
            while await forgetter.keeping.sweep(10):
                pass

    forgetting = asyncio.create_task(forget())
    await asyncio.gather(write(0), write(100))
    await ended.put(None)
    await forgetting
    assert await blank(writer)
    await asyncio.gather(writer.close(), forgetter.close())


async def test_who_forgets_a_body_waits_for_who_is_about_to_refer_to_it() -> None:
    url = await server().database()
    store, other = await postgres.open_store(url), await asyncpg.connect(url)
    await store.create(row(1), [record(0, BODY)])
    await store.append(name(1), [], row(1, status="completed"))
    await store.keeping.remove([name(1)])
    transaction = other.transaction()
    await transaction.start()
    await blobs.keep(other, {digest_of(BODY): BODY})
    forgetting = asyncio.create_task(store.keeping.sweep(100))
    while not await other.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
        assert not forgetting.done()
    await blobs.refer(other, [(999, digest_of(BODY))])
    await transaction.commit()
    await forgetting
    assert await store.keeping.blobs(b"", 2) == [(digest_of(BODY), BODY)]
    await asyncio.gather(store.close(), other.close())


async def blank(store: Store) -> bool:
    size = await store.keeping.size()
    return (size.executions, size.records, size.blobs) == (0, 0, 0)


async def test_an_id_that_another_process_has_freed_may_be_used_again() -> None:
    url = await server().database()
    here, there = await postgres.open_store(url), await postgres.open_store(url)
    await here.create(row(1), [record(0)])
    assert not await here.create(row(1), [record(0)])
    await there.append(name(1), [record(1)], row(1, status="completed"))
    assert await there.keeping.remove([name(1)]) == 1
    assert await here.create(row(1), [record(0, b"anew")])
    assert not await there.create(row(1), [record(0)])
    await there.append(name(1), [record(1)])
    assert [each.body for each in await here.read(name(1))] == [b"anew", record(1).body]
    await asyncio.gather(here.close(), there.close())


async def test_who_takes_an_execution_over_writes_where_it_lies_now() -> None:
    """What this process knew of it was of an earlier one of the same key, as long as the new one is now."""
    url = await server().database()
    here, there = await postgres.open_store(url), await postgres.open_store(url)
    await here.create(row(1), [record(0)])
    await there.append(name(1), [record(1)], row(1, status="completed"))
    await there.keeping.remove([name(1)])
    while await there.keeping.sweep(10):
        pass
    await there.create(row(1), [record(0, b"anew")])
    assert await here.leases.take(await here.leases.enter(), name(1))
    await here.append(name(1), [record(1)])
    assert [each.body for each in await here.read(name(1))] == [b"anew", record(1).body]
    await asyncio.gather(here.close(), there.close())
