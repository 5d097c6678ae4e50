"""Where the database is: a URL that holds a secret, and what may be said of it.

Nothing that this module lets out contains a password, also where the URL is malformed so
that a piece of it stands in another place. Must never know: connections.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from stratarouter_runtime.errors import StoreError

SCHEMES: Final = ("postgresql", "postgres")
PORT: Final = 5432


@dataclass(frozen=True, slots=True)
class Address:
    """A database. `url` is for the driver only; `place` is for people."""

    url: str = field(repr=False)
    place: str
    user: str | None
    database: str | None


def parse(url: str) -> Address:
    """Read a URL `postgresql://user:password@host:port/database`. Raises `StoreError`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _malformed() from None
    if parts.scheme not in SCHEMES:
        raise StoreError(
            "the database URL does not name a PostgreSQL database",
            hint="it begins with postgresql:// (without the name of a driver)",
        )
    try:
        where = _host(parts)
    except ValueError:
        raise _malformed() from None
    if parts.fragment or "@" in parts.path + parts.query:
        raise _malformed()
    user = unquote(parts.username) if parts.username else None
    database = unquote(parts.path.removeprefix("/")) or user
    place = f"postgresql://{f'{user}@' if user else ''}{where}/{database or ''}"
    return Address(url, place, user, database)


def _host(parts: SplitResult) -> str:
    """Host and port. Several hosts, which only the driver understands, are left to it."""
    hosts = parts.netloc.rpartition("@")[2]
    if "," in hosts:
        return hosts
    host = parts.hostname or "localhost"
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or PORT}"


def _malformed() -> StoreError:
    return StoreError(
        "the database URL cannot be read",
        hint="write postgresql://user:password@host:port/database, with / ? # @ : of a password "
        "percent-encoded (%2F %3F %23 %40 %3A)",
    )


def misread(address: Address) -> StoreError:
    """The error for a URL that the driver refuses."""
    return StoreError(
        f"the URL of the database at {address.place} has an option or a part that cannot be used",
        hint="check its port and what stands behind the question mark",
    )
