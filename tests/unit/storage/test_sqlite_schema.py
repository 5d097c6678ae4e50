"""The schema, the statements and the meaning of errors of the SQLite store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from tests.conformance.backends import ANN, records, row

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
from stratarouter_runtime.storage.sqlite.connection import APPLICATION
from stratarouter_runtime.storage.sqlite.faults import translated
from stratarouter_runtime.storage.sqlite.sql import migrations, repeated, statement
from stratarouter_runtime.storage.sqlite.transaction import CHUNKS


@pytest.fixture
async def filled(tmp_path: Path) -> Path:
    """A closed store with one execution of two records."""
    store = open_store(tmp_path / "store.db")
    await store.create(row(1), records(0, 1))
    await store.close()
    return store.path


def test_an_older_schema_is_brought_up_to_date_by_its_owner_only(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = (*migrations(), "ALTER TABLE plans ADD COLUMN note TEXT")
    monkeypatch.setattr(opening, "migrations", lambda: newer)
    with pytest.raises(StoreVersion, match=f"schema {len(migrations())}, this runtime reads {len(newer)}"):
        open_readonly(filled)
    opening.open_writer(filled).close()
    raw = apsw.Connection(str(filled))
    assert raw.pragma("user_version") == len(newer)
    assert raw.pragma("application_id") == APPLICATION
    assert raw.execute("SELECT count(*) FROM plans WHERE note IS NULL").get == 0
    raw.close()


def test_a_migration_that_fails_changes_nothing(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = (*migrations(), "DROP TABLE plans", "nonsense")
    monkeypatch.setattr(opening, "migrations", lambda: newer)
    with pytest.raises(StoreUnavailable, match="nonsense"):
        opening.open_writer(filled)
    raw = apsw.Connection(str(filled))
    assert raw.pragma("user_version") == len(migrations())
    assert raw.execute("SELECT count(*) FROM plans").get == 0
    raw.close()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (statement("head"), "sqlite_autoindex_executions_1"),
        (statement("read"), "records_of_execution"),
        (f"{statement('listed')} {statement('find')}", "sqlite_autoindex_executions_1"),
        (f"{statement('listed')} {statement('newest')}", "executions_by_age"),
        (f"{statement('listed')} WHERE tenant = :tenant {statement('newest')}", "executions_of_tenant"),
        (statement("held"), "executions_unfinished"),
        (statement("claim"), "executions_unfinished"),
        (statement("take"), "sqlite_autoindex_executions_1"),
        (statement("active"), "executions_limited"),
        (statement("shelf_get"), "PRIMARY KEY"),
        (statement("shelf_of_tenant"), "PRIMARY KEY"),
        (statement("shelf_of_all"), "PRIMARY KEY"),
        (statement("audit_lines"), "PRIMARY KEY"),
        (statement("past"), "executions_by_age"),
        (statement("sweep_records"), "records_of_execution"),
        (statement("blobs"), "sqlite_autoindex_blobs_1"),
    ],
)
def test_no_query_walks_a_table_or_sorts(filled: Path, query: str, index: str) -> None:
    """What is asked at every step, or of a million executions, must come out of an index."""
    raw = apsw.Connection(str(filled))
    wanted = {"id": "x", "after": 0, "tenant": ANN, "limit": 10, "kind": "rule", "name": "", "lease": 1}
    wanted |= {"behind": b"", "created": 0, "place": 0, "before": 0}
    steps = [str(step[3]) for step in raw.execute(f"EXPLAIN QUERY PLAN {query}", wanted)]
    raw.close()
    assert any(index in step for step in steps)
    assert not [step for step in steps if "TEMP B-TREE" in step or ("SCAN" in step and "INDEX" not in step)]


@pytest.mark.parametrize("rows", CHUNKS)
def test_executions_are_listed_anew_by_their_places(filled: Path, rows: int) -> None:
    raw = apsw.Connection(str(filled))
    query = f"EXPLAIN QUERY PLAN {repeated('restate', rows)}"
    steps = [str(step[3]) for step in raw.execute(query, [None] * 7 * rows)]
    raw.close()
    assert [step for step in steps if "executions" in step] == [
        "SEARCH executions USING INTEGER PRIMARY KEY (rowid=?)"
    ]


def test_every_sql_file_is_packaged() -> None:
    folder = Path(opening.__file__).parent / "schema"
    assert len(migrations()) == len(list(folder.glob("*.sql"))) > 1
    with pytest.raises(KeyError):
        statement("nothing")


@pytest.mark.parametrize(
    ("error", "errno", "kind"),
    [
        (apsw.FullError(), 0, StoreFull),
        (apsw.IOError(), 28, StoreFull),
        (apsw.IOError(), 27, StoreFull),
        (apsw.IOError(), 122, StoreFull),
        (apsw.IOError(), 5, StoreUnavailable),
        (apsw.CantOpenError(), 28, StoreFull),
        (apsw.CantOpenError(), 2, StoreUnavailable),
        (apsw.ReadOnlyError(), 0, StoreReadOnly),
        (apsw.PermissionsError(), 0, StoreReadOnly),
        (apsw.BusyError(), 0, StoreLocked),
        (apsw.LockedError(), 0, StoreLocked),
        (apsw.NotADBError(), 0, StoreUnavailable),
        (apsw.CorruptError(), 0, StoreUnavailable),
        (apsw.SQLError(), 0, StoreUnavailable),
    ],
)
def test_every_error_of_sqlite_means_something(error: apsw.Error, errno: int, kind: type[StoreError]) -> None:
    path = Path("store.db")
    meant = translated(error, path, errno)
    assert type(meant) is kind
    assert str(path) in meant.message
    assert meant.hint


def test_importing_the_store_opens_nothing() -> None:
    """The statements are read when first needed: `--help` does not pay for them."""
    code = "import sys, stratarouter_runtime.storage.sqlite.sql as s; sys.exit(s._statements.cache_info().currsize)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  our own line
