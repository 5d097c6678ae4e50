"""What agents and scorers say, on its way to becoming a fact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.executor.test_driver import CHAIN, NoScorer, rig
from typing_extensions import override

from stratarouter_runtime.executor.calls import Shell, score
from stratarouter_runtime.ids import LOCAL, Digest, StepPath
from stratarouter_runtime.ports import AgentReply
from stratarouter_runtime.state.commands import ScoreRoutes
from stratarouter_runtime.state.events import Event, Failed, Failure, Scored, Started, Usage


@pytest.mark.parametrize(
    "reply",
    [
        AgentReply({"n": 1}, usage=Usage(usd=math.nan)),
        AgentReply({"n": 1}, usage=Usage(usd=math.inf)),
        AgentReply({"n": 1}, usage=Usage(usd=-0.5)),
        AgentReply({"n": 1}, usage=Usage(tokens_in=2.5)),  # type: ignore[arg-type]  # agents say anything
        AgentReply({"n": 1}, usage=Usage(tokens_out="many")),  # type: ignore[arg-type]
        AgentReply({"n": 1}, usage=Usage(ms=math.nan)),
        AgentReply({"n": 1}, usage=Usage(usd=True)),
        AgentReply({"n": 1}, isolation=None),  # type: ignore[arg-type]
        AgentReply({"n": 1}, isolation="half of a pair: \ud800"),
        AgentReply(failure=Failure("agent.refused", data={"n": math.nan})),
        AgentReply(failure=Failure("agent.refused", data=object())),
        AgentReply(failure=Failure("agent.refused", "half of a pair: \ud800")),
        AgentReply(failure=Failure("agent.refused", 7)),  # type: ignore[arg-type]
    ],
)
async def test_costs_and_failures_that_the_journal_would_not_give_back_fail_the_call(
    reply: AgentReply,
) -> None:
    async with rig(CHAIN, a=lambda _: reply) as it:
        done = await it.runtime.execute(it.request())
        assert done.failure is not None
        assert done.failure.kind == "agent.invalid_output"
        assert "cannot be written down" in done.failure.message
        assert (await it.runtime.history.replay(done.id)).reproducible


async def test_costs_that_make_sense_are_those_of_the_execution() -> None:
    async with rig(CHAIN, a=lambda _: AgentReply({"n": 1}, usage=Usage(0.25, 3, 4, 1.5))) as it:
        done = await it.runtime.execute(it.request())
        assert done.usage == Usage(0.5, 6, 8, 3.0)


async def test_an_agent_that_raises_is_named_with_its_step() -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("out of order \ud800")

    async with rig(CHAIN, a=broken) as it:
        done = await it.runtime.execute(it.request())
        assert done.failure == Failure(
            "agent.unavailable", "agent 'a' broke: RuntimeError: out of order ?", None, "0"
        )


class Saying(NoScorer):
    """Gives these scores, whatever is asked."""

    def __init__(self, *scores: float) -> None:
        self._scores = scores

    @override
    async def score(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        return self._scores


async def said(*scores: float) -> Event:
    async with rig(CHAIN) as it:
        shell = Shell(it.runtime.flows.project, it.runtime, Saying(*scores), it.runtime._clock)
        started = Started("exec_1", it.plan.digest, {}, "0", LOCAL)
        return await score(
            shell, started, ScoreRoutes(StepPath("0"), 2, "q", Digest("d"), it.plan.agents[:2])
        )


async def test_scores_are_journaled_as_they_are_compared() -> None:
    assert await said(math.nan, 0.12345678) == Scored(StepPath("0"), Digest("d"), (-1.0, 0.123457), 2)


@pytest.mark.parametrize("scores", [(), (0.5,), (0.1, 0.2, 0.3), (0.5, math.inf), ("high", "low")])
async def test_scores_that_belong_to_no_candidates_fail_the_step(scores: tuple[Any, ...]) -> None:
    fact = await said(*scores)
    assert isinstance(fact, Failed)
    assert (fact.failure.kind, fact.failure.step, fact.attempt) == ("agent.unavailable", "0", 2)
