"""Secrets as references, and whatever an agent says without the secrets it was given.

`secret://env/NAME` is a variable of the environment, `secret://file/PATH` the content of the file
`/PATH`. A reference may stand within a text. Values exist in memory only, from when an agent needs
them. Must never know: which agent needs a secret, or what for.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.agents.spellings import Spellings
from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.ports import AgentReply

REFERENCE: Final = re.compile(r"secret://(?P<where>env|file)/(?P<name>[A-Za-z0-9_./-]+)")
"""One reference within a text."""

_SHORTEST: Final = 4
"""Characters below which a value cannot be told from ordinary text."""
_LARGEST: Final = 64 * 1024
_FILE: Final = "secret://file/"
_WILD: Final = re.compile(r"[*?\[]")


class SecretMissing(Exception):
    """A secret cannot be read. The message names the reference, never a value."""


class Permit(Struct, frozen=True):
    """Which references may be resolved, as a pattern, and for calls to which host; empty for any.

    A pattern of files is of where they lie: what a link leads to has to match as well.
    """

    pattern: str
    host: str = ""

    def admits(self, reference: str, host: str) -> bool:
        """Whether a reference may be resolved for this host."""
        return self.host in ("", host) and fnmatchcase(reference, self.pattern)

    def followed(self) -> Permit:
        """The same, of where the links in its folder lead."""
        if not self.pattern.startswith(_FILE):
            return self
        path = self.pattern.removeprefix(_FILE)
        wild = _WILD.search(path)
        folder, slash, rest = (path if wild is None else path[: wild.start()]).rpartition("/")
        if wild is None:
            return Permit(_reference(Path("/", path).resolve()), self.host)
        return Permit(
            _reference(Path("/", folder).resolve()) + slash + rest + path[wild.start() :], self.host
        )


def permit(entry: str) -> Permit:
    """An entry of the setting: a pattern, and behind `->` the host that it is for."""
    pattern, _, host = entry.partition("->")
    return Permit(pattern.strip(), host.strip().lower())


class _Given:
    """The values that were given out."""

    def __init__(self) -> None:
        self.values: set[str] = set()
        self._spellings = Spellings(())
        self._known = 0

    @property
    def spellings(self) -> Spellings:
        if self._known != len(self.values):
            values = tuple(self.values)
            self._spellings, self._known = Spellings(values), len(values)
        return self._spellings


class Secrets:
    """The secrets of one process. `allowed` are the entries of what may be resolved, as `permit` reads them.

    Every value given out is remembered, so that `scrub` finds it again.
    """

    def __init__(self, variables: Mapping[str, str], *, allowed: tuple[str, ...] = ("*",)) -> None:
        self._variables = variables
        self._limits: tuple[tuple[Permit, ...], ...] = (tuple(map(permit, allowed)),)
        self._host = ""
        self._given = _Given()

    def limited(self, allowed: tuple[str, ...]) -> Secrets:
        """These secrets, for agents that may use only some of them; what is given out is remembered for both."""
        return self._narrowed((*self._limits, tuple(map(permit, allowed))), self._host)

    def towards(self, host: str) -> Secrets:
        """These secrets, for calls that go to one host; what is given out is remembered for both."""
        return self._narrowed(self._limits, host.lower())

    def _narrowed(self, limits: tuple[tuple[Permit, ...], ...], host: str) -> Secrets:
        narrowed = Secrets(self._variables)
        narrowed._limits, narrowed._host, narrowed._given = limits, host, self._given
        return narrowed

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

    async def fill_all(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Each of the texts, filled. Raises `SecretMissing`."""
        return {name: await self.fill(text) for name, text in texts.items()}

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
        return self._given.spellings.hidden(value) if self._given.values else value

    def decided(self, text: str) -> int:
        """How much of a text that goes on can be scrubbed: behind that, a secret may have begun."""
        return self._given.spellings.decided(text) if self._given.values else len(text)

    def scrub_reply(self, reply: AgentReply) -> AgentReply:
        """The reply without any secret that was given out."""
        if not self._given.values:
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
        self._given.values.add(value)
        return value

    def _read(self, found: re.Match[str]) -> str:
        reference, name = found[0], found["name"]
        if not self._admits(reference):
            raise SecretMissing(f"{reference} may not be used {self._here()}")
        value = self._variables.get(name) if found["where"] == "env" else self._content(reference, name)
        if value is None:
            raise SecretMissing(f"the variable {name} is not set")
        if len(value) < _SHORTEST:
            raise SecretMissing(
                f"{reference} is too short to be kept secret: {_SHORTEST} characters at least"
            )
        return value

    def _admits(self, reference: str, *, followed: bool = False) -> bool:
        return all(
            any((each.followed() if followed else each).admits(reference, self._host) for each in permits)
            for permits in self._limits
        )

    def _here(self) -> str:
        named = any(each.host for permits in self._limits for each in permits)
        return f"for {self._host or 'this'}" if named else "here"

    def _content(self, reference: str, name: str) -> str:
        if not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise SecretMissing(f"{reference} has to say where it lies without '.', '..' and '//'")
        try:
            path = Path("/", name).resolve(strict=True)
            if not self._admits(_reference(path), followed=True):
                raise SecretMissing(f"{reference} is a link to what may not be used {self._here()}")
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
            if len(content) > _LARGEST:
                raise SecretMissing(f"{reference} is larger than a secret: {_LARGEST:,} bytes at most")
            return content.decode().strip()
        except OSError as error:
            raise SecretMissing(f"{reference} cannot be read: {error.strerror}") from None
        except RuntimeError:  # how pathlib tells of links in a circle
            raise SecretMissing(f"{reference} cannot be read: links in a circle") from None
        except UnicodeDecodeError:
            raise SecretMissing(f"{reference} is no text") from None

    @override
    def __repr__(self) -> str:
        return f"Secrets({len(self._given.values)} given out)"


def _reference(path: Path) -> str:
    return f"{_FILE}{path.as_posix().removeprefix('/')}"
