"""The keys of all tenants: made, listed, rotated, revoked, and asked for at every request.

They are kept on the shelf of the operator, by name; one that any process revokes is refused by all
within a second. Must never know: requests.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.errors import InvalidInput, InvalidState, NotFound
from stratarouter_runtime.freshness import Recent
from stratarouter_runtime.ids import OPERATOR, Tenant
from stratarouter_runtime.limits.credentials import Key, hashed, opens, read, valid, written
from stratarouter_runtime.ports import Caller, Clock, Door, Entropy, Scope, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KIND: Final = "key"

_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Keyring(Door):
    """Keys on a shelf. `pepper` is asked for when it is first needed."""

    def __init__(self, shelf: Shelf, pepper: Callable[[], bytes], clock: Clock, entropy: Entropy) -> None:
        self._shelf = shelf
        self._pepper = pepper
        self._clock = clock
        self._entropy = entropy
        self._recent = Recent(self._read, clock)

    # Asking.

    @override
    async def caller(self, shown: str) -> Caller | None:
        found = read(shown)
        if found is None:
            return None
        name, secret = found
        return opens(await self._recent.get(name), secret, self._pepper(), self._clock.now())

    async def _read(self, name: str) -> Key | None:
        kept = await self._shelf.get(OPERATOR, KIND, name)
        return None if kept is None else _key(kept.body)

    async def any(self) -> bool:
        """Whether a key was ever made here: from then on there is always one to be asked for."""
        return bool(await self._shelf.all(OPERATOR, KIND, limit=1))

    # Changing.

    async def create(
        self, tenant: Tenant, scopes: Sequence[Scope], *, label: str = "", expires: int | None = None, by: str
    ) -> tuple[Key, str]:
        """Make a key; what is kept of it, and what its holder gets to see this once.

        Raises `InvalidInput` for what cannot be the name of a tenant.
        """
        check_tenant(tenant)
        name, secret = self._entropy.seed()[:16], self._entropy.seed() + self._entropy.seed()
        now = self._clock.now()
        key = Key(name, tenant, tuple(scopes), label, hashed(secret, self._pepper()), now, expires)
        await self._shelf.put(OPERATOR, KIND, name, msgspec.json.encode(key), at=now, by=by, expected=0)
        return key, written(name, secret)

    async def all(self, tenant: Tenant | None = None) -> list[Key]:
        """Every key ever made, of one tenant or of all."""
        keys: list[Key] = []
        after = ""
        while page := await self._shelf.all(OPERATOR, KIND, after):
            keys += [_key(kept.body) for kept in page]
            after = page[-1].name
        return [key for key in keys if tenant is None or key.tenant == tenant]

    async def rotate(self, name: str, *, grace: int, by: str) -> tuple[Key, str]:
        """Make another key like this one, which ends `grace` microseconds from now.

        Raises `NotFound`, `InvalidState` where it has ended already.
        """
        old, version = await self._find(name)
        now = self._clock.now()
        if not valid(old, now):
            raise InvalidState(f"key {name} has ended already", hint="make a new one: strata keys create")
        made = await self.create(old.tenant, old.scopes, label=old.label, expires=old.expires, by=by)
        end = now + grace if old.expires is None else min(old.expires, now + grace)
        await self._keep(replace(old, expires=end), version, now, by)
        return made

    async def revoke(self, name: str, *, by: str) -> Key:
        """End a key now; again changes nothing. Raises `NotFound`."""
        old, version = await self._find(name)
        if old.revoked is not None:
            return old
        now = self._clock.now()
        revoked = replace(old, revoked=now)
        await self._keep(revoked, version, now, by)
        return revoked

    async def _find(self, name: str) -> tuple[Key, int]:
        kept = await self._shelf.get(OPERATOR, KIND, name)
        if kept is None:
            raise NotFound(f"no key {name}", hint="strata keys list names them")
        return _key(kept.body), kept.version

    async def _keep(self, key: Key, version: int, now: int, by: str) -> None:
        body = msgspec.json.encode(key)
        await self._shelf.put(OPERATOR, KIND, key.id, body, at=now, by=by, expected=version)
        self._recent.forget(key.id)


def check_tenant(tenant: Tenant) -> None:
    """Refuse what cannot be the name of a tenant. Raises `InvalidInput`."""
    if tenant == OPERATOR or _TENANT.fullmatch(tenant) is None:
        raise InvalidInput(
            f"{tenant!r} cannot be the name of a tenant",
            hint="1 to 63 of a-z, 0-9, '.', '_' and '-', the first a letter or digit; "
            f"'{OPERATOR}' is reserved",
        )


def _key(body: bytes) -> Key:
    return msgspec.json.decode(body, type=Key)
