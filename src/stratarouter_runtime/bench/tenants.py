"""Whether any of a thousand tenants is slower than another, where all are held to limits.

Must never know: how anything is counted.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from stratarouter_runtime.bench.flows import chain
from stratarouter_runtime.bench.measure import Measure
from stratarouter_runtime.ids import FlowId, Tenant
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import load
from stratarouter_runtime.tenancy.quotas import Tier
from stratarouter_runtime.wiring import application
from stratarouter_runtime.workshops import open_module

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.plan import Plan
    from stratarouter_runtime.wiring import Application

TENANTS: Final = 1_000
ROUNDS: Final = 10
AT_ONCE: Final = 64
STRIDES: Final = (7, 11, 13, 17, 19, 21, 23, 27, 29, 31)
"""Prime to the number of tenants: in each round the neighbours are others."""

FLOW: Final = FlowId("bench.chain1")
LIMITED: Final = Tier("bench", concurrent=1_000, daily=1_000_000, requests=1_000_000)
"""Limits that are counted, and never reached."""


async def tenants(folder: Path) -> Measure:
    """The slowest tenant's time for a request as a multiple of the quickest one's.

    Each request is taken as a multiple of those that began next to it, whoever they were for: what the
    machine does besides falls on all of these. Of each tenant's the median counts.
    """
    settings = replace(load(), tier=LIMITED.name, tiers=(LIMITED,), encoder="lexical")
    registry = open_module("stratarouter_runtime.bench.agents")
    async with application(settings, registry, store=folder / "tenants.db") as app:
        plan = app.runtime.flows.compile(chain(1))
        await _rounds(app, plan, TENANTS, 1)
        taken = await _rounds(app, plan, TENANTS, ROUNDS)
        alone = await _rounds(app, plan, 1, TENANTS)
    found: dict[Tenant, list[float]] = {}
    for (tenant, _), share in zip(taken, _shares([seconds for _, seconds in taken]), strict=True):
        found.setdefault(tenant, []).append(share)
    times = [median(shares) for shares in found.values()]
    beside = median(seconds for _, seconds in taken) / median(seconds for _, seconds in alone)
    name = f"slowest of {TENANTS:,} tenants, as a multiple of the quickest"
    return Measure(name, max(times) / min(times), "x", 1.5, "less", beside, "any of them beside one alone")


def _shares(seconds: list[float]) -> list[float]:
    """Each as a multiple of the median of those around it."""
    return [
        one / median(seconds[max(0, place - AT_ONCE // 2) : place + AT_ONCE // 2])
        for place, one in enumerate(seconds)
    ]


async def _rounds(app: Application, plan: Plan, count: int, rounds: int) -> list[tuple[Tenant, float]]:
    """Seconds of each request in the order of their beginning; in a round each tenant has one turn."""
    order = [
        Tenant(f"t{place * STRIDES[turn % len(STRIDES)] % count}")
        for turn in range(rounds)
        for place in range(count)
    ]
    found: list[float] = [0.0] * len(order)
    waiting = iter(enumerate(order))

    async def work() -> None:
        for place, tenant in waiting:
            began = perf_counter()
            await app.tenancy.gate.request(tenant)
            await app.runtime.execute(StartExecution(plan=plan, input={"n": 1}, flow=FLOW, tenant=tenant))
            found[place] = perf_counter() - began

    await asyncio.gather(*[work() for _ in range(AT_ONCE)])
    return list(zip(order, found, strict=True))
