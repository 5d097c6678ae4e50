"""SIGINT and SIGTERM: the first asks to stop, and what is under way is finished; a second one exits now.

Must never know: what is under way.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable
from typing import Final, TypeVar

T = TypeVar("T")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """A signal asked to stop; `code` is what the process is to exit with."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


async def heeding(work: Awaitable[T]) -> T:
    """What `work` gives. Raises `Stopped` when a signal comes first; `work` is then cancelled.

    A second signal ends the process at once, from here on and whatever is still going on:
    what has been acknowledged is durable already.
    """
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(work)
    _listen(told)
    await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    raise Stopped(told.result())


def _listen(told: asyncio.Future[int]) -> None:
    def hear(number: int) -> None:
        if told.done():
            os._exit(128 + number)
        told.set_result(number)

    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, hear, number)
