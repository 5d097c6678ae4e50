r"""Texts as the server can keep them: it has no character 0.

That is written \x01\x01, and \x01 itself as \x01\x02: equal texts stay equal, others stay
different, and their order stays. Must never know: what is written.
"""

from __future__ import annotations

from typing import Any


def written(text: str) -> str:
    """A text as it is kept."""
    if "\x00" not in text and "\x01" not in text:
        return text
    return text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")


def as_meant(text: str) -> str:
    """A text as it was before `written`."""
    if "\x01" not in text:
        return text
    return text.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01")


def to_server(value: Any) -> Any:
    """An argument of a statement, with its texts as they are kept."""
    if isinstance(value, str):
        return written(value)
    return [to_server(each) for each in value] if isinstance(value, list) else value


def from_server(value: Any) -> Any:
    """A value of a row, with its text as it was meant."""
    return as_meant(value) if isinstance(value, str) else value
