from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from tests.clocks import Hand

from stratarouter_runtime import breaker
from stratarouter_runtime.bridge import core as module
from stratarouter_runtime.bridge.core import GuardedCore, check_installed, open_engine, read_answer
from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.ports import CoreTable
from stratarouter_runtime.state.events import Given

MILLISECOND = 1_000


def vector(*numbers: float) -> bytes:
    return np.array(numbers, dtype="<f4").tobytes()


TABLE = CoreTable("d", ("billing", "tech"), (vector(1, 0, 0), vector(0, 1, 0)))
BILLING = vector(0.9, 0.1, 0)


class Scripted:
    """An engine that answers one thing, raises it, or hangs until it is let go."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0
        self.gate = threading.Event()

    def __call__(self, table: CoreTable) -> Scripted:
        return self

    def route(self, text: str, embedding: Sequence[float]) -> Any:
        self.asked += 1
        if self.answer == "hang":
            self.gate.wait(5)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Choice:
    """What Core's `RouteLayer` returns."""

    def __init__(self, name: str | None, score: float) -> None:
        self.name, self.score, self.threshold = name, score, 0.82


class Unreadable:
    """An answer that raises when it is looked at."""

    @property
    def route_id(self) -> str:
        raise ValueError("gone")


GOOD = {"route_id": "billing", "confidence": 0.7, "scores": {"semantic": 1.0}, "latency_ms": 1}


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (GOOD, Given("billing", 0.7, {"semantic": 1.0}, 1.0)),
        (Choice("tech", 0.9), Given("tech", 0.9)),
        (Choice(None, 0.3), "chose no route"),
        (GOOD | {"route_id": "ghost"}, "named a route that is not known"),
        (GOOD | {"confidence": float("nan")}, "gave a confidence that is no number"),
        (GOOD | {"confidence": True}, "gave a confidence that is no number"),
        (GOOD | {"confidence": 10**400}, "gave a confidence that is no number"),
        (GOOD | {"scores": {"a": 10**400, "b": 0.5}}, Given("billing", 0.7, {"b": 0.5}, 1.0)),
        (GOOD | {"scores": {"a": float("inf"), "b": 0.5}}, Given("billing", 0.7, {"b": 0.5}, 1.0)),
        (None, "chose no route"),
        ("billing", "chose no route"),
        ({"route_id": 7}, "chose no route"),
    ],
)
def test_answers_are_checked_whatever_their_shape(answer: Any, read: Given | str) -> None:
    assert read_answer(answer, TABLE.names) == read


async def test_a_decision_comes_through() -> None:
    core = GuardedCore(Hand(), opening=Scripted(GOOD))
    assert await core.decide(TABLE, "my bill", BILLING) == Given("billing", 0.7, {"semantic": 1.0}, 1.0)
    core.close()
    assert core.stats().outcomes == {"decided": 1}


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (vector(0, 0, 0), "is not asked about a text without a vector"),
        (vector(float("nan"), 0, 0), "is not asked about a text without a vector"),
        (vector(1, 0), "is not asked about vectors of another length"),
        (vector(0.7, 0.7, 0), "finds two routes alike"),
    ],
)
async def test_core_is_not_asked_what_it_would_answer_at_random(asked: bytes, reason: str) -> None:
    engine = Scripted(GOOD)
    core = GuardedCore(Hand(), opening=engine)
    assert await core.decide(TABLE, "x", asked) == reason
    core.close()
    assert engine.asked == 0


async def test_a_table_that_is_asked_stays_open_however_many_others_come() -> None:
    opened: list[str] = []

    def opening(table: CoreTable) -> Scripted:
        opened.append(table.digest)
        return Scripted(GOOD)

    core = GuardedCore(Hand(), opening=opening)
    for number in range(40):
        for digest in ("hot", f"cold {number}"):
            table = CoreTable(digest, TABLE.names, TABLE.centroids)
            assert isinstance(await core.decide(table, "x", BILLING), Given)
    core.close()
    assert opened.count("hot") == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (RuntimeError("no"), "failed"),
        (Unreadable(), "failed"),
        (GOOD | {"route_id": "ghost"}, "named a route that is not known"),
        ("hang", "took too long"),
    ],
)
async def test_a_core_that_keeps_failing_is_left_alone_and_tried_again(answer: Any, reason: str) -> None:
    engine, clock = Scripted(answer), Hand()
    policy = breaker.Policy(failures=2, pause=MILLISECOND)
    core = GuardedCore(clock, opening=engine, patience=0.05, policy=policy)
    said = [await core.decide(TABLE, "x", BILLING) for _ in range(3)]
    assert said == [reason, reason, "is left alone, as it kept failing"]
    engine.answer = GOOD
    engine.gate.set()
    clock.at += MILLISECOND
    assert isinstance(await core.decide(TABLE, "x", BILLING), Given)
    assert core.stats().state == "closed"
    assert core.stats().opened == 1
    core.close()


async def test_a_table_that_cannot_be_opened_is_a_failure_like_any_other() -> None:
    def opening(_: CoreTable) -> Scripted:
        raise ImportError("no compiled core")

    core = GuardedCore(Hand(), opening=opening)
    assert await core.decide(TABLE, "x", BILLING) == "failed"
    core.close()


def test_a_core_that_is_wanted_and_absent_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(InvalidSetting, match="not installed") as caught:
        check_installed()
    assert "[core]" in str(caught.value.hint)


@pytest.mark.skipif(find_spec("stratarouter") is None, reason="the extra [core] is not installed")
async def test_the_real_core_decides_between_the_routes_it_is_given() -> None:
    core = GuardedCore(Hand(), opening=open_engine, patience=5)
    for asked, route in ((BILLING, "billing"), (vector(0.1, 0.9, 0.2), "tech")):
        found = await core.decide(TABLE, "a question", asked)
        assert isinstance(found, Given)
        assert found.route_id == route
        assert 0 < found.confidence < 1
    assert await core.decide(TABLE, "", BILLING) == "failed"
    core.close()
