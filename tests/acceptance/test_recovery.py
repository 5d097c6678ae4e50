"""A hundred executions in the middle of their flow, their process killed, and the next one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.acceptance.commandline import strata
from tests.postgres import server

from stratarouter_runtime.bench.long import long, soak
from stratarouter_runtime.bench.recovery import EXECUTIONS, recovery
from stratarouter_runtime.ids import LOCAL
from stratarouter_runtime.ports import Store
from stratarouter_runtime.storage import postgres, sqlite


async def check(store: Store) -> None:
    """All have ended well, and no step was recorded twice, or lost."""
    rows = await store.search(tenant=LOCAL, limit=1_000)
    assert [row.status for row in rows] == ["completed"] * EXECUTIONS
    for row in rows:
        bodies = [record.body for record in await store.read(row.id)]
        assert sum(b'"t":"returned"' in body for body in bodies) == 10
    await store.close()


@pytest.mark.full
async def test_what_a_killed_process_left_is_finished_by_the_next(tmp_path: Path) -> None:
    recovery(tmp_path, rounds=1)
    await check(sqlite.open_readonly(tmp_path / "killed0.db"))
    done = strata("db", "verify", "--replay", "--store", "killed0.db", cwd=tmp_path)
    assert (done.code, done.out[:5]) == (0, "sound")


@pytest.mark.full
async def test_what_a_killed_process_left_in_a_database_is_finished_too(tmp_path: Path) -> None:
    url = await server().database()
    recovery(tmp_path, url, rounds=1)
    await check(await postgres.open_readonly(url))


@pytest.mark.full
async def test_the_long_benchmark_measures_every_line(tmp_path: Path) -> None:
    measures = [*await long(tmp_path, rows=6_000), *await soak(tmp_path, None, 4.0)]
    assert len(measures) == 5
    assert all(each.value > 0 and each.limit > 0 for each in measures)
