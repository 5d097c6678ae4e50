from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from tests.clocks import Hand

from stratarouter_runtime.observability.logs import HIDDEN, Form, Handed, Level, Log, capture, open_log


def opened(level: Level = "debug", form: Form = "json") -> tuple[Log, BytesIO]:
    stream = BytesIO()
    return open_log(stream, Hand(1_763_834_400_000_042), level, form), stream


def lines(stream: BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, which is put back."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_a_line_has_its_time_its_level_and_what_happened_first() -> None:
    log, stream = opened()
    log.info("execution ended", execution="exec_1", ms=1.5, step=None)
    (line,) = lines(stream)
    assert line == {
        "at": "2025-11-22T18:00:00.000042Z",
        "level": "info",
        "event": "execution ended",
        "execution": "exec_1",
        "ms": 1.5,
        "step": None,
    }
    assert list(line)[:3] == ["at", "level", "event"]


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_not_written(level: Level, heard: list[str]) -> None:
    log, stream = opened(level)
    for write in (log.debug, log.info, log.warning, log.error):
        write("x")
    assert [line["level"] for line in lines(stream)] == heard


@pytest.mark.parametrize("name", ["password", "API_KEY", "access_token", "Authorization", "client_secret"])
def test_a_field_named_like_a_secret_is_hidden(name: str) -> None:
    log, stream = opened()
    log.info("x", **{name: "hunter2", "tokens_in": 3})
    (line,) = lines(stream)
    assert (line[name], line["tokens_in"]) == (HIDDEN, 3)


def test_an_exception_is_told_with_its_traceback() -> None:
    log, stream = opened()
    log.error("request failed", exc_info=ZeroDivisionError("hm"))
    (line,) = lines(stream)
    assert "ZeroDivisionError: hm" in line["exception"]


def test_columns_are_for_people() -> None:
    log, stream = opened(form="text")
    log.warning("execution left", execution="exec_1")
    text = stream.getvalue().decode()
    assert "execution left" in text
    assert "execution=exec_1" in text
    assert text.count("\n") == 1


def test_what_libraries_say_comes_out_the_same_way(root: logging.Logger) -> None:
    log, stream = opened("info")
    capture(log, "info")
    logging.getLogger("some.library").warning("beware of %s", "it")
    logging.getLogger("uvicorn.error").info("chatter")
    (line,) = lines(stream)
    assert (line["level"], line["event"], line["source"]) == ("warning", "beware of it", "some.library")


def test_without_a_log_lines_go_to_whoever_embeds_the_runtime(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Handed().info("execution ended", execution="exec_1", password="x")  # noqa: S106 - to be hidden
        Handed().debug("call ended")
    (record,) = caplog.records
    assert record.getMessage() == f"execution ended execution=exec_1 password={HIDDEN}"
