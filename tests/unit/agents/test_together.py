"""Agents that take several inputs at once: functions of lists, and services that answer lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson
import pytest

from stratarouter_runtime.agents.declared import read_one
from stratarouter_runtime.agents.discovery import load_project
from stratarouter_runtime.agents.fence import Fenced
from stratarouter_runtime.agents.http import Service
from stratarouter_runtime.agents.python import PythonGroup
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.threads import Threads
from stratarouter_runtime.agents.together import divided
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.batch.grouping import Groups
from stratarouter_runtime.builder import AgentError, Batch, Cost, agent, definition_of, usage
from stratarouter_runtime.errors import InvalidAgent, InvalidFlow
from stratarouter_runtime.ids import LOCAL, AgentName, Digest, ExecutionId
from stratarouter_runtime.ports import AgentCall, AgentReply
from stratarouter_runtime.state.events import Usage
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.tcfp.types import INT, STRING, record

FOUR = Batch(4, wait="1ms")


@dataclass
class Word:
    text: str


def call_of(number: int, **value: Any) -> AgentCall:
    return AgentCall(ExecutionId(f"exec_{number}"), LOCAL, Digest(f"{number:064d}"), f"s{number}", 1, value)


def told(replies: list[AgentReply]) -> list[object]:
    return [reply.output if reply.failure is None else reply.failure.message for reply in replies]


def workshop(web: Web | None = None) -> Workshop:
    clock = SystemClock()
    return Workshop(clock, Secrets({}), web or Web(), groups=Groups(clock))


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    threads = Threads(2)
    yield threads
    await threads.close()


async def ask(
    function: Callable[..., Any], threads: Threads, values: list[dict[str, Any]]
) -> list[AgentReply]:
    """What each caller is told who asks the agent of this function at the same time."""
    definition = definition_of(function)
    assert definition is not None
    assert definition.batch is not None
    fenced = Fenced(PythonGroup(definition, definition.batch, threads, SystemClock()), workshop())
    return await asyncio.gather(*(fenced.call(call_of(n, **each)) for n, each in enumerate(values)))


async def test_a_function_gets_lists_of_its_classes_and_gives_a_list(threads: Threads) -> None:
    seen: list[int] = []

    @agent(effect="pure", batch=FOUR)
    def measure(words: list[Word], times: list[int]) -> list[int]:
        seen.append(len(words))
        return [len(word.text) * by for word, by in zip(words, times, strict=True)]

    definition = definition_of(measure)
    assert definition is not None
    assert definition.signature.input == record({"words": record({"text": STRING}), "times": INT})
    assert definition.signature.output == INT
    values = [{"words": {"text": "a" * n}, "times": n} for n in range(6)]
    assert told(await ask(measure, threads, values)) == [0, 1, 4, 9, 16, 25]
    assert seen == [4, 2]


async def test_a_coroutine_function_may_take_lists_too(threads: Threads) -> None:
    @agent(effect="idempotent", batch=FOUR)
    async def double(n: list[int]) -> list[int]:
        await asyncio.sleep(0)
        return [2 * each for each in n]

    assert told(await ask(double, threads, [{"n": 1}, {"n": 2}])) == [2, 4]


async def test_an_input_fails_alone_where_the_function_says_so(threads: Threads) -> None:
    @agent(effect="pure", batch=FOUR, errors=["odd"])
    def halve(n: list[int]) -> list[int | AgentError]:
        return [each // 2 if each % 2 == 0 else AgentError("odd", f"{each} is odd") for each in n]

    replies = await ask(halve, threads, [{"n": 2}, {"n": 3}, {"n": 8}])
    assert told(replies) == [1, "3 is odd", 4]
    assert replies[1].failure is not None
    assert replies[1].failure.kind == "odd"


async def test_an_input_fails_alone_where_the_function_raises_for_all(threads: Threads) -> None:
    @agent(effect="pure", batch=FOUR)
    def halve(n: list[int]) -> list[int]:
        usage.report(usd=0.25 * len(n))
        if 3 in n:
            raise ValueError("three")
        return [each // 2 for each in n]

    replies = await ask(halve, threads, [{"n": 2}, {"n": 3}])
    assert told(replies) == [1, "halve raised ValueError: three"]
    spent = [reply.usage.usd for reply in replies if reply.usage is not None]
    assert spent == [0.5, 0.5]  # a part of what the call of both took, and that of its own


@pytest.mark.parametrize("answer", [[1], [1, 2, 3], 7, None])
async def test_an_answer_that_is_no_list_of_as_many_is_none(threads: Threads, answer: object) -> None:
    @agent(effect="pure", batch=FOUR)
    def odd(n: list[int]) -> Any:
        return answer

    replies = await ask(odd, threads, [{"n": 1}, {"n": 2}])
    said = "odd was given 2 inputs, and returned no list of as many"
    assert told(replies) == [said, said]


async def test_each_input_is_too_large_by_itself(threads: Threads) -> None:
    @agent(effect="pure", batch=FOUR)
    def repeat(n: list[int]) -> list[str]:
        return ["x" * each for each in n]

    definition = definition_of(repeat)
    assert definition is not None
    grouped = PythonGroup(definition, FOUR, threads, SystemClock(), max_output=20)
    replies = await grouped.call_together([call_of(n, n=n) for n in (3, 30)])
    assert told([*replies]) == ["xxx", "the output has 32 bytes; at most 20 are accepted"]


def test_what_was_reported_adds_up() -> None:
    parts = divided(Usage(1.0, 7, 2, 5.0), 3)
    assert sum(each.tokens_in for each in parts) == 7
    assert sum(each.tokens_out for each in parts) == 2
    assert sum(each.usd for each in parts) == pytest.approx(1.0)
    assert [each.ms for each in parts] == [5.0, 5.0, 5.0]


async def test_what_reports_nothing_counts_as_its_bound_each(threads: Threads) -> None:
    @agent(effect="pure", batch=FOUR, cost=Cost(usd=0.5, tokens=3))
    def silent(n: list[int]) -> list[int]:
        return n

    replies = await ask(silent, threads, [{"n": 1}, {"n": 2}])
    assert [(each.usage.usd, each.usage.tokens_in) for each in replies if each.usage] == [(0.5, 3)] * 2


def test_being_grouped_is_no_part_of_what_an_agent_is(tmp_path: Any) -> None:
    text = "from stratarouter_runtime import agent, Batch\n@agent(effect='pure'{})\ndef f(n: {}) -> {}: return n\n"
    digests = set()
    for folder, parts in {
        "alone": ("", "int", "int"),
        "grouped": (", batch=Batch(2)", "list[int]", "list[int]"),
    }.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "agents.py").write_text(text.format(*parts))
        digests.add(load_project(tmp_path / folder, workshop())["f"].digest)
    assert len(digests) == 1


def _takes_nothing() -> list[int]:
    return []


def _takes_one(n: int) -> list[int]:
    return [n]


def _gives_one(n: list[int]) -> int:
    return n[0]


def _fits(n: list[int]) -> list[int]:
    return n


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (_takes_nothing, {"effect": "pure"}, "nothing to group"),
        (_takes_one, {"effect": "pure"}, "n is no list"),
        (_gives_one, {"effect": "pure"}, "what it returns is no list"),
        (_fits, {}, "without side effects"),
        (_fits, {"effect": "pure", "isolation": "process"}, "functions inline"),
    ],
)
def test_what_cannot_be_grouped_is_refused(
    function: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidFlow, match=message):
        agent(batch=FOUR, **options)(function)


def test_a_batch_of_nothing_is_none() -> None:
    with pytest.raises(InvalidFlow, match="a batch of 0"):
        Batch(0)


DOCUMENT = """
kind: http
url: https://agents.test/many
in: {{ n: int }}
out: int
effect: {effect}
errors: [odd]
cost: {{ usd: 0.5 }}
batch: {batch}
"""


def service(effect: str = "pure", batch: str = "{ max: 4, wait: 1ms }") -> Service:
    _, blueprint = read_one(DOCUMENT.format(effect=effect, batch=batch), "yaml", AgentName("many"), None)
    assert isinstance(blueprint, Service)
    return blueprint


@pytest.mark.parametrize(
    ("effect", "batch", "message"),
    [
        ("effect", "{ max: 4 }", "without side effects"),
        ("pure", "{ wait: 1ms }", "lacks 'max:'"),
        ("pure", "{ max: 0 }", "out of range"),
        ("pure", "{ max: 1001 }", "out of range"),
        ("pure", "{ max: 4, most: 3 }", "unknown key 'most'"),
        ("pure", "7", "a mapping"),
    ],
)
def test_the_mistakes_of_a_document_are_told(effect: str, batch: str, message: str) -> None:
    with pytest.raises(InvalidAgent) as caught:
        service(effect, batch)
    assert message in "\n".join(map(str, caught.value.diagnostics))


def test_how_long_calls_wait_may_be_left_out() -> None:
    assert service(batch="{ max: 7 }").endpoint.batch == Batch(7, wait="5ms")


async def post(answer: Callable[[list[Any]], httpx2.Response], numbers: list[int]) -> list[AgentReply]:
    """What each caller is told by a service that answers lists so."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        items = orjson.loads(request.content)
        assert request.headers["strata-batch"] == str(len(items))
        assert "idempotency-key" not in request.headers
        return answer(items)

    shop = workshop(Web(transport=httpx2.MockTransport(handle)))
    fenced = Fenced(service().build(shop), shop)
    try:
        return await asyncio.gather(*(fenced.call(call_of(n, n=n)) for n in numbers))
    finally:
        await fenced.close()


def response(status: int, body: Any) -> httpx2.Response:
    async def content() -> AsyncIterator[bytes]:
        yield orjson.dumps(body)

    return httpx2.Response(status, content=content())


async def test_a_service_gets_a_list_each_with_its_key_and_answers_one() -> None:
    seen: list[list[Any]] = []

    def answer(items: list[Any]) -> httpx2.Response:
        seen.append(items)
        return response(200, [{"output": 2 * item["input"]["n"]} for item in items])

    replies = await post(answer, [1, 2, 3])
    assert told(replies) == [2, 4, 6]
    (items,) = seen
    assert items[1] == {
        "key": f"{2:064d}",
        "execution": "exec_2",
        "attempt": 1,
        "seed": "s2",
        "input": {"n": 2},
    }
    assert [reply.usage.usd for reply in replies if reply.usage] == [0.5, 0.5, 0.5]


async def test_a_service_fails_one_input_alone() -> None:
    def answer(items: list[Any]) -> httpx2.Response:
        said = {"error": {"kind": "odd", "detail": "an odd one"}}
        return response(200, [said if item["input"]["n"] % 2 else {"output": 0} for item in items])

    replies = await post(answer, [2, 3])
    assert told(replies) == [0, "an odd one"]
    assert replies[1].failure is not None
    assert replies[1].failure.kind == "odd"


@pytest.mark.parametrize("status", [422, 500])
async def test_an_input_that_spoils_it_for_all_is_found_by_trying_each(status: int) -> None:
    def answer(items: list[Any]) -> httpx2.Response:
        if any(item["input"]["n"] == 3 for item in items):
            return response(status, {"detail": "three"})
        return response(200, [{"output": 1} for _ in items])

    replies = await post(answer, [1, 2, 3])
    assert [reply.failure is None for reply in replies] == [True, True, False]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_service_that_cannot_now_is_not_asked_again(status: int) -> None:
    asked = []

    def answer(items: list[Any]) -> httpx2.Response:
        asked.append(len(items))
        return response(status, {})

    assert all(reply.failure for reply in await post(answer, [1, 2, 3]))
    assert asked == [3]


@pytest.mark.parametrize(
    "body", [[], {"output": 1}, [{"output": 1}], [{"result": 1}, {"output": 1, "error": {}}]]
)
async def test_answers_that_are_no_list_of_items_are_none(body: Any) -> None:
    replies = await post(lambda _: response(200, body), [1, 2])
    assert {reply.failure.kind for reply in replies if reply.failure} == {"agent.invalid_output"}
