from __future__ import annotations

import pytest
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.registry import LinkableAgent
from stratarouter_runtime.tcfp.types import STRING, record
from stratarouter_runtime.tenancy.policies import Manner

SIGNATURE = Signature(record({}), STRING)


class Fake(Agent):
    """Answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = AgentName(name)
        self.signature = SIGNATURE
        self.digest = Digest(name * 64)

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        return AgentReply(output=self.name)


class Holding(Fake):
    """Holds something until it is closed."""

    closed = 0

    async def close(self) -> None:
        self.closed += 1


def test_agents_are_found_by_name_and_listed_by_name() -> None:
    registry = Registry([Fake("b"), Fake("a")])
    assert list(registry) == ["a", "b"]
    assert registry["b"].name == "b"
    assert registry.get("c") is None


def test_two_agents_of_one_name_are_refused() -> None:
    with pytest.raises(LinkError, match="two agents are named 'a'"):
        Registry([Fake("a"), Fake("b"), Fake("a")])


def test_the_compiler_sees_signatures_and_digests() -> None:
    linkable = Registry([Fake("a")]).linkable()
    assert linkable == {
        "a": LinkableAgent(AgentName("a"), SIGNATURE, Digest("a" * 64), Manner("a", "python", "inline"))
    }


async def test_closing_closes_those_that_hold_something() -> None:
    holding = Holding("b")
    await Registry([Fake("a"), holding]).close()
    assert holding.closed == 1
