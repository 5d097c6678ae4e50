"""What every store does with snapshots."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.conformance.backends import BACKENDS, name, records, row

from stratarouter_runtime.ports import Store

LARGE = bytes(range(256)) * 1_000


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = await BACKENDS[request.param](tmp_path)
    assert await made.create(row(1), records(0))
    yield made
    await made.close()


async def test_the_newest_is_kept_as_it_was_given(store: Store) -> None:
    assert await store.snapshots.load(name(1)) is None
    await store.snapshots.save(name(1), 7, b"first\x00")
    assert await store.snapshots.load(name(1)) == b"first\x00"
    await store.snapshots.save(name(1), 9, LARGE)
    assert await store.snapshots.load(name(1)) == LARGE


async def test_an_older_one_does_not_replace_it(store: Store) -> None:
    await store.snapshots.save(name(1), 9, b"newer")
    await store.snapshots.save(name(1), 7, b"older")
    assert await store.snapshots.load(name(1)) == b"newer"


async def test_one_that_was_dropped_is_gone(store: Store) -> None:
    await store.snapshots.save(name(1), 9, b"body")
    await store.snapshots.drop(name(1))
    await store.snapshots.drop(name(1))
    assert await store.snapshots.load(name(1)) is None
    await store.snapshots.save(name(1), 7, b"again")
    assert await store.snapshots.load(name(1)) == b"again"


async def test_what_has_finished_or_is_not_there_gets_none(store: Store) -> None:
    await store.append(name(1), records(1), replace(row(1), status="completed"))
    await store.snapshots.save(name(1), 9, b"late")
    await store.snapshots.save(name(2), 9, b"nobody's")
    assert await store.snapshots.load(name(1)) is None
    assert await store.snapshots.load(name(2)) is None
