"""Every answer that a test receives, held against the OpenAPI document."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import httpx2
from jsonschema import Draft202012Validator

from stratarouter_runtime.api.app import ROUTES
from stratarouter_runtime.api.contract import EVENTS
from stratarouter_runtime.api.openapi import JSON, PROBLEM, document

DOCUMENT: Final = document(ROUTES, "1.2.3")

ANYWHERE: Final = {"not-found", "method-not-allowed", "draining"}
"""Codes of answers that belong to no operation: there is none at the path, or none is taken any more."""

_PATHS: Final = [(path, re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))) for path, _ in ROUTES]


async def check(response: httpx2.Response) -> None:
    """Hold one answer against what is documented for its operation. For a client's `event_hooks`."""
    path, method = response.request.url.path, response.request.method.lower()
    template = next((path_ for path_, pattern in _PATHS if pattern.fullmatch(path)), None)
    operations = DOCUMENT["paths"].get(template, {})
    told = operations.get("get" if method == "head" else method)
    status = str(response.status_code)
    if told is None or (status not in told["responses"] and response.status_code >= 400):
        await _check_elsewhere(response)
        return
    assert status in told["responses"], f"{method} {template}: {status} is not documented"
    await _check_body(response, told["responses"][status], f"{method} {template} {status}")


async def _check_elsewhere(response: httpx2.Response) -> None:
    await response.aread()
    if response.request.method != "HEAD":
        problem = response.json()
        assert problem["code"] in ANYWHERE, f"{response.request.url.path}: {problem}"
        _validator(PROBLEM).validate(problem)


async def _check_body(response: httpx2.Response, told: dict[str, Any], where: str) -> None:
    content = told.get("content", {})
    kind = response.headers.get("content-type", "").partition(";")[0]
    if response.request.method == "HEAD" or EVENTS in content:
        return
    assert kind in content or not (kind or content), f"{where}: {kind!r} is not documented"
    if kind not in {JSON, PROBLEM}:
        return
    await response.aread()
    body = response.json()
    faults = [
        f"{where}: {each.json_path}: {each.message}"
        for each in _validator(_name(content[kind])).iter_errors(body)
    ]
    assert faults == []
    if kind == PROBLEM:
        assert f"`{body['code']}`" in told["description"], f"{where}: {body['code']} is not documented"


def _name(media: dict[str, Any]) -> str:
    return str(media["schema"].get("$ref", ""))


@cache
def _validator(reference: str) -> Draft202012Validator:
    target = (
        {"$ref": "#/components/schemas/Problem" if reference == PROBLEM else reference} if reference else {}
    )
    return Draft202012Validator({"components": DOCUMENT["components"], **target})
