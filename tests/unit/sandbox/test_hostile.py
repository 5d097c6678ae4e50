"""A worker that speaks to the server as no honest one would: each time a typed failure, and nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.sandbox.walled import MIB, a_call, text_cell

from stratarouter_runtime.sandbox import features
from stratarouter_runtime.sandbox.cells import BoxedCells
from stratarouter_runtime.sandbox.governor.shares import Room
from stratarouter_runtime.system import SystemClock

pytestmark = pytest.mark.skipif(
    any(features.found()[each] for each in features.needed("sandbox")),
    reason="the kernel lacks what walls need",
)

SPEAK = """
import gc, json, os, struct, threading, time
from stratarouter_runtime.sandbox import wire
def frame(document): return struct.pack("<I", len(document)) + document
def say(**fields): os.write(4, frame(json.dumps(fields).encode()))
def number():
    found = [each for each in gc.get_objects() if isinstance(each, wire.Ask)]
    import sys
    at = sys._getframe()
    while at is not None:
        for each in at.f_locals.values():
            if isinstance(each, wire.Ask): return each.number
        at = at.f_back
"""


@pytest.fixture
async def cells() -> AsyncIterator[BoxedCells]:
    made = BoxedCells(SystemClock(), Room(2_000, 1_024 * MIB))
    yield made
    await made.close()


REFUSED = [
    ("the length of four gigabytes", "os.write(4, b'\\xff' * 4)", "limit.output"),
    ("an empty document", "os.write(4, frame(b''))", "agent.unavailable"),
    ("no JSON", "os.write(4, frame(b'\\x80\\x04cos\\nsystem\\n'))", "agent.unavailable"),
    ("another form", "os.write(4, frame(b'[1, 2]'))", "agent.unavailable"),
    ("no text", 'os.write(4, frame(b\'{"number": 1, "kind": "\\xff\\xfe"}\'))', "agent.unavailable"),
    (
        "an output that is no text",
        'os.write(4, frame(b\'{"number": %d, "output": "\\xff"}\' % number()))',
        "agent.invalid_output",
    ),
    ("a depth without end", "os.write(4, frame(b'{\"data\":' + b'[' * 100_000))", "agent.unavailable"),
    ("an answer to another call", "say(number=number() + 1, output=1)", "agent.unavailable"),
    ("an answer to its start", "say(number=0, output=1)", "agent.unavailable"),
    ("dollars paid back", "say(number=number(), output=1, usd=-5)", "agent.unavailable"),
    (
        "dollars without end",
        'os.write(4, frame(b\'{"number": %d, "usd": 1e999}\' % number()))',
        "agent.unavailable",
    ),
    ("tokens paid back", "say(number=number(), output=1, tokens_in=-5)", "agent.unavailable"),
    ("a number of no size", "say(number=number(), output=1, tokens_in=10**30)", "agent.unavailable"),
    (
        "a message of a megabyte",
        "say(number=number(), kind='x', message='y' * (1 << 20))",
        "agent.unavailable",
    ),
    ("a kind of a megabyte", "say(number=number(), kind='x' * (1 << 20))", "agent.unavailable"),
    ("an output of a great depth", "say(number=number(), output=json.loads('[' * 900 + ']' * 900))", ""),
]


@pytest.mark.parametrize(("code", "kind"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
async def test_what_is_no_answer_ends_its_worker(cells: BoxedCells, code: str, kind: str) -> None:
    neighbour = text_cell("import os\ndef run(): return os.getpid()", cpu=0.1)
    beside = await cells.call(neighbour, a_call("neighbour"))
    text = f"{SPEAK}\ndef run():\n    {code}\n    time.sleep(1)\n    return 1"
    reply = await cells.call(text_cell(text, seconds=5), a_call())
    assert (reply.failure.kind if reply.failure else "") == kind
    if reply.failure is not None:
        assert len(reply.failure.message) < 4_000
        assert reply.usage is None or (reply.usage.usd, reply.usage.tokens_in) == (0, 0)
        kept = kind == "agent.invalid_output"  # it said so in due form
        assert cells.stats().workers == cells.stats().idle == 1 + kept, "the neighbour's"
    assert (await cells.call(neighbour, a_call("neighbour"))).output == beside.output


async def test_an_answer_given_twice_counts_once(cells: BoxedCells) -> None:
    text = f"{SPEAK}\nn = 0\ndef run():\n    global n\n    n += 1\n    say(number=number(), output=n)\n    return -n"
    cell = text_cell(text)
    said = []
    for _ in range(3):
        said.append((await cells.call(cell, a_call())).output)
        await asyncio.sleep(0.05)
    assert said == [1, 1, 1], "each from a worker of its own, since the second answer ended the first"


async def test_what_is_said_while_nobody_asks_is_no_answer(cells: BoxedCells) -> None:
    later = "def later(about):\n    time.sleep(0.05)\n    say(number=about + 1, output='forged')\n"
    text = f"{SPEAK}\n{later}def run():\n    threading.Thread(target=later, args=(number(),)).start()\n    return 1"
    cell = text_cell(text)
    assert (await cells.call(cell, a_call())).output == 1
    await asyncio.sleep(0.2)
    assert (await cells.call(cell, a_call())).output == 1
    assert cells.stats().started == 2


async def test_half_a_frame_is_not_kept_for_the_next_call(cells: BoxedCells) -> None:
    text = (
        f"{SPEAK}\ndef later():\n    time.sleep(0.05)\n    os.write(4, b'\\1')\n"
        "def run():\n    threading.Thread(target=later).start()\n    return 1"
    )
    cell = text_cell(text)
    assert (await cells.call(cell, a_call())).output == 1
    await asyncio.sleep(0.2)
    assert (await cells.call(cell, a_call())).output == 1


async def test_an_answer_after_the_deadline_is_none(cells: BoxedCells) -> None:
    text = "import time\ndef run():\n    time.sleep(0.6)\n    return 'late'"
    reply = await cells.call(text_cell(text, seconds=0.2), a_call())
    assert reply.output is None
    assert reply.failure is not None
    assert reply.failure.kind == "limit.time"


async def test_a_worker_that_ended_while_idle_holds_nothing_for_long(cells: BoxedCells) -> None:
    text = "import os, threading\ndef run():\n    threading.Timer(0.05, os._exit, [1]).start()\n    return 1"
    assert (await cells.call(text_cell(text), a_call())).output == 1
    async with asyncio.timeout(5):
        while cells.stats().governor.memory_used:  # noqa: ASYNC110 - looked at once a second
            await asyncio.sleep(0.05)
    assert cells.stats().workers == 0


async def test_an_answer_in_drops_is_bounded_by_time(cells: BoxedCells) -> None:
    text = f"{SPEAK}\ndef run():\n    os.write(4, struct.pack('<I', 1000))\n    while True:\n        os.write(4, b' '); time.sleep(0.05)"
    reply = await cells.call(text_cell(text, seconds=0.3), a_call())
    assert reply.failure is not None
    assert reply.failure.kind == "limit.time"


async def test_the_memory_of_a_worker_knows_nothing_of_other_tenants(cells: BoxedCells) -> None:
    secret = "a secret of acme, 4711"  # noqa: S105 - to be looked for
    await cells.call(text_cell("def run(text): return len(text)"), a_call("acme", text=secret))
    search = (
        "import gc\ndef run():\n    return [str(each)[:200] for each in gc.get_objects()"
        " if isinstance(each, (dict, list, tuple)) and ''.join(['of acme,', ' 4711']) in str(each)]"
    )
    reply = await cells.call(text_cell(search, seconds=30, cpu_seconds=30), a_call("other"))
    assert reply.failure is None, reply.failure
    assert reply.output == []
