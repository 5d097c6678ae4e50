from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stratarouter_runtime.agents.failures import MAX_MESSAGE, MAX_OUTPUT
from stratarouter_runtime.agents.flow import FlowAgent, child_id
from stratarouter_runtime.errors import Conflict, LimitExceeded, StoreLocked, StrataError
from stratarouter_runtime.ids import LOCAL, AgentName, Digest, ExecutionId, FlowId
from stratarouter_runtime.ports import AgentCall, AgentReply, Execution, Status
from stratarouter_runtime.state.events import Budget, Failure, Usage
from stratarouter_runtime.tcfp.ir import Limits, Signature
from stratarouter_runtime.tcfp.types import STRING, record

KEY = Digest("k" * 64)
PARENT = ExecutionId("exec_1")
SIGNATURE = Signature(record({"text": STRING}), STRING)
CALL = AgentCall(PARENT, LOCAL, KEY, "seed", 1, {"text": "a"})
SPENT = Usage(usd=0.5)


async def call_with(status: Status, **ended: object) -> AgentReply:
    async def run(child: ExecutionId, call: AgentCall) -> Execution:
        assert call is CALL
        return Execution(child, LOCAL, FlowId("f"), KEY, status, 0, 1, 3, **ended)  # type: ignore[arg-type]

    return await FlowAgent(AgentName("sub"), SIGNATURE, KEY, run).call(CALL)


def test_a_flow_is_an_agent_like_any_other() -> None:
    async def run(_child: ExecutionId, _call: AgentCall) -> Execution:
        raise NotImplementedError

    agent = FlowAgent(AgentName("sub"), SIGNATURE, KEY, run)
    assert (agent.name, agent.signature, agent.digest) == ("sub", SIGNATURE, KEY)


async def test_the_output_of_the_flow_is_the_output_of_the_agent() -> None:
    assert await call_with("completed", output="b", usage=SPENT) == AgentReply(output="b", usage=SPENT)


async def test_the_failure_of_the_flow_is_the_failure_of_the_agent() -> None:
    failure = Failure("sold_out", "none left", {"n": 0}, "2/call")
    assert await call_with("failed", failure=failure) == AgentReply(failure=failure, usage=Usage())


@pytest.mark.parametrize(("status", "kind"), [("timed_out", "timeout"), ("cancelled", "agent.unavailable")])
async def test_an_end_without_a_failure_has_a_kind_too(status: Status, kind: str) -> None:
    reply = await call_with(status)
    assert reply.failure is not None
    assert reply.failure.kind == kind
    assert child_id(CALL) in reply.failure.message


async def test_a_flow_that_cannot_be_started_is_unavailable() -> None:
    async def run(_child: ExecutionId, _call: AgentCall) -> Execution:
        raise LimitExceeded("too much")

    reply = await FlowAgent(AgentName("sub"), SIGNATURE, KEY, run).call(CALL)
    assert reply.failure == Failure("agent.unavailable", "flow 'sub' cannot be started: too much")


async def test_what_a_flow_says_is_no_longer_than_a_message_may_be() -> None:
    async def run(_child: ExecutionId, _call: AgentCall) -> Execution:
        raise LimitExceeded("x" * 10_000)

    failure = (await FlowAgent(AgentName("sub"), SIGNATURE, KEY, run).call(CALL)).failure
    assert failure is not None
    assert len(failure.message) == MAX_MESSAGE


@pytest.mark.parametrize("error", [StoreLocked("in use"), Conflict("somebody else drives it")])
async def test_a_flow_that_cannot_go_on_for_now_has_not_answered(error: StrataError) -> None:
    async def run(_child: ExecutionId, _call: AgentCall) -> Execution:
        raise error

    with pytest.raises(type(error)):
        await FlowAgent(AgentName("sub"), SIGNATURE, KEY, run).call(CALL)


@pytest.mark.parametrize(
    "other",
    [{"execution": "exec_2"}, {"key": "l" * 64}, {"tenant": "another"}, {"attempt": 2}],
    ids=lambda other: next(iter(other)),
)
def test_another_call_starts_another_execution(other: dict[str, Any]) -> None:
    assert child_id(replace(CALL, **other)) != child_id(CALL)


def test_an_attempt_that_is_made_again_finds_the_same_execution() -> None:
    assert child_id(replace(CALL, deadline=5, input=None)) == child_id(CALL)


async def test_what_a_flow_comes_to_is_capped_like_any_other_answer() -> None:
    reply = await call_with("completed", output="x" * MAX_OUTPUT, usage=SPENT)
    assert reply.failure is not None
    assert (reply.failure.kind, reply.output, reply.usage) == ("limit.output", None, SPENT)


@pytest.mark.parametrize(
    ("left", "own", "kind"),
    [
        (Budget(0.1), Limits(), "limit.usd"),
        (Budget(0.1), Limits(usd=0.5), "limit.usd"),
        (Budget(0.1), Limits(usd=0.05), "agent.refused"),
        (Budget(tokens=9), Limits(), "agent.refused"),
        (None, Limits(), "agent.refused"),
    ],
)
async def test_what_ran_out_is_the_callers_where_the_caller_had_less(
    left: Budget | None, own: Limits, kind: str
) -> None:
    async def run(child: ExecutionId, call: AgentCall) -> Execution:
        failure = Failure("limit.usd", "used up")
        return Execution(child, LOCAL, FlowId("f"), KEY, "failed", 0, 1, 3, failure=failure)

    agent = FlowAgent(AgentName("sub"), SIGNATURE, KEY, run, own)
    reply = await agent.call(replace(CALL, budget=left))
    assert reply.failure is not None
    assert reply.failure.kind == kind
