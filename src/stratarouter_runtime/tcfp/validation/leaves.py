"""The operators without steps inside: call, let, ask, sleep, fail; `route` is in `routes`.

Must never know modifiers.
"""

from __future__ import annotations

from typing import Final

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.types import (
    NEVER,
    NULL,
    STRING,
    UNKNOWN,
    EnumType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Type,
    labelled,
    show,
)
from stratarouter_runtime.tcfp.validation import agents, bounds, kinds, policy, tree
from stratarouter_runtime.tcfp.validation.context import Checking, Place
from stratarouter_runtime.tcfp.validation.fits import Receiver, advice, compiled, given, misfits, report
from stratarouter_runtime.tcfp.validation.outcome import Outcome, raised_by
from stratarouter_runtime.tcfp.validation.tree import Facts

_PERSON: Final = Receiver("show", accepts=None, outgoing=True)


def check_call(check: Checking, step: ir.Step, call: ir.Call, place: Place) -> Outcome:
    """The outcome of a call: what the agent gives."""
    at = check.at(step.at, "call")
    signature = agents.signature(check, call.agent, at)
    if signature is None:
        code = compiled(check, call.with_, place)
        return Outcome(tree.Call(call.agent, code), UNKNOWN, agents.UNKNOWN_FACTS, f"call {call.agent}")
    code = given(check, call.with_, place, signature.input, agents.receiver(call.agent, signature))
    policy.check_needs(check, call.agent, signature, place, at)
    facts = agents.facts(signature)
    facts = Facts(facts.effect, facts.raises | raised_by(code), facts.worst)
    return Outcome(tree.Call(call.agent, code), signature.output, facts, f"call {call.agent}")


def check_let(check: Checking, step: ir.Step, let: ir.Let, place: Place) -> Outcome:
    """The outcome of a value, converted where a type is written."""
    code = compiled(check, let.value, place)
    raises = raised_by(code)
    if let.type is None:
        return Outcome(tree.Let(code, None), code.type, Facts(raises=raises, worst=bounds.INSTANT), "let")
    wanted = check.resolve(let.type, check.at(step.at, "type"))
    wanted = labelled(wanted, relations.labels_of(code.type) - relations.labels_of(wanted))
    if not _convertible(code.type, wanted):
        check.add(
            "E310",
            check.whole(let.value),
            f"let: {show(code.type)} can never be {show(wanted)}",
            advice(code.type, wanted),
        )
    if not relations.assignable(code.type, wanted):
        raises |= kinds.CONVERSION
    return Outcome(tree.Let(code, wanted), wanted, Facts(raises=raises, worst=bounds.INSTANT), "let")


def _convertible(a: Type, b: Type) -> bool:
    """Whether any value of `a` can pass for one of `b`; parts are left to the run."""
    return any(_passes(left, right) for left in relations.options_of(a) for right in relations.options_of(b))


def _passes(a: Type, b: Type) -> bool:
    match a, b:
        case ((EnumType() | Primitive(name="string")), Primitive(name="time" | "duration" | "bytes")):
            return True
        case RecordType(), (RecordType() | MapType() | Primitive(name="file")):
            return True
        case (ListType(), ListType()) | (MapType(), MapType() | RecordType()):
            return True
        case _:
            return relations.comparable(a, b)


def check_ask(check: Checking, step: ir.Step, ask: ir.Ask, place: Place) -> Outcome:
    """The outcome of a question: what is answered, or `else`."""
    wanted = check.resolve(ask.type, check.at(step.at, "ask"))
    show_: Code | None = None
    if ask.show is not None:
        show_ = compiled(check, ask.show, place)
        report(check, misfits(check, ask.show, place, show_.type, UNKNOWN, _PERSON))
    otherwise: Code | None = None
    if ask.otherwise is not None:
        otherwise = given(check, ask.otherwise, place, wanted, Receiver("else"))
    policy.note_time(check, check.at(step.at, "time"), ask.time)
    raises = raised_by(show_, otherwise) | (kinds.TIMED if otherwise is None else kinds.NONE)
    does = tree.Ask(wanted, ask.time, ask.sender or "", show_, otherwise, sleep=False)
    # What somebody answers today need not be what would be answered tomorrow: no earlier answer stands for it.
    facts = Facts("idempotent", raises, bounds.waiting(ask.time))
    return Outcome(does, wanted, facts, "ask")


def check_sleep(check: Checking, step: ir.Step, sleep: ir.Sleep) -> Outcome:
    """The outcome of a timer: null."""
    policy.note_time(check, check.at(step.at, "sleep"), sleep.time)
    does = tree.Ask(NULL, sleep.time, "", None, None, sleep=True)
    return Outcome(does, NULL, Facts(worst=bounds.waiting(sleep.time)), "sleep")


def check_fail(check: Checking, step: ir.Step, fail: ir.Fail, place: Place) -> Outcome:
    """The outcome of an error raised: none."""
    known = fail.kind in check.errors
    if not known:
        _unknown_kind(check, step, fail.kind)
    message = None if fail.message is None else given(check, fail.message, place, STRING, Receiver("message"))
    data = _data(check, step, fail, place) if known else None
    if fail.data is not None and not known:
        data = compiled(check, fail.data, place)
    raises = raised_by(message, data) | {fail.kind}
    does = tree.Fail(fail.kind, message, data)
    return Outcome(does, NEVER, Facts(raises=raises, worst=bounds.INSTANT), f"fail {fail.kind}")


def _unknown_kind(check: Checking, step: ir.Step, kind: str) -> None:
    at = check.at(step.at, "fail")
    check.strange.add(kind)
    if kinds.reserved(kind):
        check.add(
            "E320", at, f"'{kind}' is raised by the runtime only", "declare a kind of your own under errors:"
        )
    else:
        hint = did_you_mean(kind, check.errors) or "declare it under errors:"
        check.add("E320", at, f"unknown error kind '{kind}'", hint)


def _data(check: Checking, step: ir.Step, fail: ir.Fail, place: Place) -> Code | None:
    wanted: Type = check.data_of(fail.kind)
    if fail.data is not None:
        return given(check, fail.data, place, wanted, Receiver(f"{fail.kind}.data"))
    if not relations.nullable(wanted):
        at = check.at(step.at, "fail")
        check.add("E310", at, f"{fail.kind}: missing data of type {show(wanted)}", "write data:")
    return None
