"""Flows named on the command line: files or standard input -> what is wrong with them, or a plan.

Must never know: how findings are shown, stores, or how an agent does its work.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter
from msgspec import Struct

from stratarouter_runtime.cli.render import Rejected
from stratarouter_runtime.errors import InvalidFlow, InvalidInput, InvalidSetting, NotFound
from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.ports import Agent
from stratarouter_runtime.tcfp.compiler import compile_flow
from stratarouter_runtime.tcfp.diagnostics import Diagnostic
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.tcfp.registry import LinkableAgent, Registry
from stratarouter_runtime.tcfp.text.reading import MAX_BYTES
from stratarouter_runtime.tcfp.validator import Checked, validate

FlowName: TypeAlias = Annotated[str, Parameter(allow_leading_hyphen=True)]
"""An argument that names a flow: a path, or `-`."""


class Document(Struct, frozen=True):
    """The text of a flow and what people call it: the path as given, `-` for standard input."""

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
    """The document of this path, or of standard input for `-`.

    Raises `NotFound`, `InvalidInput`, `InvalidSetting` for an option that does not exist. Of an oversized file one byte too many is read, so that
    the loader refuses it by its size.
    """
    if name == "-":
        return Document(name, sys.stdin.buffer.read(MAX_BYTES + 1))
    if name.startswith("-"):
        # A lone hyphen has to be let through as an argument, and every unknown option with it.
        raise InvalidSetting(f"unknown option {name}", hint=f"strata --help; for a file, write ./{name}")
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
        found = tuple(each for each in error.diagnostics if isinstance(each, Diagnostic))
        raise Rejected(document.name, document.text, found) from error


def declared(document: Document) -> dict[str, LinkableAgent]:
    """Stand-ins for the agents whose signatures the flow itself declares: enough to see a plan.

    Plans made with them have no digest that another plan could have.
    """
    checked = examine(document).checked
    signatures = {} if checked is None else checked.agents
    return {
        name: LinkableAgent(AgentName(name), signature, Digest("0" * 64))
        for name, signature in signatures.items()
    }


def at_hand(agents: Mapping[str, Agent]) -> dict[str, LinkableAgent]:
    """What the compiler needs to know of each agent."""
    return {name: LinkableAgent(agent.name, agent.signature, agent.digest) for name, agent in agents.items()}
