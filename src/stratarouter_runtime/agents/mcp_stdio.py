"""An MCP server that is a process of this machine: its standard streams as the library's transport.

In place of the library's own, which keeps a line that has no end for as long as memory lasts. Must
never know: tools, or who calls them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    Heard: TypeAlias = SessionMessage | Exception
    Streams: TypeAlias = tuple[MemoryObjectReceiveStream[Heard], MemoryObjectSendStream[SessionMessage]]

_GRACE: Final = 2.0
"""Seconds that a server gets to end when its input has ended, and again when it is told to."""
_LOOK: Final = 0.01
_GONE: Final = (anyio.ClosedResourceError, anyio.BrokenResourceError, ConnectionError)


@asynccontextmanager
async def spoken(
    command: Sequence[str], env: Mapping[str, str], cap: int, overrun: Callable[[], None]
) -> AsyncGenerator[Streams]:
    """Start a server, and end it with all that it has started. A line has at most `cap` bytes.

    A longer one ends what is heard of the server, after `overrun` was called. Raises `OSError` where it
    cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**get_default_environment(), **env},
        start_new_session=True,
        limit=cap,
    )
    telling, heard = anyio.create_memory_object_stream["Heard"](0)
    saying, said = anyio.create_memory_object_stream[SessionMessage](0)
    tasks = [
        asyncio.create_task(_hear(process, telling, overrun)),
        asyncio.create_task(_say(process, said, telling)),
    ]
    try:
        yield heard, saying
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _end(process)
        for stream in (telling, heard, saying, said):
            stream.close()


async def _hear(
    process: Process, telling: MemoryObjectSendStream[Heard], overrun: Callable[[], None]
) -> None:
    """Pass on what the server says, a line at a time, until it says no more."""
    assert process.stdout is not None
    with telling, suppress(*_GONE):
        while True:
            try:
                line = await process.stdout.readuntil()
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                overrun()
                return
            await telling.send(_message(line))


async def _say(
    process: Process,
    said: MemoryObjectReceiveStream[SessionMessage],
    telling: MemoryObjectSendStream[Heard],
) -> None:
    """Tell the server what it is to be told; where it does not listen, nothing is heard of it any more either."""
    assert process.stdin is not None
    try:
        async for each in said:
            document = each.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(f"{document}\n".encode())
            await process.stdin.drain()
    except _GONE:
        telling.close()


def _message(line: bytes) -> Heard:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _end(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if await _ended(process):
            break
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    await _ended(process)
    # What the server has left behind may hold its streams open, and nothing else lets go of them.
    with suppress(ProcessLookupError, PermissionError):
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - as said


async def _ended(process: Process) -> bool:
    """Whether it ends soon; waiting for it would be waiting for whoever shares its streams, too."""
    for _ in range(int(_GRACE / _LOOK)):
        if process.returncode is not None:
            return True
        await asyncio.sleep(_LOOK)
    return False
