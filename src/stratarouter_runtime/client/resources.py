"""Conversations about what a tenant has: agents, rules, feedback, reuse, usage.

Must never know: sockets, clocks, or how either kind of client waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stratarouter_runtime.api.agent_models import AgentAnswer
from stratarouter_runtime.api.cache_models import CacheStats, Invalidated
from stratarouter_runtime.api.models import StatusAnswer
from stratarouter_runtime.api.routing_models import FeedbackAnswer, RulesAnswer
from stratarouter_runtime.api.usage_models import UsageAnswer, WorkflowUsage
from stratarouter_runtime.client.executions import posted
from stratarouter_runtime.client.talk import Call, Talk, asked, fetched
from stratarouter_runtime.routing.explained import Decision

_AGENTS = "/api/v1/agents"
_RULES = "/api/v1/routing/rules"


def register(name: str, source: str, media: str) -> Talk[AgentAnswer]:
    """Make this document the version of an agent in force. Registering the same again changes nothing."""
    call = Call("PUT", f"{_AGENTS}/{name}", source.encode(), {"content-type": media})
    return (yield from fetched(call, AgentAnswer))


def agent(name: str) -> Talk[AgentAnswer]:
    """The version of an agent in force."""
    return (yield from fetched(Call("GET", f"{_AGENTS}/{name}"), AgentAnswer))


def remove_agent(name: str) -> Talk[None]:
    """Let no flow be linked to it any more."""
    yield from asked(Call("DELETE", f"{_AGENTS}/{name}", again=False))


def decide(query: str, asked_for: Mapping[str, Any]) -> Talk[Decision]:
    """For whom a query is, and why; nothing is run, so it may be asked again."""
    call = posted("/api/v1/routing/decide", {"query": query, **asked_for}, again=True)
    return (yield from fetched(call, Decision))


def rules() -> Talk[RulesAnswer]:
    """The rules in force."""
    return (yield from fetched(Call("GET", _RULES), RulesAnswer))


def put_rules(written: Sequence[Mapping[str, Any]]) -> Talk[RulesAnswer]:
    """Add rules, or replace those of the same names; doing it twice is doing it once."""
    return (yield from fetched(posted(_RULES, {"rules": written}, again=True), RulesAnswer))


def remove_rules(names: Sequence[str]) -> Talk[RulesAnswer]:
    """Take rules away."""
    call = Call("DELETE", _RULES, query={"name": names}, again=False)
    return (yield from fetched(call, RulesAnswer))


def feedback(execution: str, said: Mapping[str, Any]) -> Talk[FeedbackAnswer]:
    """Say of an execution what was right; a later word replaces an earlier one."""
    call = posted(f"/api/v1/executions/{execution}/feedback", said, again=True)
    return (yield from fetched(call, FeedbackAnswer))


def cache_stats() -> Talk[CacheStats]:
    """What is kept for reuse, and what became of it."""
    return (yield from fetched(Call("GET", "/api/v1/cache/stats"), CacheStats))


def invalidate(workflow: str, which: Mapping[str, str]) -> Talk[Invalidated]:
    """Forget answers of a workflow."""
    call = Call("DELETE", f"/api/v1/cache/{workflow}/invalidate", query=which)
    return (yield from fetched(call, Invalidated))


def usage() -> Talk[UsageAnswer]:
    """Limits used and left, and what executions came to."""
    return (yield from fetched(Call("GET", "/api/v1/usage/stats"), UsageAnswer))


def usage_of(workflow: str) -> Talk[WorkflowUsage]:
    """What the executions of one workflow came to."""
    return (yield from fetched(Call("GET", f"/api/v1/usage/workflows/{workflow}"), WorkflowUsage))


def status() -> Talk[StatusAnswer]:
    """What runs there, and figures of each part."""
    return (yield from fetched(Call("GET", "/api/v1/status"), StatusAnswer))
