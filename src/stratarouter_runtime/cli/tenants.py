"""`strata tier` and `strata usage`: what tenants may use, and what they have used.

Must never know: how anything is counted.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stratarouter_runtime.cli.arguments import Json, Store
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.office import BY, attend
from stratarouter_runtime.cli.output import table, write
from stratarouter_runtime.ids import LOCAL, FlowId, Tenant
from stratarouter_runtime.limits.usage import Report, report
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.tcfp.times import time_text
from stratarouter_runtime.tenancy.quotas import Tier, Totals
from stratarouter_runtime.wiring import Office


def tier(tenant: str, name: str | None = None, /, *, store: Store = None, json: Json = False) -> int:
    """Show the tier of a tenant, or put it on another one.

    Parameters
    ----------
    tenant
        The name of a tenant.
    name
        The tier it is to be on: free, unlimited, or one that the settings define.
    """

    async def settle(office: Office) -> Tier:
        tiers = office.tenancy.tiers
        if name is None:
            return await tiers.of(Tenant(tenant))
        return await tiers.assign(Tenant(tenant), name, by=BY)

    found = attend(store, settle)
    limits = msgspec.structs.asdict(found)
    title = limits.pop("name")
    rows = [(key, "unlimited" if value is None else str(value)) for key, value in limits.items()]
    write(found if json else f"{tenant} is on {title}\n{table(('limit', 'value'), rows)}")
    return Exit.OK


def usage(*, tenant: str = LOCAL, flow: str | None = None, store: Store = None, json: Json = False) -> int:
    """Show what a tenant has used of its limits, what is left, and what its executions came to.

    Parameters
    ----------
    tenant
        The name of a tenant.
    flow
        Take together the executions of this flow only.
    """

    async def look(office: Office) -> Report:
        only = None if flow is None else FlowId(flow)
        return await report(office.store, office.tenancy.tiers, Tenant(tenant), SystemClock().now(), only)

    found = attend(store, look)
    write(found if json else "\n".join(_lines(found)))
    return Exit.OK


def _lines(found: Report) -> Iterator[str]:
    yield f"{found.tenant} is on {found.tier}"
    rows = [
        (
            each.name,
            str(each.used),
            "unlimited" if each.limit is None else str(each.limit),
            "-" if each.left is None else str(each.left),
            "-" if each.resets is None else time_text(each.resets),
        )
        for each in found.limits
    ]
    yield table(("limit", "used", "of", "left", "resets"), rows)
    yield ""
    yield table(
        ("", "executions", "completed", "failed", "usd", "tokens", "agents"), map(_row, *_totals(found))
    )


def _totals(found: Report) -> tuple[tuple[str, str], tuple[Totals, Totals]]:
    return ("today", "ever"), (found.today, found.ever)


def _row(name: str, total: Totals) -> tuple[str, ...]:
    counts = (str(total.executions), str(total.completed), str(total.failed))
    tokens = str(total.tokens_in + total.tokens_out)
    return (name, *counts, f"{total.usd:.4f}", tokens, f"{total.agent_ms / 1000:.3f}s")
