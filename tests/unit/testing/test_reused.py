"""The judge of answers that were not worked out anew, given evidence that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stratarouter_runtime.canonical import digest
from stratarouter_runtime.ids import AgentName, Digest, ExecutionId, FlowId, StepPath, Tenant
from stratarouter_runtime.ports import AgentCall, Execution
from stratarouter_runtime.state.events import Event, Returned, Reused, Usage, brief
from stratarouter_runtime.testing.evidence import Reply, Violation
from stratarouter_runtime.testing.flows import BY_NAME
from stratarouter_runtime.testing.quotes import QUOTE, TENANTS, mark
from stratarouter_runtime.testing.reused import check_reused, check_shared
from stratarouter_runtime.testing.world import Called

LOCAL, FIRST, SECOND = TENANTS
MAKER, TAKER = ExecutionId("exec_1"), ExecutionId("exec_2")
QUOTED = BY_NAME["quoted"]


def row(execution: ExecutionId, tenant: Tenant = FIRST, **changes: Any) -> Execution:
    output = {"n": 4 + 2 * mark(FIRST)}
    made = Execution(execution, tenant, FlowId("quoted"), Digest(""), "completed", 0, 0, 3, output)
    return replace(made, **changes)


def called(at: int = 0, answered: int | None = 9, *, process: int = 0, tenant: Tenant = FIRST) -> Called:
    call = AgentCall(MAKER, tenant, Digest("key"), "", 1, {"n": 1})
    return Called(AgentName(QUOTE), process, call, 1, at, answered)


def taken(output: int = 2 + mark(FIRST), usage: Usage = Usage(), n: int = 1) -> Returned:  # noqa: B008 - frozen
    reused = Reused("exact", MAKER, Digest(""))
    return Returned(StepPath("0"), brief(digest({"n": n})), {"n": output}, 1, usage, reused)


def judge(event: Event, calls: list[Called], maker: Tenant = FIRST) -> None:
    check_reused(calls, {MAKER: (row(MAKER, maker), []), TAKER: (row(TAKER), [event])}, [])


def reply(tenant: Tenant = FIRST, n: int = 1, *, limited: bool = False, **changes: Any) -> Reply:
    return Reply(QUOTED, n, tenant, row(MAKER, **changes), limited)


def test_an_answer_that_its_source_was_given_may_be_taken_over() -> None:
    judge(taken(), [called()])


@pytest.mark.parametrize(
    ("event", "calls", "maker", "said"),
    [
        (taken(), [called()], SECOND, "and belongs to first"),
        (taken(2 + mark(SECOND)), [called()], FIRST, "did not ask"),
        (taken(n=5), [called()], FIRST, "did not ask"),
        (taken(), [called(tenant=SECOND)], FIRST, "did not ask"),
        (taken(), [called(answered=None)], FIRST, "did not ask"),
        (taken(), [], FIRST, "did not ask"),
        (taken(usage=Usage(0.01)), [called()], FIRST, "and paid"),
    ],
)
def test_one_that_it_was_not_given_is_noticed(
    event: Event, calls: list[Called], maker: Tenant, said: str
) -> None:
    with pytest.raises(Violation, match=said):
        judge(event, calls, maker)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (reply(), ""),
        (reply(status="timed_out", output=None, limited=True), ""),
        (reply(status="timed_out", output=None), "another had no time for"),
        (reply(tenant=SECOND), "second was given"),
        (reply(n=2), "for 2 of quoted"),
        (reply(output={"n": 7}), "first was given"),
        (reply(id=TAKER), "is lost"),
    ],
)
def test_what_a_client_was_given_is_judged_as_well(given: Reply, said: str) -> None:
    facts: dict[ExecutionId, tuple[Execution, list[Event]]] = {MAKER: (row(MAKER), [])}
    if not said:
        check_reused([], facts, [given])
        return
    with pytest.raises(Violation, match=said):
        check_reused([], facts, [given])


def test_equal_calls_of_one_process_at_a_time_are_noticed() -> None:
    others = [called(3, process=1), called(3, tenant=SECOND), called(9)]
    for other in others:
        check_shared([called(), other])
    with pytest.raises(Violation, match="twice at a time"):
        check_shared([called(), called(3)])
    with pytest.raises(Violation, match="while it was asked for"):
        check_shared([called(answered=None), called(3)])
    dropped = called(answered=None)
    dropped.withdrawn = True
    check_shared([dropped, called(3)])
