"""Plans without agents: each signature that a flow declares stands for an agent that has it.

For tests of flows and of the core. Must never know: how agents are implemented.
"""

from __future__ import annotations

from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp.compiler import compile_flow
from stratarouter_runtime.tcfp.ir import Flow
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.tcfp.registry import LinkableAgent
from stratarouter_runtime.tcfp.standins import stand_ins
from stratarouter_runtime.tcfp.validator import validate


def plan_of(source: str, *, router: str = "scripted") -> Plan:
    """The plan of a flow whose agents all have signatures. Raises `InvalidFlow`."""
    return compile_flow(_flow(source), declared_agents(source), router)


def declared_agents(source: str) -> dict[str, LinkableAgent]:
    """An agent for each signature that the flow declares. Raises `InvalidFlow`."""
    return stand_ins(validate(_flow(source)))


def _flow(source: str) -> Flow:
    loaded = load(source)
    if loaded.flow is None:
        mistakes = "; ".join(map(str, loaded.diagnostics))
        raise InvalidFlow(f"the document is no flow: {mistakes}", diagnostics=loaded.diagnostics)
    return loaded.flow
