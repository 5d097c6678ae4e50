"""`strata db` beside a working server and alone: sizes, copies, and what it refuses."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest
from tests.acceptance.commandline import WAIT, start, strata
from tests.postgres import server

from stratarouter_runtime.storage import sqlite

FLOW = """tcfp: "1.0"
flow: echo
in: {text: string}
out: string
do: [{id: t, let: =text}]
return: =t
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three executions."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "flow.yaml").write_text(FLOW)
    for text in ("one", "two", "three"):
        given = f"text={text}"
        assert strata("run", "flow.yaml", "--input", given, "--store", "s.db", cwd=folder).code == 0
    return folder / "s.db"


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "s.db"))


async def test_a_copy_is_made_beside_an_owner_that_writes(store: Path) -> None:
    here = store.parent
    owner = sqlite.open_store(store)
    try:
        done = strata("db", "backup", "copy.db", "--store", store, cwd=here)
        assert (done.code, done.err) == (0, "")
        assert done.out == f"copy.db: {(here / 'copy.db').stat().st_size:,} bytes\n"
        assert strata("db", "size", "--store", store, "--json", cwd=here).json["executions"] == 3
        assert strata("db", "verify", "--store", store, cwd=here).code == 0
        counted = strata("db", "prune", "--keep", 1, "--dry-run", "--store", store, cwd=here)
        assert counted.out.startswith("to forget: 2 executions, ")
        for refused in (("db", "prune", "--keep", "1"), ("db", "migrate")):
            done = strata(*refused, "--store", store, cwd=here)
            assert done.code == 4
            assert "is in use by process" in done.err
    finally:
        await owner.close()
    assert sorted(path.name for path in here.glob("copy*")) == ["copy.db"]
    assert strata("db", "verify", "--replay", "--store", "copy.db", cwd=here).code == 0


def test_a_copy_holds_what_is_only_in_the_log_yet(store: Path) -> None:
    with closing(sqlite3.connect(store)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO plans VALUES ('ab', x'00')")
        writer.commit()
        assert strata("db", "backup", "copy.db", "--store", store, cwd=store.parent).code == 0
    with closing(sqlite3.connect(store.parent / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM plans WHERE plan = 'ab'").fetchone() == (1,)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("backup", "s.db"), 2, "exists already"),
        (("backup", "no/folder/copy.db"), 2, "there is no folder no/folder"),
        (("backup", "copy.db", "--store", "none.db"), 4, "there is no store"),
        (("backup", "copy.db", "--store", "postgresql://nowhere/none"), 2, "pg_dump"),
        (("size", "--store", "none.db"), 4, "there is no store"),
        (("verify", "--store", "none.db"), 4, "there is no store"),
        (("prune",), 2, "nothing says what may go"),
        (("prune", "--older-than", "soon"), 2, "is no duration"),
    ],
)
def test_what_cannot_be_is_refused(store: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    more = () if "--store" in arguments else ("--store", store)
    done = strata("db", *arguments, *more, cwd=store.parent)
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert "hint: " in done.err


def test_what_may_go_is_forgotten_and_the_rest_is_sound(store: Path) -> None:
    done = strata("db", "prune", "--keep", 1, "--store", store, cwd=store.parent)
    assert done.out.startswith("forgotten: 2 executions, ")
    assert len(strata("ps", "--json", "--store", store, cwd=store.parent).json) == 1
    assert strata("db", "verify", "--replay", "--store", store, cwd=store.parent).code == 0


async def test_a_database_is_looked_after_the_same_way(tmp_path: Path) -> None:
    url = await server().database()
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "local.toml").write_text(
        f'[database]\nurl = "{url}"\n[retention]\nexecutions = 1\n'
    )
    for text in ("one", "two"):
        assert strata("run", "flow.yaml", "--input", f"text={text}", cwd=tmp_path).code == 0
    assert strata("db", "size", "--json", cwd=tmp_path).json["records"] == 4
    assert strata("db", "prune", cwd=tmp_path).out.startswith("forgotten: 1 executions, ")
    assert strata("db", "verify", "--replay", "--json", "--store", url, cwd=tmp_path).json["replayed"] == 1
    assert strata("db", "migrate", cwd=tmp_path).out.endswith(", as before\n")
    assert strata("db", "backup", "copy.db", cwd=tmp_path).code == 2


def test_a_server_forgets_by_itself_what_the_settings_say(store: Path) -> None:
    here = store.parent
    (here / "config").mkdir()
    (here / "config" / "local.toml").write_text("[retention]\nexecutions = 1\n")
    (here / "project").mkdir()
    (here / "project" / "flow.yaml").write_text(FLOW)
    (here / "project" / "agents.py").write_text("")
    server_ = start("serve", "project", "--dev", "--port", 0, "--store", store, cwd=here)
    try:
        until = monotonic() + WAIT
        while len(strata("ps", "--json", "--store", store, cwd=here).json) > 1:
            assert monotonic() < until
    finally:
        server_.terminate()
        _, err = server_.communicate(timeout=WAIT)
    assert "executions forgotten: 2" in err
    assert strata("db", "verify", "--store", store, cwd=here).code == 0
