"""Text and modules that do their worst inside their interpreter: each a typed failure, in bounded time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator

import orjson
import pytest
from blake3 import blake3
from tests.unit.sandbox.walled import MIB, a_call

from stratarouter_runtime.agents.snippets import find_monty
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.ports import AgentReply, Cell
from stratarouter_runtime.sandbox import features
from stratarouter_runtime.sandbox.cells import BoxedCells
from stratarouter_runtime.sandbox.governor.shares import Room
from stratarouter_runtime.system import SystemClock

wasmtime = pytest.importorskip("wasmtime")
pytest.importorskip("pydantic_monty")

pytestmark = pytest.mark.skipif(
    any(features.found()[each] for each in features.needed("sandbox")),
    reason="the kernel lacks what walls need",
)


@pytest.fixture
async def cells() -> AsyncIterator[BoxedCells]:
    made = BoxedCells(SystemClock(), Room(2_000, 2_048 * MIB))
    yield made
    await made.close()


async def on_monty(cells: BoxedCells, code: str) -> AgentReply:
    """What comes of calling this text with 64 MiB and half a second."""
    binary = find_monty("test")
    setup = {"code": code, "binary": binary, "cpu_seconds": 0.5, "memory": 64 * MIB}
    cell = Cell(
        "sandbox",
        "stratarouter_runtime.agents.inside.monty",
        Digest(blake3(code.encode()).hexdigest()),
        orjson.dumps(setup),
        memory=384 * MIB,
        seconds=2,
        cpu_seconds=2,
        programs=(binary,),
        spawning=True,
    )
    return await cells.call(cell, a_call())


TEXTS = [
    ("a file", "def run(): return open('/etc/passwd').read()", "sandbox"),
    ("a module", "def run():\n    import subprocess\n    return 1", "sandbox"),
    ("the C library", "import ctypes\ndef run(): return 1", "sandbox"),
    ("the import of imports", "def run(): return __import__('os')", "agent.unavailable"),
    (
        "classes of objects",
        "def run(): return ().__class__.__bases__[0].__subclasses__()",
        "agent.unavailable",
    ),
    ("classes through formats", "def run(): return '{0.__class__.__mro__}'.format(1)", "agent.unavailable"),
    ("globals of functions", "def f(): pass\ndef run(): return f.__globals__", "agent.unavailable"),
    ("code of functions", "def f(): pass\ndef run(): return f.__code__", "agent.unavailable"),
    ("how objects are copied", "def run(): return [].__reduce__()", "agent.unavailable"),
    ("modules at hand", "import sys\ndef run(): return sys.modules", "agent.unavailable"),
    ("the environment", "import os\ndef run(): return os.environ['PATH']", "agent.unavailable"),
    ("a command", "import os\ndef run(): return os.system('id')", "agent.unavailable"),
    ("a large power", "def run(): return 10**10**8", "limit.memory"),
    ("a long text", "def run(): return len('x' * 10**10)", "limit.memory"),
    ("a long list", "def run(): return len([0] * 10**10)", "limit.memory"),
    ("a text that doubles", "def run():\n    s = 'x'\n    while True: s = s + s", "limit.memory"),
    ("a replacement", "def run(): return len(('a' * 10**5).replace('a', 'b' * 10**5))", "limit.memory"),
    ("a recursion", "def run(): return run()", "limit.memory"),
    ("a loop", "def run():\n    while True: pass", "limit.cpu"),
    ("a loop in one call", "def run(): return sum(range(10**12))", "limit.cpu"),
    ("a loop before any call", "while True: pass", "limit.cpu"),
    ("backtracking", "import re\ndef run(): return re.match(r'(a*)*\\1b', 'a' * 64)", "agent.unavailable"),
    ("nested text", f"def run(): return {'(' * 3_000}1{')' * 3_000}", "agent.unavailable"),
    (
        "nested output",
        "def run():\n    x = []\n    for _ in range(10**5): x = [x]\n    return x",
        "agent.invalid_output",
    ),
    ("a large output", "def run(): return 'x' * (10 << 20)", "limit.output"),
    ("no JSON", "def run(): return {1, 2}", "agent.invalid_output"),
]


@pytest.mark.parametrize(("code", "kind"), [each[1:] for each in TEXTS], ids=[each[0] for each in TEXTS])
async def test_text_does_not_leave_its_interpreter(cells: BoxedCells, code: str, kind: str) -> None:
    reply = await on_monty(cells, code)
    assert reply.failure is not None, reply.output
    assert reply.failure.kind == kind, reply.failure.message
    assert len(reply.failure.message) <= 2_000


async def test_text_cannot_replace_what_calls_it(cells: BoxedCells) -> None:
    code = "def __strata_call(given, seed): return 'mine'\ndef run(): return 'run'"
    assert (await on_monty(cells, code)).output == "run"


MEMORY = '(memory (export "memory") 1)'
ALLOC = '(func (export "alloc") (param i32) (result i32) i32.const 1024)'
EMPTY = '(func (export "run") (param i32 i32) (result i64) i64.const 0)'


def run(body: str, beside: str = "") -> str:
    return f'(module {MEMORY} {ALLOC} {beside} (func (export "run") (param i32 i32) (result i64) {body}))'


def says(size: int, data: str, failure: str = "0") -> str:
    """A module that answers with so many bytes of its data."""
    at = f"(i64.or (i64.const {failure}) (i64.or (i64.shl (i64.const 2048) (i64.const 32)) (i64.const {size})))"
    return run(at, f'(data (i32.const 2048) "{data}")')


MODULES = [
    ("a loop", run("(loop br 0) i64.const 0"), "limit.cpu"),
    ("a loop when it starts", run("i64.const 0", "(func $s (loop br 0)) (start $s)"), "limit.cpu"),
    ("a recursion", run("call $f i64.const 0", "(func $f call $f)"), "limit.memory"),
    ("memory without end", f'(module (memory (export "memory") 65536) {ALLOC} {EMPTY})', "limit.memory"),
    ("a second memory", run("i64.const 0", "(memory 1)"), "limit.memory"),
    ("a large table", run("i64.const 0", "(table 10000000 funcref)"), "limit.memory"),
    ("a trap", run("unreachable"), "agent.unavailable"),
    ("a trap when it starts", run("i64.const 0", "(func $s unreachable) (start $s)"), "agent.unavailable"),
    ("reading beyond", run("(drop (i32.load (i32.const -4))) i64.const 0"), "agent.unavailable"),
    ("an answer beyond", run("i64.const 0x7fffffffffffffff"), "agent.invalid_output"),
    ("an answer of four gigabytes", run("i64.const 0xffffffff"), "agent.invalid_output"),
    ("a failure beyond", run("i64.const -1"), "agent.invalid_output"),
    ("a failure that is none", says(2, "[]", "0x8000000000000000"), "agent.invalid_output"),
    ("an answer that is nested", says(60_000, "[" * 60_000), "agent.invalid_output"),
    ("an answer of two", says(4, "[][]"), "agent.invalid_output"),
    (
        "a memory of nothing",
        f'(module (memory (export "memory") 0) (func (export "alloc") (param i32) (result i32) i32.const 0) {EMPTY})',
        "agent.invalid_output",
    ),
    (
        "room beyond",
        f'(module {MEMORY} (func (export "alloc") (param i32) (result i32) i32.const -8) {EMPTY})',
        "agent.invalid_output",
    ),
    (
        "room of another type",
        f'(module {MEMORY} (func (export "alloc") (param i64) (result i32) i32.const 8) {EMPTY})',
        "agent.unavailable",
    ),
    ("a function that is a memory", f'(module (memory (export "run") 1) {ALLOC})', "agent.unavailable"),
    ("no memory", f"(module {ALLOC} {EMPTY})", "agent.unavailable"),
    (
        "a function of ours",
        f'(module (import "env" "f" (func)) {MEMORY} {ALLOC} {EMPTY})',
        "agent.unavailable",
    ),
]


async def in_wasm(cells: BoxedCells, code: bytes) -> AgentReply:
    """What comes of calling this module with 16 MiB and a million instructions."""
    setup = {"module": b64encode(code).decode(), "fuel": 1_000_000, "memory": 16 * MIB}
    cell = Cell(
        "wasm",
        "stratarouter_runtime.agents.inside.wasm",
        Digest(blake3(code).hexdigest()),
        orjson.dumps(setup),
        memory=208 * MIB,
        disk=MIB,
        seconds=5,
        cpu_seconds=5,
    )
    return await cells.call(cell, a_call(n=1))


@pytest.mark.parametrize(("text", "kind"), [each[1:] for each in MODULES], ids=[each[0] for each in MODULES])
async def test_a_module_does_not_leave_its_memory(cells: BoxedCells, text: str, kind: str) -> None:
    code = bytes(wasmtime.wat2wasm(text))
    for _ in range(2):
        reply = await in_wasm(cells, code)
        assert reply.failure is not None, reply.output
        assert reply.failure.kind == kind, reply.failure.message


@pytest.mark.parametrize("code", [b"\0asm\1\0\0\0", b"\0asm\1\0\0\0\xff\xff", b"\0asm\x0d\0\1\0"])
async def test_what_is_no_module_of_ours_is_refused(cells: BoxedCells, code: bytes) -> None:
    reply = await in_wasm(cells, code)
    assert reply.failure is not None
    assert reply.failure.kind == "agent.unavailable"


async def test_a_module_begins_with_its_data(cells: BoxedCells) -> None:
    assert (await in_wasm(cells, bytes(wasmtime.wat2wasm(says(2, "42"))))).output == 42
