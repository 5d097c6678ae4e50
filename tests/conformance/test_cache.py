"""Every store keeps answers for reuse alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.conformance.backends import ANN, BACKENDS, BOB, name

from stratarouter_runtime.ids import Digest
from stratarouter_runtime.ports import CacheEntry, Generation, Holding, Selection, Store


def entry(number: int, **changes: Any) -> CacheEntry:
    """Ann's entry of this number, created then, of the space `triage`."""
    first = CacheEntry(
        tenant=ANN,
        key=Digest(f"{number:064x}"),
        space="triage",
        group="g",
        source=name(number),
        created=number,
        expires=1_000,
        tags=(),
        body=b"\0\xff%d" % number,
    )
    return replace(first, **changes)


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each store in turn."""
    opened = await BACKENDS[request.param](tmp_path)
    yield opened
    await opened.close()


async def test_an_entry_is_found_by_tenant_and_key(store: Store) -> None:
    """Whole, and by nobody else."""
    kept = entry(1, tags=("a", "ü"), group="")
    await store.cache.keep([kept])
    assert await store.cache.find(ANN, kept.key) == kept
    assert await store.cache.find(BOB, kept.key) is None
    assert await store.cache.group(ANN, "", 10) == []


async def test_an_entry_takes_the_place_of_the_one_before_it(store: Store) -> None:
    """With everything it says."""
    await store.cache.keep([entry(1)])
    await store.cache.keep([entry(1, body=b"new", created=5, tags=("t",))])
    assert await store.cache.find(ANN, entry(1).key) == entry(1, body=b"new", created=5, tags=("t",))
    assert await store.cache.holdings(ANN) == [Holding("triage", 1, 3)]


async def test_a_group_is_listed_newest_first_and_cut(store: Store) -> None:
    """Of one tenant only."""
    await store.cache.keep([entry(1), entry(3), entry(2), entry(4, tenant=BOB), entry(5, group="other")])
    assert [found.created for found in await store.cache.group(ANN, "g", 2)] == [3, 2]


@pytest.mark.parametrize(
    ("selection", "gone"),
    [
        (Selection(ANN), [1, 2, 3]),
        (Selection(ANN, space="triage"), [1, 2]),
        (Selection(ANN, tag="x"), [2, 3]),
        (Selection(ANN, before=2), [1]),
        (Selection(ANN, source=name(3)), [3]),
        (Selection(ANN, key=Digest(f"{2:064x}")), [2]),
        (Selection(ANN, space="triage", tag="x"), [2]),
        (Selection(BOB, space="triage"), [4]),
    ],
)
async def test_what_is_selected_is_counted_and_forgotten(
    store: Store, selection: Selection, gone: list[int]
) -> None:
    """And nothing else."""
    await store.cache.keep(
        [entry(1), entry(2, tags=("x",)), entry(3, space="other", tags=("w", "x")), entry(4, tenant=BOB)]
    )
    assert await store.cache.count(selection) == len(gone)
    assert sorted(int(key, 16) for _, key in await store.cache.forget(selection)) == gone
    assert await store.cache.count(selection) == 0
    assert sum([await store.cache.count(Selection(tenant)) for tenant in (ANN, BOB)]) == 4 - len(gone)


async def test_a_space_that_is_emptied_gets_a_new_epoch(store: Store) -> None:
    """Also where nothing was kept; taking something from it is a revision."""
    await store.cache.keep([entry(1, tags=("x",))])
    await store.cache.forget(Selection(ANN, tag="x"))
    assert await store.cache.generations() == [Generation(ANN, "triage", 0, 1)]
    await store.cache.forget(Selection(ANN, space="triage"))
    await store.cache.forget(Selection(BOB, space="empty"))
    assert await store.cache.generations() == [
        Generation(ANN, "triage", 1, 2),
        Generation(BOB, "empty", 1, 1),
    ]


async def test_what_has_expired_and_what_is_too_much_is_pruned(store: Store) -> None:
    """The oldest first."""
    await store.cache.keep([entry(1, expires=9), entry(2), entry(3), entry(4)])
    assert await store.cache.prune(10, 2) == 2
    assert [found.created for found in await store.cache.group(ANN, "g", 10)] == [4, 3]


async def test_what_was_asked_before_something_was_forgotten_is_not_kept_after_it(store: Store) -> None:
    """Of the same space and tenant only; what was asked since is."""
    await store.cache.keep([entry(1)])
    await store.cache.forget(Selection(ANN, space="triage", tag="x"))
    late = [entry(2), entry(3, revision=1), entry(4, tenant=BOB), entry(5, space="other")]
    await store.cache.keep(late)
    found = [await store.cache.find(each.tenant, each.key) is not None for each in (entry(1), *late)]
    assert found == [True, False, True, True, True]
    assert await store.cache.find(ANN, entry(3).key) == entry(3)
