"""The measurement of the disk: a plausible figure, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

from stratarouter_runtime.storage.disk import fsync_latency


def test_a_sync_takes_time_and_leaves_no_file(tmp_path: Path) -> None:
    assert 0.1 < fsync_latency(tmp_path, rounds=5) < 10_000_000
    assert list(tmp_path.iterdir()) == []
