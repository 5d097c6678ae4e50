"""Every route, with every kind of key that is not good enough: refused, and nothing told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.clocks import Hand
from tests.http.stage import ECHO, Client, Stage, check_problem, running

from stratarouter_runtime.api.access import OPEN, SCOPES, required
from stratarouter_runtime.api.app import ROUTES
from stratarouter_runtime.ids import OPERATOR, Tenant
from stratarouter_runtime.limits.credentials import SCOPES as ALL
from stratarouter_runtime.limits.keyring import Keyring
from stratarouter_runtime.ports import Scope
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.system import SystemClock

ANN, BOB = Tenant("ann"), Tenant("bob")
EVERY = [(path, method) for path, methods in ROUTES for method in methods]
GUARDED = [(path, method) for path, method in EVERY if path not in OPEN]
OWNED = [(path, method) for path, method in GUARDED if path.startswith("/api/v1/executions/{id}")]


@pytest.fixture
async def asking(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a server that asks for keys."""
    settings = Settings(encoder="lexical", pepper=tmp_path / "pepper")
    async with running(settings=settings, asking=True) as client:
        yield client


def keyring(client: Client) -> Keyring:
    return client.app.tenancy.keys


async def key(client: Client, tenant: Tenant = ANN, *scopes: Scope, expires: int | None = None) -> str:
    """A new key of a tenant, with these scopes or all."""
    made = await keyring(client).create(tenant, scopes or ALL, expires=expires, by="test")
    return made[1]


def bearer(shown: str) -> dict[str, str]:
    return {"authorization": f"Bearer {shown}"}


async def call(client: Client, path: str, method: str, shown: str | None, **named: str) -> httpx2.Response:
    for part in ("id", "other", "name", "workflow_id", "code"):
        path = path.replace(f"{{{part}}}", named.get(part, "nothing"))
    headers = {} if shown is None else bearer(shown)
    body: dict[str, Any] = {"json": {}} if method in {"POST", "PUT"} else {}
    return await client.http.request(method, path, headers=headers, **body)


def test_the_table_has_every_route_and_no_scope_of_another_method() -> None:
    assert [(path, method) for path, method in GUARDED if method not in SCOPES.get(path, {})] == []
    assert {required(path, method) for path, method in GUARDED} <= set(ALL)


def test_what_is_missing_in_the_table_needs_most() -> None:
    assert required("/api/v2/anything", "GET") == "operate"


@pytest.mark.parametrize(("path", "method"), GUARDED)
async def test_no_route_answers_without_a_valid_key(asking: Client, path: str, method: str) -> None:
    expired = await key(asking, expires=SystemClock().now())
    revoked = await key(asking)
    await keyring(asking).revoke(revoked.split("_")[1], by="test")
    good = await key(asking)
    other = good[:-1] + ("0" if good[-1] != "0" else "1")
    told = set()
    for shown in ("", "sr_", "Basic x", expired, revoked, other, "sr_" + "0" * 16 + "_" + "0" * 64):
        response = await call(asking, path, method, shown)
        problem = check_problem(response, 401, "unauthenticated") if method != "HEAD" else {}
        assert response.headers["www-authenticate"] == "Bearer"
        told.add((problem["detail"], problem["hint"]))
    assert told == {("the key is not valid", "send the header Authorization: Bearer sr_…")}
    assert check_problem(await call(asking, path, method, None), 401, "unauthenticated")["detail"] == (
        "no key was shown"
    )


@pytest.mark.parametrize(("path", "method"), GUARDED)
async def test_no_route_answers_a_key_of_another_scope(asking: Client, path: str, method: str) -> None:
    wanted = required(path, method)
    assert wanted is not None
    lacking: list[Scope] = [each for each in ALL if each not in {wanted, "admin"}]
    shown = await key(asking, ANN, *lacking)
    problem = check_problem(await call(asking, path, method, shown), 403, "forbidden")
    assert f"'{wanted}'" in problem["detail"]


@pytest.mark.parametrize(("path", "method"), OWNED)
async def test_what_is_of_another_tenant_is_not_there(asking: Client, path: str, method: str) -> None:
    ann, bob = await key(asking, ANN), await key(asking, BOB)
    headers = bearer(ann)
    await asking.deploy("echo", ECHO, **headers)
    begun = (await asking.execute("echo", headers=headers)).json()["execution_id"]
    assert (await asking.http.get(f"/api/v1/executions/{begun}", headers=headers)).status_code == 200
    theirs = await call(asking, path, method, bob, id=begun, other=begun)
    nobodys = await call(asking, path, method, bob, id="exec_" + "0" * 32, other=begun)
    assert theirs.status_code == nobodys.status_code
    assert theirs.status_code in {404, 422}
    assert ann not in theirs.text
    assert "ann" not in theirs.json()["detail"]


async def test_tenants_share_no_workflow(asking: Client) -> None:
    ann, bob = bearer(await key(asking, ANN)), bearer(await key(asking, BOB))
    await asking.deploy("echo", ECHO, **ann)
    check_problem(await asking.http.get("/api/v1/workflows/echo", headers=bob), 404, "not-found")
    check_problem(await asking.execute("echo", headers=bob), 404, "not-found")
    calling = ECHO.replace("echo", "outer").replace("say", "echo").replace("text: =query", "query: =query")
    check_problem(await asking.deploy("outer", calling, **bob), 422, "invalid-flow")
    assert (await asking.http.get("/api/v1/workflows", headers=bob)).json()["workflows"] == []
    await asking.deploy("echo", ECHO, **bob)
    same = {"idempotency-key": "one"}
    first = (await asking.execute("echo", headers=ann | same)).json()["execution_id"]
    second = (await asking.execute("echo", headers=bob | same)).json()["execution_id"]
    assert first != second


@pytest.mark.parametrize("path", sorted(OPEN))
async def test_open_paths_need_no_key(asking: Client, path: str) -> None:
    assert (await call(asking, path, "GET", None, code="conflict")).status_code == 200


async def test_a_rotated_key_goes_on_for_its_grace_and_no_longer(asking: Client) -> None:
    old = await key(asking, ANN, "read")
    name = old.split("_")[1]
    made, new = await keyring(asking).rotate(name, grace=60_000_000, by="test")
    assert made.scopes == ("read",)
    for shown in (old, new):
        assert (await asking.http.get("/api/v1/workflows", headers=bearer(shown))).status_code == 200
    third = (await keyring(asking).rotate(made.id, grace=0, by="test"))[1]
    assert (await asking.http.get("/api/v1/workflows", headers=bearer(third))).status_code == 200
    check_problem(await asking.http.get("/api/v1/workflows", headers=bearer(new)), 401, "unauthenticated")


async def test_a_key_that_another_process_revokes_is_refused_within_a_second(tmp_path: Path) -> None:
    settings = Settings(encoder="lexical", pepper=tmp_path / "pepper")
    clock = Hand(SystemClock().now())
    async with running(settings=settings, asking=True) as client:
        shelf = client.app.store.shelf
        here, there = (Keyring(shelf, lambda: b"p" * 32, clock, client.service.entropy) for _ in range(2))
        made, shown = await here.create(ANN, ["read"], by="test")
        assert await here.caller(shown) is not None
        await there.revoke(made.id, by="test")
        clock.pass_(1)
        assert await here.caller(shown) is None


async def test_changes_of_keys_and_deployments_say_who_made_them(asking: Client) -> None:
    shown = await key(asking, ANN)
    await asking.deploy("echo", ECHO, **bearer(shown))
    lines = await asking.app.store.audit.lines()
    assert [(line.tenant, line.by, line.what) for line in lines] == [
        (OPERATOR, "test", "put key"),
        (ANN, f"key {shown.split('_')[1]}", "deploy workflow"),
    ]


async def test_no_secret_is_kept(asking: Client) -> None:
    shown = await key(asking, ANN)
    kept = await asking.app.store.shelf.all(None, "key")
    secret = shown.split("_")[2]
    assert len(kept) == 1
    assert secret.encode() not in kept[0].body


async def test_a_server_that_asks_for_keys_answers_for_any_host(asking: Client) -> None:
    headers = bearer(await key(asking, ANN)) | {"host": "strata.example"}
    assert (await asking.http.get("/api/v1/workflows", headers=headers)).status_code == 200


async def test_without_keys_all_is_of_the_local_tenant() -> None:
    async with running(stage=Stage()) as client:
        await client.deploy("echo", ECHO)
        assert (await client.http.get("/api/v1/usage/stats")).json()["tenant"] == "local"
