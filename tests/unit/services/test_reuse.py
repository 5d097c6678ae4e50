"""Answers are reused for whole flows and for single calls, and only where that is right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from tests.clocks import Hand
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.batch.coalescer import Coalescer
from stratarouter_runtime.bridge.lexical import HashedNgrams
from stratarouter_runtime.cache.policy import NO_WISHES, Defaults, Wishes
from stratarouter_runtime.cache.recall import Cache
from stratarouter_runtime.ids import FlowId, Tenant
from stratarouter_runtime.observability.fanout import Fanout
from stratarouter_runtime.ports import AgentCall, AgentReply, Embedder, Execution, Selection
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.runtime import Runtime
from stratarouter_runtime.services.reuse import Reuse, Verdict
from stratarouter_runtime.state.events import Failure, Returned, Usage
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemEntropy
from stratarouter_runtime.testing.agents import scripted
from stratarouter_runtime.testing.plans import declared_agents

FLOW = """
tcfp: "1.0"
flow: t
cache: semantic
semantic: [q]
agents:
  a: {in: {q: string, n: int}, out: {s: string}, effect: pure, cache: never}
in: {q: string, n: int}
out: {s: string}
do:
  - {id: r, call: a, with: {q: =q, n: =n}}
return: =r
"""

AGENT = """
tcfp: "1.0"
flow: t
cache: never
agents:
  a: {in: {q: string, n: int}, out: {s: string}, effect: pure, cache: POLICY}
in: {q: string, n: int}
out: {x: string, y: string}
do:
  - {id: x, call: a, with: {q: =q, n: =n}}
  - {id: y, call: a, with: {q: =q, n: =n}}
return: {x: =x.s, y: =y.s}
"""


class Words(Embedder):
    """Vectors of letters; `name` and `broken` can be changed while it is used."""

    def __init__(self) -> None:
        self.name = "words"
        self.broken = False
        self.texts = 0
        self._encoder = HashedNgrams()

    @property
    @override
    def identity(self) -> str:
        return self.name

    @override
    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        if self.broken:
            raise RuntimeError("no encoder today")
        self.texts += len(texts)
        return tuple(row.tobytes() for row in self._encoder.encode(list(texts)))


class Rig:
    """A runtime with a cache over one store; `again` is the next process on it."""

    def __init__(
        self,
        source: str = FLOW,
        *,
        store: MemoryStore | None = None,
        clock: Hand | None = None,
        embedder: Words | None = None,
        defaults: Defaults | None = None,
        say: Callable[[AgentCall], Any] | None = None,
    ) -> None:
        self.source, self.say = source, say or (lambda call: {"s": f"{call.input['q']} {call.input['n']}"})
        self.store, self.clock, self.embedder = (
            store or MemoryStore(),
            clock or Hand(1_700_000_000_000_000),
            embedder or Words(),
        )
        self.defaults = defaults or Defaults()
        (self.agent,) = scripted(declared_agents(source), {"a": self.say})
        cache = Cache(self.store.cache, self.embedder, self.clock)
        self.reuse = Reuse(cache, Coalescer(), self.clock, self.defaults)
        self.runtime = Runtime(
            store=self.store,
            registry=Registry([self.agent]),
            scorer=None,  # type: ignore[arg-type]  # nothing here routes
            observers=Fanout(),
            clock=self.clock,
            entropy=SystemEntropy(),
            reuse=self.reuse,
        )
        self.plan = self.runtime.flows.compile(source)

    def again(self) -> Rig:
        """The next process on the same store."""
        return Rig(
            self.source,
            store=self.store,
            clock=self.clock,
            embedder=self.embedder,
            defaults=self.defaults,
            say=self.say,
        )

    def request(self, q: str, n: int = 1, **more: Any) -> StartExecution:
        """For the flow."""
        return StartExecution(self.plan, {"q": q, "n": n}, FlowId("t"), **more)

    async def ask(
        self, q: str, n: int = 1, wishes: Wishes = NO_WISHES, **more: Any
    ) -> tuple[Execution, Verdict]:
        """An answer; what is kept of it is kept when this returns."""
        row, verdict = await self.runtime.answer(self.request(q, n, **more), wishes)
        await self.settle()
        return decoded(row), verdict

    async def led(self) -> None:
        """Returns once somebody works an answer out for whoever comes."""
        while not len(self.reuse.flights):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)

    async def settle(self) -> None:
        """Returns once nothing is under way, and what is kept is in the store."""
        for _ in range(1_000):
            if not len(self.reuse.flights):
                break
            await asyncio.sleep(0)
        await self.reuse.samples.settle()
        await self.reuse.close()


def decoded(row: Execution) -> Execution:
    """With its output as data, where it was sent on as it is kept."""
    if not isinstance(row.output, msgspec.Raw):
        return row
    return msgspec.structs.replace(row, output=msgspec.json.decode(row.output))


def gates(verdict: Verdict) -> list[str]:
    """Which refused."""
    return [refusal.gate for refusal in verdict.refused]


async def test_the_very_same_question_starts_nothing() -> None:
    """The answer is that of the first execution, and says so."""
    rig = Rig()
    first, miss = await rig.ask("where is my parcel")
    again, hit = await rig.ask("where is my parcel")
    assert (miss.outcome, hit.outcome) == ("miss", "hit")
    assert hit.reused is not None
    assert (hit.reused.kind, hit.reused.source, hit.reused.similarity) == ("exact", first.id, 1.0)
    assert (again.id, again.output, again.status) == (first.id, first.output, "completed")
    assert len(rig.agent.calls) == 1
    assert len(await rig.store.search()) == 1


@pytest.mark.parametrize(
    ("asked", "kind"),
    [("Where is my parcel, please?", "normalised"), ("where is my own parcel", None)],
)
async def test_a_question_that_means_the_same_is_found(asked: str, kind: str | None) -> None:
    """By its normal form without vectors; by vectors only where every gate passes."""
    rig = Rig()
    await rig.ask("where is my parcel")
    _, verdict = await rig.ask(asked)
    assert (None if verdict.reused is None else verdict.reused.kind) == kind


async def test_by_meaning_within_the_threshold() -> None:
    """A request can raise it, and not lower it."""
    rig = Rig(defaults=Defaults(threshold=0.6))
    await rig.ask("where is my parcel now")
    _, verdict = await rig.ask("where are my parcels now")
    assert verdict.reused is not None
    assert verdict.reused.kind == "semantic"
    assert 0.6 <= verdict.reused.similarity < 1
    _, stricter = await rig.ask("where are the parcels now", wishes=Wishes(threshold=0.999))
    assert stricter.outcome == "miss"
    _, lower = await rig.ask("where were you", wishes=Wishes(threshold=0.0))
    assert lower.outcome == "miss"


async def test_a_gate_that_refuses_is_told_and_counted() -> None:
    """By name."""
    rig = Rig()
    await rig.ask("book the table for two people tonight")
    _, verdict = await rig.ask("book the table for three people tonight")
    assert verdict.outcome == "miss"
    assert gates(verdict) == ["numbers"]
    (counts,) = rig.reuse.cache.ledger.counts()
    assert counts.refused == {"numbers": 1}


async def test_fields_that_are_not_semantic_have_to_be_equal() -> None:
    """They are part of the fingerprint."""
    rig = Rig()
    await rig.ask("where is my parcel", 1)
    _, verdict = await rig.ask("where is my parcel", 2)
    assert (verdict.outcome, gates(verdict)) == ("miss", [])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"tenant": Tenant("bob")}),
        ({"wishes": Wishes(scope="ann")}, {"wishes": Wishes(scope="bob")}),
        ({"wishes": Wishes(scope="ann")}, {}),
        ({"seed": "1"}, {"seed": "2"}),
        ({"seed": "1"}, {}),
    ],
)
async def test_nothing_is_reused_across(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Tenants, users, seeds; by no tier."""
    rig = Rig()
    await rig.ask("where is my parcel", **first)
    wishes = msgspec.structs.replace(second.get("wishes", NO_WISHES), keep=False)
    for asked in ("where is my parcel", "Where is my parcel?"):
        _, verdict = await rig.ask(asked, **second | {"wishes": wishes})
        assert verdict.outcome == "miss"
    _, same = await rig.ask("where is my parcel", **first)
    assert same.outcome == "hit"


async def test_another_plan_has_other_answers() -> None:
    """Also one that differs in nothing but a limit."""
    rig = Rig()
    await rig.ask("where is my parcel")
    other = Rig(
        FLOW.replace("return: =r", "return: =r\nlimits: {steps: 9}"), store=rig.store, clock=rig.clock
    )
    for asked in ("where is my parcel", "where is my parcel?"):
        _, verdict = await other.ask(asked, wishes=Wishes(keep=False))
        assert verdict.outcome == "miss"


async def test_a_conversation_is_a_field_like_any_other() -> None:
    """The last message alone is never enough."""
    source = FLOW.replace("q: string, n: int", "q: string, n: int, h: 'list<string>'").replace(
        "with: {q: =q, n: =n}", "with: {q: =q, n: =n, h: =h}"
    )
    rig = Rig(source)

    async def ask(*history: str) -> Verdict:
        request = StartExecution(rig.plan, {"q": "and there?", "n": 1, "h": list(history)}, FlowId("t"))
        _, verdict = await rig.runtime.answer(request)
        await rig.settle()
        return verdict

    await ask("weather in oslo")
    assert (await ask("weather in rome")).outcome == "miss"
    assert (await ask()).outcome == "miss"
    assert (await ask("weather in oslo")).outcome == "hit"


async def test_answers_survive_a_restart() -> None:
    """By every tier."""
    rig = Rig()
    await rig.ask("where is my parcel")
    for asked, kind in (("where is my parcel", "exact"), ("Where is my parcel?", "normalised")):
        _, verdict = await rig.again().ask(asked)
        assert verdict.reused is not None
        assert verdict.reused.kind == kind


async def test_a_damaged_entry_is_dropped_counted_and_made_anew() -> None:
    """Nobody sees what is in it."""
    rig = Rig()
    _, miss = await rig.ask("where is my parcel")
    entry = await rig.store.cache.find(Tenant("local"), miss.key)  # type: ignore[arg-type]  # it is a digest
    assert entry is not None
    await rig.store.cache.keep(
        [msgspec.structs.replace(entry, body=entry.body[:-1] + bytes([entry.body[-1] ^ 1]))]
    )
    later = rig.again()
    row, verdict = await later.ask("where is my parcel")
    assert (verdict.outcome, row.output) == ("miss", {"s": "where is my parcel 1"})
    (counts,) = later.reuse.cache.ledger.counts()
    assert counts.faults == {"damaged": 1}
    assert (await later.again().ask("where is my parcel"))[1].outcome == "hit"


async def test_entries_of_another_encoder_are_not_seen() -> None:
    """It changes under a running server; the very same question is still found."""
    rig = Rig(defaults=Defaults(threshold=0.6))
    await rig.ask("where is my parcel now")
    rig.embedder.name = "others"
    _, verdict = await rig.ask("where are my parcels now")
    assert (verdict.outcome, gates(verdict)) == ("miss", [])
    assert (await rig.ask("where is my parcel now"))[1].outcome == "hit"


async def test_an_encoder_that_fails_is_a_counted_miss() -> None:
    """And the exact tier goes on."""
    rig = Rig()
    rig.embedder.broken = True
    _, first = await rig.ask("where is my parcel")
    assert (first.outcome, gates(first)) == ("miss", ["fault"])
    assert (await rig.ask("where is my parcel"))[1].outcome == "hit"
    (counts,) = rig.reuse.cache.ledger.counts()
    assert counts.faults["look-up"] == 1


async def test_age() -> None:
    """An answer expires by its own time, and may be too old for a reader before."""
    rig = Rig(defaults=Defaults(ttl=10_000_000))
    await rig.ask("where is my parcel")
    rig.clock.pass_(6)
    _, verdict = await rig.ask("where is my parcel", wishes=Wishes(max_age=5_000_000, keep=False))
    assert (verdict.outcome, gates(verdict)) == ("miss", ["age"])
    assert (await rig.ask("where is my parcel"))[1].outcome == "hit"
    rig.clock.pass_(4)
    _, late = await rig.ask("where is my parcel")
    assert (late.outcome, gates(late)) == ("miss", ["age"])


async def test_what_has_expired_leaves_the_store() -> None:
    """When a later process first writes there."""
    rig = Rig(defaults=Defaults(ttl=10_000_000))
    await rig.ask("where is my parcel")
    rig.clock.pass_(11)
    await rig.again().ask("where is my letter")
    assert await rig.store.cache.count(Selection(Tenant("local"))) == 1


async def test_tags() -> None:
    """Who asks for a tag gets what carries it."""
    rig = Rig()
    await rig.ask("where is my parcel", wishes=Wishes(tags=("v1",)))
    assert (await rig.ask("where is my parcel", wishes=Wishes(tags=("v1",))))[1].outcome == "hit"
    _, other = await rig.ask("where is my parcel", wishes=Wishes(tags=("v2",), keep=False))
    assert (other.outcome, gates(other)) == ("miss", ["tags"])


@pytest.mark.parametrize(
    ("wishes", "why", "kept"),
    [
        (Wishes(read=False, keep=False), "request", False),
        (Wishes(read=False), "request", True),
        (Wishes(keep=False), "", False),
    ],
)
async def test_a_request_may_ask_for_less(wishes: Wishes, why: str, *, kept: bool) -> None:
    """For nothing that is known, or that nothing is kept."""
    rig = Rig()
    _, verdict = await rig.ask("where is my parcel", wishes=wishes)
    assert verdict.why == why
    assert ((await rig.ask("where is my parcel", wishes=Wishes(keep=False)))[1].outcome == "hit") == kept


async def test_a_key_stands_for_an_execution_of_its_own() -> None:
    """Reuse plays no part in it."""
    rig = Rig()
    await rig.ask("where is my parcel")
    row, verdict = await rig.ask("where is my parcel", key="k")
    assert (verdict.outcome, verdict.why) == ("bypass", "key")
    assert (await rig.ask("where is my parcel", key="k"))[0].id == row.id
    assert len(rig.agent.calls) == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("cache: semantic\nsemantic: [q]\n", "cache: never\n"), "never"),
        (("cache: semantic\nsemantic: [q]\n", "cache: run\n"), "run"),
        (("effect: pure, cache: never", "effect: effect"), "effect"),
        (("in: {q: string, n: int}\nout", "in: {q: string @pii, n: int}\nout"), "personal"),
    ],
)
async def test_what_is_not_declared_for_it_is_never_reused(change: tuple[str, str], why: str) -> None:
    """By its policy, its effect, its labels."""
    source = FLOW.replace(*change)
    if why == "effect":
        source = source.replace("cache: semantic\nsemantic: [q]\n", "")
    if why == "personal":
        source = source.replace("effect: pure,", "effect: pure, accepts: [pii],")
    rig = Rig(source)
    for _ in range(2):
        _, verdict = await rig.ask("where is my parcel")
        assert (verdict.outcome, verdict.why) == ("bypass", why)
    assert len(rig.agent.calls) == 2


async def test_what_is_personal_is_reused_for_the_same_user() -> None:
    """A scope says who that is."""
    source = FLOW.replace("in: {q: string, n: int}\nout", "in: {q: string @pii, n: int}\nout").replace(
        "effect: pure,", "effect: pure, accepts: [pii],"
    )
    rig = Rig(source)
    await rig.ask("where is my parcel", wishes=Wishes(scope="ann"))
    assert (await rig.ask("where is my parcel", wishes=Wishes(scope="ann")))[1].outcome == "hit"
    assert (await rig.ask("where is my parcel", wishes=Wishes(scope="bob")))[1].outcome == "miss"


@pytest.mark.parametrize(
    "said",
    [
        Failure("agent.refused", "not today"),
        AgentReply({"wrong": 1}),
    ],
)
async def test_only_what_has_completed_is_kept(said: object) -> None:
    """No failure, nothing that does not fit."""
    rig = Rig(say=lambda _: said)
    for _ in range(2):
        row, verdict = await rig.ask("where is my parcel")
        assert (row.status, verdict.outcome) == ("failed", "miss")
    assert len(rig.agent.calls) == 2


async def test_a_thousand_equal_requests_make_one_execution() -> None:
    """All get its answer, each a copy of its own."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        await gate.wait()
        return {"s": "one"}

    rig = Rig(say=say)
    asking = [asyncio.ensure_future(rig.runtime.answer(rig.request("same"))) for _ in range(1_000)]
    await asyncio.sleep(0.05)
    gate.set()
    answers = await asyncio.gather(*asking)
    assert len({row.id for row, _ in answers}) == 1
    assert sum(verdict.coalesced for _, verdict in answers) == 999
    assert len(rig.agent.calls) == 1


async def test_the_first_callers_time_is_not_that_of_the_others() -> None:
    """Who has more begins anew, and so does nobody wait for what ends too early."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        await gate.wait()
        return {"s": "one"}

    rig = Rig(say=say)
    short = asyncio.ensure_future(rig.runtime.answer(rig.request("same", timeout=1_000_000)))
    await rig.led()
    long = asyncio.ensure_future(rig.runtime.answer(rig.request("same", timeout=60_000_000)))
    await asyncio.sleep(0.05)
    gate.set()
    (one, _), (other, verdict) = await short, await long
    assert one.id != other.id
    assert not verdict.coalesced


async def test_whoever_attends_a_cancelled_execution_begins_anew() -> None:
    """It was cancelled for another."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        await gate.wait()
        return {"s": "one"}

    rig = Rig(say=say)
    first = asyncio.ensure_future(rig.runtime.answer(rig.request("same")))
    second = asyncio.ensure_future(rig.runtime.answer(rig.request("same")))
    await asyncio.sleep(0.05)
    (running,) = rig.runtime.driver.active
    await rig.runtime.controls.cancel(running, "not wanted")
    gate.set()
    assert (await first)[0].status == "cancelled"
    row, _ = await second
    assert (row.status, row.output) == ("completed", {"s": "one"})


async def test_forgetting() -> None:
    """By tag, by age, dry, whole; and in the other process too, once it has looked."""
    rig = Rig()
    other = rig.again()
    await rig.ask("one thing", wishes=Wishes(tags=("x",)))
    rig.clock.pass_(10)
    await rig.ask("another thing")
    assert (await other.ask("another thing"))[1].outcome == "hit"
    tenant = Tenant("local")
    assert await rig.reuse.invalidate(tenant, "t", "x", None, dry_run=True) == 1
    assert await rig.reuse.invalidate(tenant, "t", None, 5, dry_run=True) == 1
    assert await rig.reuse.invalidate(tenant, "t", "x", None) == 1
    assert (await rig.ask("another thing"))[1].outcome == "hit"
    assert await rig.reuse.invalidate(tenant, "t", None, None) == 1
    assert (await rig.ask("another thing", wishes=Wishes(keep=False)))[1].outcome == "miss"
    other.clock.pass_(2)
    assert (await other.ask("another thing", wishes=Wishes(keep=False)))[1].outcome == "miss"


async def test_what_is_worked_out_while_all_is_forgotten_is_not_kept() -> None:
    """It may rest on what was the reason to forget."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        await gate.wait()
        return {"s": "old"}

    rig = Rig(say=say)
    asking = asyncio.ensure_future(rig.runtime.answer(rig.request("same")))
    await asyncio.sleep(0.05)
    await rig.reuse.invalidate(Tenant("local"), "t", None, None)
    gate.set()
    await asking
    await rig.settle()
    assert await rig.store.cache.count(Selection(Tenant("local"))) == 0
    assert (await rig.ask("same"))[1].outcome == "miss"


async def test_a_wrong_reuse_goes_and_counts() -> None:
    """Against its flow."""
    rig = Rig()
    row, _ = await rig.ask("where is my parcel")
    assert await rig.reuse.wrong(row.tenant, source=row.id) == 1
    (counts,) = rig.reuse.cache.ledger.counts()
    assert counts.wrong == 1
    assert (await rig.ask("where is my parcel"))[1].outcome == "miss"


async def test_a_shadow_sample_compares_what_was_reused_with_what_would_be_said_now() -> None:
    """Evenly, by its share; and gives a bound."""
    said = ["one", "one", "two"]

    def say(call: AgentCall) -> dict[str, str]:
        return {"s": said.pop(0)}

    rig = Rig(say=say, defaults=Defaults(shadow=0.5))
    for _ in range(5):
        row, _ = await rig.ask("where is my parcel")
        assert row.output == {"s": "one"}
    (counts,) = rig.reuse.cache.ledger.counts()
    assert (counts.exact, counts.compared, counts.differing) == (4, 2, 1)
    assert counts.wrong_at_most is not None
    assert 0.5 < counts.wrong_at_most < 1


# Single calls of agents.


async def reused(rig: Rig, row: Execution) -> list[str | None]:
    """How each call of an execution was answered."""
    events = (await rig.runtime.history.journal(row.id)).events
    return [
        None if event.reused is None else event.reused.kind for event in events if isinstance(event, Returned)
    ]


@pytest.mark.parametrize(
    ("policy", "first", "second", "calls"),
    [
        ("never", [None, None], [None, None], 4),
        ("run", [None, None], [None, None], 4),
        ("run, stable: true", [None, "exact"], [None, "exact"], 2),
        ("shared", [None, "exact"], ["exact", "exact"], 1),
        ("semantic, semantic: [q]", [None, "exact"], ["exact", "exact"], 1),
    ],
)
async def test_the_policy_of_an_agent_means_what_it_says(
    policy: str, first: list[str | None], second: list[str | None], calls: int
) -> None:
    """`run`: within one execution, where it is stable; `shared`: everywhere; `never`: nowhere."""
    rig = Rig(AGENT.replace("POLICY", policy))
    one, _ = await rig.ask("hi")
    two, _ = await rig.ask("hi")
    assert await reused(rig, one) == first
    assert await reused(rig, two) == second
    assert len(rig.agent.calls) == calls
    assert one.output == two.output == {"x": "hi 1", "y": "hi 1"}
    for row in (one, two):
        proof = await rig.runtime.history.replay(row.id)
        assert proof.reproducible


async def test_a_reused_call_costs_nothing() -> None:
    """Its cost was that of the first."""
    rig = Rig(
        AGENT.replace("POLICY", "shared, cost: {usd: 1.0}"),
        say=lambda call: AgentReply({"s": "x"}, usage=Usage(usd=0.5)),
    )
    row, _ = await rig.ask("hi")
    assert row.usage is not None
    assert row.usage.usd == 0.5
    assert rig.reuse.cache.ledger.counts()[0].saved_usd == 0.5


@pytest.mark.parametrize(
    "said", [AgentReply({"s": "cut"}, whole=False), Failure("agent.refused"), AgentReply({"wrong": 1})]
)
async def test_an_answer_that_is_not_whole_valid_and_finished_is_not_kept(said: object) -> None:
    """It is told, and made anew the next time."""
    rig = Rig(AGENT.replace("POLICY", "shared"), say=lambda _: said)
    await rig.ask("hi")
    assert await rig.store.cache.count(Selection(Tenant("local"))) == 0


async def test_a_fresh_execution_takes_over_nothing() -> None:
    """Not for any of its calls."""
    rig = Rig(AGENT.replace("POLICY", "shared"))
    await rig.ask("hi")
    row, _ = await rig.ask("hi", wishes=Wishes(read=False, keep=False))
    assert await reused(rig, row) == [None, None]
    assert len(rig.agent.calls) == 3


async def test_equal_calls_under_way_in_two_executions_are_one() -> None:
    """The second says where its answer comes from."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        await gate.wait()
        return {"s": "one"}

    rig = Rig(AGENT.replace("POLICY", "shared"), say=say)
    asking = [asyncio.ensure_future(rig.runtime.answer(rig.request("hi"))) for _ in range(2)]
    await asyncio.sleep(0.05)
    gate.set()
    rows = [row for row, _ in await asyncio.gather(*asking)]
    kinds = sorted([str((await reused(rig, row))[0]) for row in rows])
    assert kinds == ["None", "coalesced"]
    assert len(rig.agent.calls) == 1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (Wishes(), Wishes(max_age=60_000_000), [None, "exact"]),
        (Wishes(), Wishes(max_age=600_000_000), ["exact", "exact"]),
        (Wishes(tags=("v1",)), Wishes(tags=("v2",)), [None, "exact"]),
        (Wishes(tags=("v1",)), Wishes(tags=("v1",)), ["exact", "exact"]),
        (Wishes(keep=False), Wishes(), [None, "exact"]),
        (Wishes(), Wishes(read=False), [None, None]),
        (Wishes(scope="ann"), Wishes(scope="bob"), [None, "exact"]),
    ],
)
async def test_what_a_request_asks_of_reuse_holds_for_the_calls_within_it(
    first: Wishes, second: Wishes, expected: list[str | None]
) -> None:
    """Of its flow, and of a flow that this one calls."""
    rig = Rig(AGENT.replace("POLICY", "shared"))
    await rig.runtime.flows.offer(rig.plan)
    outer = FLOW.replace("cache: semantic\nsemantic: [q]\n", "cache: never\n").replace(
        "flow: t", "flow: outer"
    )
    outer = (
        outer.replace("  a: {", "  t: {")
        .replace("call: a", "call: t")
        .replace("{s: string}", "{x: string, y: string}")
    )
    rig.plan = rig.runtime.flows.compile(outer)
    await rig.ask("hi", wishes=first)
    rig.clock.pass_(100)
    row, _ = await rig.ask("hi", wishes=second)
    (inner,) = [each for each in await rig.store.search(limit=2) if each.id != row.id]
    assert await reused(rig, inner) == expected


async def test_an_answer_made_anew_takes_the_place_of_the_one_before_it() -> None:
    """Of a call, where its request wants to read none."""
    said = iter("abcdef")
    rig = Rig(AGENT.replace("POLICY", "shared"), say=lambda _: {"s": next(said)})
    await rig.ask("hi")
    await rig.ask("hi", wishes=Wishes(read=False))
    row, _ = await rig.ask("hi")
    assert row.output == {"x": "c", "y": "c"}


async def test_an_answer_made_anew_is_found_by_meaning_in_place_of_the_old_one() -> None:
    """Here, and after a restart; also where nothing was looked up before it was kept."""
    said = iter("abcdef")
    rig = Rig(say=lambda _: {"s": next(said)})
    await rig.ask("where is my parcel")
    assert (await rig.ask("Where is my parcel?"))[0].output == {"s": "a"}
    await rig.ask("where is my parcel", wishes=Wishes(read=False))
    for process in (rig, rig.again()):
        row, verdict = await process.ask("Where is my parcel, please?", wishes=Wishes(keep=False))
        assert verdict.reused is not None
        assert (verdict.reused.kind, row.output) == ("normalised", {"s": "b"})


async def test_what_whoever_came_second_leads_is_found_by_meaning_too() -> None:
    """It looked for nothing, since the first was under way; which was cancelled."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        await gate.wait()
        return {"s": "one"}

    rig = Rig(say=say)
    first = asyncio.ensure_future(rig.runtime.answer(rig.request("where is it now")))
    await rig.led()
    second = asyncio.ensure_future(rig.runtime.answer(rig.request("where is it now")))
    await asyncio.sleep(0.05)
    (running,) = rig.runtime.driver.active
    await rig.runtime.controls.cancel(running, "not wanted")
    gate.set()
    await asyncio.gather(first, second)
    await rig.settle()
    assert (await rig.again().ask("Where is it now?"))[1].outcome == "hit"


async def test_an_encoder_that_fails_while_an_answer_is_made_anew_leaves_no_old_one_behind() -> None:
    """Not in the group it cannot be put into."""
    said = iter("abcdef")
    rig = Rig(say=lambda _: {"s": next(said)})
    await rig.ask("where is my parcel")
    assert (await rig.ask("Where is my parcel?"))[0].output == {"s": "a"}
    rig.embedder.broken = True
    await rig.ask("where is my parcel", wishes=Wishes(read=False))
    row, _ = await rig.ask("Where is my parcel, please?")
    assert row.output == {"s": "b"}


async def test_a_text_that_is_too_long_is_told_and_never_embedded() -> None:
    """It is found by its very input, and is not among those that are compared."""
    rig = Rig()
    long = "where is my parcel " * 300
    _, first = await rig.ask(long)
    assert (first.outcome, gates(first)) == ("miss", ["length"])
    assert (await rig.ask(long))[1].outcome == "hit"
    entry = await rig.store.cache.find(Tenant("local"), first.key)  # type: ignore[arg-type]  # it is a digest
    assert entry is not None
    assert entry.group == ""
    assert rig.embedder.texts == 0


@pytest.mark.parametrize(
    ("source", "wishes", "told"),
    [
        (
            FLOW.replace("cache: semantic\nsemantic: [q]\n", "cache: never\n"),
            NO_WISHES,
            {"flow:t": {"never": 1}},
        ),
        (FLOW, Wishes(read=False), {"flow:t": {"request": 1}}),
        (FLOW, NO_WISHES, {"flow:t": {}}),
        (
            AGENT.replace("POLICY", "shared"),
            Wishes(read=False, keep=False),
            {"flow:t": {"request": 1}, "agent:a": {"request": 2}},
        ),
    ],
)
async def test_what_was_not_looked_up_is_counted_with_the_reason(
    source: str, wishes: Wishes, told: dict[str, dict[str, int]]
) -> None:
    """By its flow, and by the agent that was called."""
    rig = Rig(source)
    await rig.ask("hi", wishes=wishes)
    assert {each.space: each.bypassed for each in rig.reuse.cache.ledger.counts()} == told
    assert rig.reuse.cache.ledger.stats().outcomes.get("bypassed", 0) == sum(
        sum(each.values()) for each in told.values()
    )


CALLED = """
tcfp: "1.0"
flow: called
cache: shared
agents: {a: {in: {q: string, n: int}, out: {s: string}, effect: pure, cache: never}}
in: {q: string, n: int}
out: {s: string}
do:
  - {id: x, call: a, with: {q: =q, n: =n}}
  - {id: y, call: a, with: {q: =x.s, n: =n}}
return: =y
"""

CALLING = """
tcfp: "1.0"
flow: calling
cache: never
agents: {called: {in: {q: string, n: int}, out: {s: string}, effect: pure, cache: shared}}
in: {q: string, n: int}
out: {s: string}
do: [{id: r, call: called, with: {q: =q, n: =n}}]
return: =r
"""


async def test_a_call_of_a_flow_that_may_be_shared_is_no_failure_where_its_process_stops() -> None:
    """The flow stands still, and so does who called it: the next process goes on with both."""
    gate, begun = asyncio.Event(), asyncio.Event()

    async def say(_: AgentCall) -> dict[str, str]:
        begun.set()
        await gate.wait()
        return {"s": "x"}

    rig = Rig(CALLED, say=say)
    await rig.runtime.flows.offer(rig.plan)
    rig.plan = rig.runtime.flows.compile(CALLING)
    caller = await rig.runtime.start(rig.request("hi"))
    await begun.wait()
    draining = asyncio.create_task(rig.runtime.driver.drain(5))
    await asyncio.sleep(0)
    gate.set()
    await draining
    assert (await rig.runtime.history.find(caller)).status == "running"
    later = rig.again()
    await later.runtime.recover()
    assert (await later.runtime.wait(caller)).output == {"s": "x"}
