"""Stores of older schemas, as a version of then wrote them, under the code of today.

`schema-1.db.gz` was written by the command line of the first schema: a triage, a saga, an
approval that waits for its answer until 2036, and a flow with a text of 70,000 characters.
"""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from tests.acceptance.commandline import EXAMPLES, strata
from tests.postgres import server

from stratarouter_runtime.errors import StoreVersion
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.storage import postgres, sqlite
from stratarouter_runtime.storage.postgres.sql import migrations, statement
from stratarouter_runtime.storage.sqlite.sql import migrations as file_migrations

FIRST: Final = Path(__file__).with_name("schema-1.db.gz")
NEWEST_FILE: Final = len(file_migrations())
NEWEST_DATABASE: Final = len(migrations())
TABLES: Final = ("executions", "records", "plans", "deployments")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The store of the first schema."""
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress(FIRST.read_bytes()))
    return path


def journals(path: Path) -> dict[ExecutionId, list[Record]]:
    """Every journal, read from the tables of the first schema."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT id, execution FROM executions").fetchall()
        query = "SELECT seq, at, body, link FROM records WHERE execution = ? ORDER BY seq"
        return {
            ExecutionId(name): [Record(*row) for row in database.execute(query, (place,))]
            for name, place in rows
        }


async def test_an_old_file_is_refused_until_it_is_migrated_and_read_then(old: Path) -> None:
    before = journals(old)
    with pytest.raises(StoreVersion, match="has schema 1, this runtime reads"):
        sqlite.open_readonly(old)
    assert sqlite.schema_of(old) == 1
    store = sqlite.open_store(old)
    assert {name: await store.read(name) for name in before} == before
    assert [row.status for row in await store.search()] == ["completed", "waiting", "completed", "completed"]
    await store.close()
    assert sqlite.schema_of(old) == NEWEST_FILE


async def test_an_old_database_is_brought_up_to_date_and_read(old: Path) -> None:
    before = journals(old)
    url = await server().database()
    connection = await asyncpg.connect(url)
    await connection.execute(statement("found"))
    await connection.execute(migrations()[0][1])
    await connection.execute(statement("migrated"), 1, migrations()[0][0])
    with closing(sqlite3.connect(old)) as database:
        for table in TABLES:
            await _copy(database, connection, table)
    await connection.close()
    assert await postgres.schema_of(url) == 1
    store = await postgres.open_store(url)
    assert {name: await store.read(name) for name in before} == before
    assert len(await store.unfinished()) == 1
    await store.close()
    assert await postgres.schema_of(url) == NEWEST_DATABASE


async def _copy(database: sqlite3.Connection, connection: asyncpg.Connection, table: str) -> None:
    cursor = database.execute(f"SELECT * FROM {table}")  # noqa: S608 - our own names
    columns = [each[0] for each in cursor.description]
    rows: list[dict[str, Any]] = [dict(zip(columns, row, strict=True)) for row in cursor]
    for each in rows:
        if "place" in each:
            each["batch"] = each.pop("place")
    if rows:
        records = [tuple(row.values()) for row in rows]
        await connection.copy_records_to_table(
            table, schema_name="strata", columns=list(rows[0]), records=records
        )


def test_what_waited_then_is_answered_now_and_all_of_it_replays(old: Path) -> None:
    here = old.parent
    assert strata("db", "migrate", "--store", old, cwd=here).out.endswith(f"schema {NEWEST_FILE}, before 1\n")
    assert strata("db", "migrate", "--store", old, cwd=here).out.endswith(
        f"schema {NEWEST_FILE}, as before\n"
    )
    waiting = strata("ps", "--status", "waiting", "--json", "--store", old, cwd=here).json
    answer = ("answer", waiting[0]["id"], "h", '{"verdict": "approve", "note": null}')
    done = strata(*answer, "--agents", EXAMPLES / "approval", "--store", old, cwd=here)
    assert (done.code, done.json["decided_by"]) == (0, "person"), done.err
    verdict = strata("db", "verify", "--replay", "--store", old, "--json", cwd=here).json
    assert (verdict["wrong"], verdict["executions"], verdict["replayed"]) == (0, 4, 4)
