"""Calls of WebAssembly functions whose types were checked once, when their module was compiled, and their memory.

The library asks for the types of a function at every call, and converts each value by them, and makes
a type of each length that is read or written: that takes longer than all else that a call does here. What is used instead is `wasm.h` and
`wasmtime.h` of its C interface. Must never know: what a function is for.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, Final

from wasmtime import FuncType, Memory, Module, Store, Trap, WasmtimeError, _ffi

from stratarouter_runtime.builder.agents import AgentError

_RAW: Final = ctypes.c_uint64 * 4
"""Two values as `wasmtime_val_raw_t` has them, 16 bytes each; an i32 is the low half of the first eight."""
_CALL: Final[Any] = _ffi.dll.wasmtime_func_call_unchecked
_SIZE: Final[Any] = _ffi.dll.wasmtime_memory_data_size
_DATA: Final[Any] = _ffi.dll["wasmtime_memory_data"]
"""A function object of our own: what it returns is taken for an address, and not for a pointer."""
_DATA.restype = ctypes.c_void_p
_DATA.argtypes = _ffi.dll.wasmtime_memory_data.argtypes
_TYPES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "alloc": (("i32",), ("i32",)),
    "run": (("i32", "i32"), ("i64",)),
    "seed": (("i64",), ()),
}


def check(module: Module) -> None:
    """Raise `AgentError` where a function that is called here is exported with another type, or as none."""
    exported = {each.name: each.type for each in module.exports}
    for name, (params, results) in _TYPES.items():
        found = exported.get(name)
        if found is None and name == "seed":
            continue
        if not isinstance(found, FuncType):
            raise AgentError("agent.unavailable", f"its module exports no function '{name}'")
        said = tuple(str(each) for each in found.params), tuple(str(each) for each in found.results)
        if said != (params, results):
            wanted = f"({', '.join(params)}) -> ({', '.join(results)})"
            raise AgentError("agent.unavailable", f"its module's '{name}' has to be {wanted}")


class Typed:
    """A function of an instance: takes one or two integers, and returns one without its sign, or nothing.

    Only for functions of a module that `check` has seen: nothing is looked at here any more.
    """

    def __init__(self, store: Store, function: Any) -> None:
        self._context = store._context()  # noqa: SLF001 - the C interface begins here
        self._function = function._func  # noqa: SLF001 - likewise
        self._address = ctypes.byref(self._function)
        self._values = _RAW()
        self._raw = ctypes.cast(self._values, ctypes.POINTER(_ffi.wasmtime_val_raw_t))

    def __call__(self, first: int, second: int = 0) -> int:
        """Raises `Trap`, or `WasmtimeError`."""
        values, trap = self._values, ctypes.POINTER(_ffi.wasm_trap_t)()
        values[0], values[2] = first, second
        error = _CALL(self._context, self._address, self._raw, 2, ctypes.byref(trap))
        if error:
            raise WasmtimeError._from_ptr(error)  # noqa: SLF001 - likewise
        if trap:  # type: ignore[truthy-bool]  # a null pointer is false
            raise Trap._from_ptr(trap)  # noqa: SLF001 - likewise
        return int(values[0])


class Linear:
    """The memory of an instance. It may grow, and lie elsewhere, with every call of a function."""

    def __init__(self, store: Store, memory: Memory) -> None:
        self._context = store._context()  # noqa: SLF001 - the C interface begins here
        self._memory = memory._memory  # noqa: SLF001 - likewise
        self._address = ctypes.byref(self._memory)

    def read(self, at: int, size: int) -> bytes:
        """So many bytes. Raises `IndexError` where they are not all there."""
        return ctypes.string_at(self._within(at, size), size)

    def write(self, at: int, data: bytes) -> None:
        """Put them there. Raises `IndexError` where they would not all be."""
        ctypes.memmove(self._within(at, len(data)), data, len(data))

    def _within(self, at: int, size: int) -> int:
        if not 0 <= at <= int(_SIZE(self._context, self._address)) - size:
            raise IndexError(at)
        return int(_DATA(self._context, self._address) or 0) + at
