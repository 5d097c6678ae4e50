from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.http.stage import Client, running


@pytest.fixture(params=["memory", "sqlite"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    """A client of an application on either store."""
    async with running(":memory:" if request.param == "memory" else tmp_path / "s.db") as client:
        yield client


@pytest.fixture
async def quick() -> AsyncIterator[Client]:
    """A client of an application in memory: for what no store has a part in."""
    async with running() as client:
        yield client
