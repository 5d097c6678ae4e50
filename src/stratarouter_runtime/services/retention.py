"""What is forgotten, and when: ended executions, the oldest first, by age, count and bytes.

Whatever an unfinished execution comes from, or has called, stays as long as it runs. Writes are
small, with pauses as long as they took, so that they hold up no other. Must never know: HTTP,
SQL, any back-end.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from stratarouter_runtime.errors import StoreError, StrataError
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Started

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Clock, Keeping, Past
    from stratarouter_runtime.settings import Settings

DAY: Final = 86_400_000_000
"""Microseconds."""

PERIOD: Final = 60.0
"""Seconds between rounds, at least."""

REST: Final = 20
"""How many times as long as a round took the pause behind it is, at least."""

PAGE: Final = 500
"""Executions looked at together."""

TOGETHER: Final = 25
"""Executions taken away in one transaction."""

ROWS: Final = 200
"""Rows freed in one transaction."""

_FOREVER: Final = 2**63 - 1

_LOG: Final = logging.getLogger(__name__)


class Policy(Struct, frozen=True):
    """How much may stay; None is without limit.

    `age` is in microseconds since the end of an execution, `executions` are those that have ended,
    `bytes` those of all bodies in the store.
    """

    age: int | None = None
    executions: int | None = None
    bytes: int | None = None

    @property
    def nothing(self) -> bool:
        """Whether all may stay."""
        return self == Policy()


def policy_of(settings: Settings) -> Policy:
    """What the settings say."""
    days = settings.retention_days
    age = None if days is None else int(days * DAY)
    return Policy(age, settings.retention_executions, settings.retention_bytes)


class Pruned(Struct, frozen=True):
    """What a round came to: executions taken away and their bytes, and those that `live` ones held back."""

    executions: int = 0
    bytes: int = 0
    live: int = 0


@dataclass(slots=True)
class _Surplus:
    """How much more there is than may stay, as far as it is not taken away yet."""

    executions: int
    bytes: int
    oldest: int

    def has(self, past: Past) -> bool:
        """Whether this one is to go."""
        return self.any or past.ended < self.oldest

    @property
    def any(self) -> bool:
        """Whether the oldest must go, however old it is."""
        return self.executions > 0 or self.bytes > 0

    def less(self, past: Past) -> None:
        """This one goes."""
        self.executions -= 1
        self.bytes -= past.size


async def prune(keeping: Keeping, policy: Policy, now: int, *, dry: bool = False) -> Pruned:
    """Take away what is more than may stay, or only count it where `dry`. Raises `StoreError`.

    One process at a time does so: how much there is too much is asked once, and two would both go by it.
    """
    if dry:
        return await _prune(keeping, policy, now, dry=True)
    async with keeping.alone():
        await _sweep(keeping)
        return await _prune(keeping, policy, now, dry=False)


async def _prune(keeping: Keeping, policy: Policy, now: int, *, dry: bool) -> Pruned:
    surplus = await _surplus(keeping, policy, now)
    taken = live = freed = 0
    behind: Past | None = None
    while page := await keeping.past(behind, _FOREVER if surplus.any else surplus.oldest, PAGE):
        behind = page[-1]
        if not any(map(surplus.has, page)):
            continue
        beginnings = await keeping.beginnings()
        sources = sources_of(beginnings.values())
        going: list[Past] = []
        for past in filter(surplus.has, page):
            if past.id in sources or called_by(past) in beginnings:
                live += 1
            else:
                surplus.less(past)
                going.append(past)
        taken += len(going) if dry else await _remove(keeping, [past.id for past in going])
        freed += sum(past.size for past in going)
    return Pruned(taken, freed, live)


def sources_of(beginnings: Iterable[bytes]) -> AbstractSet[str | None]:
    """The executions that called those with these first facts, or of which they are forks."""
    begun = [started for started in map(_started, beginnings) if started is not None]
    return {started.parent for started in begun} | {started.forked for started in begun}


def called_by(past: Past) -> str | None:
    """The execution that called one."""
    started = None if past.first is None else _started(past.first)
    return None if started is None else started.parent


def _started(body: bytes) -> Started | None:
    try:
        event = decode(body)
    except StrataError:  # what cannot be read is for `verify` to tell
        return None
    return event if isinstance(event, Started) else None


async def _surplus(keeping: Keeping, policy: Policy, now: int) -> _Surplus:
    oldest = -_FOREVER if policy.age is None else now - policy.age
    surplus = _Surplus(0, 0, oldest)
    if policy.executions is not None or policy.bytes is not None:
        size = await keeping.size()
        if policy.executions is not None:
            surplus.executions = size.executions - size.unfinished - policy.executions
        if policy.bytes is not None:
            surplus.bytes = size.bytes + size.blob_bytes - policy.bytes
    return surplus


async def _remove(keeping: Keeping, executions: Sequence[ExecutionId]) -> int:
    taken = 0
    for start in range(0, len(executions), TOGETHER):
        taken += await _gently(keeping.remove(executions[start : start + TOGETHER]))
        await _sweep(keeping)
    return taken


async def _sweep(keeping: Keeping) -> None:
    """Free what was taken away, also by a process that ended half way."""
    while await _gently(keeping.sweep(ROWS)):
        pass


async def _gently(write: Awaitable[int]) -> int:
    """What a write gives, after a pause as long as it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    done = await write
    await asyncio.sleep(loop.time() - began)
    return done


class RetentionStats(Struct, frozen=True):
    """What was taken away so far, and the rounds that failed."""

    executions: int
    bytes: int
    failures: int


class Retention:
    """Rounds without end, in the background of a server."""

    def __init__(self, keeping: Keeping, policy: Policy, clock: Clock) -> None:
        self._keeping = keeping
        self._policy = policy
        self._clock = clock
        self._executions = self._bytes = self._failures = 0

    def stats(self) -> RetentionStats:
        """What was counted so far."""
        return RetentionStats(self._executions, self._bytes, self._failures)

    async def run(self) -> None:
        """Until it is cancelled; nothing that fails ends it. Without a limit there is nothing to do."""
        loop = asyncio.get_running_loop()
        while not self._policy.nothing:
            began = loop.time()
            try:
                await self.round()
            except StoreError as error:
                self._failures += 1
                _LOG.warning("nothing is forgotten for now: %s", error.message)
            except Exception:  # noqa: BLE001 - a defect here must not end what keeps the store small
                self._failures += 1
                _LOG.exception("a round of retention failed")
            await asyncio.sleep(max(PERIOD, REST * (loop.time() - began)))

    async def round(self) -> Pruned:
        """One round. Raises `StoreError`."""
        pruned = await prune(self._keeping, self._policy, self._clock.now())
        self._executions += pruned.executions
        self._bytes += pruned.bytes
        if pruned.executions:
            _LOG.info("executions forgotten: %d, of %d bytes", pruned.executions, pruned.bytes)
        return pruned
