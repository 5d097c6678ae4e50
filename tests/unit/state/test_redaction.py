from __future__ import annotations

from typing import Any

from stratarouter_runtime.ids import StepPath
from stratarouter_runtime.state.codec import encode
from stratarouter_runtime.state.events import Asked, Event, Failure, Returned
from stratarouter_runtime.state.redaction import Redaction
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import Simulator

SECRET = "anna@example.com"  # noqa: S105 - what must not be seen

SOURCE = """
tcfp: "1.0"
flow: test
types: {Who: {id: int, mail: string @pii}}
agents:
  look: {in: {id: int}, out: Who, effect: pure, about: people}
  mail: {in: {who: Who}, out: {sent: bool}, effect: effect, accepts: [pii], errors: [bounced]}
errors: {bounced: {mail: string @pii, code: int}}
raises: [bounced]
in: {who: Who}
out: Who
do:
  - {id: a, call: look, with: {id: 1}}
  - {id: r, route: people, among: [look], with: {id: 2}}
  - {id: q, ask: {mail: string @pii}, show: {who: =a}, time: 1h}
  - {id: m, call: mail, with: {who: =a}, catch: [{on: [bounced], do: {let: {sent: false}}}]}
return: =r.out
"""


def facts(**scripts: Any) -> tuple[Redaction, list[Event]]:
    plan = plan_of(SOURCE)
    who = {"id": 7, "mail": SECRET}
    usual = {"look": lambda *_: who, "mail": lambda *_: {"sent": True}}
    simulator = Simulator(plan, usual | scripts, scores=lambda *_: (0.5,), answers={"2": {"mail": SECRET}})
    return Redaction(plan), simulator.run({"who": who}).events


def shown(redaction: Redaction, events: list[Event]) -> bytes:
    return b"\n".join(encode(redaction.show(event)) for event in events)


def test_nothing_labelled_is_shown_and_everything_else_is() -> None:
    redaction, events = facts()
    assert SECRET.encode() in b"".join(map(encode, events))
    text = shown(redaction, events)
    assert SECRET.encode() not in text
    assert text.count(b"[redacted: pii]") == 6
    assert b'"id":7' in text
    assert b'"sent":true' in text


def test_the_data_of_a_failure_is_redacted_by_the_type_its_kind_declares() -> None:
    bounced = Failure("bounced", "no such box", {"mail": SECRET, "code": 550})
    redaction, events = facts(mail=lambda *_: bounced)
    text = shown(redaction, events)
    assert SECRET.encode() not in text
    assert b'"code":550' in text


def test_a_route_whose_choice_was_not_seen_shows_nothing_that_a_candidate_labels() -> None:
    redaction, events = facts()
    (routed,) = [event for event in events if isinstance(event, Returned) and event.step == "1"]
    assert SECRET.encode() not in encode(redaction.show(routed))


def test_what_fits_no_type_is_hidden_whole() -> None:
    redaction, events = facts()
    returned = next(event for event in events if isinstance(event, Returned))
    odd = Returned(returned.step, returned.input, {"id": "x", "mail": SECRET})
    assert redaction.show(odd) == Returned(returned.step, returned.input, "[redacted]")


def test_what_an_interrupted_agent_was_given_is_hidden_also_where_its_type_has_no_label() -> None:
    source = SOURCE.replace("mail: {in: {who: Who}", "mail: {in: {who: {id: int, mail: string}}")
    asked = Asked(StepPath("3"), 0, "json", show={"who": {"id": 7, "mail": SECRET}}, interrupted="mail")
    assert Redaction(plan_of(SOURCE)).show(asked) != asked
    assert SECRET.encode() not in encode(Redaction(plan_of(source)).show(asked))
