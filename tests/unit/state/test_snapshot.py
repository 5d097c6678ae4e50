"""A run that is brought back from a snapshot goes on as if nothing had been."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.simulation.generated import flows
from tests.simulation.test_core import LUCK, scripts

from stratarouter_runtime.errors import JournalMismatch
from stratarouter_runtime.state.codec import decode, encode
from stratarouter_runtime.state.commands import Command, Write
from stratarouter_runtime.state.decide import accept, begin, decide
from stratarouter_runtime.state.events import Record, Started
from stratarouter_runtime.state.ledger import Ledger
from stratarouter_runtime.state.liveness import needed, reads_of
from stratarouter_runtime.state.outstanding import Outstanding
from stratarouter_runtime.state.replay import replay, replay_on
from stratarouter_runtime.state.run import Run
from stratarouter_runtime.state.snapshot import Restored, Unusable, restore, sealed, snapshot
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.testing.flows import BY_NAME
from stratarouter_runtime.testing.flows import plan as plan_named
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import Simulator


class Walk:
    """A run led along its journal; at each rest it may be swapped for its own snapshot."""

    def __init__(self, plan: Plan, records: list[Record]) -> None:
        started = decode(records[0].body)
        assert isinstance(started, Started)
        self.plan, self.records = plan, records
        self.reads = reads_of(plan.ops)
        self.ledger, self.owed = Ledger(), Outstanding()
        self.ledger.check(records[0])
        self.run = begin(plan, started, records[0].at)
        self.commands: list[list[Command]] = []
        self.written: list[bytes] = []
        self.decide()

    def decide(self) -> None:
        commands = decide(self.run)
        self.commands.append(commands)
        for command in commands:
            self.owed.note(command)
            if isinstance(command, Write):
                self.written.append(encode(command.event))
                self.ledger.check(self.records[self.ledger.seq])

    def step(self) -> None:
        record = self.records[self.ledger.seq]
        self.ledger.check(record)
        event = decode(record.body)
        self.owed.settle(event)
        assert accept(self.run, event, record.at) is None
        self.decide()

    @property
    def ended(self) -> bool:
        return self.ledger.seq == len(self.records)

    def swap(self) -> int:
        body = snapshot(self.run, self.ledger, self.owed, self.reads)
        restored = restore(self.plan, body)
        assert restored.ledger == self.ledger
        assert restored.owed.commands() == self.owed.commands()
        assert snapshot(restored.run, restored.ledger, restored.owed, self.reads) == body
        self.run, self.ledger, self.owed = restored.run, restored.ledger, restored.owed
        return len(body)


def check_every_prefix(plan: Plan, records: list[Record]) -> None:
    """Whether it is swapped once, at any rest, or at every rest: the same commands and facts."""
    plain = Walk(plan, records)
    rests = 0
    while not plain.ended:
        plain.step()
        rests += 1
    for at in [*range(rests), None]:
        other = Walk(plan, records)
        for rest in range(rests):
            if at in (rest, None) and other.run.finished is None:
                other.swap()
            other.step()
        assert other.commands == plain.commands
        assert other.written == plain.written
        assert other.run.finished == plain.run.finished


@given(flows(), LUCK)
def test_from_every_rest_of_every_flow_it_goes_on_the_same(source: str, luck: list[tuple[str, int]]) -> None:
    plan = plan_of(source)
    answers = {op.path: {"n": 5} for op in plan.ops}
    simulator = Simulator(plan, scripts(luck), scores=lambda *_: (0.3, 0.6), answers=answers)
    check_every_prefix(plan, simulator.run({"n": 1}).records)


@given(flows(), LUCK, st.integers(0, 12))
def test_and_after_crashes_and_cancellation(source: str, luck: list[tuple[str, int]], facts: int) -> None:
    plan = plan_of(source)

    def simulator(cancel_at: int | None = None) -> Simulator:
        answers = {op.path: {"n": 5} for op in plan.ops}
        return Simulator(
            plan, scripts(luck), scores=lambda *_: (0.3, 0.6), answers=answers, cancel_at=cancel_at
        )

    before = simulator(facts * 3_000).run({"n": 1}, facts=facts)
    check_every_prefix(plan, simulator().resume(before.records).records)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_small_flow(name: str) -> None:
    plan = plan_named(name)

    def add(given: Any, _: int) -> Any:
        return {"ref": "r", "done": True, "n": given.get("n", 0) + 1}

    calls = dict.fromkeys(("add", "more", "pay", "ring", "ship", "book", "drop", "inner", "quote"), add)
    answers = {op.path: {"n": 5} for op in plan.ops}
    for n in range(3):
        result = Simulator(plan, calls, scores=lambda *_: (0.5, 0.4), answers=answers).run({"n": n})
        check_every_prefix(plan, result.records)


LONG = """
tcfp: "1.0"
flow: long
agents: {say: {in: {text: string}, out: {text: string}, effect: pure}}
in: {text: string}
out: string
do:
  - {id: a, call: say, with: {text: =text}}
  - {id: b, call: say, with: {text: '=a.text + "b"'}}
  - {id: c, call: say, with: {text: '=b.text + "c"'}}
  - {id: d, call: say, with: {text: '=string(c.text.size())'}}
return: =d.text
"""


def at_facts(facts: int, text: str = "x" * 1_000) -> tuple[Plan, list[Record], Run, bytes]:
    plan = plan_of(LONG)
    records = Simulator(plan, {"say": lambda given, _: given}).run({"text": text}, facts=facts).records
    replayed = replay(plan, records)
    body = snapshot(replayed.run, replayed.ledger, replayed.outstanding, reads_of(plan.ops))
    return plan, records, replayed.run, body


def test_what_nothing_can_read_any_more_is_left_out() -> None:
    sizes = [len(at_facts(facts)[3]) for facts in range(4)]
    assert sizes[3] < 500  # the last call has what it needs
    assert all(1_000 < size < 2_500 for size in sizes[:3])  # what is given to the call, and no more


def test_needed_are_the_slots_that_steps_behind_may_read() -> None:
    plan, _, run, _ = at_facts(1)
    assert run.root is not None
    frames = [run.root, *run.root.children.values()]
    names = {"a": (0, 2), "b": (0, 3), "c": (0, 4), "d": (0, 5)}
    found = needed(frames, reads_of(plan.ops))
    assert [name for name, slot in names.items() if slot in found] == ["b", "c", "d"]


def test_the_records_behind_a_snapshot_lead_to_where_the_whole_journal_does() -> None:
    plan, _, _, body = at_facts(2)
    whole = Simulator(plan, {"say": lambda given, _: given}).run({"text": "x" * 1_000}).records
    restored = restore(plan, body)
    there = replay_on(restored, whole[restored.ledger.seq :])
    assert there.run.finished == replay(plan, whole).run.finished
    assert there.owed == ()
    assert there.ledger == replay(plan, whole).ledger


def test_records_of_another_journal_are_not_taken_for_what_follows() -> None:
    plan, _, _, body = at_facts(2)
    other = Simulator(plan, {"say": lambda given, _: given}).run({"text": "y"}).records
    with pytest.raises(JournalMismatch, match="is not what was written"):
        replay_on(restore(plan, body), other[3:])


def test_a_snapshot_of_another_plan_or_format_is_refused() -> None:
    plan, _, _, body = at_facts(2)
    with pytest.raises(Unusable, match="it is of plan"):
        restore(plan_of(LONG.replace("max", "min").replace('"b"', '"B"')), body)
    form = msgspec.msgpack.decode(body[16:])
    form[0] = 99
    with pytest.raises(Unusable, match="it is of format 99"):
        restore(plan, sealed(msgspec.msgpack.encode(form)))


def written(plan: Plan, restored: Restored) -> bytes:
    return snapshot(restored.run, restored.ledger, restored.owed, reads_of(plan.ops))


@given(st.data())
def test_bytes_that_were_changed_are_refused(data: st.DataObject) -> None:
    plan, _, _, body = at_facts(2, "hello")
    at = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:at] + data.draw(st.binary(max_size=3)) + body[at + data.draw(st.integers(0, 3)) :]
    assume(damaged != body)
    with pytest.raises(Unusable, match="is not what was written"):
        restore(plan, damaged)


@given(st.data())
def test_whatever_has_the_right_checksum_is_refused_or_fits_the_plan(data: st.DataObject) -> None:
    plan, _, _, body = at_facts(2, "hello")
    at = data.draw(st.integers(16, len(body) - 1))
    damaged = body[16:at] + data.draw(st.binary(max_size=3)) + body[at + data.draw(st.integers(0, 3)) :]
    try:
        found = restore(plan, sealed(damaged))
    except Unusable:
        return
    again = written(plan, found)
    assert written(plan, restore(plan, again)) == again
