from __future__ import annotations

import pytest
from tests.http.stage import Client, check_problem

from stratarouter_runtime.errors import StoreUnavailable


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_healthy_server_says_so_and_which_version_it_is(client: Client, path: str) -> None:
    response = await client.http.get(path)
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "version": "1.2.3"}
    assert (await client.http.head(path)).status_code == 200


async def test_the_health_has_each_part(client: Client) -> None:
    found = (await client.http.get("/api/v1/health")).json()
    assert (found["status"], found["version"]) == ("ok", "1.2.3")
    store = found["parts"]["store"]
    assert (store["status"], store["detail"]) == ("ok", "writable")
    assert store["ms"] >= 0


async def test_to_be_ready_the_store_is_written_once_a_second_at_most(client: Client) -> None:
    probed = 0
    probe = client.app.store.probe

    async def counted() -> str:
        nonlocal probed
        probed += 1
        await probe()
        return "writable"

    client.app.observatory.health.add("store", counted)
    for _ in range(5):
        assert (await client.http.get("/readyz")).status_code == 200
    assert probed == 1


@pytest.mark.parametrize(("path", "ok"), [("/api/v1/health", False), ("/livez", True), ("/readyz", False)])
async def test_with_a_store_that_cannot_be_written_it_lives_but_is_not_ready(
    quick: Client, path: str, *, ok: bool
) -> None:
    async def gone() -> str:
        raise StoreUnavailable("the disk is gone", hint="bring it back")

    quick.app.observatory.health.add("store", gone)
    response = await quick.http.get(path)
    if ok:
        assert response.status_code == 200
        return
    problem = check_problem(response, 503, "store-unavailable")
    assert problem["detail"] == "the disk is gone"
    assert problem["errors"] == [{"pointer": "/parts/store", "detail": "the disk is gone"}]


async def test_while_it_shuts_down_it_lives_but_is_not_ready(quick: Client) -> None:
    quick.service.draining = True
    check_problem(await quick.http.get("/readyz"), 503, "draining")
    assert (await quick.http.get("/livez")).json()["status"] == "draining"
    assert (await quick.http.get("/api/v1/health")).json()["status"] == "draining"


async def test_the_status_tells_what_runs_here(client: Client) -> None:
    found = (await client.http.get("/api/v1/status")).json()
    assert set(found) == {"status", "version", "store", "uptime_seconds", "isolation", "parts"}
    assert found["store"] == client.app.place
    assert found["parts"]["driver"] == {"active": 0, "stopped": 0, "leases_lost": 0}
    assert set(found["parts"]["store"]["commit_seconds"]) == {"count", "sum"}
