"""Whatever is sent is answered: taken, or refused by a problem document, never a defect."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx2
from hypothesis import given
from hypothesis import strategies as st
from tests.http.stage import ASKING, ECHO, EXECUTE, PRIVATE, ROUTED, running

FLOWS = st.sampled_from([ECHO, ROUTED, ASKING, PRIVATE])
SNIPPETS = st.sampled_from(
    [
        "=",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "\n",
        "\n  ",
        "- ",
        "null",
        "@pii",
        "?",
        "|",
        "list<",
        '"',
        "'",
        "&a ",
        "*a",
        "!",
        "%",
        "9" * 30,
        "é",
        "\x00",
        "\ud7ff",
        "=a.b",
        "=1/0",
        "retry: {max: 1}",
        "do",
        "1h",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def answered(method: str, path: str, body: bytes, kind: str) -> httpx2.Response:
    """The answer to one request, after a flow has been deployed."""

    async def ask() -> httpx2.Response:
        async with running() as client:
            await client.deploy("echo", ECHO)
            return await client.http.request(method, path, content=body, headers={"content-type": kind})

    return asyncio.run(ask())


def check(response: httpx2.Response) -> None:
    assert response.status_code < 500, response.text
    refused = response.status_code >= 400
    assert (response.headers["content-type"] == "application/problem+json") == refused
    assert response.json().get("status") == response.status_code or not refused


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_answered(body: bytes) -> None:
    check(answered("POST", EXECUTE, body, "application/json"))


@given(JSON, JSON)
def test_any_input_and_option_is_answered(input_: Any, option: Any) -> None:
    body = {"workflow_id": "echo", "input": input_, "options": {"seed": option}}
    check(answered("POST", EXECUTE, json.dumps(body).encode(), "application/json"))


@given(
    FLOWS, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), SNIPPETS | st.text(max_size=3)), max_size=4)
)
def test_any_mutation_of_a_flow_is_answered(source: str, edits: list[tuple[float, int, str]]) -> None:
    for place, length, put in edits:
        at = int(place * len(source))
        source = source[:at] + put + source[at + length :]
    check(
        answered("PUT", "/api/v1/workflows/flow", source.encode(errors="surrogatepass"), "application/yaml")
    )


@given(st.binary(max_size=20))
def test_any_path_is_answered(path: bytes) -> None:
    check(answered("GET", f"/api/v1/{quote(path)}", b"", ""))
