"""What a type checker says of the public names: mypy runs over this file, and so does pytest."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, assert_type

from stratarouter_runtime import (
    AgentError,
    Cost,
    FlowDefinition,
    Routed,
    agent,
    ask,
    call,
    choose,
    do,
    each,
    flow,
    fn,
    let,
    loop,
    make,
    race,
    route,
    usage,
)


@dataclass
class Reply:
    text: str
    score: float


@agent(effect="pure", cost=Cost(usd=0.1))
async def ask_model(question: str) -> Reply:
    usage.report(usd=0.01)
    if not question:
        raise AgentError("empty")
    return Reply(question, 1.0)


@agent
def look_up(key: str) -> Reply:
    return Reply(key, 0.0)


def test_a_decorated_function_keeps_its_type() -> None:
    coroutine: Callable[[str], Coroutine[Any, Any, Reply]] = ask_model
    assert coroutine is ask_model
    assert assert_type(look_up("x"), Reply) == Reply("x", 0.0)


def test_results_of_steps_have_the_types_they_will_have() -> None:
    seen: list[str] = []

    @flow("typed")
    def typed(question: str, keys: list[str]) -> Reply:
        first = call(ask_model, question=question)
        assert_type(first, Reply)
        second = call(look_up, key=first.text)
        assert_type(second, Reply)
        chosen = route(question, among=[ask_model], with_=first)
        assert_type(chosen, Routed[Reply])
        assert_type(race({"a": lambda: let(1)}), Routed[int])
        many = each(keys, lambda key: call(look_up, key=key), max=3)
        assert_type(many, list[Reply])
        best = fn.filter(many, lambda reply: reply.score > 0.5)
        assert_type(best, list[Reply])
        assert_type(fn.map(best, lambda reply: reply.text), list[str])
        assert_type(fn.size(best), int)
        assert_type(fn.or_value(ask(str, for_="1h"), "none"), str)
        assert_type(choose(fn.present(first), 1, None), int | None)
        assert_type(loop(0, while_=lambda n: n < 3, do=lambda n: n + 1, max=3), int)
        assert_type(do(lambda: let("x")), str)
        seen.append("built")
        return make(Reply, text=chosen.out.text, score=second.score)

    callable_: Callable[[str, list[str]], Reply] = typed
    assert isinstance(callable_, FlowDefinition)
    assert seen == ["built"]
    assert len(typed.ir.body.steps) == 8
