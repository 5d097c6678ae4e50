"""Structured lines on a stream: JSON for machines, columns for people.

What a line says are identities, kinds and figures; values of flows never. Fields that are named
like secrets are hidden all the same. Must never know: who writes lines.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, Protocol, TypeAlias

import orjson
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import MutableMapping

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Form: TypeAlias = Literal["json", "text"]

HIDDEN: Final = "[redacted]"
SECRET: Final = ("password", "secret", "authorization", "api_key", "cookie", "credential", "token")
"""A field whose name ends like one of these is hidden."""

QUIET: Final = ("uvicorn", "asyncio", "opentelemetry", "httpx", "httpcore", "httpx2")
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


def open_log(stream: BinaryIO, level: Level, form: Form, *, colours: bool = False) -> Log:
    """A log that writes to `stream`, one line an event, each at once."""
    import structlog  # noqa: PLC0415 - start-up: only who logs loads it

    rendering: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=24), _encode]
    )
    log: Log = structlog.wrap_logger(
        structlog.BytesLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            hide,
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind()
    return log


def capture(log: Log, level: Level) -> None:
    """Let what libraries say through `logging` come out as lines of this log."""
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(log)]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def hide(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put a mark in place of what is named like a secret."""
    for name in fields:
        if name.lower().endswith(SECRET):
            fields[name] = HIDDEN
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


def _json(fields: Any, **_: Any) -> bytes:
    return orjson.dumps(fields, default=str)


def _encode(_logger: object, _method: str, text: str) -> bytes:
    return text.encode(errors="backslashreplace")
