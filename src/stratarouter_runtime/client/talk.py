"""What a client says, hears and does next: conversations, free of any connection.

A conversation is a generator: it yields what to send, or for how long to pause, and is told
what came back. One text so serves threads and asyncio alike. Must never know: sockets,
clocks, or how either kind of client waits.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from stratarouter_runtime.api.models import Problem
from stratarouter_runtime.client.errors import Refused, Unreachable

T = TypeVar("T")

TRIES: Final = 9
"""How often a request is sent at most: with the pauses between, long enough for a server to start again."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 10.0
"""Seconds between two tries: doubled from the first, unless the server says how long."""

PASSING: Final = frozenset({429, 502, 503, 504})
"""Statuses of refusals that may be over when the same is asked again."""

JSON: Final = "application/json"


class Call(Struct, frozen=True):
    """A request to send. `wait` is for how many seconds the server may hold it.

    `again`: whether it may be sent again although it may have arrived, since that changes nothing.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    query: Mapping[str, str | Sequence[str]] = {}
    wait: float = 0.0
    again: bool = True


class Pause(Struct, frozen=True):
    """Seconds to let pass."""

    seconds: float


class Heard(Struct, frozen=True):
    """An answer: header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Lost(Struct, frozen=True):
    """No answer came, or not all of it. `sent`: whether the request may have arrived."""

    reason: str
    sent: bool = True


Talk: TypeAlias = Generator[Call | Pause, Heard | Lost | None, T]


def asked(call: Call, *, expected: frozenset[int] = frozenset()) -> Talk[Heard]:
    """Send a request until it is answered, as often as is safe.

    Raises `Refused` for every status of 400 and above but the `expected`, `Unreachable` where no
    answer comes.
    """
    for number in range(TRIES):
        heard = yield call
        last = number == TRIES - 1
        match heard:
            case Heard() if heard.status in PASSING and heard.status not in expected and not last:
                yield Pause(pause(number, heard.headers.get("retry-after", "")))
            case Heard() if heard.status < 400 or heard.status in expected:
                return heard
            case Heard():
                raise Refused(problem_of(heard))
            case Lost() if last or (heard.sent and not call.again):
                raise Unreachable(f"{call.method} {call.path}: {heard.reason}")
            case _:
                yield Pause(pause(number))
    raise AssertionError  # the last try returns or raises


def fetched(call: Call, type_: type[T]) -> Talk[T]:
    """Send a request, and read its answer as a record."""
    heard = yield from asked(call)
    return msgspec.json.decode(heard.body, type=type_)


def pause(number: int, told: str = "") -> float:
    """Seconds to let pass after try `number`, from 0: as `told` by `Retry-After`, else ever more."""
    if told.isascii() and told.isdigit():
        return min(float(told), LONGEST_PAUSE)
    return min(FIRST_PAUSE * 2.0**number, LONGEST_PAUSE)


def problem_of(heard: Heard) -> Problem:
    """What the server says is wrong; something between the two may have said it in other words."""
    try:
        return msgspec.json.decode(heard.body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = heard.body[:500].decode("utf-8", "replace")
        return Problem("about:blank", "", heard.status, text, "", f"http-{heard.status}", "")
