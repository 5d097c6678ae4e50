"""Reads an inbox: customer messages, one JSON object a line, or CLINC150's own file.

Must never know: what is done with the messages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from stratarouter_runtime.errors import InvalidInput, NotFound

MAX_BYTES: Final = 64 * 1024 * 1024
_SPLITS: Final = ("test", "oos_test", "val", "oos_val", "train", "oos_train")
"""The parts of CLINC150's file, those meant for testing first."""


class Message(Struct, frozen=True, omit_defaults=True):
    """One customer message. `route` is what a correct router answers with, where that is known."""

    id: str
    text: str
    subject: str = ""
    route: str | None = None


def read_inbox(path: Path, *, limit: int | None = None) -> list[Message]:
    """The messages of the file, in its order, at most `limit`.

    A line of JSONL is `{"text"}` with optional `id`, `subject` and `route`; a message without
    an id is numbered by its line. In CLINC150's file (`data_full.json` and its like) the
    intent is taken for the route, and the parts meant for testing come first. Raises
    `NotFound` where there is no file and `InvalidInput`, naming the line, for anything else.
    """
    data = _read(path)
    splits = _clinc(data)
    messages = _lines(data, path) if splits is None else _intents(splits, path)
    if not messages:
        raise InvalidInput(f"{path} holds no messages", hint='write one {"text": …} a line')
    return messages[:limit]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no inbox at {path}", hint="name a JSONL file") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{path} is larger than {MAX_BYTES >> 20} MiB", hint="split the inbox")
    return data


def _clinc(data: bytes) -> dict[str, Any] | None:
    """The whole file as CLINC150 has it: an object of lists, some of them named as its parts."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    known = isinstance(document, dict) and any(split in document for split in _SPLITS)
    return document if known else None


def _intents(splits: dict[str, Any], path: Path) -> list[Message]:
    messages: list[Message] = []
    for split in _SPLITS:
        try:
            pairs = msgspec.convert(splits.get(split, []), list[tuple[str, str]])
        except msgspec.ValidationError as error:
            raise InvalidInput(f"{path}: {split}: {error}", pointer=f"/{split}") from None
        messages += [
            Message(id=f"{split}-{number}", text=text, route=intent)
            for number, (text, intent) in enumerate(pairs, 1)
        ]
    return messages


class _Line(Struct):
    text: str
    id: str | int | None = None
    subject: str | None = None
    route: str | None = None


def _lines(data: bytes, path: Path) -> list[Message]:
    messages: dict[str, Message] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        message = _message(line, f"{path}:{number}", number)
        if message.id in messages:
            raise InvalidInput(f"{path}:{number}: two messages have the id '{message.id}'")
        messages[message.id] = message
    return list(messages.values())


def _message(line: bytes, where: str, number: int) -> Message:
    try:
        found = msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{where}: {error}", hint='each line is an object: {"id", "text", "subject"?, "route"?}'
        ) from None
    name = f"line-{number}" if found.id is None else str(found.id)
    return Message(id=name, text=found.text, subject=found.subject or "", route=found.route)
