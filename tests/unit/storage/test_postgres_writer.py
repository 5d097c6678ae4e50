"""The queue before the lanes, on a lane whose database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from tests.conformance.backends import name, records

from stratarouter_runtime.errors import StoreUnavailable
from stratarouter_runtime.storage.postgres import writer as writing
from stratarouter_runtime.storage.postgres.address import parse
from stratarouter_runtime.storage.postgres.batch import Append, Write
from stratarouter_runtime.storage.postgres.lane import Lane
from stratarouter_runtime.storage.postgres.numbers import Numbers


class Away:
    """A lane that takes a while to find out."""

    def __init__(self) -> None:
        self.asked = 0

    async def commit(self, writes: Sequence[Write], number: int, until: float) -> list[Any]:
        self.asked += 1
        await asyncio.sleep(0.1)
        raise StoreUnavailable("away", hint="wait")

    async def close(self) -> None:
        """Nothing to let go of."""


async def one() -> int:
    return 1


async def test_what_has_waited_as_long_is_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ROWS", 1)
    lane = Away()
    writer = writing.Writer([cast("Lane", lane)], Numbers(one), parse("postgresql://db/x"), 0.05)
    tries = [writer.submit(Append(name(number), records(0), None)) for number in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 20
    assert len({id(outcome) for outcome in outcomes}) == 20
    assert lane.asked == 1
    await writer.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await writer.submit(Append(name(1), [], None))
