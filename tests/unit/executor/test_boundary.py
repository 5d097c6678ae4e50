"""What is held against an agent at run time, whatever was said when its flow was linked."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.executor.test_driver import Rig, rig
from typing_extensions import override

from stratarouter_runtime.ids import AgentName, Tenant
from stratarouter_runtime.ports import AgentReply, Execution, Isolation, Operation, Policies
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Failed, Failure, Usage
from stratarouter_runtime.tcfp.ir import Needs
from stratarouter_runtime.tenancy.policies import Policy

SENDING = """
tcfp: "1.0"
flow: sending
agents:
  send: {in: {text: string, size: int}, out: string, effect: pure, accepts: [pii], cost: {usd: 0.01, tokens: 100}}
limits: {hosts: [api.bank], tools: [look], labels: [pii], usd: 1}
in: {ssn: "string @pii", size: "int @pii"}
out: string
do:
  - id: x
    call: send
    with: {text: =ssn, size: =size}
    catch:
      - {on: [policy], do: {let: caught}}
return: =x
"""
INPUT = {"ssn": "078-05-1120", "size": 12345}


async def executed(it: Rig) -> tuple[Execution, Failure | None]:
    """How it ended, and the failure that was journaled of the call."""
    done = await it.runtime.execute(replace(it.request(), input=INPUT))
    facts = [decode(record.body) for record in await it.store.read(done.id)]
    failed = [fact.failure for fact in facts if isinstance(fact, Failed)]
    assert (await it.runtime.history.replay(done.id)).reproducible
    return done, failed[0] if failed else None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"needs": Needs(hosts=("api.bank", "evil.test"))}, "send needs host 'evil.test', limits.hosts allows api.bank"),
        ({"needs": Needs(tools=("shell",))}, "send needs tool 'shell', limits.tools allows look"),
        ({"accepts": frozenset({"public"})}, "its input carries @pii, and it accepts @public"),
    ],
    ids=["hosts", "tools", "labels"],
)  # fmt: skip
async def test_an_agent_that_turns_out_to_be_another_is_not_called(
    changed: dict[str, Any], told: str
) -> None:
    async with rig(SENDING, send=lambda _: "sent") as it:
        it.agents[0].signature = replace(it.agents[0].signature, **changed)
        done, failure = await executed(it)
        assert failure == Failure("policy", f"send is not called: {told}", None, "0")
        assert (done.output, it.agents[0].calls) == ("caught", [])


async def test_what_a_tool_of_an_agent_needs_counts_as_its_own() -> None:
    async with rig(SENDING, send=lambda _: "sent") as it:
        tool = rig(SENDING, send=lambda _: "")
        async with tool as other:
            used = other.agents[0]
            used.name = AgentName("fetch")
            used.signature = replace(used.signature, needs=Needs(hosts=("evil.test",)))
            it.agents[0].uses = (used,)
            _, failure = await executed(it)
        assert failure is not None
        assert "fetch needs host 'evil.test'" in failure.message


async def test_limits_travel_with_every_call() -> None:
    async with rig(SENDING, send=lambda _: "sent") as it:
        await executed(it)
        (call,) = it.agents[0].calls
        assert call.allowed.hosts == frozenset({"api.bank"})
        assert call.allowed.tools == frozenset({"look"})
        assert call.budget is not None
        assert call.budget.usd == 1


# The policy of a tenant.


class Strict(Policies):
    """Says so for every tenant."""

    def __init__(self, policy: Policy) -> None:
        self.now = policy

    @override
    async def policy(self, tenant: Tenant) -> Policy:
        return self.now


def being(it: Rig, kind: str, isolation: Isolation = "inline", model: str = "", **needs: Any) -> None:
    agent = it.agents[0]
    agent.kind, agent.isolation, agent.operation = kind, isolation, Operation("chat", model=model)
    agent.remote = kind in {"http", "llm"}
    agent.signature = replace(agent.signature, needs=Needs(**needs))


@pytest.mark.parametrize(
    ("policy", "kind", "isolation", "model", "told"),
    [
        (Policy(isolation="process"), "python", "inline", "", "isolation is inline, at least process is demanded"),
        (Policy(isolation="sandbox"), "python", "process", "", "isolation is process, at least sandbox is demanded"),
        (Policy(kinds=("http", "llm")), "mcp", "inline", "", "kind is mcp, allowed are: http, llm"),
        (Policy(hosts=()), "http", "inline", "", "host is api.bank, allowed are: none"),
        (Policy(models=("small",)), "llm", "inline", "large", "model is large, allowed are: small"),
    ],
)  # fmt: skip
async def test_a_policy_is_held_against_each_call(
    policy: Policy, kind: str, isolation: Isolation, model: str, told: str
) -> None:
    async with rig(SENDING, policies=Strict(policy), send=lambda _: "sent") as it:
        being(it, kind, isolation, model, hosts=("api.bank",))
        _, failure = await executed(it)
        said = f"send is not called: the policy of the tenant does not allow send: {told}"
        assert failure == Failure("policy", said, None, "0")
        assert it.agents[0].calls == []


@pytest.mark.parametrize(
    ("policy", "kind", "isolation"),
    [
        (Policy(isolation="sandbox"), "wasm", "wasm"),
        (Policy(isolation="sandbox"), "http", "inline"),
        (Policy(kinds=("http",), hosts=("api.bank",)), "http", "inline"),
    ],
)
async def test_what_a_policy_allows_is_called(policy: Policy, kind: str, isolation: Isolation) -> None:
    async with rig(SENDING, policies=Strict(policy), send=lambda _: "sent") as it:
        being(it, kind, isolation, hosts=("api.bank",))
        done, _ = await executed(it)
        assert done.output == "sent"


async def test_a_policy_that_is_tightened_holds_for_what_runs_already() -> None:
    twice = SENDING.replace(
        "return: =x", "  - {id: y, call: send, with: {text: =ssn, size: =size}}\nreturn: =y"
    )

    strict = Strict(Policy())
    async with rig(twice, policies=strict, send=lambda _: "sent") as it:

        def tighten(_: Any) -> str:
            strict.now = Policy(kinds=("http",))
            return "sent"

        it.agents[0]._script = tighten
        done = await it.runtime.execute(replace(it.request(), input=INPUT))
        assert done.failure is not None
        assert (done.failure.kind, len(it.agents[0].calls)) == ("policy", 1)


async def test_the_hosts_of_a_policy_narrow_what_a_call_may_reach() -> None:
    flow, strict = SENDING.replace("hosts: [api.bank], ", ""), Strict(Policy(hosts=("api.bank",)))
    async with rig(flow, policies=strict, send=lambda _: "sent") as it:
        await executed(it)
        assert it.agents[0].calls[0].allowed.hosts == frozenset({"api.bank"})


# Agents that lie.


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (Usage(0.02, 10, 10), "send took 0.02 usd, its cost.usd declares at most 0.01"),
        (Usage(1e9), "send took 1e+09 usd, its cost.usd declares at most 0.01"),
        (Usage(0.01, 60, 41), "send took 101 tokens, its cost.tokens declares at most 100"),
    ],
)
async def test_more_than_was_declared_is_a_failure_and_charged_all_the_same(usage: Usage, told: str) -> None:
    async with rig(SENDING, send=lambda _: AgentReply("sent", usage=usage)) as it:
        done, failure = await executed(it)
        assert failure == Failure("policy", told, None, "0")
        assert done.usage is not None
        assert (done.usage.usd, done.usage.tokens_in) == (usage.usd, usage.tokens_in)


@pytest.mark.parametrize("usd", [math.nan, -1.0, math.inf, "much"])
async def test_costs_that_are_none_count_as_what_was_reserved(usd: Any) -> None:
    async with rig(SENDING, send=lambda _: AgentReply("sent", usage=Usage(usd))) as it:
        done, failure = await executed(it)
        assert failure is not None
        assert failure.kind == "agent.invalid_output"
        assert done.usage is not None
        assert (done.usage.usd, done.usage.tokens_in) == (0.01, 100)


async def test_an_agent_that_raises_has_cost_what_was_reserved() -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError(f"no such person: {INPUT['ssn']}")

    async with rig(SENDING, send=broken) as it:
        done, failure = await executed(it)
        assert done.usage is not None
        assert done.usage.usd == 0.01
        assert failure is not None
        assert failure.message == "agent 'send' broke: RuntimeError: no such person: [@pii]"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no 078-05-1120 here", "no [@pii] here"),
        ("12345 is too large for 078-05-1120", "[@pii] is too large for [@pii]"),
        ("nothing of it", "nothing of it"),
    ],
)
async def test_what_carries_a_label_is_not_repeated_by_a_failure(said: str, shown: str) -> None:
    async with rig(SENDING, send=lambda _: Failure("agent.refused", said)) as it:
        done, failure = await executed(it)
        assert failure == Failure("agent.refused", shown, None, "0")
        assert done.failure is not None
        assert done.failure.message == shown


async def test_a_wrong_output_that_carries_a_label_is_told_by_its_place_alone() -> None:
    source = SENDING.replace("out: string, effect", 'out: {team: "[a, b] @pii"}, effect').replace(
        "out: string\ndo", "out: json\ndo"
    ).replace("return: =x", "return: 1")  # fmt: skip
    async with rig(source, send=lambda _: {"team": "078-05-1120"}) as it:
        _, failure = await executed(it)
        assert failure is not None
        assert failure.message == "send returned what does not fit: at /team"


async def test_an_answer_that_is_known_is_not_given_where_a_call_is_not_allowed() -> None:
    strict = Strict(Policy())
    async with rig(SENDING, policies=strict, send=lambda _: "sent") as it:
        asked = 0

        class Known:
            async def call(self, *_: Any) -> Any:
                nonlocal asked
                asked += 1
                return AgentReply("known"), None

        it.driver._shell = replace(it.driver._shell, reuse=Known())
        done, _ = await executed(it)
        assert (done.output, asked) == ("known", 1)
        strict.now = Policy(kinds=())
        done, failure = await executed(it)
        assert failure is not None
        assert (failure.kind, asked) == ("policy", 1)
