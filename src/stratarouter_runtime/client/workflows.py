"""Conversations about workflows and the server itself.

Must never know: sockets, clocks, or how either kind of client waits.
"""

from __future__ import annotations

from stratarouter_runtime.api.models import HealthAnswer, ValidationAnswer, WorkflowAnswer
from stratarouter_runtime.client.talk import Call, Talk, asked, fetched

YAML = "application/yaml"


def deploy(workflow: str, source: str, media: str) -> Talk[WorkflowAnswer]:
    """Make this text the version that new executions run. Deploying the same again changes nothing."""
    headers = {"content-type": media}
    call = Call("PUT", f"/api/v1/workflows/{workflow}", source.encode(), headers)
    return (yield from fetched(call, WorkflowAnswer))


def workflow(name: str) -> Talk[WorkflowAnswer]:
    """The version that runs now."""
    return (yield from fetched(Call("GET", f"/api/v1/workflows/{name}"), WorkflowAnswer))


def retire(name: str) -> Talk[None]:
    """Have it executed no more."""
    yield from asked(Call("DELETE", f"/api/v1/workflows/{name}", again=False))


def validate(source: str, media: str) -> Talk[ValidationAnswer]:
    """Every mistake of a flow; nothing is kept, so it may be asked again."""
    call = Call("POST", "/api/v1/workflows/validate", source.encode(), {"content-type": media})
    return (yield from fetched(call, ValidationAnswer))


def health() -> Talk[HealthAnswer]:
    """Whether the server does its work."""
    return (yield from fetched(Call("GET", "/api/v1/health"), HealthAnswer))
