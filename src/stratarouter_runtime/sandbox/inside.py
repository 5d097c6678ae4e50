"""The loop of a worker: a program is started once, then asked and answered until its pipe closes.

Whatever a program does becomes a document; nothing is written anywhere else. Must never know:
what a program does, or which walls it stands in.
"""

from __future__ import annotations

import errno
import os
import resource
import select
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
import orjson
from msgspec import Raw
from msgspec.structs import replace

from stratarouter_runtime.builder.agents import AgentError, words_of
from stratarouter_runtime.builder.conversion import encode, unknown_to_json
from stratarouter_runtime.builder.usage import Meter
from stratarouter_runtime.sandbox import wire
from stratarouter_runtime.sandbox.filter import ENONET

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Answer


class Program(Protocol):
    """A module that a worker runs. `load` is called before the walls close, `start` behind them."""

    def load(self) -> None:
        """Import what takes long; the same for every worker of this program."""
        ...

    def start(self, setup: Any) -> Answer:
        """Make ready to answer."""
        ...


SPENT: Final = "strata_spent"
"""An attribute of an answer: this worker answers once."""

READY: Final = "ready"
"""A method of an answer that prepares for the next call, while nobody waits."""

_KINDS: Final[Mapping[int, str]] = {
    ENONET: "sandbox.network",
    errno.ECHILD: "sandbox.process",
    errno.EAGAIN: "sandbox.process",
    errno.EPERM: "sandbox",
    errno.EACCES: "sandbox",
    errno.EROFS: "sandbox",
    errno.ENOSPC: "limit.disk",
    errno.EFBIG: "limit.disk",
    errno.EMFILE: "limit.disk",
    errno.EDQUOT: "limit.disk",
    errno.ENOMEM: "limit.memory",
}
_MOST: Final = 2_000
_BREATH: Final = 0.0002
"""Seconds that getting ready for the next call waits, unless that is there already."""


_ASKS: Final = msgspec.json.Decoder(wire.Ask)
_REHEARSALS: Final = 16


def rehearse() -> None:
    """Answer a few calls to nobody: what that makes warm, every worker that is forked here finds warm."""
    first = msgspec.json.encode(wire.Ask(1, {"n": 1}, "0"))
    for _ in range(_REHEARSALS):
        read_from, write_to = os.pipe()
        wire.write(write_to, first)
        document = wire.reader(read_from)()
        assert document is not None
        wire.write(write_to, msgspec.json.encode(_answered(lambda ask: ask.input, _ASKS.decode(document))))
        os.close(read_from)
        os.close(write_to)


def serve(program: Program, read_from: int, write_to: int) -> None:
    """Start the program with the first document, then answer the others, one after the other."""
    following = wire.reader(read_from)
    first = following()
    if first is None:
        return
    answer, told = _started(program, msgspec.json.decode(first))
    wire.write(write_to, msgspec.json.encode(told))
    ready = getattr(answer, READY, None)
    while answer is not None and (document := following()) is not None:
        wire.write(write_to, msgspec.json.encode(_answered(answer, _ASKS.decode(document))))
        if ready is not None:
            # Who waits for the answer may share this processor, and goes first.
            select.select([read_from], [], [], _BREATH)
            ready()


def _started(program: Program, setup: Any) -> tuple[Answer | None, wire.Tell]:
    try:
        return program.start(setup), wire.Tell(0)
    except BaseException as error:  # noqa: BLE001 - whatever it raises is why it cannot be called
        return None, _failed(0, error)


def _answered(answer: Answer, ask: wire.Ask) -> wire.Tell:
    before = _below()
    with Meter() as meter:
        told = _told(answer, ask)
    return replace(
        told,
        usd=meter.usd,
        tokens_in=meter.tokens_in,
        tokens_out=meter.tokens_out,
        reported=meter.reported,
        cpu=_below() - before,
    )


def _told(answer: Answer, ask: wire.Ask) -> wire.Tell:
    try:
        output = Raw(orjson.dumps(answer(ask), default=unknown_to_json))
        return wire.Tell(ask.number, output, spent=getattr(answer, SPENT, False))
    except BaseException as error:  # noqa: BLE001 - whatever it raises is its failure
        return _failed(ask.number, error)


def _failed(number: int, error: BaseException) -> wire.Tell:
    if isinstance(error, AgentError):
        return wire.Tell(number, kind=error.kind, message=_cut(error.message), data=_data(error.data))
    if isinstance(error, TimeoutError):
        return wire.Tell(number, kind="timeout", message=_cut(f"gave up waiting: {error}"))
    kind = next((found for each in _chain(error) if (found := _kind(each))), "agent.unavailable")
    return wire.Tell(number, kind=kind, message=_cut(words_of(error)), spent=kind.startswith("limit"))


def _kind(error: BaseException) -> str | None:
    """What a breach of the walls raises says of itself."""
    match error:
        case MemoryError():
            return "limit.memory"
        case RuntimeError(args=("can't start new thread",)):
            return "sandbox.process"
        case OSError(errno=int(number)):
            return _KINDS.get(number)
        case orjson.JSONEncodeError():
            return "agent.invalid_output"
        case _:
            return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, and those it came of."""
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        yield following
        following = following.__cause__ or following.__context__


def _cut(message: str) -> str:
    return message[:_MOST].encode(errors="replace").decode()


def _data(data: Any) -> Any:
    """What a failure carries, where that is JSON."""
    try:
        return orjson.loads(orjson.dumps(encode(data), default=unknown_to_json))
    except (TypeError, ValueError):
        return None


def _below() -> float:
    """Seconds of CPU that processes took which this one started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
