"""What goes between the server, the zygote and a worker: JSON documents, each behind its length.

Read and written by `read` and `write` alone, so that a worker needs no socket. Must never know:
who sits at the other end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from struct import Struct as Layout
from typing import Annotated, Any, Final, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from stratarouter_runtime.sandbox.walls import Walls

_LENGTH: Final = Layout("<I")
HEADER: Final = _LENGTH.size
CHUNK: Final = 65_536


_Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]


class Order(Struct, frozen=True):
    """To the zygote, with two descriptors (to read from, to write to): a worker is wanted."""

    number: int
    program: str
    walls: Walls


class Born(Struct, frozen=True, tag="born"):
    """From the zygote, with a descriptor of the process: the worker lives."""

    number: int
    pid: int


class Unborn(Struct, frozen=True, tag="unborn"):
    """From the zygote: there will be no such worker, and why."""

    number: int
    why: str


class Ended(Struct, frozen=True, tag="ended"):
    """From the zygote: the worker has ended, and what it used (seconds, KiB). `status` as `wait` has it."""

    number: int
    status: int
    cpu: float
    rss: int


class Ask(Struct, frozen=True, omit_defaults=True):
    """To a worker: one call. `time` is in seconds, and what is left until somebody ends the worker."""

    number: int
    input: Any
    seed: str = ""
    key: str = ""
    attempt: int = 1
    time: float = 0.0


class Tell(Struct, frozen=True, omit_defaults=True):
    """From a worker: what came of a call; `number` 0 says that it is ready, or why it cannot be.

    `reported` says that its code told what it cost. `cpu` is in seconds spent by processes of its own, and
    its word only.
    """

    number: int
    output: Raw | UnsetType = UNSET
    kind: Annotated[str, Meta(max_length=200)] = ""
    message: Annotated[str, Meta(max_length=4_000)] = ""
    data: Any = None
    usd: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    tokens_in: _Count = 0
    tokens_out: _Count = 0
    reported: bool = False
    cpu: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    spent: bool = False
    """Whether this worker is not to be called again."""


def frame(document: bytes) -> bytes:
    """A document behind its length."""
    return _LENGTH.pack(len(document)) + document


def length(header: bytes | bytearray) -> int:
    """The length that a frame begins with."""
    found: int = _LENGTH.unpack_from(header)[0]
    return found


def reader(descriptor: int) -> Callable[[], bytes | None]:
    """A function that waits for the next document; None where the other end has closed."""
    held = bytearray()

    def more() -> bool:
        chunk = os.read(descriptor, CHUNK)
        held.extend(chunk)
        return bool(chunk)

    def following() -> bytes | None:
        while len(held) < HEADER or len(held) < HEADER + length(held):
            if not more():
                return None
        end = HEADER + length(held)
        document = bytes(held[HEADER:end])
        del held[:end]
        return document

    return following


def write(descriptor: int, document: bytes) -> None:
    """Write a whole frame, however often that takes."""
    left = memoryview(frame(document))
    while left:
        left = left[os.write(descriptor, left) :]
