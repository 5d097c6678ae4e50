"""Secrets as references, and whatever an agent says without the secrets it was given.

`secret://env/NAME` is a variable of the environment, `secret://file/PATH` the content of the file
`/PATH`. A reference may stand within a text. Values exist in memory only, from when an agent needs
them. Must never know: which agent needs a secret, or what for.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.ports import AgentReply

REFERENCE: Final = re.compile(r"secret://(?P<where>env|file)/(?P<name>[A-Za-z0-9_./-]+)")
"""One reference within a text."""

HIDDEN: Final = "[secret]"
"""What stands where a secret stood."""

_SHORTEST: Final = 4
"""Characters below which a value cannot be told from ordinary text."""
_LARGEST: Final = 64 * 1024


class SecretMissing(Exception):
    """A secret cannot be read. The message names the reference, never a value."""


class Secrets:
    """The secrets of one process. `allowed` are patterns of references that may be resolved.

    Every value given out is remembered, so that `scrub` finds it again.
    """

    def __init__(self, variables: Mapping[str, str], *, allowed: tuple[str, ...] = ("*",)) -> None:
        self._variables = variables
        self._allowed = allowed
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def limited(self, allowed: tuple[str, ...]) -> Secrets:
        """These secrets, for agents that may use only some; what is given out is remembered for both."""
        limited = Secrets(self._variables, allowed=allowed)
        limited._known = self._known
        return limited

    def problem(self, text: str) -> str:
        """Why a reference in `text` cannot be resolved now; empty where all can."""
        try:
            for found in REFERENCE.finditer(text):
                self._read(found)
        except SecretMissing as missing:
            return str(missing)
        return ""

    async def fill(self, text: str) -> str:
        """The text with its references replaced by their values. Raises `SecretMissing`."""
        if REFERENCE.search(text) is None:
            return text
        return await asyncio.to_thread(self.read, text)

    def read(self, text: str) -> str:
        """As `fill`, for a thread that may wait. Raises `SecretMissing`."""
        return REFERENCE.sub(self._value, text)

    def reader(self, reference: str, setting: str) -> Callable[[], str]:
        """What reads the value behind the reference in a setting, each time anew.

        Raises `InvalidSetting` where it is no reference, or cannot be read, now or later.
        """
        if REFERENCE.fullmatch(reference) is None:
            hint = "write secret://env/NAME or secret://file/PATH"
            raise InvalidSetting(f"{setting} has to be a reference to a secret, not the secret", hint=hint)

        def read() -> str:
            try:
                return self.read(reference)
            except SecretMissing as missing:
                raise InvalidSetting(f"{setting}: {missing}", hint="see docs/security.md") from None

        read()
        return read

    def scrub(self, value: Any) -> Any:
        """The value without any secret that was given out: in texts, in keys, at any depth."""
        if not self._known:
            return value
        if self._pattern is None or self._pattern.groups != len(self._known):
            self._pattern = _pattern(self._known)
        return _scrubbed(value, self._pattern)

    def scrub_reply(self, reply: AgentReply) -> AgentReply:
        """The reply without any secret that was given out."""
        if not self._known:
            return reply
        failure = reply.failure
        if failure is not None:
            failure = replace(
                failure,
                kind=self.scrub(failure.kind),
                message=self.scrub(failure.message),
                data=self.scrub(failure.data),
            )
        return replace(reply, output=self.scrub(reply.output), failure=failure)

    def _value(self, found: re.Match[str]) -> str:
        value = self._read(found)
        self._known.add(value)
        return value

    def _read(self, found: re.Match[str]) -> str:
        reference, name = found[0], found["name"]
        if not any(fnmatchcase(reference, pattern) for pattern in self._allowed):
            raise SecretMissing(f"{reference} may not be used here")
        value = self._variables.get(name) if found["where"] == "env" else _content(reference, name)
        if value is None:
            raise SecretMissing(f"the variable {name} is not set")
        if len(value) < _SHORTEST:
            raise SecretMissing(
                f"{reference} is too short to be kept secret: {_SHORTEST} characters at least"
            )
        return value

    @override
    def __repr__(self) -> str:
        return f"Secrets({len(self._known)} given out)"


def _content(reference: str, name: str) -> str:
    try:
        with Path("/", name).open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise SecretMissing(f"{reference} is larger than a secret: {_LARGEST:,} bytes at most")
        return content.decode().strip()
    except OSError as error:
        raise SecretMissing(f"{reference} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretMissing(f"{reference} is no text") from None


def _pattern(values: set[str]) -> re.Pattern[str]:
    """Matches each value in the spellings that protocols give it, the longest first; one group a value."""
    ordered = sorted(values, key=lambda value: (-len(value), value))
    return re.compile("|".join(f"({'|'.join(map(re.escape, _spellings(value)))})" for value in ordered))


def _spellings(value: str) -> Iterator[str]:
    yield value
    quoted = quote(value, safe="")
    if quoted != value:
        yield quoted
    coded = b64encode(value.encode()).decode().rstrip("=")
    # The last digits of base64 depend on what follows, so they are left to chance.
    yield coded[:-1] if len(coded) > _SHORTEST * 2 else coded


def _scrubbed(value: Any, pattern: re.Pattern[str]) -> Any:
    match value:
        case str():
            return pattern.sub(HIDDEN, value)
        case bytes():
            cleaned = pattern.sub(HIDDEN, value.decode("latin-1"))
            return cleaned.encode("latin-1")
        case dict():
            return {_scrubbed(key, pattern): _scrubbed(item, pattern) for key, item in value.items()}
        case list() | tuple():
            return [_scrubbed(item, pattern) for item in value]
        case _:
            return value
