"""Stores that cannot be used: what is wrong, where, a hint, exit code 4, and nothing lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.acceptance.commandline import EXAMPLES, Done, strata

FLOW = EXAMPLES / "support_triage" / "flow.yaml"
INPUT = f"@{EXAMPLES / 'support_triage' / 'input.json'}"
FAT = """tcfp: "1.0"
flow: fat
agents: {blob: {in: {i: int}, out: string, effect: pure}}
out: int
do:
  - {id: m, each: '=[1, 2, 3, 4, 5, 6, 7, 8, 9]', as: i, max: 9, parallel: 1, do: {call: blob, with: {i: =i}}}
return: =size(m)
"""
BLOB = """from stratarouter_runtime.builder import agent

@agent(effect="pure")
def blob(i: int) -> str:
    return "x" * 200_000
"""


def run(store: Path, *, prefix: tuple[str, ...] = ()) -> Done:
    return strata("run", FLOW, "--input", INPUT, "--store", store, cwd=store.parent, prefix=prefix)


def a_folder(path: Path) -> None:
    path.mkdir()


def no_database(path: Path) -> None:
    path.write_text("hello\n" * 1_000)


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table t (a)")


def of_a_newer_version(path: Path) -> None:
    assert run(path).code == 0
    with closing(sqlite3.connect(path)) as database:
        database.execute("pragma user_version = 999")


def cut_short(path: Path) -> None:
    assert run(path).code == 0
    path.write_bytes(path.read_bytes()[:10_000])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (a_folder, "hint: name"),
        (no_database, "is not a database"),
        (of_another_program, "is a database of another program"),
        (of_a_newer_version, "has schema 999, newer than"),
        (cut_short, "is damaged"),
    ],
)
def test_a_store_that_is_none_is_told_and_left_alone(
    make: Callable[[Path], None], says: str, tmp_path: Path
) -> None:
    store = tmp_path / "a store.db"
    make(store)
    before = store.read_bytes() if store.is_file() else b""
    for done in (run(store), strata("ps", "--store", store, cwd=tmp_path)):
        assert (done.code, done.out) == (4, "")
        assert done.err.startswith("error: ")
        assert "a store.db" in done.err
        assert "hint: " in done.err
    assert says in run(store).err
    assert (store.read_bytes() if store.is_file() else b"") == before


def test_a_store_that_may_not_be_written_can_be_read(tmp_path: Path) -> None:
    store = tmp_path / "folder" / "s.db"
    store.parent.mkdir()
    assert run(store).code == 0
    store.chmod(0o444)
    store.parent.chmod(0o555)
    prefix = _bound_by_modes()
    done = run(store, prefix=prefix)
    assert (done.code, done.out) == (4, "")
    assert "may be read but not written" in done.err
    read = strata("ps", "--json", "--store", store, cwd=tmp_path, prefix=prefix)
    assert (read.code, len(read.json)) == (0, 1)
    store.parent.chmod(0o755)


def _bound_by_modes() -> tuple[str, ...]:
    """What runs a command without root's right to write everything; nothing where root is somebody else."""
    if os.geteuid():
        return ()
    prefix = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    if shutil.which("setpriv") is None or subprocess.run([*prefix, "true"], check=False).returncode:  # noqa: S603 - ours
        pytest.skip("root writes everything here, and setpriv cannot take that right from it")
    return prefix


def test_a_store_another_process_writes_is_locked_and_can_be_read(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    assert run(store).code == 0
    script = (
        "import sys; from pathlib import Path; from stratarouter_runtime.storage.sqlite import open_store;"
        "store = open_store(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"open\n"
        done = run(store)
        assert (done.code, done.out) == (4, "")
        assert f"is in use by process {owner.pid}" in done.err
        assert strata("ps", "--store", store, cwd=tmp_path).code == 0
        owner.kill()
    assert run(store).code == 0


def small(blocks: int) -> tuple[str, ...]:
    """What runs a command that may not make files larger than so many blocks of 512 bytes: a full disk."""
    return ("sh", "-c", f'ulimit -f {blocks}; exec "$0" "$@"')


def test_a_disk_that_fills_up_loses_nothing_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    (tmp_path / "flow.yaml").write_text(FAT)
    (tmp_path / "agents.py").write_text(BLOB)
    full = strata("run", "flow.yaml", "--store", store, cwd=tmp_path, prefix=small(2_000))
    assert (full.code, full.out) == (4, "")
    assert "error: no room is left for the store" in full.err
    (row,) = strata("ps", "--json", "--store", store, cwd=tmp_path).json
    assert row["status"] == "running"
    assert 1 < row["records"] == full.err.count(": done in ") + 1 < 10
    assert f"strata resume {row['id']} --store" in full.err
    ended = strata("resume", row["id"], "--store", store, cwd=tmp_path)
    assert (ended.code, ended.out) == (0, "9\n")
    assert full.err.count("call blob[") + ended.err.count("call blob[") == 9
    assert strata("replay", row["id"], "--store", store, "--json", cwd=tmp_path).json["reproducible"] is True
