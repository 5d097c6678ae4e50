from __future__ import annotations

import gc
import os
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
    assert 0 < host.available() < host.memory()
    assert 0 < host.resident() < host.memory()
    assert host.describe().startswith("CPython 3.")


def a_group(folder: Path, limit: str, used: int, cache: int, version: int = 2) -> None:
    """A control group as the kernel shows it."""
    first = version == 1
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("memory.limit_in_bytes" if first else "memory.max")).write_text(f"{limit}\n")
    (folder / ("memory.usage_in_bytes" if first else "memory.current")).write_text(f"{used}\n")
    word = "total_inactive_file" if first else "inactive_file"
    (folder / "memory.stat").write_text(f"anon 5\n{word} {cache}\nactive_file 7\n")


MACHINE = 8 * 2**30
GROUPS = [
    ("0::/", {"": ("1048576", 1000, 400, 2)}, 2**20, 2**20 - 600),
    ("0::/", {"": ("max", 1000, 400, 2)}, None, MACHINE),
    ("0::/a/b", {"a": ("4096", 96, 0, 2), "a/b": ("8192", 0, 0, 2)}, 4096, 4000),
    ("0::/outside", {"": ("4096", 96, 0, 2)}, 4096, 4000),
    ("0::/", {"": ("4096", 9000, 0, 2)}, 4096, 0),
    ("9:cpu,memory:/a\n0::/", {"memory/a": ("4096", 96, 6, 1)}, 4096, 4006),
    ("9:cpu:/a\n0::/", {"memory/a": ("4096", 96, 0, 1)}, None, MACHINE),
    ("", {}, None, MACHINE),
]


@pytest.mark.parametrize(("own", "groups", "all_of_it", "left"), GROUPS)
def test_a_container_limits_the_memory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: str,
    groups: dict[str, tuple[str, int, int, int]],
    all_of_it: int | None,
    left: int,
) -> None:
    for name, (limit, used, cache, version) in groups.items():
        a_group(tmp_path / "groups" / name, limit, used, cache, version)
    (tmp_path / "own").write_text(own)
    (tmp_path / "meminfo").write_text(f"MemFree: 5 kB\nMemAvailable: {MACHINE >> 10} kB\n")
    monkeypatch.setattr(host, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(host, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(host, "_MACHINE_MEMORY", tmp_path / "meminfo")
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert host.memory() == (all_of_it or physical)
    assert host.available() == left


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
