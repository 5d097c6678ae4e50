"""The other agents that a model may call: offered by their signatures, called with what fits these.

Must never know: models, or how they ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.agents.answers import plain_schema
from stratarouter_runtime.canonical import digest_bytes
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply
from stratarouter_runtime.state.events import NO_USAGE, Budget, Usage
from stratarouter_runtime.state.provenance import MADE, Provenance
from stratarouter_runtime.tcfp.ir import EFFECTS
from stratarouter_runtime.tcfp.relations import labels_of
from stratarouter_runtime.tcfp.values import Misfit, checker, to_json

if TYPE_CHECKING:
    from stratarouter_runtime.agents.chat import ToolCall
    from stratarouter_runtime.agents.models import Spec
    from stratarouter_runtime.agents.workshop import Workshop


_FLAWED: Final = Provenance(whole=False)


class Used(Struct, frozen=True):
    """What a model is told of a call that it wanted, what that took, and the labels of what it is told.

    `origin` is what the model's own answer rests on from now on.
    """

    told: str
    usage: Usage = NO_USAGE
    carries: frozenset[str] = frozenset()
    origin: Provenance = MADE

    @classmethod
    def error(cls, kind: str, message: str, usage: Usage = NO_USAGE) -> Used:
        """A call that failed, or was not made: what the model says without it is for nobody later."""
        return cls(_told({"error": kind, "message": message}), usage, origin=_FLAWED)


class Toolbox:
    """Raises `LinkError` where a tool is not at hand, or does or learns what the model's agent may not."""

    def __init__(self, spec: Spec, workshop: Workshop) -> None:
        self._tools: dict[AgentName, Agent] = {}
        for name in spec.uses:
            tool = workshop.colleagues(name)
            if tool is None:
                raise LinkError(f"agent '{spec.name}' has the tool '{name}', which is not at hand")
            self._tools[name] = tool
        told = frozenset(label for each in self.agents for label in labels_of(each.signature.output))
        for name, tool in self._tools.items():
            reason = _misfit(spec, tool, told)
            if reason:
                raise LinkError(f"agent '{spec.name}' cannot have the tool '{name}': {reason}")

    @property
    def agents(self) -> tuple[Agent, ...]:
        """The tools."""
        return tuple(self._tools.values())

    @property
    def digests(self) -> dict[AgentName, Digest]:
        """The version of each tool."""
        return {name: tool.digest for name, tool in self._tools.items()}

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

    async def use(self, wanted: ToolCall, call: AgentCall, turn: int) -> Used:
        """What the model is told of the call it wanted, and what that took.

        `call` is the model's, with what is left of its budget and the labels that it was told so far.
        The call of the tool has a key of its own, that follows from the model's and the `turn`:
        whoever is called again with it may answer as before.
        """
        tool = self._tools.get(AgentName(wanted.name))
        if tool is None:
            return Used(_told({"error": f"there is no tool '{wanted.name}'"}))
        refused = _refusal(tool, call)
        if refused is not None:
            return refused
        try:
            value = checker(tool.signature.input).project(orjson.loads(wanted.arguments or "{}"))
        except (Misfit, orjson.JSONDecodeError) as error:
            return Used(_told({"error": f"the arguments do not fit: {error}"}))
        key = digest_bytes(f"{call.key}\0tool\0{turn}".encode())
        return _used(tool, await tool.call(replace(call, key=key, input=value, step="")))


def _refusal(tool: Agent, call: AgentCall) -> Used | None:
    """Why a tool is not called, as far as that was not known when the model was built."""
    labels = labels_of(tool.signature.output)
    if call.allowed.labels is not None and labels - call.allowed.labels:
        told = f"it tells @{min(labels - call.allowed.labels)}, which limits.labels does not allow"
        return Used.error("policy", told)
    cost, left = tool.signature.cost, call.budget or Budget()
    if left.usd is not None and cost.usd > left.usd:
        return Used.error("limit.usd", f"it may cost {cost.usd:g} usd, {left.usd:g} are left")
    if left.tokens is not None and cost.tokens > left.tokens:
        return Used.error("limit.tokens", f"it may take {cost.tokens} tokens, {left.tokens} are left")
    return None


def _used(tool: Agent, reply: AgentReply) -> Used:
    usage = reply.usage or NO_USAGE
    type_ = tool.signature.output
    if reply.failure is not None:
        return Used.error(reply.failure.kind, reply.failure.message, usage)
    try:
        told = _told(to_json(type_, checker(type_).project(reply.output)))
    except Misfit as misfit:
        return Used(_told({"error": f"the tool returned what does not fit: {misfit}"}), usage, origin=_FLAWED)
    return Used(told, usage, labels_of(type_), Provenance(reply.whole, reply.since))


def _told(value: Any) -> str:
    return orjson.dumps(value).decode()


def _misfit(spec: Spec, tool: Agent, told: frozenset[str]) -> str:
    """Why the agent that a model is may not use another; empty where it may. All tools tell these labels."""
    mine, other = spec.signature, tool.signature
    if EFFECTS.index(other.effect) > EFFECTS.index(mine.effect):
        return f"its effect is {other.effect}, at most {mine.effect} is declared"
    accepted = mine.accepts | labels_of(mine.input)
    unwanted = labels_of(other.output) - accepted
    if unwanted:
        return f"it tells @{min(unwanted)}, which the model does not accept"
    unknown = (accepted | told) - other.accepts - labels_of(other.input)
    if unknown:
        return f"it does not accept @{min(unknown)}, which the model is given"
    revealed = labels_of(other.output) - labels_of(mine.output)
    if revealed:
        return f"it tells @{min(revealed)}, and the model's answer does not say so"
    return ""
