"""What reuse costs, and what it brings: hits, look-ups by meaning, equal requests, repeats, wrong reuse.

Must never know: how an answer is found.
"""

from __future__ import annotations

import asyncio
from array import array
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from blake3 import blake3
from typing_extensions import override

from stratarouter_runtime.bench.flows import chain
from stratarouter_runtime.bench.http import hits
from stratarouter_runtime.bench.measure import Measure, micros
from stratarouter_runtime.bench.reuse import judge, sample, share
from stratarouter_runtime.cache.answers import Answer
from stratarouter_runtime.cache.policy import Defaults, Policy, Wishes
from stratarouter_runtime.cache.recall import Cache, Question
from stratarouter_runtime.canonical import digest
from stratarouter_runtime.ids import LOCAL, ExecutionId, FlowId
from stratarouter_runtime.ports import Embedder
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import load
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.tally import quantile
from stratarouter_runtime.wiring import Application, application
from stratarouter_runtime.workshops import open_module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.tcfp.plan import Plan

ENTRIES: Final = 10_000
DIMENSION: Final = 384
EQUAL: Final = 1_000
REQUESTS: Final = 4_000
"""In a round: so many that its beginning, where most requests wait for the few first answers, counts little."""

ROUNDS: Final = 3
AT_ONCE: Final = 50
FRESH: Final = 5
"""Every how-manieth request is a new one: the others are repeats."""


class Drawn(Embedder):
    """Vectors that follow from the first words of a text: no model, and near texts for near questions."""

    @property
    @override
    def identity(self) -> str:
        return f"drawn/{DIMENSION}"

    @override
    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        return tuple(map(_drawn, texts))


@lru_cache(maxsize=2 * ENTRIES)
def _drawn(text: str) -> bytes:
    seed = " ".join(text.split()[:4]).encode()
    numbers = [byte - 127.5 for byte in blake3(seed).digest(DIMENSION)]
    length = sum(number * number for number in numbers) ** 0.5
    return array("f", [number / length for number in numbers]).tobytes()


async def cache(folder: Path) -> list[Measure]:
    """All figures about reuse, on a store in `folder`."""
    registry = open_module("stratarouter_runtime.bench.agents")
    async with application(load(), registry, store=folder / "cache.db") as app:
        plan = app.runtime.flows.compile(_kept(chain(1)))
        measures = [
            await _exact(app, plan),
            *await _by_meaning(app),
            await _equal(app, plan),
            await _repeats(app, app.runtime.flows.compile(_kept(chain(10)))),
            *await _wrong(app),
        ]
    return [*measures, await hits(folder)]


def _kept(source: str) -> str:
    """The flow, with answers that are kept."""
    return source.replace("\nagents:", "\ncache: shared\nagents:")


def _request(plan: Plan, number: int) -> StartExecution:
    return StartExecution(plan, {"n": number}, FlowId(plan.name))


async def _exact(app: Application, plan: Plan) -> Measure:
    request = _request(plan, -1)
    for _ in range(1_000):
        _, verdict = await app.runtime.answer(request)
        if verdict.outcome == "hit":
            break
        await asyncio.sleep(0.001)  # what was made is kept beside
    best = float("inf")
    for _ in range(5):
        began = perf_counter()
        for _ in range(1_000):
            await app.runtime.answer(request)
        best = min(best, perf_counter() - began)
    limit = micros(lambda: digest(request.input), repeat=1_000)
    return Measure("exact hit in process", best * 1_000, "µs", 60, "less", limit, "the digest of its input")


async def _by_meaning(app: Application) -> list[Measure]:
    """Questions that are near an entry in a group of thousands, each refused or passed by the gates."""
    looking = Cache(app.store.cache, Drawn(), SystemClock(), room=256 << 20)
    defaults = Defaults()
    policy = Policy(("q",), defaults.threshold, defaults.ttl, None, 0.0, True, False, "", ())
    questions = [_question(policy, f"what is item {number} in the list of") for number in range(ENTRIES)]
    await looking.look(looking.ask(questions[0]))
    for question in questions:
        await looking.keep(looking.ask(question), Answer(b"1"), ExecutionId("exec_0"))
    await looking.holdings(LOCAL)  # once all is written
    taken = []
    for number in range(0, ENTRIES, 25):
        question = _question(policy, f"what is item {number} in the long list of")
        await Drawn().embed(question.texts)  # remembered: what is measured is the rest
        began = perf_counter()
        looked = await looking.look(looking.ask(question))
        taken.append((perf_counter() - began) * 1_000)
        assert looked.asked.vector, looked
    await looking.close()
    name, fastest = f"look-up by meaning beyond the embedding, {ENTRIES:,} entries", min(taken)
    return [
        Measure(f"{name}, p50", quantile(taken, 0.5), "ms", 1, "less", fastest, "the fastest of them"),
        Measure(f"{name}, p99", quantile(taken, 0.99), "ms", 1, "less", fastest, "the fastest of them"),
    ]


def _question(policy: Policy, text: str) -> Question:
    return Question(LOCAL, "flow:bench", policy, digest(text), digest("plan"), {}, (text,))


async def _equal(app: Application, plan: Plan) -> Measure:
    answers = await asyncio.gather(*(app.runtime.answer(_request(plan, -2)) for _ in range(EQUAL)))
    executions = len({row.id for row, _ in answers})
    name = f"executions of {EQUAL:,} equal requests at once"
    return Measure(name, executions, "", 1, "less", 1, "one")


async def _repeats(app: Application, plan: Plan) -> Measure:
    """The median of several rounds, each with and without reuse, since other work comes and goes."""
    rounds = []
    for number in range(1, 2 * ROUNDS, 2):
        without = await _rate(app, plan, number * 1_000_000, Wishes(read=False, keep=False))
        rounds.append((await _rate(app, plan, (number + 1) * 1_000_000, Wishes()), without))
    reused, without = sorted(rounds, key=lambda each: each[0] / each[1])[ROUNDS // 2]
    name = f"10-step flows a second with {100 - 100 // FRESH} % repeats, {AT_ONCE} at a time"
    return Measure(name, reused, "/s", 4 * without, "more", without, "the same without reuse")


async def _rate(app: Application, plan: Plan, base: int, wishes: Wishes) -> float:
    """Requests a second, of which every fifth is new and the others repeat one that was."""
    left = iter(range(REQUESTS))

    async def work() -> None:
        for number in left:
            wanted = number // FRESH if number % FRESH == 0 else number * 7_919 % max(1, number // FRESH)
            await app.runtime.answer(_request(plan, base + wanted), wishes)

    began = perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return REQUESTS / (perf_counter() - began)


async def _wrong(app: Application) -> list[Measure]:
    judged = await judge(sample(), app.embedder)
    plain = share(judged, same=False, gates=False)
    rightly, limit = share(judged, same=True), share(judged, same=True, gates=False)
    return [
        Measure(
            "shipped pairs that must not be reused, reused",
            share(judged, same=False),
            "%",
            2,
            "less",
            plain,
            "the cosine alone",
        ),
        Measure("shipped pairs that may be, reused", rightly, "%", 90, "more", limit, "the cosine alone"),
    ]
