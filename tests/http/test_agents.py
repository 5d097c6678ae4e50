"""Agents that are registered while the server runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from tests.http.stage import ECHO, Client, check_problem, running

from stratarouter_runtime.settings import Settings

AGENTS = "/api/v1/agents"
FETCH = f"{AGENTS}/fetch"
YAML = {"content-type": "application/yaml"}


class Service:
    """A service that answers `{"text"}` with what it was given to say."""

    def __init__(self, said: str) -> None:
        self.said = said
        self.heads: list[bytes] = []

    async def start(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/say"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        body = json.dumps(self.said).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        await writer.drain()
        writer.close()


def document(url: str, more: str = "", version: str = "1") -> str:
    return (
        f"kind: http\nurl: {url}\nversion: '{version}'\nin: {{ text: string }}\nout: string\n"
        f"effect: pure\nabout: fetches\n{more}"
    )


async def put(client: Client, text: str, path: str = FETCH, **headers: str) -> httpx2.Response:
    return await client.http.put(path, content=text, headers={**YAML, **headers})


FLOW = ECHO.replace("say", "fetch").replace("echo", "fetching")


PERMISSIVE = Settings(encoder="lexical", agent_hosts="127.0.0.1")


@pytest.fixture
async def permissive() -> AsyncIterator[Client]:
    """A client of a server whose operator permits agents to call services of this machine."""
    async with running(settings=PERMISSIVE) as client:
        yield client


async def test_an_agent_is_registered_read_listed_and_removed(client: Client) -> None:
    text = document("https://fetch.test/say")
    made = await put(client, text)
    assert made.status_code == 201
    assert made.headers["location"] == FETCH
    found = made.json()
    assert made.headers["etag"] == f'"{found["digest"]}"'
    assert (found["name"], found["kind"], found["version"], found["source"]) == ("fetch", "http", 1, text)
    assert (found["effect"], found["about"]) == ("pure", "fetches")
    assert found["input"]["properties"] == {"text": {"type": "string"}}
    assert (await client.http.get(FETCH)).json() == found
    assert (await client.http.get(FETCH, headers={"if-none-match": made.headers["etag"]})).status_code == 304
    listed = (await client.http.get(AGENTS)).json()["agents"]
    assert [one["name"] for one in listed] == ["boom", "count", "fetch", "hold", "look", "say", "tell"]
    assert {one["name"]: one["kind"] for one in listed} | {"fetch": "http", "say": "project"} == {
        one["name"]: one["kind"] for one in listed
    }
    assert (await client.http.delete(FETCH)).status_code == 204
    check_problem(await client.http.get(FETCH), 404, "not-found")
    check_problem(await client.http.delete(FETCH), 404, "not-found")


async def test_an_agent_of_the_project_that_the_caller_has_is_not_told_again(quick: Client) -> None:
    told = await quick.http.get(f"{AGENTS}/say")
    same = await quick.http.get(f"{AGENTS}/say", headers={"if-none-match": told.headers["etag"]})
    assert (same.status_code, same.headers["etag"]) == (304, told.headers["etag"])


async def test_a_list_comes_page_by_page(client: Client) -> None:
    names: list[str] = []
    response = await client.http.get(AGENTS, params={"limit": 4})
    names += [one["name"] for one in response.json()["agents"]]
    while response.json()["next_cursor"] is not None:
        response = await client.http.get(response.links["next"]["url"])
        names += [one["name"] for one in response.json()["agents"]]
    assert "link" not in response.headers
    assert names == ["boom", "count", "hold", "look", "say", "tell"]


async def test_json_registers_the_same_agent(client: Client) -> None:
    first = await put(client, document("https://fetch.test/say"))
    source = json.dumps(
        {
            "kind": "http",
            "url": "https://fetch.test/say",
            "version": "1",
            "in": {"text": "string"},
            "out": "string",
            "effect": "pure",
            "about": "fetches",
        }
    )
    second = await client.http.post(AGENTS, json={"name": "fetch", "source": source})
    assert (second.status_code, second.headers["etag"]) == (200, first.headers["etag"])
    assert second.json()["version"] == 2


async def test_mistakes_are_told_all_at_once_with_their_places(quick: Client) -> None:
    wrong = document("https://fetch.test/say", "heders: {}\n").replace("out: string", "out: strnig")
    found = check_problem(await put(quick, wrong), 422, "invalid-agent")
    assert [(error["code"], error["line"]) for error in found["errors"]] == [("E300", 5), ("E110", 8)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: python\nout: string\n", "'kind' cannot be 'python'"),
        ("kind: wasm\nfile: /etc/passwd\nout: string\n", "'file' is for the operator to write"),
        ("kind: command\ncommand: [/bin/sh]\nout: string\n", "'command' is for the operator to write"),
        (document("https://fetch.test/", "hosts: [127.0.0.1]\n"), "unknown key 'hosts'"),
        (
            document("https://fetch.test/", "headers: { a: secret://env/PATH }\n"),
            "secret://env/PATH may not be used here",
        ),
        (
            document("https://fetch.test/", "headers: { a: secret://file/etc/passwd }\n"),
            "secret://file/etc/passwd may not be used here",
        ),
    ],
)
async def test_callers_may_not_name_what_is_the_operators(quick: Client, text: str, said: str) -> None:
    found = check_problem(await put(quick, text), 422, "invalid-agent")
    assert any(said in error["detail"] for error in found["errors"])


@pytest.mark.parametrize("name", ["9lives", "a b", "x" * 65])
async def test_a_name_that_is_none_is_refused(quick: Client, name: str) -> None:
    answer = await put(quick, document("https://fetch.test/"), f"{AGENTS}/{name}")
    check_problem(answer, 422, "invalid-input")


async def test_the_agents_of_the_project_are_not_replaced(quick: Client) -> None:
    check_problem(await put(quick, document("https://fetch.test/"), f"{AGENTS}/say"), 409, "conflict")
    own = (await quick.http.get(f"{AGENTS}/say")).json()
    assert (own["kind"], "source" in own) == ("project", False)


async def test_conditions_guard_against_overwriting(client: Client) -> None:
    text = document("https://fetch.test/say")
    first = await put(client, text, **{"if-none-match": "*"})
    assert first.status_code == 201
    check_problem(await put(client, text, **{"if-none-match": "*"}), 412, "precondition-failed")
    check_problem(await put(client, text, **{"if-match": '"other"'}), 412, "precondition-failed")
    newer = document("https://fetch.test/say", version="2")
    assert (await put(client, newer, **{"if-match": first.headers["etag"]})).status_code == 200
    check_problem(
        await client.http.delete(FETCH, headers={"if-match": first.headers["etag"]}),
        412,
        "precondition-failed",
    )


async def test_flows_keep_the_version_they_were_compiled_with(permissive: Client) -> None:
    client = permissive
    old, new = Service("old"), Service("new")
    assert (await put(client, document(await old.start()))).status_code == 201
    assert (await client.deploy("fetching", FLOW)).status_code == 201
    assert (await client.execute("fetching")).json()["output"] == {"answer": "old"}
    assert (await put(client, document(await new.start(), version="2"))).status_code == 200
    assert (await client.execute("fetching")).json()["output"] == {"answer": "old"}
    assert (await client.deploy("fetching", FLOW)).status_code == 200
    assert (await client.execute("fetching")).json()["output"] == {"answer": "new"}
    assert (await client.http.delete(FETCH)).status_code == 204
    assert (await client.execute("fetching")).json()["output"] == {"answer": "new"}
    check_problem(await client.deploy("fetching", FLOW), 422, "invalid-flow")
    for service in (old, new):
        service.server.close()


async def test_versions_outlast_the_process(tmp_path: Path) -> None:
    old, new = Service("old"), Service("new")
    async with running(tmp_path / "s.db", settings=PERMISSIVE) as client:
        await put(client, document(await old.start()))
        await client.deploy("fetching", FLOW)
        await put(client, document(await new.start(), version="2"))
    async with running(tmp_path / "s.db", settings=PERMISSIVE) as client:
        assert (await client.execute("fetching")).json()["output"] == {"answer": "old"}
        assert (await client.http.get(FETCH)).json()["version"] == 2
    for service in (old, new):
        service.server.close()


async def test_a_registered_agent_gets_nowhere_that_is_not_public(client: Client) -> None:
    service = Service("inside")
    await put(client, document(await service.start()))
    await client.deploy("fetching", FLOW)
    answer = (await client.execute("fetching")).json()
    assert answer["error"]["kind"] == "agent.refused"
    assert "127.0.0.1 is not public" in answer["error"]["message"]
    assert service.heads == []
    service.server.close()
