"""Real workers behind real walls: what they do wrong is a typed failure, and nobody else's trouble."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

import pytest
from msgspec.structs import replace
from tests.unit.sandbox.walled import MIB, a_call, text_cell

from stratarouter_runtime.errors import InvalidSetting, LeaseLost, LinkError
from stratarouter_runtime.sandbox import features
from stratarouter_runtime.sandbox.cells import BoxedCells
from stratarouter_runtime.sandbox.governor.shares import Room
from stratarouter_runtime.sandbox.walls import Feature, waived
from stratarouter_runtime.system import SystemClock

pytestmark = pytest.mark.skipif(
    any(features.found()[each] for each in features.needed("sandbox")),
    reason="the kernel lacks what walls need",
)

WHO = "import os\ndef run(): return os.getpid()"
COUNT = "n = 0\ndef run():\n    global n\n    n += 1\n    return n"


@pytest.fixture
async def cells() -> AsyncIterator[BoxedCells]:
    made = BoxedCells(SystemClock(), Room(2_000, 1_024 * MIB))
    yield made
    await made.close()


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def test_a_worker_is_used_again_by_its_tenant_and_version_only(cells: BoxedCells) -> None:
    cell = text_cell(WHO)
    first = (await cells.call(cell, a_call())).output
    assert (await cells.call(cell, a_call())).output == first
    assert (await cells.call(cell, a_call("other"))).output != first
    assert (await cells.call(text_cell(WHO + "\n"), a_call())).output != first


async def test_calls_at_once_have_workers_of_their_own(cells: BoxedCells) -> None:
    cell = text_cell("import os, time\ndef run():\n    time.sleep(0.1)\n    return os.getpid()", cpu=0.1)
    replies = await asyncio.gather(*(cells.call(cell, a_call()) for _ in range(3)))
    assert len({reply.output for reply in replies}) == 3
    assert cells.stats().workers == cells.stats().idle == 3


async def test_a_worker_is_retired_after_so_many_calls(cells: BoxedCells) -> None:
    cell = text_cell(COUNT, calls=2)
    assert [(await cells.call(cell, a_call())).output for _ in range(5)] == [1, 2, 1, 2, 1]


async def test_a_worker_that_computes_while_nobody_calls_is_ended(cells: BoxedCells) -> None:
    code = "import os, threading\ndef spin():\n    while True: pass\ndef run():\n"
    code += "    threading.Thread(target=spin, daemon=True).start()\n    return os.getpid()"
    pid = (await cells.call(text_cell(code), a_call())).output
    quiet = (await cells.call(text_cell(WHO), a_call())).output
    async with asyncio.timeout(10):
        while not gone(pid):  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.1)
    assert not gone(quiet)


async def test_a_worker_that_leaks_is_retired(cells: BoxedCells) -> None:
    leaking = "held = []\ndef run():\n    held.append(bytearray(30 << 20))\n    return len(held)"
    cell = text_cell(leaking, memory=128 * MIB)
    counts = [(await cells.call(cell, a_call())).output for _ in range(8)]
    assert 1 in counts[1:], "it was made anew"
    assert None not in counts, "and before it ran out"


FAULTS = [
    ("import os\ndef run(): os._exit(3)", "agent.unavailable"),
    ("import ctypes\ndef run(): ctypes.string_at(0)", "agent.unavailable"),
    ("def run(): raise ValueError('no')", "agent.unavailable"),
    ("def run(:", "agent.unavailable"),
    ("x = 1", "agent.unavailable"),
    ("import sys\ndef run(): sys.exit(0)", "agent.unavailable"),
    ("import os\ndef run(): os.fork()", "sandbox.process"),
    ("import subprocess\ndef run(): subprocess.run(['/bin/true'])", "sandbox.process"),
    ("import socket\ndef run(): socket.socket()", "sandbox.network"),
    ("def run(): open('/etc/shadow')", "sandbox"),
    ("import ctypes\ndef run(): ctypes.CDLL(None).unshare(0)", "sandbox"),
    ("def run(): return bytearray(1 << 31)", "limit.memory"),
    ("def run(): return 'x' * (9 << 20)", "limit.output"),
    ("def run():\n    with open('f', 'wb') as f:\n        while True: f.write(bytes(1 << 20))", "limit.disk"),
    ("def run(): return {1}", "agent.invalid_output"),
    ("import os\ndef run():\n    os.write(4, b'no answer at all')\n    return 1", "limit.output"),
    ("import os\ndef run():\n    os.write(4, b'\\2\\0\\0\\0[]')\n    return 1", "agent.unavailable"),
    ("import os\ndef run():\n    os.close(4)\n    return 1", "agent.unavailable"),
]


@pytest.mark.parametrize(("code", "kind"), FAULTS)
async def test_a_fault_is_typed_and_the_worker_replaced(cells: BoxedCells, code: str, kind: str) -> None:
    neighbour = await cells.call(text_cell(WHO), a_call("neighbour"))
    failed = await cells.call(text_cell(code), a_call())
    assert failed.failure is not None
    assert failed.failure.kind == kind
    assert failed.isolation == "sandbox"
    again = await cells.call(text_cell(code), a_call())
    assert again.failure is not None
    assert again.failure.kind == kind
    assert (await cells.call(text_cell(WHO), a_call("neighbour"))).output == neighbour.output


HANGING = [
    "import time\ndef run(): time.sleep(60)",
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ndef run(): time.sleep(60)",
    "def run():\n    while True: pass",
    "import threading\ndef run(): threading.Event().wait()",
]


@pytest.mark.parametrize("code", HANGING)
async def test_what_hangs_is_ended_in_time(cells: BoxedCells, code: str) -> None:
    began = perf_counter()
    reply = await cells.call(text_cell(code, seconds=0.2), a_call())
    assert reply.failure is not None
    assert reply.failure.kind == "limit.time"
    assert perf_counter() - began < 3


async def test_cpu_time_is_not_wall_time(cells: BoxedCells) -> None:
    spinning = await cells.call(text_cell("def run():\n    while True: pass", cpu_seconds=0.2), a_call())
    assert spinning.failure is not None
    assert spinning.failure.kind == "limit.cpu"
    waiting = text_cell("import time\ndef run():\n    time.sleep(0.5)\n    return 1", cpu_seconds=0.2)
    assert (await cells.call(waiting, a_call())).output == 1


async def test_what_is_printed_goes_nowhere(cells: BoxedCells) -> None:
    loud = "import os\ndef run():\n    print('x' * 100_000)\n    os.write(1, b'y')\n    os.write(2, b'z')\n    return 1"
    assert (await cells.call(text_cell(loud), a_call())).output == 1


async def test_a_call_that_is_given_up_ends_its_worker(cells: BoxedCells) -> None:
    cell = text_cell("import os, time\ndef run(nap):\n    time.sleep(nap)\n    return os.getpid()")
    pid = (await cells.call(cell, a_call(nap=0))).output
    task = asyncio.create_task(cells.call(cell, a_call(nap=60)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await cells.close()
    assert gone(pid)
    assert cells.stats().governor.cpu_used == cells.stats().governor.memory_used == 0


async def test_the_zygote_is_replaced_too(cells: BoxedCells) -> None:
    cell = text_cell("import os\ndef run(): return [os.getpid(), os.getppid()]")
    pid, zygote = (await cells.call(cell, a_call())).output
    os.kill(zygote, signal.SIGKILL)
    while not gone(pid):  # noqa: ASYNC110 - the kernel tells nobody
        await asyncio.sleep(0.01)
    replies = [await cells.call(cell, a_call()) for _ in range(3)]
    assert replies[-1].output[1] != zygote


async def test_the_caller_s_deadline_bounds_a_call(cells: BoxedCells) -> None:
    soon = SystemClock().now() + 100_000
    reply = await cells.call(text_cell(HANGING[0]), a_call(deadline=soon))
    assert reply.failure is not None
    assert reply.failure.kind == "limit.time"


async def test_what_is_more_than_there_is_is_refused_by_name(cells: BoxedCells) -> None:
    for changed, kind in ({"cpu": 3.0}, "limit.cpu"), ({"memory": 4_096 * MIB}, "limit.memory"):
        reply = await cells.call(text_cell(WHO, **changed), a_call())
        assert reply.failure is not None
        assert reply.failure.kind == kind
        assert "there" in reply.failure.message or "can be reserved" in reply.failure.message


async def test_idle_workers_make_room(cells: BoxedCells) -> None:
    for number in range(6):
        reply = await cells.call(text_cell(WHO, memory=256 * MIB), a_call(f"tenant {number}"))
        assert reply.failure is None
    await asyncio.sleep(0.05)
    assert cells.stats().governor.memory_used <= 1_024 * MIB


async def test_who_waits_for_a_processor_holds_no_worker_that_others_wait_for(cells: BoxedCells) -> None:
    large = {"memory": 600 * MIB, "cpu": 2.0}
    idle = text_cell(WHO, **large)
    assert (await cells.call(idle, a_call("waiting"))).failure is None
    busy = asyncio.create_task(
        cells.call(text_cell("import time\ndef run(): time.sleep(0.4)", cpu=2.0), a_call("busy"))
    )
    await asyncio.sleep(0.1)
    first = asyncio.create_task(cells.call(text_cell(COUNT, **large), a_call("first")))
    await asyncio.sleep(0.01)
    again = await cells.call(idle, a_call("waiting"))
    assert ((await busy).failure, (await first).failure, again.failure) == (None, None, None)
    assert (cells.stats().governor.timed_out, cells.stats().governor.cpu_used) == (0, 0)


async def test_idle_workers_stay_where_all_together_would_not_do(cells: BoxedCells) -> None:
    quiet = text_cell(WHO, memory=64 * MIB, disk=MIB)
    pid = (await cells.call(quiet, a_call())).output
    slow = text_cell("import time\ndef run(): time.sleep(0.5)", memory=600 * MIB, cpu=0.5)
    busy = asyncio.create_task(cells.call(slow, a_call("busy")))
    await asyncio.sleep(0.1)
    late = await cells.call(text_cell(WHO, memory=800 * MIB, cpu=0.5, seconds=0.2), a_call("large"))
    assert late.failure is not None
    assert late.failure.kind == "limit.time"
    assert (await cells.call(quiet, a_call())).output == pid
    assert (await busy).failure is None


async def test_who_waits_too_long_for_room_is_told(cells: BoxedCells) -> None:
    slow = text_cell("import time\ndef run(): time.sleep(1)", cpu=2.0)
    busy = asyncio.create_task(cells.call(slow, a_call()))
    await asyncio.sleep(0.05)
    reply = await cells.call(text_cell(WHO, cpu=1.0, seconds=0.1), a_call("other"))
    assert reply.failure is not None
    assert reply.failure.kind == "limit.time"
    assert "no room" in reply.failure.message
    assert (await busy).failure is None


async def test_a_call_begins_only_where_nobody_else_may_have_begun_it(cells: BoxedCells) -> None:
    async def confirm() -> None:
        raise LeaseLost

    cell = text_cell(COUNT)
    with pytest.raises(LeaseLost):
        await cells.call(cell, replace(a_call(), confirm=confirm))
    assert (await cells.call(cell, a_call())).output == 1  # by the worker that was ready
    assert (cells.stats().started, cells.stats().governor.cpu_used) == (1, 0)


async def test_the_loop_goes_on_meanwhile(cells: BoxedCells) -> None:
    """Starting, asking and ending workers never holds up the loop, however long each takes."""
    longest, stop = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal longest
        while not stop.is_set():
            before = perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, perf_counter() - before)

    await cells.call(text_cell(WHO), a_call())
    watching = asyncio.create_task(watch())
    await asyncio.gather(*(cells.call(text_cell(code, seconds=0.5), a_call()) for code, _ in FAULTS))
    stop.set()
    await watching
    assert longest < 0.25, "an order of magnitude above what it takes, for a busy machine"


async def test_a_missing_feature_refuses_the_agent_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking: dict[Feature, str] = {**features.found(), "landlock": "it is turned off"}
    monkeypatch.setattr(features, "found", lambda: lacking)
    with pytest.raises(LinkError, match=r"'snip'.*landlock \(it is turned off\)") as refused:
        BoxedCells(SystemClock(), Room(2_000, 1_024 * MIB)).admit("snip", text_cell(WHO))
    assert refused.value.hint is not None
    assert "STRATA_SANDBOX_WITHOUT=landlock" in refused.value.hint
    allowed = BoxedCells(SystemClock(), Room(2_000, 1_024 * MIB), waived=frozenset({"landlock"}))
    allowed.admit("snip", text_cell(WHO))
    try:
        reply = await allowed.call(text_cell(WHO), a_call())
        assert reply.isolation == "sandbox without landlock"
        assert reply.failure is None
    finally:
        await allowed.close()


@pytest.mark.parametrize("name", ["landlock-net", "landlock-scope", "walls"])
def test_only_what_a_level_needs_can_be_done_without(name: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{name}, which no level needs"):
        waived(f"seccomp, {name}")
    assert waived("seccomp, pidfd") == {"seccomp", "pidfd"}


async def test_what_a_call_took_is_told_as_the_kernel_counts(cells: BoxedCells) -> None:
    spinning = "import time\ndef run(seconds, mib):\n    held = bytearray(mib << 20)\n    until = time.process_time() + seconds\n"
    cell = text_cell(spinning + "    while time.process_time() < until: pass\n    return len(held)")
    idle = (await cells.call(cell, a_call(seconds=0, mib=1))).usage
    busy = (await cells.call(cell, a_call(seconds=0.2, mib=40))).usage
    assert idle is not None
    assert busy is not None
    assert idle.cpu_ms < 100
    assert 195 < busy.cpu_ms < 1_000
    assert busy.memory_kib - idle.memory_kib > 30 * 1_024


async def test_what_a_worker_says_of_itself_is_believed_within_reason(cells: BoxedCells) -> None:
    """This text is the worker's own code, and tells whatever it likes."""
    lying = "import sys\ndef run():\n    inside = sys.modules['stratarouter_runtime.sandbox.inside']\n"
    lying += "    inside._below = lambda: 1e8\n    held = bytearray(40 << 20)\n    return 1"
    reply = await cells.call(text_cell(lying), a_call())
    assert (reply.output, reply.failure) == (1, None)
    assert reply.usage is not None
    assert reply.usage.cpu_ms <= reply.usage.ms * len(os.sched_getaffinity(0))
    assert reply.usage.memory_kib > 40 * 1_024


REPORTS = "from stratarouter_runtime.builder.usage import report\n"


@pytest.mark.parametrize(
    ("code", "reported", "usd"),
    [
        ("def run(): return 1", False, 0.0),
        (REPORTS + "def run(): report(usd=0.0)", True, 0.0),
        (REPORTS + "def run(): report(usd=0.25)", True, 0.25),
        (REPORTS + "def run():\n    report(usd=0.5)\n    raise ValueError", True, 0.5),
    ],
)
async def test_what_was_reported_is_told_with_that_it_was(
    cells: BoxedCells,
    code: str,
    reported: bool,  # noqa: FBT001 - a row
    usd: float,
) -> None:
    reply = await cells.call(text_cell(code), a_call())
    assert reply.usage is not None
    assert (reply.reported, reply.usage.usd) == (reported, usd)


async def test_an_output_may_have_exactly_so_many_bytes(cells: BoxedCells) -> None:
    cell = text_cell("def run(size): return 'x' * (size - 2)", output=1_000)
    assert len((await cells.call(cell, a_call(size=1_000))).output) == 998
    for size in 1_001, 9_000:
        reply = await cells.call(cell, a_call(size=size))
        assert reply.failure is not None
        assert reply.failure.kind == "limit.output"


async def test_what_an_ended_worker_took_is_told_too(cells: BoxedCells) -> None:
    spinning = "def run():\n    held = bytearray(40 << 20)\n    while True: pass"
    reply = await cells.call(text_cell(spinning, cpu_seconds=0.2), a_call())
    assert reply.failure is not None
    assert reply.usage is not None
    assert 195 < reply.usage.cpu_ms < 2_000
    assert reply.usage.memory_kib > 40 * 1_024
