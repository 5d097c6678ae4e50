"""How tests of the validator and the compiler write flows and read what comes of them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from stratarouter_runtime.canonical import digest
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.compiler import compile_flow
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.tcfp.registry import LinkableAgent, Registry
from stratarouter_runtime.tcfp.types import Type, show
from stratarouter_runtime.tcfp.validation.tree import Checked, Do, Step
from stratarouter_runtime.tcfp.validator import validate

ROOT = Path(__file__).parents[3]
EXAMPLES = ("support_triage", "rag_judge", "map_reduce", "approval", "saga")
"""The five complete flows, by their folder under examples/."""

AGENTS = """
agents:
  pure: { in: { n: int }, out: { n: int }, effect: pure, cost: { usd: 1.0, tokens: 10 }, time: 1s }
  safe: { in: { n: int }, out: { n: int }, effect: idempotent, errors: [lost, found.twice] }
  act: { in: { n: int }, out: { n: int } }
  text: { in: { s: string }, out: { s: string }, effect: pure, about: words }
  open: { in: { s: string? }, out: { s: string? }, effect: pure, accepts: [pii], about: anything }
"""
ERRORS = """
errors:
  lost: { where: string }
  found.twice: null
raises: [lost, found.twice]
"""


def flow_text(steps: str, *, result: str = "null", head: str = "", out: str = "json") -> str:
    """A flow over a fixed set of agents and inputs, with these steps."""
    inputs = "in: { n: int, s: string, name: string @pii, maybe: string?, many: list<int>, any: json }\n"
    body = "do:\n" + "".join(f"  {line}\n" for line in dedent(steps).strip().splitlines())
    return f'tcfp: "1.0"\nflow: test\n{AGENTS}{ERRORS}{inputs}out: {out}\n{head}{body}return: {result}\n'


def flow(text: str) -> ir.Flow:
    """The flow of a text that the loader takes."""
    loaded = load(text)
    assert loaded.flow is not None, "\n".join(map(str, loaded.diagnostics))
    return loaded.flow


def checked(steps: str, registry: Registry | None = None, **rest: str) -> Checked:
    """The steps, checked."""
    return validate(flow(flow_text(steps, **rest)), registry)


def codes(found: Checked) -> list[str]:
    """The codes of all diagnostics, in the order of the text."""
    return [diagnostic.code for diagnostic in found.diagnostics]


def clean(steps: str) -> Checked:
    """The steps, checked, with no diagnostic at all."""
    found = checked(steps)
    assert not found.diagnostics, "\n".join(map(str, found.diagnostics))
    return found


def body(found: Checked) -> tuple[Step, ...]:
    """The steps of the body."""
    assert isinstance(found.body.does, Do)
    return found.body.does.steps


def types(found: Checked) -> dict[str, str]:
    """The types of the steps of the body that have ids."""
    return {step.source.id: show(step.type) for step in body(found) if step.source.id is not None}


def registry_of(of: ir.Flow) -> dict[str, LinkableAgent]:
    """Agents that are exactly what the flow requires."""
    return {
        name: LinkableAgent(AgentName(name), signature, digest(name))
        for name, signature in validate(of).agents.items()
    }


def linkable(name: str, takes: Type, gives: Type, **rest: Any) -> LinkableAgent:
    """A pure agent at hand that says what it is about."""
    signature = ir.Signature(takes, gives, **{"effect": "pure", "about": name, **rest})
    return LinkableAgent(AgentName(name), signature, digest(name))


def plan_of(text: str, router: str = "test-scorer") -> Plan:
    """The plan of a text, linked to agents that are exactly what it requires."""
    of = flow(text)
    return compile_flow(of, registry_of(of), router)


def example(name: str) -> str:
    """The text of one of the five flows."""
    return (ROOT / "examples" / name / "flow.yaml").read_text(encoding="utf-8")
