"""Conversations about workflows and the server itself.

Must never know: sockets, clocks, or how either kind of client waits.
"""

from __future__ import annotations

from stratarouter_runtime.api.models import HealthAnswer, WorkflowAnswer
from stratarouter_runtime.client.talk import Call, Talk, fetched

YAML = "application/yaml"


def deploy(workflow: str, source: str, media: str) -> Talk[WorkflowAnswer]:
    """Make this text the version that new executions run. Deploying the same again changes nothing."""
    headers = {"content-type": media}
    call = Call("PUT", f"/api/v1/workflows/{workflow}", source.encode(), headers)
    return (yield from fetched(call, WorkflowAnswer))


def workflow(name: str) -> Talk[WorkflowAnswer]:
    """The version that runs now."""
    return (yield from fetched(Call("GET", f"/api/v1/workflows/{name}"), WorkflowAnswer))


def health() -> Talk[HealthAnswer]:
    """Whether the server does its work."""
    return (yield from fetched(Call("GET", "/api/v1/health"), HealthAnswer))
