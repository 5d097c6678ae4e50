"""Agents declared in a document: where they are served, and their signatures.

A document has `agents:`, written as in a flow with `kind: http` and `url:` added, and
`types:` for the names that signatures use. All its mistakes are reported at once. Must
never know: how an agent is called, or which flows call it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.agents.http import Endpoint
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp import text
from stratarouter_runtime.tcfp.diagnostics import Diagnostic, Diagnostics
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.loading.fields import Fields, mapping_of, open_fields, text_of
from stratarouter_runtime.tcfp.loading.signatures import read_signature
from stratarouter_runtime.tcfp.type_syntax import read_type
from stratarouter_runtime.tcfp.validation.aliases import Aliases

_KINDS: Final = ("http",)
_SERVED: Final = ("kind", "url", "headers", "version")


class Declared(Struct, frozen=True):
    """One agent as a document declares it."""

    name: AgentName
    signature: Signature
    endpoint: Endpoint


def read_declared(path: Path, variables: Mapping[str, str]) -> list[Declared]:
    """The agents of the document at `path`; `variables` fill headers written as `$NAME`.

    Raises `LinkError` that names every mistake with its line.
    """
    try:
        document = text.read_text(path.read_bytes())
    except OSError as error:
        raise LinkError(f"{path} cannot be read: {error.strerror}") from None
    diagnostics = Diagnostics()
    found = [] if document.root is None else _Reader(diagnostics, variables).read(document.root)
    mistakes = [*document.diagnostics, *diagnostics.sorted()]
    if any(mistake.severity == "error" for mistake in mistakes):
        raise LinkError(
            "\n  ".join(["agents that cannot be used:", *(_line(path, mistake) for mistake in mistakes)])
        )
    return found


def _line(path: Path, mistake: Diagnostic) -> str:
    hint = f"  [hint: {mistake.hint}]" if mistake.hint else ""
    return f"{path}:{mistake.line}:{mistake.column} {mistake.code}: {mistake.message}{hint}"


class _Reader:
    """Reads one document."""

    def __init__(self, diagnostics: Diagnostics, variables: Mapping[str, str]) -> None:
        self._diagnostics = diagnostics
        self._variables = variables
        self._aliases = Aliases({}, diagnostics)

    def read(self, root: text.Node) -> list[Declared]:
        fields = open_fields(root, "a document of agents", ("types", "agents"), self._diagnostics)
        if fields is None:
            return []
        types = fields.mapping("types")
        entries = () if types is None else types.entries
        named = {entry.key: read_type(entry.value, self._diagnostics) for entry in entries}
        self._aliases = Aliases(named, self._diagnostics)
        self._aliases.resolve_all()
        node = fields.need("agents", "write agents: {name: {kind: http, url: …, in: …, out: …}}")
        agents = None if node is None else mapping_of(node, self._diagnostics)
        found = [self._agent(entry) for entry in (agents.entries if agents else ())]
        return [agent for agent in found if agent is not None]

    def _agent(self, entry: text.Entry) -> Declared | None:
        node = mapping_of(entry.value, self._diagnostics)
        if node is None:
            return None
        served = [part for part in node.entries if part.key in _SERVED]
        other = [part for part in node.entries if part.key not in _SERVED]
        endpoint = self._endpoint(Fields(text.Mapping(tuple(served), node.at), "an agent", self._diagnostics))
        signature = read_signature(text.Mapping(tuple(other), node.at), self._diagnostics)
        if endpoint is None or signature is None:
            return None
        return Declared(AgentName(entry.key), self._resolved(signature), endpoint)

    def _resolved(self, signature: Signature) -> Signature:
        return replace(
            signature,
            input=self._aliases.resolve(signature.input, signature.at),
            output=self._aliases.resolve(signature.output, signature.at),
        )

    def _endpoint(self, fields: Fields) -> Endpoint | None:
        fields.need("kind", f"write kind: {' or '.join(_KINDS)}")
        fields.word("kind", _KINDS)
        fields.need("url", "write url: https://host/path")
        url = fields.text("url")
        if url is None:
            return None
        return Endpoint(url, self._headers(fields.mapping("headers")), fields.text("version") or "")

    def _headers(self, node: text.Mapping | None) -> dict[str, str]:
        found = {}
        for entry in () if node is None else node.entries:
            value = text_of(entry.value, self._diagnostics)
            if value is not None:
                found[entry.key] = self._filled(value, entry)
        return found

    def _filled(self, value: str, entry: text.Entry) -> str:
        """The header as sent: what is secret stands in the environment, not in the document."""
        if not value.startswith("$"):
            return value
        if value[1:] not in self._variables:
            self._diagnostics.add(
                "E111", entry.value.at, f"the variable {value[1:]} is not set", "set it in the environment"
            )
        return self._variables.get(value[1:], "")
