"""Whatever the published document allows, or forbids, gets an answer that the document names."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any, Final, Self

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.generation import GenerationMode
from tests.http.documented import DOCUMENT
from tests.http.stage import ASKING, ECHO, Client, running

from stratarouter_runtime.api.app import create_app
from stratarouter_runtime.api.protocol import LimitedProtocol
from stratarouter_runtime.api.server import bind, url
from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.limits.credentials import SCOPES
from stratarouter_runtime.settings import Settings


def keyless() -> dict[str, Any]:
    """The document without a word about keys: whether one is sent, the test decides, and not what it draws."""
    found: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    del found["security"], found["components"]["securitySchemes"]
    for methods in found["paths"].values():
        for told in methods.values():
            told.pop("security", None)
    return found


SCHEMA: Final = schemathesis.openapi.from_dict(keyless())
CHECKS: Final = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
ENDLESS: Final = {("/api/v1/events", "get")}
"""An answer that does not end by itself."""

OPERATIONS: Final = [
    (path, method)
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
    if (path, method) not in ENDLESS
]
BARE: Final = [
    (path, method)
    for path, method in OPERATIONS
    if all(each["in"] in {"path", "header"} for each in DOCUMENT["paths"][path][method]["parameters"])
    and "requestBody" not in DOCUMENT["paths"][path][method]
]
"""Operations that take nothing but their path and headers, which are texts: nothing about them can be wrong."""

TEXTS: Final = [
    (path, method)
    for path, method in OPERATIONS
    if {"type": "string"}
    in [
        media["schema"]
        for media in DOCUMENT["paths"][path][method].get("requestBody", {}).get("content", {}).values()
    ]
]
"""Operations that take a text, which is one whatever is drawn in its place."""

ASKED: Final = [
    pytest.param(path, method, mode, id=f"{method} {path} {mode.value}")
    for path, method in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or (path, method) not in BARE
]

BRIEF: Final = 10
LONG: Final = 100
"""How many requests an operation gets, in an ordinary run and in a full one."""


class Served:
    """A server in a thread of its own, with one of everything in it."""

    def __init__(self, pepper: Any, *, asking: bool) -> None:
        self._settings = Settings(encoder="lexical", pepper=pepper, tier="unlimited")
        self._asking = asking
        self._ready = threading.Event()
        self._ending: asyncio.Event | None = None
        self.url = ""
        self.headers: dict[str, str] = {}
        self.known: dict[str, list[str]] = {}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        loop, ending = self._loop, self._ending
        assert ending is not None
        loop.call_soon_threadsafe(ending.set)
        self._thread.join(20)

    async def _serve(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        async with running(settings=self._settings, asking=self._asking) as client:
            await self._furnish(client)
            with bind("127.0.0.1", 0) as listener:
                self.url = url(listener)
                config = uvicorn.Config(
                    create_app(client.service),
                    http=LimitedProtocol,
                    ws="none",
                    lifespan="off",
                    log_config=None,
                )
                server = uvicorn.Server(config)
                serving = asyncio.create_task(server._serve([listener]))
                self._ready.set()
                await self._ending.wait()
                server.should_exit = server.force_exit = True
                await serving

    async def _furnish(self, client: Client) -> None:
        if self._asking:
            _, shown = await client.app.tenancy.keys.create(Tenant("ann"), SCOPES, by="test")
            self.headers = {"authorization": f"Bearer {shown}"}
        client.http.headers.update(self.headers)
        await client.deploy("echo", ECHO)
        await client.deploy("asking", ASKING)
        done = (await client.execute("echo")).json()["execution_id"]
        waiting = (await client.execute("asking")).json()["execution_id"]
        batch = await client.http.post("/api/v1/batch/submit", json={"items": [{"workflow_id": "echo"}]})
        self.known = {
            "/api/v1/executions/{id}/events": [done],
            "/api/v1/executions/": [done, waiting],
            "/api/v1/workflows/": ["echo", "asking"],
            "/api/v1/usage/": ["echo"],
            "/api/v1/cache/": ["echo"],
            "/api/v1/agents/": ["say"],
            "/api/v1/batch/": [batch.json()["id"]],
            "/problems/": ["conflict"],
        }


@pytest.fixture(scope="module", params=["open", "asking"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that asks nobody for a key, and one that does."""
    pepper = tmp_path_factory.mktemp("keys") / "pepper"
    with Served(pepper, asking=request.param == "asking") as served:
        yield served


def bound(full: bool) -> settings:  # noqa: FBT001 - one switch of the run
    return settings(
        max_examples=LONG if full else BRIEF,
        database=None,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )


@pytest.mark.parametrize(("path", "method", "mode"), ASKED)
def test_every_answer_is_documented(
    served: Served, path: str, method: str, mode: GenerationMode, pytestconfig: pytest.Config
) -> None:
    operation = SCHEMA[path][method.upper()]
    wanted = CHECKS if (path, method) in TEXTS else [*CHECKS, checks.negative_data_rejection]
    known = next((found for start, found in served.known.items() if path.startswith(start)), ["x"])

    @bound(bool(pytestconfig.getoption("--full")))
    @given(
        operation.as_strategy(mode),
        st.sampled_from([*known, None]),
        st.booleans(),
        st.sampled_from([served.headers, served.headers, {}]),
    )
    def ask(case: schemathesis.Case[Any], place: str | None, real: bool, headers: dict[str, str]) -> None:  # noqa: FBT001 - drawn
        for name in case.path_parameters if place is not None else ():
            case.path_parameters[name] = place
        if real and isinstance(case.body, dict) and "workflow_id" in case.body:
            case.body["workflow_id"] = "echo"
        case.call_and_validate(base_url=served.url, checks=wanted, headers=headers, timeout=20)

    ask()
