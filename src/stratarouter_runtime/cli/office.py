"""An application, or the store of one, opened around what a command asks of it.

Must never know: what is asked, or looked after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from stratarouter_runtime import settings
from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.wiring import Application, Office, administration, application

T = TypeVar("T")

BY: Final = "command line"
"""How the audit names whoever uses it."""

MEMORY: Final = ":memory:"
"""A store for what is kept nowhere."""


def ask(store: str | None, work: Callable[[Application], Awaitable[T]], *, readonly: bool = True) -> T:
    """What `work` answers about an application without agents of its own, on the store named or that of the settings."""

    async def asking() -> T:
        async with application(settings.load(), Registry(), store=store, readonly=readonly) as app:
            return await work(app)

    return asyncio.run(asking())


def attend(store: str | None, work: Callable[[Office], Awaitable[T]]) -> T:
    """Do `work` with the store named or that of the settings, also while a server owns it."""

    async def attending() -> T:
        async with administration(settings.load(), store=store) as office:
            return await work(office)

    return asyncio.run(attending())
