from __future__ import annotations

import pytest
from tests.http.stage import Client, check_problem

from stratarouter_runtime.errors import StoreUnavailable


@pytest.mark.parametrize("path", ["/api/v1/health", "/livez", "/readyz"])
async def test_a_healthy_server_says_so_and_which_version_it_is(client: Client, path: str) -> None:
    response = await client.http.get(path)
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "version": "1.2.3"}
    assert (await client.http.head(path)).status_code == 200


@pytest.mark.parametrize(("path", "ok"), [("/api/v1/health", False), ("/livez", True), ("/readyz", False)])
async def test_without_its_store_it_lives_but_is_not_ready(
    quick: Client, monkeypatch: pytest.MonkeyPatch, path: str, *, ok: bool
) -> None:
    async def gone(*_: object) -> None:
        raise StoreUnavailable("the disk is gone", hint="bring it back")

    monkeypatch.setattr(quick.app.store, "find", gone)
    response = await quick.http.get(path)
    if ok:
        assert response.status_code == 200
    else:
        assert check_problem(response, 503, "store-unavailable")["detail"] == "the disk is gone"
