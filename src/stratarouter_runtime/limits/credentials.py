"""A key as its holder has it, and what is kept of it; pure.

`sr_`, 16 hex digits that name the key, `_`, 64 hex digits that are its secret. Kept is a hash of the
secret under a pepper: who reads the store alone can neither use nor test a key. Must never know: where
keys or the pepper are kept.
"""

from __future__ import annotations

import hmac
import re
from hashlib import blake2b
from typing import Final, get_args

from msgspec import Struct

from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.ports import Caller, Scope

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_SHOWN: Final = re.compile(r"sr_([0-9a-f]{16})_([0-9a-f]{64})")
_PERSON: Final = b"strata key"


class Key(Struct, frozen=True):
    """What is kept of a key. Times are microseconds; `expires` and `revoked` are the first without it."""

    id: str
    tenant: Tenant
    scopes: tuple[Scope, ...]
    label: str
    hash: str
    created: int
    expires: int | None = None
    revoked: int | None = None


def written(id_: str, secret: str) -> str:
    """A key as it is handed to its holder, once."""
    return f"sr_{id_}_{secret}"


def read(shown: str) -> tuple[str, str] | None:
    """Name and secret of what is shown as a key; None where it is none."""
    found = _SHOWN.fullmatch(shown)
    return None if found is None else (found[1], found[2])


def hashed(secret: str, pepper: bytes) -> str:
    """What is kept of a secret: blake2b keyed with the pepper of this server."""
    return blake2b(secret.encode(), key=pepper, digest_size=32, person=_PERSON).hexdigest()


def opens(key: Key | None, secret: str, pepper: bytes, now: int) -> Caller | None:
    """Who holds this secret; None where it is another's, or the key is unknown, expired or revoked.

    Takes as long whatever the reason.
    """
    given = hashed(secret, pepper)
    same = hmac.compare_digest(given, given[::-1] if key is None else key.hash)
    if key is None or not same or not valid(key, now):
        return None
    return Caller(key.tenant, frozenset(key.scopes), f"key {key.id}")


def valid(key: Key, now: int) -> bool:
    """Whether a key is neither revoked nor expired at this moment."""
    return all(end is None or now < end for end in (key.expires, key.revoked))
