"""What is planted in a store, and found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.acceptance.commandline import strata

from stratarouter_runtime.canonical import GENESIS, link

FLOW = """tcfp: "1.0"
flow: echo
in: {text: string}
out: string
do: [{id: t, let: =text}]
return: =t
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two executions, one of them with a large input, and a line in the audit."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "flow.yaml").write_text(FLOW)
    (folder / "large.json").write_text('{"text": "' + "x" * 70_000 + '"}')
    for given in ("text=hello", "@large.json"):
        assert strata("run", "flow.yaml", "--input", given, "--store", "s.db", cwd=folder).code == 0
    assert strata("tier", "ann", "unlimited", "--store", "s.db", cwd=folder).code == 0
    return folder / "s.db"


def spoilt(sound: Path, tmp_path: Path, *changes: str) -> Path:
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(sound)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
        for change in changes:
            assert copy.execute(change).rowcount != 0, change
        copy.commit()
    return path


def test_a_sound_store_is_said_to_be(sound: Path) -> None:
    done = strata("db", "verify", "--replay", "--store", sound, cwd=sound.parent)
    assert done.code == 0
    assert done.out == "sound: 2 executions, 4 records, 1 plans, 2 blobs, 1 lines of the audit; 2 replayed\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            "UPDATE records SET body = CAST(replace(body, 'hello', 'hallo') AS BLOB) WHERE seq = 0 AND execution = 1",
            "record 0 is not what was written",
        ),
        (
            "UPDATE records SET at = at + 1 WHERE seq = 1 AND execution = 1",
            "record 1 is not what was written",
        ),
        ("DELETE FROM records WHERE seq = 0 AND execution = 1", "record 0 is missing"),
        (
            "UPDATE executions SET status = 'failed' WHERE execution = 1",
            "listed as failed, and its journal says completed",
        ),
        (
            "UPDATE executions SET status = 'running' WHERE execution = 1",
            "listed as running, and its journal says completed",
        ),
        ("UPDATE executions SET plan = 'ab' WHERE execution = 1", "is listed with plan ab"),
        ("DELETE FROM plans", "cannot be used: no plan"),
        ("DELETE FROM executions WHERE execution = 1", "2 records belong to no execution"),
        ("DELETE FROM blobs", "refers to a blob that is not there"),
        ("UPDATE blobs SET body = x'00'", "its content has another digest"),
        ("DELETE FROM blob_uses", "2 blobs are referred to by nobody"),
        ("UPDATE audit SET by = 'nobody'", "audit: line 1 does not follow"),
        ("DELETE FROM audit", "lines 1 to 1 are missing at the end"),
        ("INSERT INTO snapshots VALUES ('exec_x', 1, x'00')", "1 snapshots belong to no execution"),
    ],
)
def test_what_was_changed_is_found(sound: Path, tmp_path: Path, change: str, says: str) -> None:
    path = spoilt(sound, tmp_path, change)
    done = strata("db", "verify", "--store", path, cwd=tmp_path)
    assert done.code == 1
    assert done.out.startswith("NOT sound: ")
    assert says in done.out


def test_a_chain_that_was_written_anew_is_found_by_replaying_it(sound: Path, tmp_path: Path) -> None:
    """Whoever can compute links can tell another story; but the plan tells it otherwise."""
    path = spoilt(sound, tmp_path)
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT place, at, body FROM records WHERE execution = 1 ORDER BY seq"
        ).fetchall()
        relink(
            database,
            [(place, at, body.replace(b'"output":"hello"', b'"output":"hallo"')) for place, at, body in rows],
        )
        database.commit()
    assert strata("db", "verify", "--store", path, cwd=tmp_path).code == 0
    done = strata("db", "verify", "--replay", "--store", path, cwd=tmp_path)
    assert done.code == 1
    assert "it does not replay: record 1" in done.out


def relink(database: sqlite3.Connection, rows: list[tuple[int, int, bytes]]) -> None:
    last = GENESIS
    for place, at, body in rows:
        last = link(last, at.to_bytes(8, "big"), body)
        database.execute("UPDATE records SET body = ?, link = ? WHERE place = ?", (body, last, place))
