"""The walls around agents, attacked from inside by everything we know, as each kind of user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.commandline import command, environment

from stratarouter_runtime.sandbox import features
from stratarouter_runtime.sandbox.attack import ACCIDENTS
from stratarouter_runtime.sandbox.probes import PROBES, WORKING

pytestmark = pytest.mark.skipif(
    any(features.found()[each] for each in features.needed("sandbox")),
    reason="the kernel lacks what walls need",
)

ROOT = Path(__file__).parents[2]
NOBODY = 65534
CLAIMING = ["sandbox", "sandbox, monty", "wasm", "command"]

RECORDED = {
    "read_shadow": {"sandbox"},
    "read_store": {"sandbox"},
    "write_outside": {"sandbox"},
    "secret_in_environment": {"agent.unavailable"},
    "server_environment": {"sandbox"},
    "server_memory": {"sandbox"},
    "tcp": {"sandbox.network"},
    "udp": {"sandbox.network"},
    "abstract_socket": {"sandbox.network"},
    "ptrace": {"sandbox"},
    "signal_server": {"sandbox"},
    "fork_bomb": {"sandbox.process"},
    "memory_bomb": {"limit.memory"},
    "cpu_spin": {"limit.cpu"},
    "large_file": {"limit.disk"},
    "many_files": {"limit.disk"},
    "shell": {"sandbox", "sandbox.process"},
    "namespaces": {"sandbox"},
    "io_uring": {"sandbox"},
    "sibling_environment": {"sandbox"},
    "sibling_memory": {"sandbox"},
    "sibling_copied": {"sandbox"},
    "sibling_descriptors": {"sandbox"},
    "sibling_folder": {"sandbox"},
    "ptrace_sibling": {"sandbox"},
    "signal_sibling": {"sandbox"},
    "signal_everybody": {"sandbox"},
    "signal_by_descriptor": {"sandbox"},
    "slow_sibling": {"sandbox"},
    "server_arguments": {"sandbox"},
    "own_memory": {"sandbox"},
    "program_in_memory": {"sandbox"},
    "page_faults": {"sandbox"},
    "keyring": {"sandbox"},
    "counters": {"sandbox"},
    "kernel_program": {"sandbox"},
    "change_mode": {"sandbox"},
    "change_times": {"sandbox"},
    "link_out": {"sandbox"},
    "inherited": {"sandbox"},
    "shared_memory": {"sandbox"},
    "thread_bomb": {"sandbox.process"},
    "descriptor_bomb": {"limit.disk"},
    "pipe_memory": {"sandbox"},
}
"""By hand, not from the code: what the journal says of each attempt."""

FROM_BELOW = "agent.unavailable"
"""A program that is started has only its exit to tell what stopped it."""


def attacked(user: int | None) -> list[dict[str, Any]]:
    """Every attempt, made by a command of this user."""
    return told_by(command("doctor", "--attack", "--json"), user, Path("/"))


def told_by(words: list[str], user: int | None, folder: Path) -> list[dict[str, Any]]:
    """What a command of this user prints."""
    done = subprocess.run(  # noqa: S603 - our own command
        words,
        cwd=folder,
        env=environment(),
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module", params=["as this user", "as an ordinary user"])
def user(request: pytest.FixtureRequest) -> int | None:
    if request.param == "as this user":
        return None
    if os.geteuid() != 0:
        pytest.skip("this user is an ordinary one")
    return NOBODY


@pytest.fixture(scope="module")
def attempts(user: int | None) -> list[dict[str, Any]]:
    return attacked(user)


def test_every_probe_was_made_at_every_level(attempts: list[dict[str, Any]]) -> None:
    made = {(each["level"], each["probe"]) for each in attempts}
    levels = ["process", *CLAIMING]
    assert {(level, probe) for level in levels for probe in PROBES} <= made
    assert len(PROBES) == 22 + 25


@pytest.mark.parametrize("level", CLAIMING)
def test_every_attack_is_stopped_and_recorded(attempts: list[dict[str, Any]], level: str) -> None:
    ended = {each["probe"]: each["how"] for each in attempts if each["level"] == level}
    for probe, kinds in RECORDED.items():
        kind = ended[probe].partition(": ")[0]
        assert kind in kinds or (level == "command" and kind == FROM_BELOW), (probe, ended[probe])


def test_every_attack_that_is_a_step_of_an_execution_is_journaled(user: int | None) -> None:
    made = told_by([sys.executable, "-m", "tests.acceptance.journaled"], user, ROOT)
    assert {(each["level"], each["probe"]) for each in made} == set(product(CLAIMING, RECORDED))
    for each in made:
        below = each["level"] == "command" and each["kind"] == FROM_BELOW
        assert each["kind"] in RECORDED[each["probe"]] or below, each
        assert each["isolation"] == each["level"].partition(",")[0], each
        assert (each["ended"], each["reproducible"]) == ("failed", True), each


@pytest.mark.parametrize("level", CLAIMING)
def test_ordinary_work_goes_on(attempts: list[dict[str, Any]], level: str) -> None:
    ended = {each["probe"]: each["how"] for each in attempts if each["level"] == level}
    assert {probe: ended[probe] for probe in WORKING} == {
        "threads": "got 4",
        "work_folder": "got 'kept'",
        "imports": "got 9",
    }


@pytest.mark.parametrize("level", CLAIMING)
def test_no_other_call_of_the_system_is_answered(attempts: list[dict[str, Any]], level: str) -> None:
    [sweep] = [each for each in attempts if each["level"] == level and each["probe"] == "sweep"]
    assert sweep["held"], sweep["how"]
    assert "refused" in sweep["how"]


def test_what_stops_accidents_only_says_so(attempts: list[dict[str, Any]]) -> None:
    ended = {each["probe"]: each for each in attempts if each["level"] == "process"}
    assert {probe for probe, each in ended.items() if each["promised"]} == ACCIDENTS
    assert ended["memory_bomb"]["how"].startswith("limit.memory")
    assert ended["cpu_spin"]["how"].startswith("limit.cpu")
