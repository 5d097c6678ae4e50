"""Signed tokens (JWT) as another way in: whoever issues them says whose they are and what they allow.

Algorithms are fixed and all asymmetric, so that no token chooses how it is checked; issuer, audience and
end have to be there. Must never know: requests.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from stratarouter_runtime.errors import InvalidInput, InvalidSetting
from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.limits.credentials import SCOPES
from stratarouter_runtime.limits.keyring import check_tenant
from stratarouter_runtime.ports import Caller, Clock, Door
from stratarouter_runtime.tenancy.windows import HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    import jwt

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
REQUIRED: Final = ("exp", "iss", "aud", "sub")

AGAIN: Final = MINUTE
"""How old the keys may be that tokens are checked with: what the issuer adds or withdraws holds after that."""

TRUSTED: Final = HOUR
"""For how long keys hold that cannot be read again: no issuer lets tokens that it could not sign live longer."""

REMEMBERED: Final = 10_000
"""Tokens that are remembered as good; beyond that all are forgotten."""

_LONGEST: Final = 8_192
"""Characters of a token."""


class Tokens(Door):
    """Tokens of one issuer. `keys` is the address of its JWKS, or a file with it.

    A token that was good stays so until its end, as long as the same keys hold. Raises `InvalidSetting`
    where the extra `[jwt]` is not installed.
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
        self._tried: int | None = None
        self._read = 0
        self._reading = asyncio.Lock()
        self._good: dict[bytes, tuple[float, Caller]] = {}

    @override
    async def caller(self, shown: str) -> Caller | None:
        if len(shown) > _LONGEST:
            return None
        keys = await self._current()
        digest = blake2b(shown.encode(), digest_size=32).digest()
        end, caller = self._good.get(digest, (0, None))
        if caller is not None and self._clock.now() < end:
            return caller
        try:
            key = keys.get(str(self._jwt.get_unverified_header(shown).get("kid", "")))
            if key is None:
                return None
            claims = self._checked(shown, key)
            caller = self._named(claims)
        except (self._jwt.PyJWTError, InvalidInput):
            return None
        if caller is not None:
            self._remember(digest, float(claims["exp"]) * SECOND, caller)
        return caller

    def _remember(self, digest: bytes, end: float, caller: Caller) -> None:
        if len(self._good) >= REMEMBERED:
            self._good.clear()
        self._good[digest] = end, caller

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

    async def _current(self) -> dict[str, jwt.PyJWK]:
        """The keys by name. One caller reads them anew; the others go on with the last, if there are any."""
        if self._due() and not (self._keys and self._reading.locked()):
            async with self._reading:
                if self._due():
                    await self._read_anew()
        return self._keys

    def _due(self) -> bool:
        return self._tried is None or not 0 <= self._clock.now() - self._tried < AGAIN

    async def _read_anew(self) -> None:
        """Read the keys. Those that cannot be read leave nobody in, until they can."""
        found, now = await asyncio.to_thread(self._load), self._clock.now()
        if found is not None:
            self._read = now
        elif now - self._read < TRUSTED:
            found = self._keys
        self._tried, self._keys = now, found or {}
        self._good.clear()

    def _load(self) -> dict[str, jwt.PyJWK] | None:
        """The keys by name; None where they cannot be read."""
        try:
            if self._source.startswith(("https://", "http://")):
                found = self._jwt.PyJWKClient(self._source, cache_jwk_set=False, timeout=5).get_jwk_set()
            else:
                found = self._jwt.PyJWKSet.from_json(Path(self._source).read_text(encoding="utf-8"))
        except (OSError, ValueError, self._jwt.PyJWTError):
            return None
        return {str(key.key_id or ""): key for key in found.keys}


class Doors(Door):
    """Keys for those who show one, tokens for all others."""

    def __init__(self, keys: Door, tokens: Door) -> None:
        self._keys = keys
        self._tokens = tokens

    @override
    async def caller(self, shown: str) -> Caller | None:
        return await (self._keys if shown.startswith("sr_") else self._tokens).caller(shown)
