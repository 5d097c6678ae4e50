"""Text to flow: reads a document and reports every mistake of its form, not only the first.

What the loader checks is the shape: keys, kinds, numbers, durations, types as written.
Whether names exist and types fit is the validator's part. Must never know either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from stratarouter_runtime.tcfp.diagnostics import Diagnostic, Diagnostics
from stratarouter_runtime.tcfp.ir import Do, Flow
from stratarouter_runtime.tcfp.loading.fields import NOTE, Fields, check_name, mapping_of
from stratarouter_runtime.tcfp.loading.signatures import needed_type, read_agents, read_cache, read_limits
from stratarouter_runtime.tcfp.loading.steps import StepReader
from stratarouter_runtime.tcfp.loading.values import read_value
from stratarouter_runtime.tcfp.text import MAX_BYTES, Document, Kind, Scalar, read_text
from stratarouter_runtime.tcfp.type_syntax import read_type

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.types import Type

VERSION: Final = "1.0"
KEYS: Final = (
    *("tcfp", "flow", "types", "errors", "raises", "agents", "in", "out", "limits"),
    *("stable", "cache", "semantic", "about", "tags", "do", "return"),
)


class Loaded(Struct, frozen=True):
    """A document, read: the flow, or None if any of the diagnostics is an error."""

    flow: Flow | None
    diagnostics: tuple[Diagnostic, ...]


def load(source: str | bytes, *, kind: Kind | None = None, max_bytes: int = MAX_BYTES) -> Loaded:
    """The flow that a document in YAML or JSON writes, and all that is wrong with its form.

    Without a `kind`, text that starts with `{` is tried as JSON, and is YAML otherwise.
    Never raises for what the text says.
    """
    document = read_text(source, kind=kind, max_bytes=max_bytes)
    if document.root is None:
        return Loaded(None, document.diagnostics)
    diagnostics = Diagnostics()
    flow = _read(document, diagnostics)
    found = tuple(
        sorted(
            (*document.diagnostics, *diagnostics.sorted()), key=lambda one: (one.line, one.column, one.code)
        )
    )
    failed = any(one.severity == "error" for one in found)
    return Loaded(None if failed else flow, found)


def _read(document: Document, diagnostics: Diagnostics) -> Flow | None:
    mapping = None if document.root is None else mapping_of(document.root, diagnostics)
    if mapping is None:
        return None
    fields = Fields(mapping, "a flow", diagnostics)
    if not _speaks_our_version(fields):
        return None
    fields.known(KEYS)
    return _flow(fields, document)


def _speaks_our_version(fields: Fields) -> bool:
    """Whether the rest can be read; a version that is missing or not quoted is no reason to stop."""
    node = fields.node("tcfp")
    quote = f'write tcfp: "{VERSION}"'
    if node is None:
        fields.diagnostics.add("E100", fields.at, "the version of the language is missing", quote)
        return True
    if isinstance(node, Scalar) and node.text == VERSION:
        if not isinstance(node.data, str):
            fields.diagnostics.add("E101", node.at, "the version of the language is text", quote)
        return True
    shown = f" {node.text[:20]}" if isinstance(node, Scalar) else ""
    message = f"version{shown} of the language is not known here"
    fields.diagnostics.add("E101", node.at, message, f"this runtime reads {VERSION}")
    return False


def _flow(fields: Fields, document: Document) -> Flow:
    diagnostics = fields.diagnostics
    fields.need("flow", "write its name: flow: support.triage")
    return Flow(
        name=fields.text("flow") or "",
        input=tuple(_inputs(fields)),
        output=needed_type(fields, "out"),
        body=_body(fields),
        types=dict(_types(fields, "types")),
        agents=read_agents(fields.node("agents"), diagnostics),
        errors=tuple(_types(fields, "errors")),
        raises=fields.texts("raises") or (),
        limits=read_limits(fields.node("limits"), diagnostics),
        stable=fields.flag("stable"),
        cache=read_cache(fields),
        semantic=fields.texts("semantic") or (),
        about=fields.text("about") or "",
        tags=fields.texts("tags") or (),
        note=_note(fields),
        at=fields.at,
        places=document.places,
    )


def _body(fields: Fields) -> Do:
    body = fields.need("do", "write the steps: do: [...]")
    result = fields.node("return")
    return Do(
        steps=StepReader(fields.diagnostics).steps(body),
        result=None if result is None else read_value(result, fields.diagnostics),
        at=fields.at if body is None else body.at,
    )


def _inputs(fields: Fields) -> list[tuple[str, Type]]:
    mapping = fields.mapping("in")
    for entry in () if mapping is None else mapping.entries:
        check_name(entry.key, entry.at, fields.diagnostics)
    return _types(fields, "in")


def _types(fields: Fields, key: str) -> list[tuple[str, Type]]:
    """Types by name, in written order."""
    mapping = fields.mapping(key)
    if mapping is None:
        return []
    return [(entry.key, read_type(entry.value, fields.diagnostics)) for entry in mapping.entries]


def _note(fields: Fields) -> str:
    node = fields.node(NOTE)
    return node.data if isinstance(node, Scalar) and isinstance(node.data, str) else ""
