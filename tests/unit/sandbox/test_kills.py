"""Whoever is killed, nothing stays: no process, no descriptor, no folder, no reserved memory."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest
from msgspec.structs import replace
from tests.unit.sandbox.walled import MIB, a_call, text_cell

from stratarouter_runtime.ids import Digest
from stratarouter_runtime.ports import Cell
from stratarouter_runtime.sandbox import features, zygotes
from stratarouter_runtime.sandbox.cells import BoxedCells
from stratarouter_runtime.sandbox.governor.shares import Room
from stratarouter_runtime.system import SystemClock

pytestmark = pytest.mark.skipif(
    any(features.found()[each] for each in features.needed("sandbox")),
    reason="the kernel lacks what walls need",
)

WHO = "import os\ndef run(): return [os.getpid(), os.getppid()]"
NAP = "import time\ndef run(): time.sleep(60)"


@pytest.fixture
async def cells() -> AsyncIterator[BoxedCells]:
    made = BoxedCells(SystemClock(), Room(4_000, 4_096 * MIB))
    yield made
    await made.close()


def sleeping() -> Cell:
    """A program that sleeps for longer than any test."""
    program = str(Path("/bin/sleep").resolve())
    setup = {"program": program, "arguments": [program, "987"], "prints": "text", "output": MIB}
    return replace(
        text_cell("", level="command", program="stratarouter_runtime.agents.inside.command"),
        digest=Digest("sleep"),
        setup=orjson.dumps(setup),
        seconds=60,
        programs=(program,),
        reads=(program,),
        spawning=True,
    )


def children(pid: int) -> set[int]:
    """The children of a process, dead ones that nobody asked for among them."""
    try:
        return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):
        return set()


def below(pid: int) -> set[int]:
    """Every process below this one."""
    own = children(pid)
    return own.union(*(below(each) for each in own))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.01)


def listed(folder: str) -> set[str]:
    return {each.name for each in Path(folder).iterdir()}


def descriptors() -> set[str]:
    """What this process has open, as the kernel names it."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{each.name} {each.readlink()}")
        except FileNotFoundError:  # that of the look itself
            continue
    return found


async def zygote_of(cells: BoxedCells) -> int:
    reply = await cells.call(text_cell(WHO), a_call("prober"))
    pid: int = reply.output[1]
    return pid


async def started(zygote: int, calls: int) -> set[int]:
    """Every process below the zygote once each of so many calls has started its program."""

    def sleepers() -> int:
        return sum(1 for each in below(zygote) if "987" in cmdline(each))

    await until(lambda: sleepers() == calls)
    return below(zygote)


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.parametrize("whom", ["worker", "zygote"])
async def test_what_is_killed_takes_what_it_started_along(cells: BoxedCells, whom: str) -> None:
    zygote = await zygote_of(cells)
    task = asyncio.create_task(cells.call(sleeping(), a_call()))
    family = await started(zygote, 1)
    workers = [each for each in children(zygote) if children(each)]
    assert len(workers) == 1, "the one with a program below it"
    os.kill(zygote if whom == "zygote" else workers[0], signal.SIGKILL)
    reply = await task
    assert reply.failure is not None
    assert reply.failure.kind == "agent.unavailable"
    left = {each for each in family if "987" in cmdline(each)} | set(workers)
    await until(lambda: not any(alive(each) for each in left))
    assert (await cells.call(text_cell(WHO), a_call())).failure is None


async def test_a_call_that_is_given_up_ends_its_program(cells: BoxedCells) -> None:
    zygote = await zygote_of(cells)
    task = asyncio.create_task(cells.call(sleeping(), a_call()))
    family = await started(zygote, 1)
    programs = {each for each in family if "987" in cmdline(each)}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not any(alive(each) for each in programs))


async def test_no_descriptor_stays_however_calls_end(cells: BoxedCells) -> None:
    await zygote_of(cells)
    await cells.close()
    await asyncio.sleep(0.05)
    before = descriptors()
    zygote = await zygote_of(cells)
    ends = [
        "import os\ndef run(): os._exit(3)",
        "def run(:",
        "def run(): return 1",
        "import os\ndef run(): os.close(4)",
    ]
    for code in ends * 4:
        await cells.call(text_cell(code, calls=1), a_call())
    given_up = [asyncio.create_task(cells.call(text_cell(NAP, cpu=0.1), a_call())) for _ in range(8)]
    await asyncio.sleep(0.1)
    for task in given_up:
        task.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    os.kill(zygote, signal.SIGKILL)
    await cells.call(text_cell(WHO), a_call())
    await cells.close()
    await until(lambda: descriptors() == before)
    governor = cells.stats().governor
    assert (governor.cpu_used, governor.memory_used, cells.stats().workers) == (0, 0, 0)


async def test_the_zygote_reaps_all_and_holds_nothing(cells: BoxedCells) -> None:
    zygote = await zygote_of(cells)
    held = len(listed(f"/proc/{zygote}/fd"))
    once = text_cell("def run(): return 1", calls=1)
    await asyncio.gather(*(cells.call(once, a_call()) for _ in range(20)))
    await until(lambda: len(children(zygote)) == 1)
    assert len(listed(f"/proc/{zygote}/fd")) == held


LACKING = """
import os, sys
from stratarouter_runtime.sandbox import zygote
made, really = 0, getattr(os, "{call}")
def lacking(*given):
    global made
    made += 1
    if made == 2:
        raise OSError(11, "there are too many")
    return really(*given)
os.{call} = lacking
zygote.main(int(sys.argv[1]))
"""


@pytest.mark.parametrize("call", ["fork", "pidfd_open"])
async def test_a_worker_that_cannot_be_made_is_nobody_else_s_trouble(
    cells: BoxedCells, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    command = (sys.executable, "-I", "-c", LACKING.format(call=call))
    monkeypatch.setattr(zygotes, "_COMMAND", command)
    neighbour = await cells.call(text_cell(WHO), a_call("neighbour"))
    failed = await cells.call(text_cell(WHO), a_call())
    assert failed.failure is not None
    assert (failed.failure.kind, "too many" in failed.failure.message) == ("agent.unavailable", True)
    assert (await cells.call(text_cell(WHO), a_call("neighbour"))).output == neighbour.output
    assert (await cells.call(text_cell(WHO), a_call())).failure is None
    stats = cells.stats()
    assert (stats.workers, stats.governor.memory_used) == (2, 2 * 320 * MIB)


SERVER = """
    import asyncio, json, os, sys
    from tests.unit.sandbox.test_kills import NAP, WHO, sleeping, zygote_of
    from tests.unit.sandbox.walled import MIB, a_call, text_cell
    from stratarouter_runtime.sandbox.cells import BoxedCells
    from stratarouter_runtime.sandbox.governor.shares import Room
    from stratarouter_runtime.system import SystemClock

    async def main():
        cells = BoxedCells(SystemClock(), Room(2_000, 1_024 * MIB))
        zygote = await zygote_of(cells)
        tasks = [asyncio.create_task(cells.call(cell, a_call())) for cell in (sleeping(), text_cell(NAP, cpu=0.1))]
        await asyncio.sleep(0.5)
        print(zygote, flush=True)
        await asyncio.gather(*tasks)

    asyncio.run(main())
"""


@pytest.mark.parametrize("first", ["the server", "who forks"])
async def test_a_server_that_is_killed_leaves_nothing(first: str) -> None:
    folders = listed("/tmp")  # noqa: S108 - to see that nothing is put there
    server = subprocess.Popen(  # noqa: S603, ASYNC220 - a server of our own, to be killed
        [sys.executable, "-c", textwrap.dedent(SERVER)], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert server.stdout is not None
    zygote = int(await asyncio.to_thread(server.stdout.readline))
    family = await started(zygote, 1)
    assert len(family) >= 3, "workers, and a program below one"
    if first == "who forks":
        server.send_signal(signal.SIGSTOP)  # so that it cannot see to anything
        os.kill(zygote, signal.SIGKILL)
    server.kill()
    server.wait()
    server.stdout.close()
    await until(lambda: not any(alive(each) for each in family | {zygote}))
    new = listed("/tmp") - folders  # noqa: S108 - likewise
    assert not [each for each in new if each.startswith("strata-box")]
