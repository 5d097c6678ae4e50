"""The document of a plan: all that it takes to compile the very same plan again.

JSON with sorted keys: the flow as its own document, the linked agents with signatures and
digests, and who scores routes. It travels with executions. Must never know how plans
are made.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.tcfp import ir, writer
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.plan import LinkedAgent
from stratarouter_runtime.tcfp.registry import LinkableAgent, Registry
from stratarouter_runtime.tcfp.types import NULL

VERSION: Final = "1.0"

_NOTHING: Final = ir.Flow(
    "agents", (), NULL, ir.Do((ir.Step(ir.Let(ir.Constant(None))),), ir.Constant(None)), {}
)
"""A flow that does nothing: what signatures are written in and read from."""


def write(flow: ir.Flow, agents: tuple[LinkedAgent, ...], router: str) -> bytes:
    """The document of a plan of this flow, with these agents.

    Not RFC 8785, which writes 0.0 as 0: here a float has to stay one.
    """
    return orjson.dumps(
        {
            "tcfp": VERSION,
            "flow": writer.write(flow),
            "agents": {
                agent.name: {"signature": writer.write_signature(agent.signature), "digest": agent.digest}
                for agent in agents
            },
            "router": router,
        },
        option=orjson.OPT_SORT_KEYS,
    )


def read(document: bytes) -> tuple[ir.Flow, Registry, str]:
    """Flow, registry and router of a document. Raises `InvalidFlow` where it is none."""
    try:
        data = orjson.loads(document)
        version, flow, agents, router = data["tcfp"], data["flow"], data["agents"], data["router"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as wrong:
        raise InvalidFlow("this is no document of a plan", hint="it may be cut off or damaged") from wrong
    if version != VERSION:
        raise InvalidFlow(f"the plan is written in tcfp {version}", hint=f"this runtime reads {VERSION}")
    return _flow(flow), _registry(agents), str(router)


def linked(document: bytes) -> frozenset[Digest]:
    """The digests of the agents that the plan in a document is linked to; none where it cannot be read."""
    try:
        return frozenset(Digest(agent["digest"]) for agent in orjson.loads(document)["agents"].values())
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return frozenset()


def _flow(data: Any) -> ir.Flow:
    # Its text was within the limit when it was loaded first; as JSON it may well be longer.
    text = orjson.dumps(data)
    loaded = load(text, kind="json", max_bytes=len(text))
    if loaded.flow is None:
        raise InvalidFlow(
            "the flow in this document of a plan cannot be read", diagnostics=loaded.diagnostics
        )
    return loaded.flow


def _registry(agents: dict[str, Any]) -> Registry:
    written = {name: agent["signature"] for name, agent in agents.items()}
    flow = _flow({**writer.write(_NOTHING), "agents": written})
    return {
        agent.name: LinkableAgent(
            AgentName(agent.name), agent.signature, Digest(agents[agent.name]["digest"])
        )
        for agent in flow.agents
        if agent.signature is not None
    }
