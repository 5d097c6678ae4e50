"""The real server, killed at random moments under clients, which then look whether they were told the truth."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.postgres import server

from stratarouter_runtime.testing.killing.loop import Report, kill_again_and_again

FEW, MANY = 3, 50


def check(report: Report, kills: int) -> None:
    """No promise was broken, and there was something to break."""
    assert not report.wrong, f"seed {report.seed}: {report.wrong}"
    assert len(report.starts) == kills
    assert report.acknowledged > 10
    assert report.statuses.keys() <= {"completed", "failed", "cancelled", "timed_out"}
    assert report.statuses["completed"] > report.executions / 2


@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.full)])
def test_a_server_on_a_file_that_is_killed_loses_nothing_and_doubles_nothing(
    tmp_path: Path, kills: int
) -> None:
    report = kill_again_and_again(tmp_path, str(tmp_path / "s.db"), kills=kills, seed=kills)
    check(report, kills)
    assert report.taken_up > 0


@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.full)])
def test_two_servers_on_a_database_of_which_one_is_killed_lose_nothing_and_double_nothing(
    tmp_path: Path, kills: int
) -> None:
    url = asyncio.run(server().database())
    check(kill_again_and_again(tmp_path, url, kills=kills, seed=kills, servers=2), kills)
