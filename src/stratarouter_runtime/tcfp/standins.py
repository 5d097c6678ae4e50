"""Stand-ins for agents: each signature that a flow declares stands for an agent that has it.

Enough to compile a flow where its agents are not at hand: to draw it, to measure, to test.
Must never know how agents are implemented.
"""

from __future__ import annotations

from typing import Final

from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp.digests import agent_digest
from stratarouter_runtime.tcfp.registry import LinkableAgent
from stratarouter_runtime.tcfp.validation.tree import Checked

KIND: Final = "declared"
"""Part of their digests, so that no real agent has the same."""


def stand_ins(checked: Checked) -> dict[str, LinkableAgent]:
    """An agent for each signature that a checked flow uses."""
    return {
        name: LinkableAgent(AgentName(name), signature, agent_digest(name, KIND, "1", signature))
        for name, signature in checked.agents.items()
    }
