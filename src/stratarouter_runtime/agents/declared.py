"""Agents declared in a document: of which kind each is, and their signatures.

A document has `agents:`, written as in a flow with `kind:` and the keys of that kind added,
`types:` for the names that signatures use, and `hosts:` for what its agents may connect to
although it is not public. All its mistakes are reported at once. Must never know: what any kind
needs, how an agent is called, or which flows call it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec.structs import replace

from stratarouter_runtime.agents.kinds import KINDS, LOCAL, Blueprint, Capped, Declaration, kind_of
from stratarouter_runtime.agents.reach import entry_fault
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.errors import InvalidAgent, LinkError
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp import text
from stratarouter_runtime.tcfp.diagnostics import Diagnostic, Diagnostics
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.loading.fields import POSITIVE, Fields, mapping_of, open_fields, text_of
from stratarouter_runtime.tcfp.loading.signatures import SIGNATURE, read_signature
from stratarouter_runtime.tcfp.type_syntax import read_type
from stratarouter_runtime.tcfp.validation.aliases import Aliases

_COMMON: Final = ("kind", "version", "max_output")
"""The keys that every kind has beside those of a signature."""


def read_declared(path: Path, secrets: Secrets | None) -> list[Blueprint]:
    """The agents of the document at `path`; `secrets`, where given, tell whether references can be resolved.

    Raises `LinkError` that names every mistake with its line.
    """
    try:
        document = text.read_text(path.read_bytes())
    except OSError as error:
        raise LinkError(f"{path} cannot be read: {error.strerror}") from None
    diagnostics = Diagnostics()
    found = [] if document.root is None else _Reader(diagnostics, secrets, path.parent).read(document.root)
    mistakes = [*document.diagnostics, *diagnostics.sorted()]
    if any(mistake.severity == "error" for mistake in mistakes):
        raise LinkError(
            "\n  ".join(["agents that cannot be used:", *(_line(path, mistake) for mistake in mistakes)])
        )
    return found


def read_one(
    source: str, notation: text.Kind, name: AgentName, secrets: Secrets | None
) -> tuple[str, Blueprint]:
    """The kind and the blueprint of one agent, from a document that a caller sent.

    The document is what stands below a name in a project's, with `types:` beside it. It permits
    nothing beyond what is public, and names nothing of this machine. Raises `InvalidAgent` with
    every mistake.
    """
    document = text.read_text(source, kind=notation)
    diagnostics = Diagnostics()
    reader = _Reader(diagnostics, secrets)
    found = None if document.root is None else reader.read_one(document.root, name)
    mistakes = (*document.diagnostics, *diagnostics.sorted())
    if found is None or any(mistake.severity == "error" for mistake in mistakes):
        raise InvalidAgent("the document is no agent that can be used", diagnostics=mistakes)
    return found


def _line(path: Path, mistake: Diagnostic) -> str:
    hint = f"  [hint: {mistake.hint}]" if mistake.hint else ""
    return f"{path}:{mistake.line}:{mistake.column} {mistake.code}: {mistake.message}{hint}"


class _Reader:
    """Reads one document."""

    def __init__(self, diagnostics: Diagnostics, secrets: Secrets | None, folder: Path | None = None) -> None:
        self._diagnostics = diagnostics
        self._folder = folder
        self._secrets = secrets
        self._aliases = Aliases({}, diagnostics)
        self._hosts: tuple[str, ...] = ()

    def read(self, root: text.Node) -> list[Blueprint]:
        fields = open_fields(root, "a document of agents", ("types", "hosts", "agents"), self._diagnostics)
        if fields is None:
            return []
        self._name_types(fields.mapping("types"))
        self._hosts = self._permitted(fields)
        node = fields.need("agents", "write agents: {name: {kind: http, url: …, in: …, out: …}}")
        agents = None if node is None else mapping_of(node, self._diagnostics)
        found = [self._entry(entry) for entry in (agents.entries if agents else ())]
        return [agent for agent in found if agent is not None]

    def read_one(self, root: text.Node, name: AgentName) -> tuple[str, Blueprint] | None:
        """The one agent that the document is; its own `types:` name types."""
        node = mapping_of(root, self._diagnostics)
        if node is None:
            return None
        whole = Fields(node, "an agent", self._diagnostics)
        self._name_types(whole.mapping("types"))
        rest = tuple(entry for entry in node.entries if entry.key != "types")
        fields = Fields(text.Mapping(rest, node.at), "an agent", self._diagnostics)
        for key in LOCAL.get(fields.text("kind") or "", ()):
            if key in fields.entries:
                hint = "declare it in the agents of the project"
                self._diagnostics.add(
                    "E134", fields.entries[key].at, f"'{key}' is for the operator to write", hint
                )
        blueprint = self._agent(name, fields)
        return None if blueprint is None else (fields.text("kind") or "", blueprint)

    def _name_types(self, types: text.Mapping | None) -> None:
        entries = () if types is None else types.entries
        named = {entry.key: read_type(entry.value, self._diagnostics) for entry in entries}
        self._aliases = Aliases(named, self._diagnostics)
        self._aliases.resolve_all()

    def _entry(self, entry: text.Entry) -> Blueprint | None:
        node = mapping_of(entry.value, self._diagnostics)
        if node is None:
            return None
        return self._agent(AgentName(entry.key), Fields(node, "an agent", self._diagnostics))

    def _agent(self, name: AgentName, fields: Fields) -> Blueprint | None:
        fields.need("kind", f"write kind: {' or '.join(KINDS)}")
        word = fields.word("kind", KINDS)
        signature = self._signature(fields)
        if word not in KINDS or signature is None:
            return None
        kind = kind_of(word)
        fields.known((*_COMMON, *kind.FIELDS, *SIGNATURE))
        version = fields.text("version") or ""
        cap = fields.integer("max_output", POSITIVE)
        blueprint = kind.read(
            Declaration(
                name,
                signature,
                version,
                fields,
                self._secrets,
                self._hosts,
                self._folder,
                guest=self._folder is None,
            )
        )
        return blueprint if blueprint is None or cap is None else Capped(blueprint, cap)

    def _permitted(self, fields: Fields) -> tuple[str, ...]:
        """What this document permits beyond what is public."""
        for item in fields.items("hosts") or ():
            entry = text_of(item, self._diagnostics)
            fault = "" if entry is None else entry_fault(entry)
            if fault:
                self._diagnostics.add(
                    "E134", item.at, fault, "write e.g. 127.0.0.1, localhost:8000, 10.0.0.0/8"
                )
        return fields.texts("hosts") or ()

    def _signature(self, fields: Fields) -> Signature | None:
        stated = tuple(part for key, part in fields.entries.items() if key in SIGNATURE)
        signature = read_signature(text.Mapping(stated, fields.at), self._diagnostics)
        if signature is None:
            return None
        return replace(
            signature,
            input=self._aliases.resolve(signature.input, signature.at),
            output=self._aliases.resolve(signature.output, signature.at),
        )
