from __future__ import annotations

import gc
import resource
from pathlib import Path

import pytest

from stratarouter_runtime import host


def test_syncing_is_measured_and_leaves_nothing_behind(tmp_path: Path) -> None:
    latency = host.sync_latency(tmp_path, samples=5)
    assert 0 < latency.p50 <= latency.p99
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        host.sync_latency(tmp_path / "absent")


def test_what_is_there_is_no_longer_looked_at_and_the_rest_less_often() -> None:
    before = gc.get_threshold()
    try:
        host.settle_memory()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == host.THRESHOLDS
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def test_the_machine_has_something_to_offer() -> None:
    assert host.cores() >= 1
    assert host.memory() > 2**20
    assert host.describe().startswith("CPython 3.")


@pytest.mark.parametrize(("limit", "expected"), [("1048576\n", 2**20), ("max\n", None)])
def test_a_container_limits_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int | None
) -> None:
    physical = host.memory()
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(host, "_CGROUP_LIMIT", tmp_path / "memory.max")
    assert host.memory() == (expected or max(physical, host.memory()))


def test_open_files_are_raised_as_far_as_the_system_lets_us() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        assert host.open_files(50) == 100
        assert host.open_files(150) == 150
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (150, hard)
        if hard != resource.RLIM_INFINITY:
            assert host.open_files(hard + 1) == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
