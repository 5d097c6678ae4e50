"""An event loop without a machine: seeded order, virtual time, no threads, nothing to select.

Of all callbacks that are ready a seeded draw takes the next, so one seed is one order of
events under any hash seed. Time passes only when nothing is ready. Must never know: what
runs on it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from random import Random  # noqa: TID251 - seeded by the caller: the same draws every time
from typing import Any, Final, TypeVar

from typing_extensions import TypeVarTuple, override

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STEPS: Final = 200_000
"""Callbacks that one run may take before it counts as going on for ever."""


class Deadlock(Exception):
    """Nothing is ready, no timer runs, and still somebody waits."""


class Endless(Exception):
    """So many callbacks ran that it will never end."""


class Life:
    """A simulated process. What runs in its `context` is dropped, unrun, once it has `ended`.

    While it is stopped, what is due waits in `due`.
    """

    __slots__ = ("context", "due", "ended")

    def __init__(self) -> None:
        self.ended = False
        self.due: list[asyncio.Handle] | None = None
        self.context = copy_context()
        self.context.run(_LIFE.set, self)


_LIFE: Final[ContextVar[Life | None]] = ContextVar("life", default=None)


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs one main coroutine.

    `elapsed` is the time since the start, in microseconds; `taken` counts callbacks;
    `mishaps` says which of them raised.
    """

    def __init__(self, chance: Random, steps: int = STEPS) -> None:
        super().__init__()
        self._draw = chance.random
        self._steps = steps
        self.taken = 0
        self.elapsed = 0
        self.mishaps: list[str] = []
        self._soon: list[asyncio.Handle] = []
        self._later: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._number = 0
        # Tasks of an ended life must not be collected: that would run their last lines.
        self._tasks: list[tuple[asyncio.Task[Any], Life | None]] = []

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` is done. Raises `Deadlock`, `Endless`, or what `main` raises."""
        asyncio._set_running_loop(self)  # noqa: SLF001 - what every loop does
        try:
            task = self.create_task(main)
            while not task.done():
                self._step()
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 - likewise
        return task.result()

    def failures(self) -> list[BaseException]:
        """What tasks that are done have raised."""
        done = (task for task, _ in self._tasks if task.done() and not task.cancelled())
        return [error for task in done if (error := task.exception()) is not None]

    def _step(self) -> None:
        soon = self._soon
        if not soon:
            self._advance()
        self.taken += 1
        if self.taken > self._steps:
            raise Endless(f"no end after {self.elapsed / 1e6:.3f} s; at work: {self._waiting()}")
        number = int(self._draw() * len(soon))
        handle, soon[number] = soon[number], soon[-1]
        soon.pop()
        if handle._cancelled:  # noqa: SLF001 - of the loop
            return
        life = handle._context.get(_LIFE)  # type: ignore[attr-defined]  # noqa: SLF001 - of the loop
        if life is None or not (life.ended or life.due is not None):
            handle._run()  # noqa: SLF001 - what every loop does
        elif life.due is not None:
            life.due.append(handle)

    def go_on(self, life: Life) -> None:
        """Let a process go on that was stopped: all that was due meanwhile is ready now."""
        due, life.due = life.due, None
        self._soon.extend(due or ())

    def _advance(self) -> None:
        """Go on to the next moment for which a timer is set; all of that moment become ready."""
        later, soon = self._later, self._soon
        while later and (not soon or later[0][0] <= self.elapsed):
            due, _, handle = heapq.heappop(later)
            if not _dropped(handle):
                self.elapsed = max(self.elapsed, due)
                soon.append(handle)
        if not soon:
            raise Deadlock(f"nothing will ever happen again; waiting: {self._waiting()}")

    def _waiting(self) -> str:
        alive = (task for task, life in self._tasks if not (task.done() or (life and life.ended)))
        return "; ".join(map(_where, alive))

    # What asyncio asks of a loop.

    @override
    def time(self) -> float:
        return self.elapsed / 1e6

    @override
    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    @override
    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        due = self.elapsed + max(0, round(delay * 1e6))
        handle = asyncio.TimerHandle(due / 1e6, callback, args, self, context)
        self._number += 1
        heapq.heappush(self._later, (due, self._number, handle))
        return handle

    @override
    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def _timer_handle_cancelled(self, _handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""

    @override
    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: Context | None = None,
        **_kwargs: Any,
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=str(name or ""), context=context)
        self._tasks.append((task, _LIFE.get() if context is None else context.get(_LIFE)))
        return task

    @override
    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.mishaps.append(f"{context.get('message')}: {context.get('exception')!r}")

    @override
    def close(self) -> None:
        """Let go of everything that still waits; nothing of it has any effect."""
        asyncio._set_running_loop(self)  # noqa: SLF001 - for the last lines of the coroutines
        try:
            for task, _ in self._tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - on purpose
                    coroutine = task.get_coro()
                    with suppress(Exception):
                        assert coroutine is not None
                        coroutine.close()
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 - likewise
        self._soon.clear()
        self._later.clear()
        super().close()


def _dropped(handle: asyncio.Handle) -> bool:
    return handle.cancelled() or _ended(handle._context)  # type: ignore[attr-defined] # noqa: SLF001 - of the loop


def _ended(context: Context) -> bool:
    life = context.get(_LIFE)
    return life is not None and life.ended


def _where(task: asyncio.Task[Any]) -> str:
    """The chain of coroutines that a task waits in, outermost first."""
    names: list[str] = []
    coroutine: Any = task.get_coro()
    while (code := getattr(coroutine, "cr_code", None)) is not None:
        frame = coroutine.cr_frame
        names.append(f"{code.co_qualname}:{frame.f_lineno if frame else '?'}")
        coroutine = coroutine.cr_await
    return " > ".join(names)
