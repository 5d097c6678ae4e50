from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from tests.clocks import Hand
from typing_extensions import override

from stratarouter_runtime.agents.circuits import MOST, Circuits
from stratarouter_runtime.agents.exchanges import SHOWN, Exchange
from stratarouter_runtime.agents.failures import MAX_MESSAGE, failed
from stratarouter_runtime.agents.fence import Fenced
from stratarouter_runtime.agents.registry import Registry, RegistryStats
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.breaker import Policy
from stratarouter_runtime.ids import LOCAL, AgentName, Digest, ExecutionId, Tenant
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Operation
from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.types import STRING, labelled, record

SIGNATURE = Signature(record({"who": labelled(STRING, frozenset({"pii"})), "what": STRING}), STRING)
CALL = AgentCall(ExecutionId("exec_1"), LOCAL, Digest("k" * 64), "seed", 1, {"who": "Ana", "what": "hush"})
DOWN = failed("agent.unavailable", "down")


class Scripted(Agent):
    """Answers as it was told to."""

    name = AgentName("scripted")
    signature = SIGNATURE
    digest = Digest("d" * 64)

    def __init__(self, *replies: AgentReply | None) -> None:
        self.replies = list(replies)
        self.calls = 0
        self.closed = False

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        self.calls += 1
        reply = self.replies.pop(0)
        return reply if reply is not None else await asyncio.Future()

    async def close(self) -> None:
        self.closed = True


class Stage:
    """An agent behind its fence."""

    def __init__(self, *replies: AgentReply | None, policy: Policy | None = None) -> None:
        self.clock = Hand()
        self.heard: list[Exchange] = []
        self.secrets = Secrets({"TOKEN": "hush"})
        self.agent = Scripted(*replies)
        workshop = Workshop(clock=self.clock, secrets=self.secrets, web=Web(), listener=self.heard.append)
        self.fenced = Fenced(self.agent, workshop, policy or Policy(failures=2, pause=10))

    async def kinds(self, calls: int) -> list[str]:
        replies = [await self.fenced.call(CALL) for _ in range(calls)]
        return ["ok" if reply.failure is None else reply.failure.message for reply in replies]


REFUSED = "scripted is not called for now: 2 calls in a row have failed"


async def test_an_agent_that_keeps_failing_is_left_alone_for_a_while() -> None:
    stage = Stage(DOWN, failed("timeout", "late"), AgentReply("back"))
    assert await stage.kinds(3) == ["down", "late", REFUSED]
    assert stage.agent.calls == 2
    reply = await stage.fenced.call(CALL)
    assert reply.failure == Failure("agent.unavailable", REFUSED, {"retry_after": 1e-05})
    stage.clock.at = 10
    assert await stage.kinds(1) == ["ok"]
    assert stage.fenced.circuits.of(LOCAL).state == "closed"


@pytest.mark.parametrize(
    "kind", ["agent.refused", "agent.invalid_output", "agent.rate_limited", "card_declined"]
)
async def test_an_answer_that_is_about_the_question_says_nothing_of_the_agent(kind: str) -> None:
    stage = Stage(*[failed(kind, "no")] * 5)
    assert await stage.kinds(5) == ["no"] * 5


async def test_what_one_tenant_asks_keeps_no_other_from_asking() -> None:
    stage = Stage(DOWN, DOWN, AgentReply("fine"), DOWN, AgentReply("back"))
    mine, other = (replace(CALL, tenant=Tenant(name)) for name in ("mine", "other"))
    assert [(await stage.fenced.call(mine)).failure for _ in range(2)] == [DOWN.failure] * 2
    assert (await stage.fenced.call(mine)).failure != DOWN.failure
    assert (await stage.fenced.call(other)).output == "fine"
    assert (await stage.fenced.call(other)).failure == DOWN.failure
    assert Registry([stage.fenced]).stats() == RegistryStats({"open": 1, "closed": 1}, 1)
    stage.clock.at = 10
    assert (await stage.fenced.call(mine)).output == "back"
    assert stage.fenced.circuits.opened == 1


def test_no_more_tenants_are_remembered_than_may_be() -> None:
    circuits = Circuits(Policy(failures=1))
    for number in range(MOST + 1):
        circuits.fail(Tenant(str(number)), 0)
    assert circuits.states() == {"open": MOST}
    assert circuits.of(Tenant("0")).state == "closed"
    circuits.succeed(Tenant("0"))
    assert circuits.states() == {"open": MOST}


@pytest.mark.parametrize(
    ("time", "granted", "state"),
    [
        (10_000_000, 9_000_000, "open"),
        (10_000_000, 8_999_999, "closed"),
        (10_000_000, None, "open"),
        (None, 1_000_000, "open"),
        (None, 999_999, "closed"),
    ],
)
async def test_silence_counts_only_where_the_agent_had_its_time(
    time: int | None, granted: int | None, state: str
) -> None:
    stage = Stage(failed("timeout", "late"), policy=Policy(failures=1))
    stage.fenced.signature = replace(SIGNATURE, time=time)
    stage.clock.at = 7
    deadline = None if granted is None else granted + 7
    await stage.fenced.call(replace(CALL, deadline=deadline))
    assert stage.fenced.circuits.of(LOCAL).state == state


SECOND = 1_000_000


@pytest.mark.parametrize(
    ("deadline", "state"),
    [(None, "closed"), (SECOND + 1, "closed"), (SECOND, "open"), (SECOND - 1, "closed")],
)
async def test_a_call_given_up_counts_only_when_its_time_was_over(deadline: int | None, state: str) -> None:
    stage = Stage(None, policy=Policy(failures=1))
    task = asyncio.create_task(stage.fenced.call(replace(CALL, deadline=deadline)))
    await asyncio.sleep(0)
    stage.clock.at = SECOND
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.fenced.circuits.of(LOCAL).state == state


async def test_no_secret_that_was_given_out_gets_past() -> None:
    said = failed("agent.refused", "wrong: hush", {"hush": ["hush"]})
    stage = Stage(AgentReply({"a": "say hush"}), said)
    await stage.secrets.fill("secret://env/TOKEN")
    assert await stage.fenced.call(CALL) == AgentReply({"a": "say [secret]"})
    hidden = Failure("agent.refused", "wrong: [secret]", {"[secret]": ["[secret]"]})
    assert (await stage.fenced.call(CALL)).failure == hidden


@pytest.mark.parametrize("room", range(1_996, 2_001))
async def test_a_secret_is_looked_for_before_a_message_is_cut(room: int) -> None:
    stage = Stage(failed("agent.refused", "x" * room + "hush and more"))
    await stage.secrets.fill("secret://env/TOKEN")
    failure = (await stage.fenced.call(CALL)).failure
    assert failure is not None
    assert failure.message == ("x" * room + "[secret] and more")[:MAX_MESSAGE]


async def test_a_message_that_could_not_be_written_is_mended() -> None:
    failure = (await Stage(failed("agent.refused", "half \ud800")).fenced.call(CALL)).failure
    assert failure is not None
    assert failure.message == "half ?"


async def test_an_exchange_is_told_redacted_and_bounded() -> None:
    stage = Stage(AgentReply("x" * 10_000), failed("agent.refused", "no"))
    await stage.secrets.fill("secret://env/TOKEN")
    await stage.kinds(2)
    first, second = stage.heard
    assert first.sent.text == '{"what":"[secret]","who":"[redacted: pii]"}'
    assert (len(first.received.text), first.received.size) == (SHOWN, 10_002)
    assert (first.agent, first.attempt, first.outcome) == ("scripted", 1, "ok")
    assert (second.outcome, second.received.text) == (
        "agent.refused",
        '{"kind":"agent.refused","message":"no"}',
    )
    assert first.sent == second.sent


async def test_what_carries_a_label_that_the_type_does_not_tell_is_not_shown_at_all() -> None:
    stage = Stage(AgentReply("x"), failed("agent.refused", "no such person: hush"))
    carrying = replace(CALL, carries=frozenset({"pii", "secret"}))
    for _ in range(2):
        await stage.fenced.call(carrying)
    first, second = stage.heard
    assert first.sent.text == '"[@pii, @secret]"'
    assert second.received.text == '{"kind":"agent.refused","message":"[@pii, @secret]"}'


async def test_what_does_not_fit_is_not_shown() -> None:
    stage = Stage(AgentReply({"raw": object()}))
    await stage.kinds(1)
    assert stage.heard[0].received.text == '"[does not fit its type]"'


async def test_closing_closes_the_agent() -> None:
    stage = Stage()
    await stage.fenced.close()
    assert stage.agent.closed


async def test_what_is_retired_is_closed_as_soon_as_nobody_calls_it() -> None:
    stage = Stage(None, AgentReply("again"))
    task = asyncio.create_task(stage.fenced.call(CALL))
    await asyncio.sleep(0)
    await stage.fenced.retire()
    assert not stage.agent.closed
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.agent.closed
    stage.agent.closed = False
    assert (await stage.fenced.call(CALL)).output == "again"
    assert stage.agent.closed


async def test_the_fence_says_of_the_agent_what_the_agent_is() -> None:
    class Confined(Scripted):
        operation = Operation("chat", "api.example", "m-1")
        isolation = "process"

    fenced = Fenced(Confined(), Workshop(Hand(), Secrets({}), Web(())))
    assert (fenced.operation, fenced.isolation) == (Confined.operation, "process")
    registry = Registry([fenced])
    assert registry.isolation() == {fenced.name: "process"}
    assert registry.stats() == RegistryStats({"closed": 1}, 0)
