"""Events to bytes and back, and what is said of bytes that are none."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.errors import JournalMismatch
from stratarouter_runtime.ids import AgentName, Digest, StepPath, Tenant
from stratarouter_runtime.state import codec, events
from stratarouter_runtime.state.events import Event, Failure, Usage

STEP = StepPath("2/do/0[7]")
INPUT = Digest("ab")
FAILURE = Failure("agent.refused", "no", {"why": [1, None]}, "2")
EXAMPLES: list[tuple[Event, bytes]] = [
    (
        events.Started(id="exec_1", plan=Digest("p"), input={"n": 1}, seed="5eed", tenant=Tenant("ann")),
        b'{"t":"started","id":"exec_1","plan":"p","input":{"n":1},"seed":"5eed","tenant":"ann"}',
    ),
    (events.Dispatched(step=STEP), b'{"t":"dispatched","step":"2/do/0[7]"}'),
    (
        events.Returned(step=STEP, input=INPUT, output=[1.0, None], attempt=2, usage=Usage(usd=0.5)),
        (
            b'{"t":"returned","step":"2/do/0[7]","input":"ab","output":[1.0,null],"attempt":2,'
            b'"usage":{"usd":0.5}}'
        ),
    ),
    (
        events.Failed(step=STEP, input=INPUT, failure=FAILURE),
        (
            b'{"t":"failed","step":"2/do/0[7]","input":"ab","failure":{"kind":"agent.refused",'
            b'"message":"no","data":{"why":[1,null]},"step":"2"}}'
        ),
    ),
    (events.Migrated(plan=Digest("p"), by="ann"), b'{"t":"migrated","plan":"p","by":"ann"}'),
    (
        events.Interrupted(step=STEP, attempt=2),
        b'{"t":"interrupted","step":"2/do/0[7]","attempt":2}',
    ),
    (
        events.Scored(step=STEP, query=Digest("q"), scores=(0.5, 0.25)),
        b'{"t":"scored","step":"2/do/0[7]","query":"q","scores":[0.5,0.25]}',
    ),
    (
        events.Chosen(step=STEP, agent=AgentName("a"), by="rule", rule=0),
        b'{"t":"chosen","step":"2/do/0[7]","agent":"a","by":"rule","rule":0}',
    ),
    (
        events.Asked(step=STEP, until=9, type="bool"),
        b'{"t":"asked","step":"2/do/0[7]","until":9,"type":"bool"}',
    ),
    (events.Answered(step=STEP, value=True), b'{"t":"answered","step":"2/do/0[7]","value":true}'),
    (events.TimerFired(step=STEP, timer="ask"), b'{"t":"fired","step":"2/do/0[7]","timer":"ask"}'),
    (events.CancelRequested(by="ann"), b'{"t":"cancel","by":"ann"}'),
    (
        events.Finished(status="failed", failure=FAILURE, undo_failed=(Failure("timeout"),)),
        (
            b'{"t":"finished","status":"failed","failure":{"kind":"agent.refused","message":"no",'
            b'"data":{"why":[1,null]},"step":"2"},"undo_failed":[{"kind":"timeout"}]}'
        ),
    ),
]


@pytest.mark.parametrize(("event", "body"), EXAMPLES, ids=lambda part: type(part).__name__)
def test_the_form_of_every_kind_stays(event: Event, body: bytes) -> None:
    """Written out by hand: journals of this version must be readable for ever."""
    assert codec.encode(event) == body
    assert codec.decode(body) == event


def test_every_kind_has_an_example() -> None:
    assert {type(event) for event, _ in EXAMPLES} == set(get_args(Event))


@pytest.mark.parametrize(
    ("body", "said", "hint"),
    [
        (b'{"t":"teleported","step":"2"}', "of kind 'teleported', which this runtime does not know", "newer"),
        (b"", "of 0 bytes is no fact", "damaged"),
        (b"\xff\xfe", "is no fact", "damaged"),
        (b"[]", "is no fact", "damaged"),
        (b"null", "is no fact", "damaged"),
        (b'{"step":"2"}', "is no fact", "damaged"),
        (b'{"t":7}', "is no fact", "damaged"),
        (b'{"t":"fired","step":"2"', "is no fact", "damaged"),
        (b'{"t":"fired","step":"2"}', "'fired' cannot be read: .*timer", "newer"),
        (b'{"t":"fired","step":"2","timer":"snooze"}', "'fired' cannot be read: .*snooze", "newer"),
        (b'{"t":"dispatched","step":2}', "'dispatched' cannot be read: .*`int`", "newer"),
        (b'{"t":"dispatched","step":"2","attempt":"1"}', "'dispatched' cannot be read", "newer"),
        (b'{"t":"dispatched","step":"2","attempt":1.5}', "'dispatched' cannot be read", "newer"),
        (b'{"t":"answered","step":"2","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is no fact", ""),
    ],
    ids=range(14),
)
def test_what_is_no_fact_is_named(body: bytes, said: str, hint: str) -> None:
    with pytest.raises(JournalMismatch, match=said) as caught:
        codec.decode(body)
    assert hint in (caught.value.hint or "")


def test_a_field_added_later_does_not_hinder() -> None:
    """Fields may be added with a default: an older runtime reads on without them."""
    assert codec.decode(b'{"t":"dispatched","step":"2","colour":"red"}') == events.Dispatched(
        step=StepPath("2")
    )


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(output=VALUES, attempt=st.integers(1, 99), usd=st.floats(0, 1e6))
def test_any_value_comes_back(output: Any, attempt: int, usd: float) -> None:
    event = events.Returned(step=STEP, input=INPUT, output=output, attempt=attempt, usage=Usage(usd=usd))
    body = codec.encode(event)
    assert codec.decode(body) == event
    assert codec.encode(codec.decode(body)) == body


@given(body=st.binary(max_size=60) | VALUES.map(msgspec.json.encode))
def test_any_bytes_are_a_fact_or_a_mismatch(body: bytes) -> None:
    with suppress(JournalMismatch):
        event = codec.decode(body)
        assert codec.decode(codec.encode(event)) == event
