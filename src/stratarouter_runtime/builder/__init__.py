"""Flows and agents written in Python: the same flow as the YAML, the same digest.

`agent` makes a function an agent, `flow` records a function as a flow; what stands between
them are the operators (`call`, `route`, `match`, …), the modifiers (`retry=`, `catch=`, …)
and the functions of expressions (`fn`). Must never know how flows are checked or run.
"""

from __future__ import annotations

from stratarouter_runtime.builder import functions as fn
from stratarouter_runtime.builder import usage
from stratarouter_runtime.builder.agents import AgentDefinition, AgentError, agent, definition_of
from stratarouter_runtime.builder.annotations import PII, SECRET, File, Label
from stratarouter_runtime.builder.flows import FlowDefinition, flow
from stratarouter_runtime.builder.functions import choose, run
from stratarouter_runtime.builder.making import make
from stratarouter_runtime.builder.modifiers import catch
from stratarouter_runtime.builder.quantities import Batch, Limits, Retry
from stratarouter_runtime.builder.steps import (
    Routed,
    ask,
    call,
    do,
    each,
    fail,
    let,
    loop,
    match,
    par,
    race,
    route,
    sleep,
    tagged,
    when,
)
from stratarouter_runtime.tcfp.ir import Cost, Needs

__all__ = [
    "PII",
    "SECRET",
    "AgentDefinition",
    "AgentError",
    "Batch",
    "Cost",
    "File",
    "FlowDefinition",
    "Label",
    "Limits",
    "Needs",
    "Retry",
    "Routed",
    "agent",
    "ask",
    "call",
    "catch",
    "choose",
    "definition_of",
    "do",
    "each",
    "fail",
    "flow",
    "fn",
    "let",
    "loop",
    "make",
    "match",
    "par",
    "race",
    "route",
    "run",
    "sleep",
    "tagged",
    "usage",
    "when",
]
