"""The real server under strikes at random moments: clients then look whether they were told the truth.

What must be true is judged by the rules of the simulation, from what clients were told, what
services outside saw, and what the store keeps.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random  # noqa: TID251 - seeded by who strikes
from time import sleep
from typing import Any

import pytest
from tests.postgres import Server as Database
from tests.postgres import server

from stratarouter_runtime.ids import LOCAL, AgentName, Digest, ExecutionId
from stratarouter_runtime.ports import AgentCall
from stratarouter_runtime.storage.sqlite import open_readonly
from stratarouter_runtime.testing.evidence import Accepted, Violation
from stratarouter_runtime.testing.flows import BY_NAME
from stratarouter_runtime.testing.killing.clients import History
from stratarouter_runtime.testing.killing.loop import Report, kill_again_and_again
from stratarouter_runtime.testing.killing.outside import Outside
from stratarouter_runtime.testing.killing.servers import Serving
from stratarouter_runtime.testing.killing.strikes import (
    Strike,
    cramped,
    filled,
    starved,
    stopped,
)
from stratarouter_runtime.testing.killing.verdict import judge
from stratarouter_runtime.testing.world import Called

FEW, MANY = 3, 50
TIMES = [FEW, pytest.param(MANY, marks=pytest.mark.full)]
ONCE = [1, pytest.param(10, marks=pytest.mark.full)]


def check(report: Report) -> None:
    """No promise was broken, and there was something to break."""
    assert not report.wrong, f"seed {report.seed}: {report.wrong}"
    assert report.acknowledged > 0
    assert report.statuses.keys() <= {"completed", "failed", "cancelled", "timed_out"}
    assert report.statuses["completed"] > 0


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """A server of its own, which may be stopped."""
    started = Database()
    yield started
    started.remove()


def test_the_judge_notices_what_was_lost_or_doubled(tmp_path: Path) -> None:
    store = str(tmp_path / "s.db")
    report = kill_again_and_again(tmp_path, store, kills=0, seed=0, clients=1)
    assert (report.wrong, report.starts, report.taken_up) == ("", (), 0)
    with asyncio.Runner() as runner:
        file = open_readonly(Path(store))
        row = runner.run(file.search(status=("completed",)))[0]
        runner.run(file.close())
    told = BY_NAME[row.flow]
    other = ExecutionId("exec_" + "0" * 32)
    call = AgentCall(row.id, LOCAL, Digest("0" * 64), "", 1, {"n": 1})
    wrong: list[tuple[str, History, list[Called]]] = [
        ("is lost", History(accepted=[Accepted(other, told, 1)]), []),
        ("one key", History(accepted=[Accepted(row.id, told, 1, again=other)]), []),
        ("is lost", History(ends={other: ("completed", None)}), []),
        ("changed after its end", History(ends={row.id: ("failed", None)}), []),
        ("acknowledged, and is there 0 times", History(answers=[(row.id, "nobody")]), []),
        ("acknowledged, and is lost", History(cancels=[(row.id, "nobody")]), []),
        ("knows nothing of it", History(), [Called(AgentName("pay"), 0, call, 9, 0)]),
        ("is no good sign", History(wrong=["it is no good sign"]), []),
    ]
    for says, history, calls in wrong:
        with Outside(0) as outside:
            outside.calls += calls
            with pytest.raises(Violation, match=says):
                judge(store, history, outside)


@pytest.mark.parametrize("kills", TIMES)
def test_a_server_on_a_file_that_is_killed_loses_nothing_and_doubles_nothing(
    tmp_path: Path, kills: int
) -> None:
    report = kill_again_and_again(tmp_path, str(tmp_path / "s.db"), kills=kills, seed=kills)
    check(report)
    assert len(report.starts) == kills
    assert report.taken_up > 0


@pytest.mark.parametrize("kills", TIMES)
def test_two_servers_on_a_database_of_which_one_is_killed_lose_nothing_and_double_nothing(
    tmp_path: Path, kills: int
) -> None:
    url = asyncio.run(server().database())
    check(kill_again_and_again(tmp_path, url, kills=kills, seed=kills, servers=2))


@pytest.mark.parametrize("times", ONCE)
@pytest.mark.parametrize("strike", [starved, cramped])
def test_a_server_that_is_short_of_files_or_of_room_goes_on(
    tmp_path: Path, strike: Strike, times: int
) -> None:
    check(kill_again_and_again(tmp_path, str(tmp_path / "s.db"), kills=times, seed=times, strike=strike))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, where one may be mounted; else a folder like any other."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(place)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0  # noqa: S603 - ours
    yield place
    if mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # noqa: S603, S607 - likewise


@pytest.mark.parametrize("times", ONCE)
def test_a_full_disk_loses_nothing(tmp_path: Path, disk: Path, times: int, record_property: Any) -> None:
    """Without rights to mount one, a limit of the size of files stands in for it."""
    own = disk.stat().st_dev != tmp_path.stat().st_dev
    record_property("in force", "tmpfs" if own else "RLIMIT_FSIZE")
    folder = tmp_path / "project"
    folder.mkdir()
    strike = filled if own else cramped
    check(kill_again_and_again(folder, str(disk / "s.db"), kills=times, seed=times, strike=strike))


@pytest.mark.parametrize("times", ONCE)
def test_a_server_that_is_stopped_past_its_lease_doubles_nothing(tmp_path: Path, times: int) -> None:
    url = asyncio.run(server().database())
    check(kill_again_and_again(tmp_path, url, kills=times, seed=times, servers=2, strike=stopped))


@pytest.mark.parametrize("times", ONCE)
@pytest.mark.parametrize("how", ["sessions ended", "stopped at once", "killed"])
def test_a_database_that_fails_in_mid_load_loses_nothing(
    tmp_path: Path, database: Database, how: str, times: int
) -> None:
    def strike(_: Serving, chance: Random) -> None:
        if how == "sessions ended":
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stratarouter'"
            asyncio.run(database.execute(end))
            return
        database.stop(signal.SIGQUIT if how == "stopped at once" else signal.SIGKILL)
        sleep(chance.random())
        database.start()

    url = asyncio.run(database.database())
    check(kill_again_and_again(tmp_path, url, kills=2 * times, seed=times, servers=2, strike=strike))
