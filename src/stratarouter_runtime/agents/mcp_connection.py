"""The connection to an MCP server: begun by the first call, shared by those at once, begun again where it broke.

Must never know: tools, or what calls come to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.agents.failures import MAX_OUTPUT
from stratarouter_runtime.agents.headers import filled
from stratarouter_runtime.agents.mcp_servers import Server
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import TooLarge, Web

if TYPE_CHECKING:
    from mcp.client.client import Client

_BEGIN: Final = 30.0
"""Seconds in which a server has to be there."""
_LINE: Final = 2 * MAX_OUTPUT
"""Bytes of a line that a process may write: an answer and what is around it, with signs escaped."""

_TALKATIVE: Final = ("mcp.client", "mcp.shared")
"""What writes answers that it cannot read into the log, secrets and all; the failure of the call says that it could not."""


class Session:
    """A connection at a time; one that broke ends when nobody uses it any more, and the next call begins another.

    `sound` says of what was raised during a call whether the connection is none the worse for it.
    """

    def __init__(
        self, server: Server, secrets: Secrets, web: Web, sound: Callable[[Exception], bool]
    ) -> None:
        self._open = partial(_Connection, server, secrets, web)
        self._sound = sound
        self._now: _Connection | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """What speaks to the server. Raises whatever keeps the connection from beginning.

        What is raised within is raised again; `TooLarge` in its place where the server said too much.
        """
        if self._now is None or self._now.over:
            self._now = self._open()
        connection = self._now
        connection.users += 1
        try:
            yield await connection.client()
        except Exception as error:
            if connection is self._now and not self._sound(error):
                self._now = None
            if connection.flooded:
                raise TooLarge from None
            raise
        finally:
            connection.users -= 1
            if connection is not self._now and not connection.users:
                self._end(connection)

    async def close(self) -> None:
        """End it, whoever uses it."""
        connection, self._now = self._now, None
        if connection is not None:
            self._end(connection)
        await asyncio.gather(*self._ending)

    def _end(self, connection: _Connection) -> None:
        """A server may take a while to end, and whoever called it does not wait for that."""
        task = asyncio.create_task(connection.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


class _Connection:
    """Held by a task of its own: the library wants both ends in one task. `users` are the calls under way."""

    def __init__(self, server: Server, secrets: Secrets, web: Web) -> None:
        self._server = server
        self._secrets = secrets
        self._web = web
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold())
        self.users = 0
        self.flooded = False
        """Whether the server said more at once than is listened to."""

    @property
    def over(self) -> bool:
        """Whether it has ended, or will never begin."""
        return self._task.done()

    async def client(self) -> Client:
        """What speaks through it, as soon as it has begun."""
        return await asyncio.shield(self._ready)

    async def end(self) -> None:
        self._task.cancel()
        with contextlib.suppress(BaseException):
            await self._task

    async def _hold(self) -> None:
        ready = self._ready
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(_BEGIN):
                    client = await self._begin(stack)
                ready.set_result(client)
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            ready.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - who waits for the connection is told
            if not ready.done():
                ready.set_exception(error)
                ready.exception()  # nobody may be waiting any more

    async def _begin(self, stack: contextlib.AsyncExitStack) -> Client:
        # Most of a second, which nobody else should wait for.
        await asyncio.to_thread(import_module, "mcp.client.client")
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        from mcp.client.client import Client  # noqa: PLC0415 - start-up cost, and an extra

        if self._server.command:
            from stratarouter_runtime.agents.mcp_stdio import spoken  # noqa: PLC0415 - likewise

            env = await self._secrets.fill_all(self._server.env)
            return await stack.enter_async_context(
                Client(spoken(self._server.command, env, _LINE, self._flood))
            )
        from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415 - likewise

        http = await stack.enter_async_context(await self._web.open(cap=MAX_OUTPUT))
        http.headers.update(await filled(self._server.headers, self._secrets))
        transport = streamable_http_client(self._server.url, http_client=http)
        return await stack.enter_async_context(Client(transport))

    def _flood(self) -> None:
        self.flooded = True
