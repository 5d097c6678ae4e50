"""A stretch of wire to the database that can be cut at the moment that matters."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal

Cut = Literal["before", "after", "silent"]


class Wire:
    """Forwards connections to a port; `cut` says what becomes of the next message that holds a word.

    `before`: the connection ends and the message is lost. `after`: the message arrives, the
    connection ends without the answer. `silent`: the message arrives, and nothing comes back,
    not even an end. Other connections go on.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._cut: tuple[bytes, Cut] | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.happened = asyncio.Event()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self, word: bytes, how: Cut) -> None:
        self._cut = word, how

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, on = await asyncio.open_connection("127.0.0.1", self._target)
        quiet = asyncio.Event()
        answers = asyncio.create_task(self._answers(there, back, quiet))
        try:
            await self._requests(here, on, quiet)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            answers.cancel()
            for writer in (on, back):
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
            self._tasks.discard(task)

    async def _requests(
        self, here: asyncio.StreamReader, on: asyncio.StreamWriter, quiet: asyncio.Event
    ) -> None:
        while data := await here.read(65_536):
            how = self._due(data)
            if how == "before":
                return
            if how is not None:
                quiet.set()
            on.write(data)
            await on.drain()
            if how == "after":
                # Long enough for the server to commit.
                await asyncio.sleep(0.2)
                return

    async def _answers(
        self, there: asyncio.StreamReader, back: asyncio.StreamWriter, quiet: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await there.read(65_536):
                if not quiet.is_set():
                    back.write(data)
                    await back.drain()
            back.close()

    def _due(self, data: bytes) -> Cut | None:
        if self._cut is None or self._cut[0] not in data:
            return None
        how, self._cut = self._cut[1], None
        self.cuts += 1
        self.happened.set()
        return how
