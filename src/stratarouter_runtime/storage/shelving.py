"""What every shelf holds to, whatever it is made of; pure.

Must never know: where anything is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stratarouter_runtime.audit import Change
from stratarouter_runtime.errors import Conflict, LimitExceeded, WorkflowQuota
from stratarouter_runtime.storage.rules import MAX_BODY

if TYPE_CHECKING:
    from stratarouter_runtime.ids import FlowId, Tenant
    from stratarouter_runtime.ports import Deployed

SEPARATOR: Final = "\x00"
"""Between tenant and name where a listing of all tenants goes on behind a document."""


def check_expected(kind: str, name: str, found: int, expected: int | None) -> None:
    """Refuse a change of another version than the expected one; 0 is none. Raises `Conflict`."""
    if expected is not None and found != expected:
        state = f"is version {found}" if found else "is not there"
        wanted = f"version {expected}" if expected else "none"
        raise Conflict(
            f"the {kind} '{name}' {state}, expected was {wanted}",
            hint="somebody else changed it; read it again, and decide whether to overwrite it",
        )


def check_body(kind: str, name: str, body: bytes) -> None:
    """Refuse a document above `MAX_BODY` bytes with `LimitExceeded`."""
    if len(body) > MAX_BODY:
        raise LimitExceeded(
            f"the {kind} '{name}' has {len(body)} bytes, above the limit of {MAX_BODY}",
            hint="keep large data elsewhere, and name it here",
        )


def check_quota(kind: str, tenant: Tenant, count: int, quota: int | None) -> None:
    """Refuse one document more than `quota`. Raises `LimitExceeded`."""
    if quota is not None and count >= quota:
        raise LimitExceeded(
            f"tenant '{tenant}' has {count} documents of kind {kind}, and may have {quota}",
            hint="remove one that is no longer needed",
        )


def check_workflows(tenant: Tenant, count: int, quota: int | None) -> None:
    """Refuse one deployed flow more than `quota`. Raises `WorkflowQuota`."""
    if quota is not None and count >= quota:
        raise WorkflowQuota(
            f"tenant '{tenant}' has {count} workflows deployed, and may have {quota}",
            hint="retire one that is no longer needed, or ask the operator for another tier",
        )


def deployment(deployed: Deployed, by: str) -> Change:
    """The line that a deployment leaves in the audit."""
    source = deployed.source.encode()
    return Change(deployed.tenant, deployed.created, by, "deploy workflow", deployed.flow, 0, source)


def retirement(tenant: Tenant, flow: FlowId, at: int, by: str) -> Change:
    """The line that taking a flow away leaves in the audit."""
    return Change(tenant, at, by, "retire workflow", flow, 0, None)


def behind(after: str) -> tuple[str, str]:
    """Tenant and name behind which a listing of all tenants goes on."""
    tenant, _, name = after.partition(SEPARATOR)
    return tenant, name
