"""Lines reach their stream in their order, and a stream that takes none holds nobody up."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from tests.clocks import Hand
from typing_extensions import Buffer, override

from stratarouter_runtime.observability.logs import open_log
from stratarouter_runtime.observability.outlet import LATER, LINGER, ROOM, Outlet


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that nobody reads yet."""
    reading, writing = os.pipe()
    yield reading, writing
    for each in (reading, writing):
        with suppress(OSError):
            os.close(each)


def test_without_a_loop_a_line_is_there_at_once() -> None:
    stream = BytesIO()
    Outlet(stream).write(b"a", at_once=False)
    assert stream.getvalue() == b"a\n"


async def test_ordinary_lines_are_written_together() -> None:
    written: list[bytes] = []

    class Counting(BytesIO):
        @override
        def write(self, data: Buffer, /) -> int:
            written.append(bytes(data))
            return len(written[-1])

    outlet = Outlet(Counting())
    outlet.write(b"a", at_once=False)
    outlet.write(b"b", at_once=False)
    assert written == []
    await asyncio.sleep(2 * LINGER)
    assert written == [b"a\nb\n"]
    outlet.write(b"c", at_once=False)
    outlet.write(b"d", at_once=True)
    assert written == [b"a\nb\n", b"c\nd\n"]


def test_another_loop_takes_up_what_one_has_left() -> None:
    stream = BytesIO()
    outlet = Outlet(stream)
    loop = asyncio.new_event_loop()

    async def write() -> None:
        outlet.write(b"a", at_once=False)
        loop.stop()

    begun = loop.create_task(write())
    loop.run_forever()
    loop.close()
    assert begun.done()
    outlet.write(b"b", at_once=False)
    assert stream.getvalue() == b"a\nb\n"


async def test_a_pipe_that_nobody_reads_holds_nobody_up(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    log = open_log(os.fdopen(writing, "wb", closefd=False), Hand(), "info", "json")
    for number in range(3 * ROOM // 100):
        log.warning("x" * 200, number=number)
    os.set_blocking(reading, False)
    read = bytearray()
    while True:
        try:
            read += os.read(reading, 1 << 16)
        except BlockingIOError:
            if read.endswith(b"\n") and b"log lines lost" in read:
                break
            await asyncio.sleep(LATER)
            log.info("on we go")
    lines = [json.loads(line) for line in read.splitlines()]
    heard = [line["number"] for line in lines if "number" in line]
    assert heard == list(range(len(heard)))
    (told,) = [line for line in lines if line["event"] == "log lines lost"]
    assert told["count"] == 3 * ROOM // 100 - len(heard)


async def test_a_reader_who_has_gone_stops_nobody(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    outlet = Outlet(os.fdopen(writing, "wb", closefd=False))
    outlet.write(b"a", at_once=True)
    assert outlet.lost() == 0


def test_a_file_gets_it_all(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as stream:
        outlet = Outlet(stream)
        outlet.write(b"x" * (ROOM // 2), at_once=True)
        outlet.write(b"y", at_once=True)
    assert (tmp_path / "log").stat().st_size == ROOM // 2 + 3


def test_a_line_that_comes_while_one_is_written_follows_it() -> None:
    """The collector of cycles may have somebody say something at any moment, in the same thread."""

    class Interrupted(BytesIO):
        said = False

        @override
        def write(self, data: Buffer, /) -> int:
            if not self.said:
                self.said = True
                outlet.write(b"b", at_once=True)
            return super().write(bytes(data)[:2])

    stream = Interrupted()
    outlet = Outlet(stream)
    writing = threading.Thread(target=lambda: outlet.write(b"a", at_once=True), daemon=True)
    writing.start()
    writing.join(5)
    assert not writing.is_alive()
    assert stream.getvalue() == b"a\nb\n"
