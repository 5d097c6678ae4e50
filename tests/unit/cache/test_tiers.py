"""What is at hand follows the store, whatever overtakes what, and whichever part of it fails."""

from __future__ import annotations

import asyncio
from array import array
from typing import Any

import pytest

from stratarouter_runtime.cache.answers import Answer
from stratarouter_runtime.cache.counts import SPACES, Ledger
from stratarouter_runtime.cache.front import OVERHEAD, Front, Held
from stratarouter_runtime.cache.tiers import SLICE, Tiers
from stratarouter_runtime.cache.written import WAITING, Written
from stratarouter_runtime.errors import StoreError
from stratarouter_runtime.ids import Digest, ExecutionId, Tenant
from stratarouter_runtime.ports import CacheEntry, Generation, Selection
from stratarouter_runtime.storage.memory import MemoryStore

ANN = Tenant("ann")


class Still:
    """A clock that stands."""

    at = 1_700_000_000_000_000

    def now(self) -> int:
        """The same as ever."""
        return self.at


class Store:
    """A store of which `generations` tells what it is told to, or fails, and `keep` may wait or fail."""

    def __init__(self) -> None:
        self._real: Any = MemoryStore().cache
        self.tells: list[list[Generation] | None] = []
        self.gates: list[asyncio.Event] = []
        self.full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def generations(self) -> list[Generation]:
        """What is next in `tells`, each once its gate opens; None fails."""
        if not self.tells:
            return await self._real.generations()  # type: ignore[no-any-return]  # it is a store
        told, gate = self.tells.pop(0), self.gates.pop(0)
        await gate.wait()
        if told is None:
            raise StoreError("away")
        return told

    async def keep(self, entries: list[CacheEntry]) -> None:
        """As the store, unless it is full."""
        if self.full:
            raise StoreError("full")
        await self._real.keep(entries)


def tiers(store: Store) -> Tiers:
    """On this store."""
    return Tiers(store, Still(), Ledger(), 64 << 20)  # type: ignore[arg-type]  # they have what is asked of them


def held(number: int, **changes: Any) -> Held:
    """Ann's entry of this number."""
    vector = array("f", [1.0, float(number)]).tobytes()
    fields: dict[str, Any] = {
        "tenant": ANN,
        "key": Digest(f"{number:064x}"),
        "space": "flow:t",
        "group": "g",
        "source": ExecutionId("exec_0"),
        "created": Still.at,
        "expires": Still.at + 1_000_000,
        "tags": (),
        "answer": Answer(b"1", (f"text {number}",), vector),
    }
    return Held(**(fields | changes))


async def test_what_was_read_before_something_was_forgotten_sets_nothing_back() -> None:
    """It arrives behind what was read after it."""
    store = Store()
    store.tells = [[Generation(ANN, "flow:t", 0, 1)], [Generation(ANN, "flow:t", 1, 2)]]
    slow, fast = store.gates = [asyncio.Event(), asyncio.Event()]
    front = tiers(store)
    first = asyncio.ensure_future(front.refresh())
    await asyncio.sleep(0)
    front._looked = None
    second = asyncio.ensure_future(front.refresh())
    await asyncio.sleep(0)
    fast.set()
    await second
    slow.set()
    await first
    assert front.generation(ANN, "flow:t") == (1, 2)
    assert not front.put(held(1), 1)


async def test_what_is_forgotten_is_not_at_hand_though_the_store_tells_nothing_more() -> None:
    """It took the entries away, and failed then."""
    store = Store()
    front = tiers(store)
    await front.refresh()
    front.put(held(1), 0)
    assert (await front.group(ANN, "flow:t", "g")).same(("text 1",)) is not None
    store.tells, gate = [None], asyncio.Event()
    gate.set()
    store.gates = [gate]
    assert await front.forget(Selection(ANN, key=held(1).key)) == ["flow:t"]
    assert front.at_hand(ANN, held(1).key) is None
    assert front.stale
    assert (await front.group(ANN, "flow:t", "g")).same(("text 1",)) is None


async def test_a_group_is_read_a_few_entries_at_a_time_and_once() -> None:
    """Others get their turn meanwhile, and what they keep is in it."""
    store, turns = Store(), 0
    first = tiers(store)
    for number in range(4 * SLICE):
        first.put(held(number), 0)
    await first.close()
    front = tiers(store)
    reading = [asyncio.ensure_future(front.group(ANN, "flow:t", "g")) for _ in range(3)]
    while not all(each.done() for each in reading):
        turns += 1
        if turns == 3:
            front.put(held(9_999), 0)
        await asyncio.sleep(0)
    assert turns > 4
    groups = [each.result() for each in reading]
    assert groups[0] is groups[1] is groups[2]
    for number in (0, 4 * SLICE - 1, 9_999):
        assert groups[0].same((f"text {number}",)) is not None


async def test_what_has_no_vectors_leaves_every_group() -> None:
    """The group it was in may have been that of an encoder that is away."""
    front = tiers(Store())
    front.put(held(1), 0)
    group = await front.group(ANN, "flow:t", "g")
    front.put(held(1, group="other", answer=Answer(b"2", ("text 1",))), 0)
    assert group.same(("text 1",)) is None


async def test_entries_that_the_store_will_not_take_are_counted() -> None:
    """By their space; those that come while too many wait as well."""
    store, lost = Store(), list[CacheEntry]()
    store.full = True
    front = tiers(store)
    front.put(held(1), 0)
    await front.close()
    assert front._ledger.counts()[0].faults == {"store": 1}

    async def prune() -> int:
        return 0

    written = Written(store, lost.extend, prune)  # type: ignore[arg-type]  # it has what is asked of it
    for _ in range(WAITING + 2):
        written.put(CacheEntry(ANN, held(1).key, "s", "", ExecutionId("e"), 0, 0, (), b""))
    assert len(lost) == 2
    await written.flush()
    assert len(lost) == WAITING + 2


def test_the_least_recently_used_leave_first() -> None:
    """By bytes; what was asked for lately stays."""
    front = Front(5 * (OVERHEAD + 1_000))
    big = Answer(b"x" * 1_000)
    for number in range(5):
        front.put(held(number, answer=big))
    assert front.get(ANN, held(0).key) is not None
    front.put(held(5, answer=big))
    found = [number for number in range(6) if front.get(ANN, held(number).key) is not None]
    assert found == [0, 2, 3, 4, 5]
    assert front.bytes == 5 * (OVERHEAD + 1_000)


@pytest.mark.parametrize("count", ["count", "refuse", "fault", "bypass"])
def test_spaces_beyond_so_many_are_counted_together(count: str) -> None:
    """Of each tenant; those that are known go on by themselves."""
    ledger = Ledger()
    for number in range(SPACES + 5):
        getattr(ledger, count)("ann", f"s{number}", "exact")
    getattr(ledger, count)("ann", "s0", "exact")
    counts = ledger.counts("ann")
    assert len(counts) == SPACES + 1
    told = {
        each.space: each.exact + sum({**each.refused, **each.faults, **each.bypassed}.values())
        for each in counts
    }
    assert (told[""], told["s0"], told["s1"]) == (5, 2, 1)
