"""Flows of a project, or named on the command line -> what is wrong with them, or a plan.

Must never know: how findings are shown, stores, or how an agent does its work.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from msgspec import Struct

from stratarouter_runtime.cli.arguments import STDIN
from stratarouter_runtime.cli.render import Rejected
from stratarouter_runtime.errors import InvalidFlow, InvalidInput, NotFound
from stratarouter_runtime.tcfp.compiler import compile_flow
from stratarouter_runtime.tcfp.diagnostics import Diagnostic
from stratarouter_runtime.tcfp.ir import Flow
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.tcfp.registry import LinkableAgent, Registry
from stratarouter_runtime.tcfp.standins import stand_ins
from stratarouter_runtime.tcfp.text.reading import MAX_BYTES
from stratarouter_runtime.tcfp.validator import Checked, validate

CALLED: Final = ("flows/*.yaml", "flows/*.yml", "flows/*.json")
"""Where flows of a project stand that others may call."""

FLOWS: Final = ("flow.yaml", "flow.yml", "flow.json", *CALLED)
"""Where all flows of a project stand; those at its root come first."""


class Document(Struct, frozen=True):
    """The text of a flow and what people call it: the path as given."""

    name: str
    source: bytes

    @property
    def text(self) -> str:
        """The text, whatever its bytes are, to show lines of."""
        return self.source.decode("utf-8", errors="replace").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")


class Examined(Struct, frozen=True):
    """A document with all that is wrong with it; `checked` is None where its form is already wrong."""

    document: Document
    diagnostics: tuple[Diagnostic, ...]
    checked: Checked | None

    @property
    def ok(self) -> bool:
        """Whether it can be compiled."""
        return self.checked is not None and self.checked.ok


def read(name: str) -> Document:
    """The document of this path, or of standard input.

    Raises `NotFound`, `InvalidInput`. Of an oversized file one byte too many is read, so that
    the loader refuses it by its size.
    """
    if name.partition(":")[0].endswith(".py"):
        hint = "write the flow out as a document, FLOW.document: docs/python.md"
        raise InvalidInput(f"{name} is Python, and a flow is read as YAML or JSON", hint=hint)
    if name == STDIN:
        return Document(name, sys.stdin.buffer.read(MAX_BYTES + 1))
    try:
        with Path(name).open("rb") as file:
            return Document(name, file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        raise NotFound(f"no file {name}", hint="a flow is a file in YAML or JSON") from None
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}") from None


def examine(document: Document, registry: Registry | None = None) -> Examined:
    """Check a document as far as it goes; nothing is run."""
    loaded = load(document.source)
    if loaded.flow is None:
        return Examined(document, loaded.diagnostics, None)
    checked = validate(loaded.flow, registry)
    found = sorted(
        {*loaded.diagnostics, *checked.diagnostics}, key=lambda one: (one.line, one.column, one.code)
    )
    return Examined(document, tuple(found), checked)


def in_calling_order(documents: Iterable[Document]) -> list[Document]:
    """Flows of one project, those that are called before those that call them.

    Documents that are no flows come first, where compiling them says what is wrong. Raises
    `InvalidFlow` for flows that call each other in a circle.
    """
    loaded = [(document, load(document.source).flow) for document in documents]
    flows = {flow.name: document for document, flow in loaded if flow is not None}
    calls = {flow.name: _called(flow) & flows.keys() for _, flow in loaded if flow is not None}
    try:
        order = [flows[name] for name in TopologicalSorter(calls).static_order()]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise InvalidFlow(
            f"flows call each other in a circle: {circle}", hint="let one of them loop instead"
        ) from None
    return [document for document, _ in loaded if document not in order] + order


def documents(project: Path, where: Iterable[str] = FLOWS) -> list[Document]:
    """The flows of a project, those that are called before those that call them.

    Raises `InvalidFlow` for flows that call each other in a circle, and as `read`.
    """
    found = (path for pattern in where for path in sorted(project.glob(pattern)))
    return in_calling_order(read(str(path)) for path in found if path.is_file())


def _called(flow: Flow) -> set[str]:
    """The names of what a flow may call: whatever it calls, it has to declare."""
    return {agent.name for agent in flow.agents}


def compile_document(document: Document, registry: Registry, router: str = "") -> Plan:
    """The plan of a document, its agents taken from `registry`.

    Raises `Rejected` with every diagnostic, `LinkError`.
    """
    examined = examine(document, registry)
    if examined.checked is None or not examined.ok:
        raise Rejected(document.name, document.text, examined.diagnostics)
    try:
        return compile_flow(examined.checked, registry, router)
    except InvalidFlow as error:
        raise rejected(document, error) from error


def rejected(document: Document, error: InvalidFlow) -> Rejected:
    """The same error, with the text that its diagnostics are about."""
    found = tuple(each for each in error.diagnostics if isinstance(each, Diagnostic))
    return Rejected(document.name, document.text, found)


def declared(document: Document) -> dict[str, LinkableAgent]:
    """Stand-ins for the agents whose signatures the flow itself declares: enough to see a plan."""
    checked = examine(document).checked
    return {} if checked is None else stand_ins(checked)
