"""The reference of this API: the OpenAPI document, and a page that people read, made of it.

The page asks no other host for anything. Must never know: what an operation does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

import msgspec

from stratarouter_runtime.api.contract import PAGE, operation
from stratarouter_runtime.api.exchange import JSON, Reference, Reply, Request, Service

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { font-size: 1rem; margin: 2rem 0 .3rem; border-top: 1px solid #ddd; padding-top: 1rem }
code, pre { font: 13px/1.4 ui-monospace, monospace } pre { background: #f6f6f4; padding: .6rem; overflow: auto }
.method { display: inline-block; min-width: 4.5em; font-weight: 700 } table { border-collapse: collapse }
td { padding: .1rem 1rem .1rem 0; vertical-align: top } a { color: #0b5cad; text-decoration: none }
"""
_HTML: Final = (b"content-type", b"text/html; charset=utf-8")
_POLICY: Final = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'")


@operation({200: dict})
async def document(service: Service, _request: Request) -> Reply:
    """`GET /openapi.json`: this API, as OpenAPI 3.1."""
    return Reply(service.reference().document, headers=(JSON,))


@operation({200: PAGE})
async def page(service: Service, _request: Request) -> Reply:
    """`GET /reference`: the same for people."""
    return Reply(service.reference().page, headers=(_HTML, _POLICY))


def rendered(api: dict[str, Any]) -> Reference:
    """An OpenAPI document as it is served: nobody needs a key for it, so it is made once and not for each."""
    return Reference(msgspec.json.encode(api), "\n".join(_page(api)).encode())


def _page(api: dict[str, Any]) -> Iterator[str]:
    title = escape(f"{api['info']['title']} {api['info']['version']}")
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    yield f"<h1>{title}</h1><p>The same as <a href=/openapi.json>OpenAPI 3.1</a>.</p>"
    for path, methods in api["paths"].items():
        for method, told in methods.items():
            yield from _operation(path, method, told)
    yield "<h1>Types</h1>"
    for name, schema in api["components"]["schemas"].items():
        yield f"<h2 id={escape(name)}>{escape(name)}</h2><pre>{_json(schema)}</pre>"


def _operation(path: str, method: str, told: dict[str, Any]) -> Iterator[str]:
    place = escape(f"{method}-{path}", quote=True)
    yield f'<h2 id="{place}"><span class=method>{method.upper()}</span> <code>{escape(path)}</code></h2>'
    scope = f" Needs the scope <code>{escape(told['x-scope'])}</code>." if "x-scope" in told else ""
    yield f"<p>{escape(told['summary'])}.{scope}</p><table>"
    for each in told["parameters"]:
        kind = f"<code>{_json(each['schema'])}</code>"
        yield f"<tr><td><code>{escape(each['name'])}</code><td>{each['in']}<td>{kind}</tr>"
    for media, body in told.get("requestBody", {}).get("content", {}).items():
        yield f"<tr><td>body<td>{escape(media)}<td>{_type(body['schema'])}</tr>"
    for status, answer in told["responses"].items():
        types = ", ".join(
            _type(body["schema"]) if body else escape(media)
            for media, body in answer.get("content", {}).items()
        )
        yield f"<tr><td>{status}<td>{types}<td>{escape(answer['description'])}</tr>"
    yield "</table>"


def _type(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a>' if name else f"<code>{_json(schema)}</code>"


def _json(value: Any) -> str:
    return escape(json.dumps(value, indent=None if len(value) < 3 else 2))
