"""Signed tokens (JWT) as another way in: whoever issues them says whose they are and what they allow.

Algorithms are fixed and all asymmetric, so that no token chooses how it is checked; issuer, audience and
end have to be there. Must never know: requests.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from stratarouter_runtime.errors import InvalidInput, InvalidSetting
from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.limits.credentials import SCOPES
from stratarouter_runtime.limits.keyring import check_tenant
from stratarouter_runtime.ports import Caller, Clock, Door
from stratarouter_runtime.tenancy.windows import MINUTE

if TYPE_CHECKING:
    import jwt

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
REQUIRED: Final = ("exp", "iss", "aud", "sub")

AGAIN: Final = MINUTE
"""How soon the keys are read again for a token that names an unknown one."""

_LONGEST: Final = 8_192
"""Characters of a token."""


class Tokens(Door):
    """Tokens of one issuer. `keys` is the address of its JWKS, or a file with it.

    Raises `InvalidSetting` where the extra `[jwt]` is not installed.
    """

    def __init__(self, keys: str, *, issuer: str, audience: str, tenant: str, clock: Clock) -> None:
        try:
            import jwt  # noqa: PLC0415 - an extra, and start-up cost
        except ModuleNotFoundError as error:
            hint = "pip install 'stratarouter-runtime[jwt]', or leave jwt.keys out"
            raise InvalidSetting("tokens need the extra [jwt], which is not installed", hint=hint) from error
        self._jwt = jwt
        self._source = keys
        self._issuer = issuer
        self._audience = audience
        self._tenant = tenant
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read: int | None = None
        self._reading = asyncio.Lock()

    @override
    async def caller(self, shown: str) -> Caller | None:
        if len(shown) > _LONGEST:
            return None
        try:
            key = await self._key(str(self._jwt.get_unverified_header(shown).get("kid", "")))
            if key is None:
                return None
            return self._named(self._checked(shown, key))
        except (self._jwt.PyJWTError, InvalidInput):
            return None

    def _checked(self, shown: str, key: jwt.PyJWK) -> dict[str, Any]:
        claims: dict[str, Any] = self._jwt.decode(
            shown,
            key,
            algorithms=list(ALGORITHMS),
            issuer=self._issuer,
            audience=self._audience,
            options={"require": list(REQUIRED)},
        )
        return claims

    def _named(self, claims: dict[str, Any]) -> Caller | None:
        """Who the claims are about. Raises `InvalidInput` for what cannot be a tenant."""
        tenant, scopes = claims.get(self._tenant), claims.get("scope", "")
        if not isinstance(tenant, str) or not isinstance(scopes, str):
            return None
        check_tenant(Tenant(tenant))
        given = scopes.split()
        return Caller(
            Tenant(tenant), frozenset(each for each in SCOPES if each in given), f"token {claims['sub']}"
        )

    async def _key(self, name: str) -> jwt.PyJWK | None:
        """The key of this name; read again where it is unknown, but not for every token that says so."""
        if name not in self._keys and self._due():
            async with self._reading:
                if name not in self._keys and self._due():
                    self._read = self._clock.now()
                    self._keys = await asyncio.to_thread(self._load)
        return self._keys.get(name)

    def _due(self) -> bool:
        return self._read is None or self._clock.now() - self._read >= AGAIN

    def _load(self) -> dict[str, jwt.PyJWK]:
        """The keys by name. What cannot be read leaves nobody in, until it can."""
        try:
            if self._source.startswith(("https://", "http://")):
                found = self._jwt.PyJWKClient(self._source, cache_jwk_set=False, timeout=5).get_jwk_set()
            else:
                found = self._jwt.PyJWKSet.from_json(Path(self._source).read_text(encoding="utf-8"))
        except (OSError, ValueError, self._jwt.PyJWTError):
            return self._keys
        return {str(key.key_id or ""): key for key in found.keys}


class Doors(Door):
    """Keys for those who show one, tokens for all others."""

    def __init__(self, keys: Door, tokens: Door) -> None:
        self._keys = keys
        self._tokens = tokens

    @override
    async def caller(self, shown: str) -> Caller | None:
        return await (self._keys if shown.startswith("sr_") else self._tokens).caller(shown)
