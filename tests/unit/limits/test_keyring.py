"""Keys, the pepper they are hashed with, and tiers."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.clocks import Hand

from stratarouter_runtime.errors import InvalidInput, InvalidSetting, InvalidState, NotFound
from stratarouter_runtime.ids import LOCAL, OPERATOR, Tenant
from stratarouter_runtime.limits.credentials import Key, hashed, opens, read, written
from stratarouter_runtime.limits.keyring import Keyring
from stratarouter_runtime.limits.pepper import pepper
from stratarouter_runtime.limits.policy import FREE, UNLIMITED
from stratarouter_runtime.limits.tiers import Tiers
from stratarouter_runtime.ports import Caller, Clock
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemEntropy
from stratarouter_runtime.tenancy.quotas import Tier

ANN = Tenant("ann")
PEPPER = b"p" * 32
SECRET = "ab" * 32
KEY = Key("0" * 16, ANN, ("read",), "", hashed(SECRET, PEPPER), created=0, expires=100)


def keyring(clock: Clock) -> Keyring:
    return Keyring(MemoryStore().shelf, lambda: PEPPER, clock, SystemEntropy())


# Credentials.


def test_a_key_is_read_as_it_was_written() -> None:
    assert read(written("0" * 16, SECRET)) == ("0" * 16, SECRET)


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "sr_",
        SECRET,
        "sr_" + "0" * 16,
        f"sr_{'0' * 16}_{SECRET}\n",
        f"SR_{'0' * 16}_{SECRET}",
        f"sr_{'0' * 15}_{SECRET}0",
    ],
)
def test_what_is_no_key_is_not_read(shown: str) -> None:
    assert read(shown) is None


@pytest.mark.parametrize(
    ("key", "secret", "pepper_", "now", "in_"),
    [
        (KEY, SECRET, PEPPER, 99, 1),
        (KEY, SECRET, PEPPER, 100, 0),
        (replace(KEY, revoked=50), SECRET, PEPPER, 49, 1),
        (replace(KEY, revoked=50), SECRET, PEPPER, 50, 0),
        (replace(KEY, expires=None), SECRET, PEPPER, 10**18, 1),
        (KEY, "cd" * 32, PEPPER, 99, 0),
        (KEY, SECRET, b"q" * 32, 99, 0),
        (None, SECRET, PEPPER, 99, 0),
    ],
)
def test_a_key_opens_for_its_secret_while_it_is_valid(
    key: Key | None, secret: str, pepper_: bytes, now: int, in_: int
) -> None:
    expected = Caller(ANN, frozenset({"read"}), f"key {KEY.id}") if in_ else None
    assert opens(key, secret, pepper_, now) == expected


@pytest.mark.parametrize(
    ("scopes", "may"),
    [({"read"}, {"read"}), ({"admin"}, {"read", "execute", "deploy", "admin"}), ({"operate"}, {"operate"})],
)
def test_admin_is_all_of_a_tenant_and_nothing_of_the_server(scopes: set[str], may: set[str]) -> None:
    caller = Caller(ANN, frozenset(scopes), "")  # type: ignore[arg-type]  # texts are scopes
    assert {each for each in ("read", "execute", "deploy", "admin", "operate") if caller.may(each)} == may


# The ring.


async def test_an_ended_key_is_not_rotated_and_an_unknown_one_not_found() -> None:
    clock = Hand(50)
    keys = keyring(clock)
    made, _ = await keys.create(ANN, ["read"], expires=60, by="test")
    clock.at = 60
    with pytest.raises(InvalidState, match="has ended"):
        await keys.rotate(made.id, grace=1, by="test")
    with pytest.raises(NotFound):
        await keys.revoke("0" * 16, by="test")


async def test_revoking_again_changes_nothing() -> None:
    clock = Hand(50)
    keys = keyring(clock)
    made, _ = await keys.create(ANN, ["read"], by="test")
    first = await keys.revoke(made.id, by="test")
    clock.at += 10
    assert await keys.revoke(made.id, by="test") == first
    assert await keys.any()


async def test_keys_are_listed_by_tenant() -> None:
    keys = keyring(Hand(50))
    assert not await keys.any()
    for tenant in (ANN, Tenant("bob"), ANN):
        await keys.create(tenant, ["read"], by="test")
    assert len(await keys.all()) == 3
    assert {key.tenant for key in await keys.all(ANN)} == {ANN}


@pytest.mark.parametrize("name", ["", "Ann", "a b", "-a", "a" * 64, OPERATOR, "ä", "a/b"])
async def test_not_everything_can_be_a_tenant(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name of a tenant"):
        await keyring(Hand(50)).create(Tenant(name), ["read"], by="test")


# The pepper.


def test_the_pepper_is_made_once_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "pepper"
    first = pepper(path, SystemEntropy())
    assert (len(first), path.stat().st_mode & 0o777) == (32, 0o600)
    assert pepper(path, SystemEntropy()) == first == path.read_bytes()
    assert list(path.parent.iterdir()) == [path]


def test_a_pepper_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    path.write_bytes(bytes(32))
    path.chmod(0o640)
    with pytest.raises(InvalidSetting, match="others may read"):
        pepper(path, SystemEntropy())


@pytest.mark.parametrize("content", [b"", bytes(31), bytes(33)])
def test_a_cut_pepper_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pepper"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InvalidSetting, match="bytes, not 32"):
        pepper(path, SystemEntropy())


def test_a_pepper_where_none_can_be_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSetting, match="cannot be used"):
        pepper(tmp_path / "file" / "pepper", SystemEntropy())
    (tmp_path / "folder").mkdir(0o700)
    with pytest.raises(InvalidSetting, match="cannot be used"):
        pepper(tmp_path / "folder", SystemEntropy())


# Tiers.


async def test_a_tenant_is_on_its_tier_or_the_default() -> None:
    clock, pro = Hand(50), Tier("pro", daily=5)
    shelf = MemoryStore().shelf
    tiers = Tiers(shelf, clock, [pro])
    assert (await tiers.of(ANN), await tiers.of(LOCAL)) == (FREE, UNLIMITED)
    assert await tiers.assign(ANN, "pro", by="test") == pro
    assert await tiers.of(ANN) == pro
    assert await Tiers(shelf, clock, [pro], "pro").of(Tenant("bob")) == pro
    # Where a tier is defined no more, its tenants are not let loose.
    assert await Tiers(shelf, clock, [], "unlimited").of(ANN) == FREE


async def test_what_is_no_tier_is_refused() -> None:
    shelf = MemoryStore().shelf
    with pytest.raises(InvalidSetting, match="'gold' is no tier"):
        Tiers(shelf, Hand(50), [], "gold")
    with pytest.raises(InvalidInput, match="no tier 'gold'"):
        await Tiers(shelf, Hand(50)).assign(ANN, "gold", by="test")


def test_the_free_tier_is_what_was_promised() -> None:
    assert Tier("free", 10, 1_000, 100, 1_000, 3_600, 60, 100) == FREE
