"""WebAssembly modules: JSON in and out through linear memory, a budget of instructions, and nothing else.

A module exports `memory`, `alloc(size: i32) -> i32` and `run(at: i32, size: i32) -> i64`; what `run`
returns is `at << 32 | size` of its output, with bit 63 set where that is a failure. `seed(i64)` is
called first where it is exported; `alloc` is called with 4096, and again for an input larger than
that. Every call is a new instance, so that an answer depends on the input, the seed and the module
alone. Must never know: which walls stand around.
"""

from __future__ import annotations

import threading
import time
from base64 import b64decode
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from wasmtime import Config, Engine, Instance, Memory, Module, Store, Trap, TrapCode, WasmtimeError

from stratarouter_runtime.agents.inside.wasm_calls import Linear, Typed, check
from stratarouter_runtime.builder.agents import AgentError

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Answer, Ask

_TICK: Final = 0.01
_FAILURE: Final = 1 << 63
_LOW: Final = (1 << 32) - 1
_TABLE: Final = 100_000
_GUARD: Final = 65_536
USUAL: Final = 4096
"""Bytes that are asked for before the input is known; a larger input asks again."""
_LINGER: Final = 50
_START_SECONDS: Final = 10.0


def load() -> None:
    """The engine came with this module."""


class _Ticker:
    """Moves the engine's epoch while calls are made; a thread of its own, for a module holds up this one.

    It goes on for a while after the last call, since waking it costs a call more than its ticks do.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._awake = threading.Event()
        self._left = 0
        threading.Thread(target=self._tick, daemon=True).start()

    def stir(self, seconds: float) -> None:
        """Tick for at least so long."""
        self._left = int(seconds / _TICK) + _LINGER
        if not self._awake.is_set():
            self._awake.set()

    def rest(self) -> None:
        """The call has been answered: tick for a little while, and no longer."""
        self._left = _LINGER

    def _tick(self) -> None:
        while self._awake.wait():
            time.sleep(_TICK)
            self._engine.increment_epoch()
            self._left -= 1
            if self._left <= 0:
                self._awake.clear()


class _Prepared:
    """An instance that nobody has called yet, and what it exports. Raises `AgentError` where it cannot be."""

    def __init__(self, engine: Engine, module: Module, setup: Any) -> None:
        self.store = Store(engine)
        self.store.set_fuel(setup["fuel"])
        # What a module does when it is instantiated has no caller whose patience could end.
        self.store.set_epoch_deadline(int(_START_SECONDS / _TICK))
        self.store.set_limits(
            memory_size=setup["memory"], table_elements=_TABLE, instances=1, tables=4, memories=1
        )
        try:
            exports = Instance(self.store, module, []).exports(self.store)
            self.alloc, self.run = Typed(self.store, exports["alloc"]), Typed(self.store, exports["run"])
            self.at = self.alloc(USUAL) & _LOW
        except (Trap, WasmtimeError) as error:
            raise _failure(error) from None
        memory = exports.get("memory")
        if not isinstance(memory, Memory):
            raise AgentError("agent.unavailable", "its module exports no memory")
        self.memory = Linear(self.store, memory)
        self.seed = None if exports.get("seed") is None else Typed(self.store, exports["seed"])


class _Wasm:
    """Answers with instances that were made before they were asked for."""

    def __init__(self, engine: Engine, module: Module, setup: Any) -> None:
        self._ticker = _Ticker(engine)
        self._make = partial(_Prepared, engine, module, setup)
        self._next: _Prepared | None = self._make()
        self._used: _Prepared | None = None

    def ready(self) -> None:
        """Make the instance of the next call; why it cannot be is told when it is asked for."""
        self._used = None
        with suppress(AgentError):
            self._next = self._make()

    def __call__(self, ask: Ask) -> Any:
        prepared = self._used = self._next or self._make()
        self._next = None
        prepared.store.set_epoch_deadline(int(ask.time / _TICK) + 2)
        self._ticker.stir(ask.time)
        try:
            packed, said = _exchange(prepared, ask)
        except (Trap, WasmtimeError) as error:
            raise _failure(error) from None
        finally:
            self._ticker.rest()
        if packed & _FAILURE:
            if not isinstance(said, dict):
                raise AgentError("agent.invalid_output", "the failure that it wrote is no object")
            raise AgentError(str(said.get("kind")), str(said.get("message", "")), said.get("data"))
        return said


def start(setup: Any) -> Answer:
    """Compile `setup.module` (base64); a call may use `setup.fuel` and `setup.memory` bytes."""
    engine = Engine(_config(setup["memory"]))
    try:
        module = Module(engine, b64decode(setup["module"]))
    except WasmtimeError as error:
        raise AgentError("agent.unavailable", f"its module cannot be compiled: {error}") from None
    if module.imports:
        wanted = ", ".join(f"{each.module}.{each.name}" for each in module.imports)
        raise AgentError("agent.unavailable", f"its module imports {wanted}; nothing can be imported")
    check(module)
    return _Wasm(engine, module, setup)


def _config(memory: int) -> Config:
    config = Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    config.parallel_compilation = False
    # Every choice that a machine could make differently is made here.
    config.cranelift_nan_canonicalization = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_threads = False
    # Address space is what is limited out here: nothing is set aside that is not used.
    config.memory_reservation = memory
    config.memory_reservation_for_growth = 0
    config.memory_guard_size = _GUARD
    config.max_wasm_stack = 512 * 1024
    # Its image of a module with data would need a memfd, which the walls refuse.
    config.memory_init_cow = False
    return config


def _exchange(prepared: _Prepared, ask: Ask) -> tuple[int, Any]:
    memory = prepared.memory
    if prepared.seed is not None:
        prepared.seed(int(ask.seed[:16] or "0", 16) & (_FAILURE - 1))
    given = orjson.dumps(ask.input)
    at = prepared.at if len(given) <= USUAL else prepared.alloc(len(given)) & _LOW
    try:
        memory.write(at, given)
        packed = prepared.run(at, len(given))
        start_at, size = packed >> 32 & 0x7FFFFFFF, packed & _LOW
        said = memory.read(start_at, size)
    except IndexError:
        raise AgentError("agent.invalid_output", "it points outside its memory") from None
    try:
        return packed, orjson.loads(said)
    except orjson.JSONDecodeError as error:
        raise AgentError("agent.invalid_output", f"what it wrote is no JSON: {error}") from None


def _failure(error: Exception) -> AgentError:
    """Why an instance stopped, or could not be made."""
    told = str(error)
    code = error.trap_code if isinstance(error, Trap) else None
    match code:
        case TrapCode.OUT_OF_FUEL:
            return AgentError("limit.cpu", "it used up its fuel")
        case TrapCode.INTERRUPT:
            return AgentError("limit.time", "it did not answer in time")
        case TrapCode.STACK_OVERFLOW:
            return AgentError("limit.memory", "its stack is exhausted")
        case None if "limit" in told:
            return AgentError("limit.memory", told.splitlines()[0])
        case _:
            return AgentError("agent.unavailable", f"it trapped: {told.splitlines()[-1].strip()}")
