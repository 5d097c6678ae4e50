"""Structured lines on a stream: JSON for machines, columns for people.

What a line says are identities, kinds and figures; values of flows never. Fields that are named
like secrets are hidden all the same. Must never know: who writes lines.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, Protocol, TypeAlias

import orjson
from typing_extensions import override

from stratarouter_runtime.observability.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence

    from stratarouter_runtime.ports import Clock

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Form: TypeAlias = Literal["json", "text"]
Processor: TypeAlias = "Callable[[Any, str, Any], Any]"
"""A step of structlog's on the way from fields to bytes."""

LEVELS: Final[tuple[Level, ...]] = ("debug", "info", "warning", "error")

URGENT: Final = frozenset({"warning", "error"})
"""Levels of lines that are written at once."""

HIDDEN: Final = "[redacted]"
SECRET: Final = ("password", "secret", "authorization", "api_key", "cookie", "credential", "token")
"""A field whose name ends like one of these is hidden."""

QUIET: Final = ("uvicorn", "asyncio", "opentelemetry", "httpx", "httpcore", "httpx2", "httpcore2")
"""Libraries that are heard from warnings on, whatever the level."""


class Log(Protocol):
    """Takes lines. `event` says what happened in a few words, and is the same for all of its kind."""

    def debug(self, event: str, **fields: Any) -> Any:
        """Of interest to somebody who looks for something."""

    def info(self, event: str, **fields: Any) -> Any:
        """Part of the ordinary course."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Somebody should look at it, but the work goes on."""

    def error(self, event: str, **fields: Any) -> Any:
        """Something was lost, or is about to be; `exc_info` may hold an exception."""


class Handed(Log):
    """Hands lines on to the standard library's `logging`, for whoever embeds the runtime."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("stratarouter_runtime")

    @override
    def debug(self, event: str, **fields: Any) -> None:
        self._hand(logging.DEBUG, event, fields)

    @override
    def info(self, event: str, **fields: Any) -> None:
        self._hand(logging.INFO, event, fields)

    @override
    def warning(self, event: str, **fields: Any) -> None:
        self._hand(logging.WARNING, event, fields)

    @override
    def error(self, event: str, **fields: Any) -> None:
        self._hand(logging.ERROR, event, fields)

    def _hand(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            raised = fields.pop("exc_info", None)
            told = " ".join(f"{name}={value}" for name, value in hide(None, "", fields).items())
            self._logger.log(level, "%s %s", event, told, exc_info=raised)


def open_log(stream: BinaryIO, clock: Clock, level: Level, form: Form, *, colours: bool = False) -> Log:
    """A log that writes to `stream`, one line an event; to a file of the system it holds nobody up."""
    import structlog  # noqa: PLC0415 - start-up: only who logs loads it

    rendering: list[Processor] = (
        [structlog.processors.format_exc_info, _json]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=24, timestamp_key="at"), _encode]
    )
    return _Lean(Outlet(stream), [_Stamp(clock), hide, *rendering], level)


def capture(log: Log, level: Level) -> None:
    """Let what libraries say through `logging` come out as lines of this log."""
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(log)]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def hide(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put a mark in place of what is named like a secret."""
    for name in _secrets(tuple(fields)):
        fields[name] = HIDDEN
    return fields


@lru_cache(maxsize=256)
def _secrets(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name.lower().endswith(SECRET))


class _Lean(Log):
    """Sends lines through structlog's processors, without the context that it carries for each logger.

    Binding and copying that context takes most of the time of a line, and nobody here binds anything.
    """

    def __init__(self, outlet: Outlet, processors: Sequence[Processor], level: Level) -> None:
        self._outlet = outlet
        self._processors = processors
        self._heard = frozenset(LEVELS[LEVELS.index(level) :])

    @override
    def debug(self, event: str, **fields: Any) -> None:
        self._line("debug", event, fields)

    @override
    def info(self, event: str, **fields: Any) -> None:
        self._line("info", event, fields)

    @override
    def warning(self, event: str, **fields: Any) -> None:
        self._line("warning", event, fields)

    @override
    def error(self, event: str, **fields: Any) -> None:
        self._line("error", event, fields)

    def _line(self, level: Level, event: str, fields: dict[str, Any]) -> None:
        if level not in self._heard:
            return
        if lost := self._outlet.lost():
            self.warning("log lines lost", count=lost, detail="nobody took them from where the log goes to")
        line: Any = {"at": "", "level": level, "event": event, **fields}
        for process in self._processors:
            line = process(None, level, line)
        self._outlet.write(line, at_once=level in URGENT)


class _Stamp:
    """Puts the time on a line, RFC 3339 in UTC; a second is written out once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1
        self._text = ""

    def __call__(
        self, _logger: object, _method: str, fields: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """The line with its time."""
        second, micros = divmod(self._clock.now(), 1_000_000)
        if second != self._second:
            self._second, self._text = second, strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        fields["at"] = f"{self._text}.{micros:06d}Z"
        return fields


class _Bridge(logging.Handler):
    """Hands on records of the standard library."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    @override
    def emit(self, record: logging.LogRecord) -> None:
        write = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        if record.levelno < logging.WARNING:
            write = self._log.info if record.levelno >= logging.INFO else self._log.debug
        more = {"exc_info": record.exc_info} if record.exc_info else {}
        write(record.getMessage(), source=record.name, **more)


def _json(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> bytes:
    return orjson.dumps(fields, default=str)


def _encode(_logger: object, _method: str, text: str) -> bytes:
    return text.encode(errors="backslashreplace")
