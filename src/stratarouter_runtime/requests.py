"""A request to execute a flow: what everybody who starts executions says.

Must never know: who starts them, or how.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from stratarouter_runtime.ids import LOCAL, ExecutionId, FlowId, Tenant
from stratarouter_runtime.state.events import Allowance, Budget, Given, Wished
from stratarouter_runtime.tcfp.plan import Plan


class StartExecution(Struct, frozen=True):
    """A request: which plan, on what, for whom, and within what. `timeout` is in microseconds.

    `queue` is how many seconds it may wait for others of the tenant to end, where it may not begin
    at once; None is as long as it takes.

    With a `key`, the same tenant and key always mean the same execution; an `id` is given
    where somebody else has derived it. `trace` and `span` are where in a distributed trace the
    request stands; whether that is recorded says `sampled`, or where it is None, the runtime.
    """

    plan: Plan
    input: Any
    flow: FlowId
    tenant: Tenant = LOCAL
    key: str | None = None
    id: ExecutionId | None = None
    seed: str | None = None
    timeout: int | None = None
    queue: float | None = 5.0
    budget: Budget | None = None
    parent: ExecutionId | None = None
    trace: str = ""
    span: str = ""
    sampled: bool | None = None
    routing: Given | None = None
    """A decision of StrataRouter-Core, for the first route of the flow."""
    scope: str = ""
    fresh: bool = False
    wished: Wished | None = None
    """What it asks of the answers that its calls reuse, beside `scope` and `fresh`."""
    shadow: bool = False
    """Whether it only compares with an answer that was reused: it counts against no limit of the tenant."""
    tags: tuple[str, ...] = ()
    allowed: Allowance | None = None
    """What the limits around the call allow, of a flow that another one calls."""
