"""Tokens: what has to stand in one, who may have signed it, and what is never believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from typing_extensions import override

from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.ids import OPERATOR
from stratarouter_runtime.limits.tenancy import tenancy
from stratarouter_runtime.limits.tokens import AGAIN, Doors, Tokens
from stratarouter_runtime.ports import Caller
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemClock, SystemEntropy

SIGNING: Final = ec.generate_private_key(ec.SECP256R1())
OTHER: Final = ec.generate_private_key(ec.SECP256R1())
RSA: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIMS: Final = {
    "iss": "us",
    "aud": "strata",
    "sub": "ann@example",
    "tenant": "ann",
    "scope": "read execute x",
}


class Standing(SystemClock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.moment = 0

    @override
    def now(self) -> int:
        return self.moment


def jwks(folder: Path, *names: str) -> str:
    """A file with the public keys of these names."""
    keys = []
    for name in names:
        public = json.loads(ECAlgorithm.to_jwk(SIGNING.public_key()))
        keys.append(public | {"kid": name, "use": "sig", "alg": "ES256"})
    keys.append(json.loads(RSAAlgorithm.to_jwk(RSA.public_key())) | {"kid": "rsa", "alg": "RS256"})
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": keys}), encoding="utf-8")
    return str(path)


def token(key: Any = SIGNING, algorithm: str = "ES256", kid: str | None = "one", **changes: Any) -> str:
    """A token with all that is needed, but for changes; None leaves a claim out."""
    claims = {**CLAIMS, "exp": SystemClock().now() // 1_000_000 + 60, **changes}
    headers = {} if kid is None else {"kid": kid}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers=headers)


def door(folder: Path, clock: Standing | None = None, *names: str) -> Tokens:
    source = jwks(folder, *(names or ("one",)))
    return Tokens(source, issuer="us", audience="strata", tenant="tenant", clock=clock or Standing())


async def test_a_good_token_names_tenant_scopes_and_who_it_is(tmp_path: Path) -> None:
    expected = Caller(CLAIMS["tenant"], frozenset({"read", "execute"}), "token ann@example")  # type: ignore[arg-type]  # a text is a tenant
    assert await door(tmp_path).caller(token()) == expected
    assert await door(tmp_path).caller(token(RSA, "RS256", "rsa")) == expected


@pytest.mark.parametrize(
    "bad",
    [
        {"exp": 1},
        {"exp": None},
        {"iss": "them"},
        {"iss": None},
        {"aud": "others"},
        {"aud": None},
        {"sub": None},
        {"tenant": None},
        {"tenant": 7},
        {"tenant": OPERATOR},
        {"tenant": "A b"},
        {"scope": ["read"]},
        {"nbf": 9_999_999_999},
        {"key": OTHER},
        {"kid": "unknown"},
        {"kid": None},
        {"kid": "rsa"},
        {"key": "a secret that is long enough for it", "algorithm": "HS256"},
        {"key": None, "algorithm": "none"},
    ],
    ids=lambda bad: " ".join(
        f"{name}={str(value)[:20]}" for name, value in bad.items() if value is not OTHER
    ),
)
async def test_whatever_is_wrong_lets_nobody_in(tmp_path: Path, bad: dict[str, Any]) -> None:
    assert await door(tmp_path).caller(token(**bad)) is None


@pytest.mark.parametrize("shown", ["", "x", "a.b.c", "é.b.c", "." * 9_000])
async def test_what_is_no_token_lets_nobody_in(tmp_path: Path, shown: str) -> None:
    assert await door(tmp_path).caller(shown) is None


async def test_new_keys_are_read_but_not_for_every_unknown_name(tmp_path: Path) -> None:
    clock = Standing()
    tokens = door(tmp_path, clock)
    assert await tokens.caller(token(kid="two")) is None
    jwks(tmp_path, "one", "two")
    assert await tokens.caller(token(kid="two")) is None
    clock.moment += AGAIN
    assert await tokens.caller(token(kid="two")) is not None
    (tmp_path / "jwks.json").unlink()
    clock.moment += AGAIN
    assert await tokens.caller(token(kid="three")) is None
    assert await tokens.caller(token(kid="two")) is not None


async def test_keys_and_tokens_go_through_one_door(tmp_path: Path) -> None:
    settings = Settings(
        pepper=tmp_path / "pepper", jwt_keys=jwks(tmp_path, "one"), jwt_issuer="us", jwt_audience="strata"
    )
    made = tenancy(settings, MemoryStore(), SystemClock(), SystemEntropy())
    opened = await made.door()
    assert isinstance(opened, Doors)
    assert await opened.caller(token()) is not None
    _, shown = await made.keys.create(CLAIMS["tenant"], ["read"], by="test")  # type: ignore[arg-type]  # as above
    assert await opened.caller(shown) is not None
    assert await opened.caller("sr_nothing") is None


def test_issuer_and_audience_have_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="is set without"):
        tenancy(Settings(jwt_keys="x", jwt_issuer="us"), MemoryStore(), SystemClock(), SystemEntropy())
