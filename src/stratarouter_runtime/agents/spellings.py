"""The spellings in which a value may turn up in what somebody says, and text without any of them.

Must never know: which values are secret, or where they came from.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Collection, Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "[secret]"
"""What stands where a secret stood."""

_CERTAIN: Final = 8
"""Digits of base64 from which on the last one, which depends on what follows, is left to chance."""


class Spellings:
    """Finds values in the spellings that protocols, JSON and messages of Python give them."""

    def __init__(self, values: Collection[str]) -> None:
        ordered = sorted(values, key=lambda value: (-len(value), value))
        self._all = tuple(dict.fromkeys(spelled for value in ordered for spelled in _spelled(value)))
        longest_first = sorted(self._all, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def hidden(self, value: Any) -> Any:
        """The value without them: in texts, in keys, at any depth."""
        match value:
            case str():
                return self._pattern.sub(HIDDEN, value)
            case bytes():
                return self._pattern.sub(HIDDEN, value.decode("latin-1")).encode("latin-1")
            case dict():
                return {self.hidden(key): self.hidden(item) for key, item in value.items()}
            case list() | tuple():
                return [self.hidden(item) for item in value]
            case _:
                return value

    def decided(self, text: str) -> int:
        """How much of a text that goes on can be judged: behind that, one of them may have begun."""
        end = min((_begun(spelled, text) for spelled in self._all), default=len(text))
        for found in self._pattern.finditer(text):
            if found.start() < end < found.end():
                return found.end()
        return end


def _begun(spelled: str, text: str) -> int:
    """Where the longest end of the text starts that is a beginning of this, and not all of it."""
    at = text.find(spelled[0], max(0, len(text) - len(spelled) + 1))
    while at >= 0 and not spelled.startswith(text[at:]):
        at = text.find(spelled[0], at + 1)
    return len(text) if at < 0 else at


def _spelled(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield repr(value.encode())[2:-1]
    yield value.encode().decode("latin-1")
    coded = b64encode(value.encode()).decode().rstrip("=")
    yield coded[:-1] if len(coded) > _CERTAIN else coded
