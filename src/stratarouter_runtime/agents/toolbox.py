"""The other agents that a model may call: offered by their signatures, called with what fits these.

Must never know: models, or how they ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from stratarouter_runtime.agents.answers import plain_schema
from stratarouter_runtime.canonical import digest_bytes
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.ports import Agent, AgentCall
from stratarouter_runtime.state.events import NO_USAGE, Usage
from stratarouter_runtime.tcfp.ir import EFFECTS
from stratarouter_runtime.tcfp.relations import labels_of
from stratarouter_runtime.tcfp.values import Misfit, checker, to_json

if TYPE_CHECKING:
    from stratarouter_runtime.agents.chat import ToolCall
    from stratarouter_runtime.agents.models import Spec
    from stratarouter_runtime.agents.workshop import Workshop


class Toolbox:
    """Raises `LinkError` where a tool is not at hand, or does or learns what the model's agent may not."""

    def __init__(self, spec: Spec, workshop: Workshop) -> None:
        self._tools: dict[str, Agent] = {}
        for name in spec.uses:
            tool = workshop.colleagues(name)
            if tool is None:
                raise LinkError(f"agent '{spec.name}' has the tool '{name}', which is not at hand")
            reason = _misfit(spec, tool)
            if reason:
                raise LinkError(f"agent '{spec.name}' cannot have the tool '{name}': {reason}")
            self._tools[name] = tool

    @property
    def agents(self) -> tuple[Agent, ...]:
        """The tools."""
        return tuple(self._tools.values())

    @property
    def digests(self) -> dict[AgentName, Digest]:
        """The version of each tool."""
        return {AgentName(name): tool.digest for name, tool in self._tools.items()}

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """The tools as a model is told of them."""
        return [
            {
                "type": "function",
                "function": {
                    "name": name,
                    "description": tool.signature.about,
                    "parameters": plain_schema(tool.signature.input),
                },
            }
            for name, tool in self._tools.items()
        ]

    async def use(self, wanted: ToolCall, call: AgentCall, turn: int) -> tuple[str, Usage]:
        """What the model is told of the call it wanted, and what that took.

        The call has a key of its own, that follows from the model's and the `turn`: whoever is
        called again with it may answer as before.
        """
        tool = self._tools.get(wanted.name)
        if tool is None:
            return _told({"error": f"there is no tool '{wanted.name}'"}), NO_USAGE
        try:
            value = checker(tool.signature.input).project(orjson.loads(wanted.arguments or "{}"))
        except (Misfit, orjson.JSONDecodeError) as error:
            return _told({"error": f"the arguments do not fit: {error}"}), NO_USAGE
        key = digest_bytes(f"{call.key}\0tool\0{turn}".encode())
        reply = await tool.call(
            AgentCall(
                call.execution,
                call.tenant,
                key,
                call.seed,
                call.attempt,
                value,
                call.deadline,
                call.trace,
                call.scope,
                call.fresh,
                wished=call.wished,
                allowed=call.allowed,
                budget=call.budget,
                carries=call.carries,
                confirm=call.confirm,
            )
        )
        usage = reply.usage or NO_USAGE
        if reply.failure is not None:
            return _told({"error": reply.failure.kind, "message": reply.failure.message}), usage
        type_ = tool.signature.output
        try:
            return _told(to_json(type_, checker(type_).project(reply.output))), usage
        except Misfit as misfit:
            return _told({"error": f"the tool returned what does not fit: {misfit}"}), usage


def _told(value: Any) -> str:
    return orjson.dumps(value).decode()


def _misfit(spec: Spec, tool: Agent) -> str:
    """Why the agent that a model is may not use another; empty where it may."""
    mine, other = spec.signature, tool.signature
    if EFFECTS.index(other.effect) > EFFECTS.index(mine.effect):
        return f"its effect is {other.effect}, at most {mine.effect} is declared"
    unknown = mine.accepts - other.accepts
    if unknown:
        return f"it does not accept @{min(unknown)}, which the model is given"
    revealed = labels_of(other.output) - labels_of(mine.output)
    if revealed:
        return f"it tells @{min(revealed)}, and the model's answer does not say so"
    return ""
