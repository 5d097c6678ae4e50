"""Flows called by flows: each call is an execution of its own, found again whenever it is made again.

Must never know: HTTP, SQL, any back-end; how an execution is started or driven.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from stratarouter_runtime.errors import InvalidState
from stratarouter_runtime.ids import ExecutionId, FlowId
from stratarouter_runtime.ports import ENDED, WITHDRAWN, Execution
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.state.events import Allowance
from stratarouter_runtime.traces import NOWHERE, parse

if TYPE_CHECKING:
    from stratarouter_runtime.ports import AgentCall, Clock
    from stratarouter_runtime.tcfp.allowed import Allowed
    from stratarouter_runtime.tcfp.plan import Plan


class Subflows:
    """Executes flows for flows: `start` begins an execution, `ended` waits for its end, `cancel` asks for it."""

    def __init__(
        self,
        start: Callable[[StartExecution], Awaitable[ExecutionId]],
        ended: Callable[[ExecutionId], Awaitable[Execution]],
        cancel: Callable[[ExecutionId, str], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._start = start
        self._ended = ended
        self._cancel = cancel
        self._clock = clock

    async def run(self, plan: Plan, child: ExecutionId, call: AgentCall) -> Execution:
        """Start the execution of a call, or attach to it, and wait for its end."""
        timeout = None if call.deadline is None else max(0, call.deadline - self._clock.now())
        trace = parse(call.trace) or NOWHERE
        request = StartExecution(
            plan=plan,
            input=call.input,
            flow=FlowId(plan.name),
            tenant=call.tenant,
            id=child,
            seed=call.seed,
            timeout=timeout,
            parent=call.execution,
            trace=trace.id,
            span=trace.span,
            sampled=trace.sampled,
            scope=call.scope,
            fresh=call.fresh,
            wished=call.wished,
            budget=call.budget,
            allowed=_allowance(call.allowed),
        )
        try:
            await self._start(request)
            row = await self._ended(child)
        except asyncio.CancelledError as cancelled:
            if cancelled.args == (WITHDRAWN,):
                await self._start(request)  # where that was interrupted: what has begun must be found
                await self._cancel(child, f"{call.execution} no longer wants it")
            raise
        except InvalidState as stopping:  # nothing is started while this process stops, which is no answer
            raise asyncio.CancelledError from stopping
        if row.status not in ENDED:  # this process is stopping: the call goes on when the caller does
            raise asyncio.CancelledError
        return row


def _allowance(allowed: Allowed) -> Allowance | None:
    """What a call may reach, as a journal keeps it; None for everything."""
    lists = (allowed.hosts, allowed.tools, allowed.labels)
    if all(each is None for each in lists):
        return None
    return Allowance(*(None if each is None else tuple(sorted(each)) for each in lists))
