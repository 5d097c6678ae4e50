"""What must be true after a story, whatever happened in it.

A judge of its own: it goes by what clients were told, what agents saw and what the store
kept, and knows how many references each flow holds in the end. Must never know: how the
story went.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from stratarouter_runtime.errors import JournalMismatch, StrataError
from stratarouter_runtime.executor.calls import idempotency_key
from stratarouter_runtime.ids import Digest, ExecutionId
from stratarouter_runtime.ports import ENDED, Execution
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.commands import CallAgent, Write
from stratarouter_runtime.state.decide import accept, begin, decide
from stratarouter_runtime.state.events import (
    Answered,
    Asked,
    CancelRequested,
    Event,
    Failed,
    Finished,
    Interrupted,
    Migrated,
    Record,
    Returned,
    Started,
)
from stratarouter_runtime.state.replay import replay, retold
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.testing import flows
from stratarouter_runtime.testing.evidence import Evidence, Outside, Violation
from stratarouter_runtime.testing.flows import Told
from stratarouter_runtime.testing.loop import SimulatedLoop
from stratarouter_runtime.testing.quotes import QUOTE
from stratarouter_runtime.testing.reused import check_reused, check_shared
from stratarouter_runtime.testing.world import Called

UNKNOWN: Final = "whether it took effect is not known"
"""How a failure says that a call was under way when its process ended."""

POLICIES: Final = {"pay": "fail", "ring": "retry", "ship": "ask"}
"""The agents with side effects, and what the flows say of a call of theirs that a crash interrupts."""


HARMLESS: Final = frozenset({QUOTE})
"""What costs nothing and changes nothing: it may be called before the start of an execution is durable."""


class Journal(Struct):
    """One execution, read back: its facts, and from which records on each call was called for."""

    row: Execution
    told: Told
    started: Started
    events: list[Event]
    calls: dict[tuple[str, int], list[int]]

    def require(self, holds: object, message: str) -> None:
        """Raise `Violation` unless it holds."""
        if not holds:
            raise Violation(f"{self.row.flow} {self.row.id}: {message}")


def check(evidence: Evidence, loop: SimulatedLoop) -> None:
    """Raise `Violation` for the first promise that was broken."""
    for error in loop.failures():
        if not isinstance(error, StrataError):
            raise Violation(f"a task of the engine ended with {error!r}") from error
    _require(not loop.mishaps, f"a callback raised: {loop.mishaps[:1]}")
    _require(not evidence.conflicts, "a write met a conflict: two drove one execution")
    _require(not evidence.trespasses, f"two drove one execution: {evidence.trespasses[:1]}")
    _require(evidence.excused or not evidence.lost, "a lease was lost, and its process was well")
    journals = check_kept(evidence)
    check_reused(
        evidence.world.calls,
        {execution: (journal.row, journal.events) for execution, journal in journals.items()},
        evidence.replies,
    )
    if evidence.reuses:
        check_shared(evidence.world.calls)
    _check_moves(evidence, journals)
    _check_drained(evidence, journals)


def check_kept(evidence: Evidence) -> dict[ExecutionId, Journal]:
    """As `check`, without what only a simulation can know; the journals."""
    calls = defaultdict(list)
    for called in evidence.world.calls:
        calls[called.call.execution].append(called)
    journals = {row.id: _read(row, evidence.records(row.id), evidence.plans) for row in evidence.rows()}
    for journal in journals.values():
        _check_row(journal)
        _check_facts(journal)
        _check_calls(journal, calls.pop(journal.row.id, []))
        _check_references(journal, evidence.world)
        _check_children(journal, journals)
    unknown = [name for name, called in calls.items() if any(each.agent not in HARMLESS for each in called)]
    _require(not unknown, f"calls for executions that do not exist: {unknown}")
    _check_clients(evidence, journals)
    return journals


def _require(holds: object, message: str) -> None:
    if not holds:
        raise Violation(message)


def _read(row: Execution, records: list[Record], plans: Mapping[Digest, Plan]) -> Journal:
    """Replay a journal as production does, then once more to learn what it called for."""
    plan = plans[row.plan]
    try:
        replayed = replay(plan, records, plans)
    except JournalMismatch as mismatch:
        raise Violation(f"{row.flow} {row.id} does not replay: {mismatch.message}") from mismatch
    _require(not replayed.owed, f"{row.flow} {row.id} ended and still owes {replayed.owed}")
    events = [decode(record.body) for record in records]
    started = events[0]
    assert isinstance(started, Started)
    run = begin(plans[started.plan], started, records[0].at)
    calls: dict[tuple[str, int], list[int]] = {}
    skip = 0
    for seq, event in enumerate(events):
        if skip:
            skip -= 1
            continue
        if isinstance(event, Migrated):
            there = retold(plans[event.plan], records[:seq])
            run, skip = there.run, len(there.due)
            continue
        if seq:
            reason = accept(run, event, records[seq].at)
            _require(reason is None, f"{row.flow} {row.id} does not follow from its plan: {reason}")
        commands = decide(run)
        skip = sum(isinstance(command, Write) for command in commands)
        for command in commands:
            if isinstance(command, CallAgent):
                key = idempotency_key(row.id, command.step)
                calls.setdefault((key, command.attempt), []).append(seq + 1 + skip)
    return Journal(row, flows.BY_NAME[row.flow], started, events, calls)


def _check_row(journal: Journal) -> None:
    """The row says what the journal says."""
    row, end = journal.row, journal.events[-1]
    journal.require(isinstance(end, Finished), "has no end")
    assert isinstance(end, Finished)
    listed = (row.status, row.output, row.failure, row.usage)
    journal.require(
        listed == (end.status, end.output, end.failure, end.usage), f"{listed} is listed, but {end} journaled"
    )
    journal.require(row.records == len(journal.events), "lists another number of records")
    journal.require(row.status in ENDED, f"is listed as {row.status}")
    if row.status == "completed":
        n = journal.started.input["n"]
        journal.require(
            row.output["n"] in journal.told.outputs(n, row.tenant),
            f"made {row.output} of {n}: {journal.told.outputs(n, row.tenant)} expected",
        )
    usd = journal.told.usd
    journal.require(usd is None or end.usage.usd <= usd + 1e-9, f"spent {end.usage.usd} of {usd} usd")


def _check_facts(journal: Journal) -> None:
    """No question and no attempt has two answers. An undo that was interrupted runs again.

    That a call did not happen answers the question, and not the attempt.
    """
    answers: Counter[tuple[str, object]] = Counter()
    questions: dict[str, Asked] = {}
    for event in journal.events:
        match event:
            case Returned() | Failed() if "undo" not in event.step:
                answers[event.step, event.attempt] += 1
            case Asked():
                questions[event.step] = event
                answers[event.step, "question"] = 0
            case Answered():
                asked = questions[event.step]
                answers[event.step, "question"] += 1
                if asked.interrupted and event.value["happened"]:
                    answers[event.step, asked.attempt] += 1
            case _:
                pass

    for (step, attempt), times in answers.items():
        journal.require(times <= 1, f"step {step} attempt {attempt} was answered {times} times")


def _check_calls(journal: Journal, calls: Iterable[Called]) -> None:
    """Every call was called for by facts that were durable; those with effects were made once.

    They are made again only where the flow tries again what it calls unsafe, where `on_crash` says
    so, or where a person said that it had not happened: each time once.
    """
    made: Counter[tuple[str, int]] = Counter()
    again = _allowed(journal)
    for called in calls:
        key, attempt = called.call.key, called.call.attempt
        needed = journal.calls.get((key, attempt))
        journal.require(needed is not None, f"{called.agent} was called, and the journal knows nothing of it")
        assert needed is not None
        effect = called.agent in POLICIES
        times = made[key, attempt] if effect else 0
        journal.require(times < len(needed), f"an effect was made {times + 1} times")
        ahead = called.agent in HARMLESS and called.durable == 0 and needed[times] == 1
        journal.require(
            ahead or called.durable >= needed[times],
            f"{called.agent} was called at record {called.durable}, due only from {needed[times]} on",
        )
        made[key, attempt] += effect
        allowed = 1 + again[POLICIES.get(called.agent, ""), key, attempt]
        journal.require(made[key, attempt] <= allowed, f"an effect was made {made[key, attempt]} times")
        journal.require(attempt == 1 or not effect or journal.told.unsafe, "an effect was tried again")


def _allowed(journal: Journal) -> Counter[tuple[str, str, int]]:
    """How often an effect may be made again, by policy, key and attempt."""
    again: Counter[tuple[str, str, int]] = Counter()
    asked: dict[str, int] = {}
    for event in journal.events:
        match event:
            case Interrupted():
                again["retry", idempotency_key(journal.row.id, event.step), event.attempt] += 1
            case Asked():
                asked[event.step] = event.attempt
            case Answered(value={"happened": False}):
                again["ask", idempotency_key(journal.row.id, event.step), asked[event.step]] += 1
            case _:
                pass
    return again


def _check_references(journal: Journal, world: Outside) -> None:
    """What a flow booked and must not hold any more was dropped; what it holds was not."""
    refs = {
        event.output["ref"]
        for event in journal.events
        if isinstance(event, Returned) and isinstance(event.output, dict) and "ref" in event.output
    }
    held = {ref for ref in refs if not world.dropped[ref]}
    output = journal.row.output
    expected = journal.told.holds(output["n"]) if journal.row.status == "completed" else 0
    # An undo that cannot be done is told in the end, and leaves its reference.
    failed = sum(isinstance(event, Failed) and "undo" in event.step for event in journal.events)
    journal.require(
        expected <= len(held) <= expected + failed,
        f"holds {len(held)} of {len(refs)} references, {expected} expected",
    )


def _check_children(journal: Journal, journals: dict[ExecutionId, Journal]) -> None:
    """What an execution says of those it began is what these say themselves."""
    children = [each for each in journals.values() if each.started.parent == journal.row.id]
    journal.require(len(children) <= 1, f"began {len(children)} executions with one call")
    for child in children:
        for event in journal.events:
            if isinstance(event, Returned | Failed) and event.step == "1":
                said = event.output if isinstance(event, Returned) else event.failure.kind
                found = child.row.failure.kind if child.row.failure else child.row.output
                journal.require(said == found, f"says that its call came to {said}, which was {found}")


def _check_clients(evidence: Evidence, journals: dict[ExecutionId, Journal]) -> None:
    """What clients were told is true, and stayed so."""
    ids = [each.execution for each in evidence.accepted if each.again is None]
    _require(len(set(ids)) == len(ids), "two requests were told the same id")
    for each in evidence.accepted:
        found = journals.get(each.execution)
        _require(found, f"{each.execution} was acknowledged, and is lost")
        _require(each.again in (None, each.execution), f"{each.execution} and {each.again} have one key")
    for execution, row in evidence.ends.items():
        _require(journals[execution].row == row, f"{execution} changed after its end")
    for execution, name in evidence.cancels:
        journal = journals[execution]
        told = [event for event in journal.events if isinstance(event, CancelRequested) and event.by == name]
        journal.require(told, f"its cancellation by {name} was acknowledged, and is lost")
        journal.require(journal.row.status != "completed", f"was cancelled by {name}, and completed")
    for execution, by in evidence.answers:
        journal = journals[execution]
        known = [event for event in journal.events if isinstance(event, Answered) and event.by == by]
        journal.require(
            len(known) == 1, f"the answer by {by} was acknowledged, and is there {len(known)} times"
        )


def _check_moves(evidence: Evidence, journals: dict[ExecutionId, Journal]) -> None:
    """What was moved to another plan is on it; what was paused called nobody until it was resumed."""
    for execution, plan in evidence.moves:
        journal = journals[execution]
        told = [event for event in journal.events if isinstance(event, Migrated) and event.plan == plan]
        journal.require(len(told) == 1, f"its migration was acknowledged, and is there {len(told)} times")
        journal.require(journal.row.plan == plan, "went on with another plan than it was moved to")
    for pause in evidence.pauses if evidence.alone else ():
        called = [
            called.agent
            for called in evidence.world.calls
            if called.call.execution == pause.execution and pause.began < called.at <= pause.ended
        ]
        journals[pause.execution].require(not called, f"was paused, and called {called}")


def _check_drained(evidence: Evidence, journals: dict[ExecutionId, Journal]) -> None:
    """What was answered well before a process stopped in good order was recorded by it.

    It is not found interrupted afterwards: only a call that was made since could be.
    """
    drained = {each.process: each for each in evidence.drained}
    made: dict[tuple[str, int], list[Called]] = defaultdict(list)
    for called in evidence.world.calls:
        made[called.call.key, called.call.attempt].append(called)
    for (execution, seq), moment in evidence.interruptions.items():
        event = journals[execution].events[seq]
        assert isinstance(event, Interrupted)
        calls = made[idempotency_key(execution, event.step), event.attempt]
        before = [called for called in calls if called.at <= moment * 1e6]
        stop = drained.get(before[-1].process) if before else None
        if stop is None or moment * 1e6 < stop.began:
            continue
        answered = before[-1].answered
        if answered is not None and answered < stop.began + stop.patience - 50_000:
            raise Violation(f"{before[-1].agent} had answered before its process stopped, in vain")
