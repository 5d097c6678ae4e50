"""A flow called as an agent: one execution inside another.

The child's id follows from its parent, the step and the attempt, so a call that is repeated
after a crash finds the execution it began and waits for that one, and a retry begins
another: what has failed, or was cancelled when its time was over, stays so. Must never know how executions are started, stored or driven: it is handed a function for that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from typing_extensions import override

from stratarouter_runtime.agents.failures import TIMEOUT, UNAVAILABLE, failed
from stratarouter_runtime.errors import Conflict, StoreError, StrataError
from stratarouter_runtime.ids import AgentName, Digest, ExecutionId, derived_execution_id
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Execution
from stratarouter_runtime.state.events import Usage
from stratarouter_runtime.tcfp.ir import Signature

RunChild: TypeAlias = Callable[[ExecutionId, AgentCall], Awaitable[Execution]]
"""Starts the execution of this id, or attaches to it, and returns it once it is finished.

May raise `errors.StrataError` where it cannot be started.
"""


def child_id(call: AgentCall) -> ExecutionId:
    """The id of the execution that this attempt starts; the same when it is made again after a crash."""
    # No key of a caller holds a NUL, so that nobody else's execution has this id.
    return derived_execution_id(call.tenant, f"{call.execution}\0{call.key}\0{call.attempt}")


class FlowAgent(Agent):
    """`digest` is that of the flow's plan: another plan is another agent."""

    def __init__(self, name: AgentName, signature: Signature, digest: Digest, run: RunChild) -> None:
        self.name = name
        self.signature = signature
        self.digest = digest
        self._run = run

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        try:
            child = await self._run(child_id(call), call)
        except (StoreError, Conflict):  # it has not answered: recovery asks it again
            raise
        except StrataError as error:
            return failed(UNAVAILABLE, f"flow '{self.name}' cannot be started: {error.message}")
        return _reply(child)


def _reply(child: Execution) -> AgentReply:
    usage = child.usage or Usage()
    if child.status == "completed":
        return AgentReply(output=child.output, usage=usage)
    if child.failure is not None:
        return AgentReply(failure=child.failure, usage=usage)
    if child.status == "timed_out":
        return failed(TIMEOUT, f"execution {child.id} ran out of time", usage=usage)
    return failed(UNAVAILABLE, f"execution {child.id} ended as {child.status}", usage=usage)
