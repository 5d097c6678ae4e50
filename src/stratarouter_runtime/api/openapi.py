"""The OpenAPI 3.1 document of this API, generated from its routes and the types of their bodies.

Must never know: a request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import getdoc
from typing import Any, Final

import msgspec
from msgspec import Struct

from stratarouter_runtime.api.access import required
from stratarouter_runtime.api.contract import CONTRACTS, EVENTS, Operation
from stratarouter_runtime.api.errors import KINDS
from stratarouter_runtime.api.exchange import Handler
from stratarouter_runtime.api.models import Problem

Document = dict[str, Any]

PROBLEM: Final = "application/problem+json"
JSON: Final = "application/json"
ALWAYS: Final = (
    "forbidden",
    "headers-too-large",
    "internal",
    "malformed-request",
    "misdirected",
    "quota-exceeded",
    "request-timeout",
    "unauthenticated",
)
"""Codes that any operation may answer with, as `KINDS` knows them."""

OF_STORE: Final = ("store-error", "store-unavailable", "store-full")
OF_KEYS: Final = ("unauthenticated", "forbidden", "quota-exceeded")
OF_BODY: Final = ("body-too-large", "unsupported-media-type", "invalid-request", "draining")

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_REF: Final = "#/components/schemas/{name}"
_HEADERS: Final = {
    "Idempotency-Key": "The same key always means the same execution.",
    "If-Match": "Only where this is what is there.",
    "If-None-Match": "Only where this is not what is there.",
    "Last-Event-ID": "The number of the last fact seen.",
    "Prefer": "`respond-async`, or `wait=SECONDS` (RFC 7240).",
    "traceparent": "The caller's place in a trace (W3C).",
}


def document(routes: tuple[tuple[str, Mapping[str, Handler]], ...], version: str) -> Document:
    """The whole document, in the order of the routes."""
    _, components = msgspec.json.schema_components(_types(routes), ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "StrataRouter Runtime",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": {
            path: {method.lower(): _operation(path, method, handler) for method, handler in handlers.items()}
            for path, handlers in routes
        },
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _types(routes: tuple[tuple[str, Mapping[str, Handler]], ...]) -> list[Any]:
    found: list[Any] = [Problem]
    for contract in _contracts(routes):
        bodies = [contract.takes, *contract.gives.values()]
        found += [body for body in bodies if _is_record(body) and body not in found]
    return found


def _is_record(body: Any) -> bool:
    return isinstance(body, type) and issubclass(body, Struct)


def _contracts(routes: tuple[tuple[str, Mapping[str, Handler]], ...]) -> Iterator[Operation]:
    for _, handlers in routes:
        for handler in handlers.values():
            yield CONTRACTS[handler]


def _operation(path: str, method: str, handler: Handler) -> Document:
    contract = CONTRACTS[handler]
    summary, _, description = (getdoc(handler) or "").partition(": ")[2].partition("\n\n")
    scope = required(path, method)
    told: Document = {
        "operationId": f"{handler.__module__.rpartition('.')[2]}_{handler.__name__}",
        "summary": " ".join(summary.split()).rstrip("."),
        "parameters": [*_parameters(path, contract)],
        "responses": _responses(path, contract, scope is not None),
    }
    if description:
        told["description"] = description
    if scope is None:
        told["security"] = []
    else:
        told["x-scope"] = scope
    if contract.takes is not None or contract.texts:
        told["requestBody"] = _body(contract)
    return told


def _parameters(path: str, contract: Operation) -> Iterator[Document]:
    for name in _PARAMETER.findall(path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    if contract.query is not None:
        schema = _schema_of(contract.query)
        for name, of in schema["properties"].items():
            yield {"name": name, "in": "query", "schema": _present(of), "explode": False}
    for name in contract.headers:
        yield {"name": name, "in": "header", "description": _HEADERS[name], "schema": {"type": "string"}}


def _present(schema: Document) -> Document:
    """The schema of what is given: what is not given is left out, and is no null."""
    if schema.get("default", ...) is not None:
        return schema
    (given,) = [each for each in schema["anyOf"] if each != {"type": "null"}]
    return dict(given)


def _schema_of(type_: type[Struct]) -> Document:
    """The schema of a flat record, itself and not by reference."""
    (_, components) = msgspec.json.schema_components([type_], ref_template=_REF)
    found: Document = components[type_.__name__]
    return found


def _body(contract: Operation) -> Document:
    schema = {"type": "string"} if contract.takes is None else _reference(contract.takes)
    media = contract.texts or (JSON,)
    return {"required": not contract.optional, "content": {each: {"schema": schema} for each in media}}


def _responses(path: str, contract: Operation, keyed: bool) -> Document:  # noqa: FBT001 - one fact of two
    responses: Document = {}
    for status, body in contract.gives.items():
        responses[str(status)] = {"description": _MEANINGS[status], **_content(body)}
    codes = {*ALWAYS, *contract.refuses}
    codes |= {*OF_STORE, *OF_KEYS} if keyed else set()
    codes |= {*OF_BODY} if contract.takes is not None or contract.texts else set()
    codes |= {"invalid-request"} if contract.query is not None else set()
    codes |= {"not-found"} if "{" in path else set()
    for status in sorted({KINDS[code].status for code in codes}):
        named = sorted(code for code in codes if KINDS[code].status == status)
        responses[str(status)] = {
            "description": ", ".join(f"`{code}`" for code in named),
            "content": {PROBLEM: {"schema": _reference(Problem)}},
        }
    return responses


def _content(body: Any) -> Document:
    if body is None:
        return {}
    if body == EVENTS:  # a stream is no value that a schema could describe
        return {"content": {EVENTS: {}}}
    if isinstance(body, str):
        return {"content": {body: {"schema": {"type": "string"}}}}
    return {"content": {JSON: {"schema": _reference(body) if _is_record(body) else {"type": "object"}}}}


def _reference(type_: Any) -> Document:
    return {"$ref": _REF.format(name=type_.__name__)}


_MEANINGS: Final = {
    200: "Done.",
    201: "Made.",
    202: "Accepted, and durable.",
    204: "Done.",
    304: "Still what the caller has.",
}
