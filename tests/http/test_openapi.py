"""The OpenAPI document says what the code does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.http.documented import DOCUMENT
from tests.http.stage import Client
from typing_extensions import override

from stratarouter_runtime.api.app import ROUTES
from stratarouter_runtime.api.contract import CONTRACTS
from stratarouter_runtime.api.errors import KINDS
from stratarouter_runtime.cli.app import run

WRITTEN = Path(__file__).parents[2] / "docs" / "openapi.json"
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]


def references(value: Any) -> Iterator[str]:
    match value:
        case dict():
            if "$ref" in value:
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        case list():
            for each in value:
                yield from references(each)
        case _:
            pass


def test_every_handler_says_what_it_does() -> None:
    handlers = [handler for _, methods in ROUTES for handler in methods.values()]
    assert [handler.__qualname__ for handler in handlers if handler not in CONTRACTS] == []


def test_every_refusal_has_a_known_code() -> None:
    told = {code for contract in CONTRACTS.values() for code in contract.refuses}
    assert told <= set(KINDS)


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert set(references(DOCUMENT)) == {f"#/components/schemas/{name}" for name in schemas}


def test_operations_have_names_of_their_own() -> None:
    names = [DOCUMENT["paths"][path][method]["operationId"] for path, method in OPERATIONS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_an_operation_is_told_in_full(path: str, method: str) -> None:
    told = DOCUMENT["paths"][path][method]
    assert told["summary"]
    inside = [each["name"] for each in told["parameters"] if each["in"] == "path"]
    assert inside == re.findall(r"\{(\w+)\}", path)
    assert any(status.startswith("2") for status in told["responses"])
    assert "500" in told["responses"]
    assert ("requestBody" in told) <= (method in {"post", "put", "patch"})
    if told.get("security") != []:
        assert {"401", "403"} <= set(told["responses"])


def test_it_is_a_document_of_openapi() -> None:
    assert [
        str(fault) for fault in OpenAPIV31SpecValidator(json.loads(json.dumps(DOCUMENT))).iter_errors()
    ] == []


def test_the_document_in_the_repository_is_that_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["openapi"]) == 0
    assert WRITTEN.read_text(encoding="utf-8") == capsys.readouterr().out, (
        "strata openapi > docs/openapi.json"
    )


async def test_the_server_shows_its_own_document(quick: Client) -> None:
    served = (await quick.http.get("/openapi.json")).json()
    assert served == json.loads(json.dumps(DOCUMENT))


async def test_the_reference_is_made_once_and_not_for_each_who_asks(quick: Client) -> None:
    for path in ("/openapi.json", "/reference"):
        assert (await quick.http.get(path)).content == (await quick.http.get(path)).content
    assert quick.service.reference() is quick.service.reference()


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.leads: list[str] = []
        self.tags: set[str] = set()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in {"href", "src"} and value:
                self.leads.append(value)


async def test_the_reference_needs_nobody_else(quick: Client) -> None:
    response = await quick.http.get("/reference")
    assert response.headers["content-type"].startswith("text/html")
    page = _Links()
    page.feed(response.text)
    assert not page.tags & {"script", "link", "img", "iframe"}
    assert {each for each in page.leads if not each.startswith("#")} == {"/openapi.json"}
    assert {each[1:] for each in page.leads if each.startswith("#")} <= page.ids
    assert {f"{method}-{path}" for path, method in OPERATIONS} <= page.ids
