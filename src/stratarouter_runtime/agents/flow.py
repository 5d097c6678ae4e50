"""A flow called as an agent: one execution inside another.

The child's id follows from its parent, the step and the attempt, so a call that is repeated
after a crash finds the execution it began and waits for that one, and a retry begins
another: what has failed, or was cancelled when its time was over, stays so. Must never know how executions are started, stored or driven: it is handed a function for that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.agents.failures import (
    MAX_OUTPUT,
    REFUSED,
    TIMEOUT,
    UNAVAILABLE,
    bounded,
    failed,
    too_large,
)
from stratarouter_runtime.errors import Conflict, StoreError, StrataError
from stratarouter_runtime.ids import AgentName, Digest, ExecutionId, Tenant, derived_execution_id
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Execution, Operation
from stratarouter_runtime.state.events import Budget, Usage
from stratarouter_runtime.state.provenance import MADE, Provenance
from stratarouter_runtime.tcfp.ir import Limits, Signature

_SPENT: Final = frozenset({"limit.usd", "limit.tokens"})

RunChild: TypeAlias = Callable[[ExecutionId, AgentCall], Awaitable[Execution]]
"""Starts the execution of this id, or attaches to it, and returns it once it is finished.

May raise `errors.StrataError` where it cannot be started.
"""


def child_id(call: AgentCall) -> ExecutionId:
    """The id of the execution that this attempt starts; the same when it is made again after a crash."""
    # No key of a caller holds a NUL, so that nobody else's execution has this id.
    return derived_execution_id(call.tenant, f"{call.execution}\0{call.key}\0{call.attempt}")


async def _made(_execution: ExecutionId, _tenant: Tenant) -> Provenance:
    return MADE


class FlowAgent(Agent):
    """`digest` is that of the flow's plan: another plan is another agent. `limits` are its own.

    `origin` says of an execution that has ended what its answer rests on.
    """

    kind = "flow"
    remote = True
    operation = Operation("invoke_workflow")

    def __init__(
        self,
        name: AgentName,
        signature: Signature,
        digest: Digest,
        run: RunChild,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        origin: Callable[[ExecutionId, Tenant], Awaitable[Provenance]] = _made,
    ) -> None:
        self.name = name
        self.signature = signature
        self.digest = digest
        self._run = run
        self._limits = limits
        self._origin = origin

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        try:
            child = await self._run(child_id(call), call)
        except (StoreError, Conflict):  # it has not answered: recovery asks it again
            raise
        except StrataError as error:
            return failed(UNAVAILABLE, bounded(f"flow '{self.name}' cannot be started: {error.message}"))
        origin = await self._origin(child.id, call.tenant)
        reply = replace(_reply(child), whole=origin.whole, since=origin.since)
        if reply.failure is not None and reply.failure.kind in _SPENT and not self._inherited(call, reply):
            own = f"{reply.failure.kind} of its own: {reply.failure.message}"
            return failed(REFUSED, f"flow '{self.name}' reached {own}", usage=reply.usage)
        return reply

    def _inherited(self, call: AgentCall, reply: AgentReply) -> bool:
        """Whether what ran out was what the caller had left, rather than what the flow allows itself."""
        assert reply.failure is not None
        budget = call.budget or Budget()
        if reply.failure.kind == "limit.usd":
            return budget.usd is not None and (self._limits.usd is None or budget.usd < self._limits.usd)
        return budget.tokens is not None and (
            self._limits.tokens is None or budget.tokens < self._limits.tokens
        )


def _reply(child: Execution) -> AgentReply:
    usage = child.usage or Usage()
    if child.status == "completed":
        size = len(msgspec.json.encode(child.output))
        if size > MAX_OUTPUT:
            return replace(too_large(f"{size:,} bytes", MAX_OUTPUT), usage=usage)
        return AgentReply(output=child.output, usage=usage)
    if child.failure is not None:
        return AgentReply(failure=child.failure, usage=usage)
    if child.status == "timed_out":
        return failed(TIMEOUT, f"execution {child.id} ran out of time", usage=usage)
    return failed(UNAVAILABLE, f"execution {child.id} ended as {child.status}", usage=usage)
