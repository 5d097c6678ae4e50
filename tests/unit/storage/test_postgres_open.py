"""Opening a database: what is made, what is refused, and what is said about it."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import pytest
from tests.conformance.backends import ANN, PLAN, name, records, row
from tests.postgres import ENCODED, WORD, Server, server

from stratarouter_runtime.errors import StoreError, StoreReadOnly, StoreUnavailable, StoreVersion
from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.ports import Deployed
from stratarouter_runtime.storage.postgres import connection as connecting
from stratarouter_runtime.storage.postgres import open_readonly, open_store
from stratarouter_runtime.storage.postgres.address import parse
from stratarouter_runtime.storage.postgres.migrating import LOCK
from stratarouter_runtime.storage.postgres.sql import migrations


@pytest.fixture
def real() -> Server:
    return server()


def base(url: str) -> str:
    """The name of the database."""
    return url.rpartition("/")[2]


async def refused(url: str) -> StoreError:
    """Why opening fails, in both ways; nothing said may hold the password."""
    with pytest.raises(StoreError) as reading:
        await open_readonly(url, opening=0.2)
    with pytest.raises(StoreError) as caught:
        await open_store(url, opening=0.2)
    error = caught.value
    assert error.hint
    assert type(error) is type(reading.value)
    said = f"{error.message} {error.hint} {error!r}"
    assert WORD not in said
    assert ENCODED not in said
    assert "sesame" not in said
    return error


async def test_what_is_kept_is_there_when_opened_again(real: Server) -> None:
    url = await real.database()
    store = await open_store(url)
    await store.create(row(1), records(0, 1))
    await store.close()
    store = await open_store(url)
    assert await store.find(name(1)) == row(1, records=2, updated=1_001)
    await store.append(name(1), records(2))
    assert await store.read(name(1)) == records(0, 1, 2)
    assert not await store.create(row(1), [])
    await store.close()


async def test_a_wrong_password_is_refused_at_once(real: Server) -> None:
    error = await refused(real.url(word="sesame"))
    assert type(error) is StoreError
    assert "refused the user postgres" in error.message


async def test_an_unknown_user_is_refused(real: Server) -> None:
    error = await refused(real.url(user="nobody", word="sesame"))
    assert "refused the user nobody" in error.message


async def test_a_database_that_is_not_there_is_named(real: Server) -> None:
    error = await refused(real.url("nowhere"))
    assert type(error) is StoreError
    assert "no database nowhere" in error.message
    assert "createdb nowhere" in (error.hint or "")


@pytest.mark.parametrize(
    "url", ["postgresql://ann:sesame@127.0.0.1:1/flows", "postgresql://ann:sesame@db.invalid/x"]
)
async def test_a_server_that_does_not_answer_may_come_later(url: str) -> None:
    error = await refused(url)
    assert isinstance(error, StoreUnavailable)
    assert "cannot be reached" in error.message


async def test_an_option_that_the_driver_refuses(real: Server) -> None:
    error = await refused(real.url() + "?sslmode=sesame")
    assert "cannot be used" in error.message


async def test_an_old_server_is_refused(real: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "OLDEST", 99)
    error = await refused(real.url())
    assert re.search(r"is PostgreSQL \d+\.\d+, older than the 99", error.message)


async def test_a_newer_schema_is_refused(real: Server) -> None:
    url = await real.database()
    await (await open_store(url)).close()
    await real.execute("INSERT INTO strata.migrations VALUES (99, 'later')", base(url))
    error = await refused(url)
    assert isinstance(error, StoreVersion)
    assert "schema 99, newer" in error.message


async def test_a_schema_of_another_program_is_left_alone(real: Server) -> None:
    url = await real.database()
    await real.execute("CREATE SCHEMA strata CREATE TABLE mine (x int)", base(url))
    error = await refused(url)
    assert isinstance(error, StoreUnavailable)
    assert "another program" in error.message
    assert await real.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'strata'::regnamespace", base(url)
    ) == [("mine",)]


async def test_an_empty_database_has_nothing_to_read(real: Server) -> None:
    with pytest.raises(StoreVersion, match="schema 0") as caught:
        await open_readonly(await real.database())
    assert caught.value.hint


async def test_a_user_without_rights_is_told(real: Server) -> None:
    url = await real.database()
    await real.execute(
        "DO $$ BEGIN CREATE ROLE guest LOGIN PASSWORD 'sesame'; EXCEPTION WHEN duplicate_object THEN END $$"
    )
    with pytest.raises(StoreError, match="lacks rights") as caught:
        await open_store(real.url(base(url), "guest", "sesame"))
    assert caught.value.hint
    assert "sesame" not in caught.value.message


async def test_a_standby_is_refused_for_writing(real: Server) -> None:
    url = await real.database()
    await (await open_store(url)).close()
    await real.execute(f"ALTER DATABASE {base(url)} SET default_transaction_read_only = on")
    with pytest.raises(StoreReadOnly):
        await open_store(url)
    await (await open_readonly(url)).close()


async def test_a_reader_sees_what_others_write_and_writes_nothing(real: Server) -> None:
    url = await real.database()
    owner = await open_store(url)
    reader = await open_readonly(url)
    await owner.create(row(1), records(0))
    assert await reader.read(name(1)) == records(0)
    deployed = Deployed(FlowId("f"), ANN, PLAN, "", 1)
    tries = [
        reader.create(row(2), []),
        reader.append(name(1), records(1)),
        reader.keep_plan(PLAN, b""),
        reader.deploy(deployed),
    ]
    for tried in tries:
        with pytest.raises(StoreReadOnly):
            await tried
    await reader.close()
    await owner.close()


async def test_many_may_start_at_once_on_an_empty_database(real: Server) -> None:
    url = await real.database()
    stores = await asyncio.gather(*[open_store(url, connections=3) for _ in range(8)])
    created = await asyncio.gather(*[store.create(row(1), records(0)) for store in stores])
    assert sum(created) == 1
    await asyncio.gather(*[store.close() for store in stores])
    assert await real.execute("SELECT number FROM strata.migrations", base(url)) == [
        (number,) for number in range(1, len(migrations()) + 1)
    ]


async def test_who_comes_while_another_migrates_waits(real: Server) -> None:

    url = await real.database()
    other = await asyncpg.connect(url)
    await other.execute("BEGIN")
    await other.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
    opening = asyncio.create_task(open_store(url))
    await asyncio.sleep(0.3)
    assert not opening.done()
    await other.execute("COMMIT")
    await (await opening).close()
    await other.close()


async def test_what_is_committed_is_synced_whatever_the_database_says(real: Server) -> None:
    url = await real.database()
    await real.execute(f"ALTER DATABASE {base(url)} SET synchronous_commit = off")
    session = await connecting.connect(parse(url), writing=True)
    assert await session.fetchval("SHOW synchronous_commit") == "on"
    await session.close()


async def test_a_store_leaves_no_session_behind(real: Server) -> None:
    url = await real.database()
    store = await open_store(url, connections=4)
    await asyncio.gather(*[store.find(name(number)) for number in range(50)])
    count = f"SELECT count(*)::int FROM pg_stat_activity WHERE datname = '{base(url)}'"  # noqa: S608  our own name
    assert await real.execute(count) == [(4,)]
    await store.close()
    await asyncio.sleep(0.05)
    assert await real.execute(count) == [(0,)]
