"""Tokens: what has to stand in one, who may have signed it, and what is never believed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from tests.clocks import Hand
from tests.quiet import QuietServer
from typing_extensions import override

from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.ids import OPERATOR
from stratarouter_runtime.limits.tenancy import tenancy
from stratarouter_runtime.limits.tokens import AGAIN, TRUSTED, Doors, Tokens
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


def door(folder: Path, clock: Hand | None = None, *names: str) -> Tokens:
    source = jwks(folder, *(names or ("one",)))
    return Tokens(source, issuer="us", audience="strata", tenant="tenant", clock=clock or Hand())


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
    clock = Hand()
    tokens = door(tmp_path, clock)
    assert await tokens.caller(token(kid="two")) is None
    jwks(tmp_path, "one", "two")
    assert await tokens.caller(token(kid="two")) is None
    clock.at += AGAIN
    assert await tokens.caller(token(kid="two")) is not None
    (tmp_path / "jwks.json").unlink()
    clock.at += AGAIN
    assert await tokens.caller(token(kid="three")) is None
    assert await tokens.caller(token(kid="two")) is not None


class Issuer(BaseHTTPRequestHandler):
    """Serves a JWKS, or fails; counts who asks."""

    folder: Path
    asked = 0
    failing = False

    def do_GET(self) -> None:
        """The keys of now."""
        type(self).asked += 1
        self.send_response(503 if self.failing else 200)
        self.end_headers()
        self.wfile.write((self.folder / "jwks.json").read_bytes())

    @override
    def log_message(self, *_: object) -> None:
        """Said to nobody."""


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[tuple[type[Issuer], str]]:
    """A server with the keys in `tmp_path`, and its address."""
    handler = type("Here", (Issuer,), {"folder": tmp_path})
    with QuietServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield handler, f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
        server.shutdown()


def tokens_of(address: str, clock: Hand) -> Tokens:
    return Tokens(address, issuer="us", audience="strata", tenant="tenant", clock=clock)


async def test_keys_are_read_from_where_their_issuer_serves_them(
    tmp_path: Path, issuer: tuple[type[Issuer], str]
) -> None:
    served, address = issuer
    jwks(tmp_path, "one")
    clock = Hand()
    tokens, shown = tokens_of(address, clock), token()
    found = await asyncio.gather(*(tokens.caller(shown) for _ in range(5)))
    assert all(caller is not None for caller in found)
    assert served.asked == 1


async def test_a_key_that_was_withdrawn_lets_nobody_in_after_a_minute(
    tmp_path: Path, issuer: tuple[type[Issuer], str]
) -> None:
    served, address = issuer
    jwks(tmp_path, "one")
    clock = Hand()
    tokens, shown = tokens_of(address, clock), token()
    assert await tokens.caller(shown) is not None
    jwks(tmp_path, "two")
    clock.at += AGAIN - 1
    assert await tokens.caller(shown) is not None
    clock.at += 1
    assert await tokens.caller(shown) is None
    assert await tokens.caller(token(kid="two")) is not None
    assert served.asked == 2


async def test_an_issuer_that_fails_is_asked_again_and_not_believed_for_ever(
    tmp_path: Path, issuer: tuple[type[Issuer], str]
) -> None:
    served, address = issuer
    jwks(tmp_path, "one")
    clock = Hand()
    tokens, shown = tokens_of(address, clock), token()
    assert await tokens.caller(shown) is not None
    served.failing = True
    clock.at += AGAIN
    assert await tokens.caller(shown) is not None
    clock.at = TRUSTED
    assert await tokens.caller(shown) is None
    served.failing = False
    clock.at += AGAIN
    assert await tokens.caller(shown) is not None


async def test_a_good_token_is_checked_once_and_not_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SystemClock().now()
    clock, checked = Hand(now), []
    tokens, shown = door(tmp_path, clock), token(exp=now // 1_000_000 + 30)
    whole = jwt.decode

    def counted(*args: Any, **named: Any) -> Any:
        checked.append(args)
        return whole(*args, **named)

    monkeypatch.setattr(jwt, "decode", counted)
    assert await tokens.caller(shown) == await tokens.caller(shown) is not None
    assert await tokens.caller(token(key=OTHER)) is None
    assert len(checked) == 2
    clock.pass_(31)
    await tokens.caller(shown)
    assert len(checked) == 3


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
