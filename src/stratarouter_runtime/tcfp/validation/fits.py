"""Whether a written value fits the type it is given for, and where exactly it does not.

Written records are held to their type field by field (an unknown field is a mistake in a
literal, though allowed on a computed value). Must never know operators.
"""

from __future__ import annotations

from msgspec import Struct

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.diagnostics import Diagnostics, did_you_mean
from stratarouter_runtime.tcfp.expressions import compile_value
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.labels import accepted
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.types import (
    BOOL,
    NO_LABELS,
    UNKNOWN,
    EnumType,
    Labels,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Type,
    UnionType,
    show,
)
from stratarouter_runtime.tcfp.validation.context import Checking, Place


class Receiver(Struct, frozen=True):
    """What a value is given for: its name in messages, the labels it takes (None: every one), advice.

    `outgoing` values leave the flow, so the labels that limits allow hold for them.
    """

    name: str
    accepts: Labels | None = NO_LABELS
    hint: str = "declare the label on the type, or redact first"
    outgoing: bool = False


class Problem(Struct, frozen=True):
    """One misfit, before it is reported."""

    code: str
    at: Where
    message: str
    hint: str = ""


def compiled(check: Checking, value: ir.Value, place: Place) -> Code:
    """The value, compiled with the names of this place."""
    return compile_value(ordered(value), place.scope, check.diagnostics)


def ordered(value: ir.Value) -> ir.Value:
    """The value with the fields of its records by name: what fails first must not depend on how keys are written."""
    match value:
        case ir.RecordValue():
            fields = tuple((name, ordered(part)) for name, part in sorted(value.fields, key=_name))
            return value if fields == value.fields else ir.RecordValue(fields, value.at)
        case ir.ListValue():
            return ir.ListValue(tuple(ordered(item) for item in value.items), value.at)
        case _:
            return value


def _name(field: tuple[str, ir.Value]) -> str:
    return field[0]


def condition(check: Checking, value: ir.Value, place: Place, what: str) -> Code:
    """A value that has to be a bool; what it tells of labelled values is no leak (implicit flows are not followed)."""
    return given(check, value, place, BOOL, Receiver(what, accepts=None))


def given(check: Checking, value: ir.Value, place: Place, target: Type, receiver: Receiver) -> Code:
    """The value, compiled and held against the type it is given for."""
    code = compile_value(ordered(value), place.scope, check.diagnostics, target)
    report(check, misfits(check, value, place, code.type, target, receiver))
    return code


def report(check: Checking, problems: list[Problem]) -> None:
    """Make diagnostics of misfits."""
    for problem in problems:
        check.add(problem.code, problem.at, problem.message, problem.hint)


def misfits(
    check: Checking, value: ir.Value, place: Place, type_: Type, target: Type, receiver: Receiver
) -> list[Problem]:
    """Every way in which the value, of this type, does not fit the target."""
    return _Fit(check, place, receiver).problems(value, type_, target, receiver.name)


class _Fit:
    """One comparison; `path` names the part in messages: `billing.ticket`."""

    def __init__(self, check: Checking, place: Place, receiver: Receiver) -> None:
        self._check = check
        self._place = place
        self._receiver = receiver

    def problems(self, value: ir.Value, type_: Type, target: Type, path: str) -> list[Problem]:
        """What is wrong with this part of the value."""
        match value, relations.without_null(target):
            case ir.RecordValue(), RecordType() as record:
                return self._record(value, type_, record, path)
            case ir.RecordValue(), MapType() as mapping:
                return self._mapping(value, mapping, path)
            case ir.ListValue(), ListType() as list_:
                return self._list(value, list_, path)
            case ir.RecordValue() | ir.ListValue(), UnionType() as union:
                return self._union(value, type_, union, path)
            case _:
                return self._whole(value, type_, target, path)

    def _whole(self, value: ir.Value, type_: Type, target: Type, path: str) -> list[Problem]:
        at = self._check.whole(value)
        refused = self._refused(type_)
        type_ = self._taken(type_)
        misfit = relations.explain(type_, target, path)
        if not misfit:
            return [Problem("E340", at, f"{path}: {refused}", "redact first")] if refused else []
        if relations.label_problem(type_, target) is not None:
            return [Problem("E340", at, misfit, self._receiver.hint)]
        if not relations.is_null(type_) and relations.assignable(relations.without_null(type_), target):
            hint = "test it first (x != null ? … : …) or use orValue()"
            return [Problem("E310", at, f"{path}: {show(type_)} may be null here", hint)]
        return [Problem("E310", at, misfit, advice(type_, target))]

    def _refused(self, type_: Type) -> str:
        """What limits around this place keep from leaving the flow."""
        allowed = self._place.policy.labels
        if allowed is None or not self._receiver.outgoing:
            return ""
        refused = sorted(relations.labels_of(type_) - allowed)
        labels = ", ".join(f"@{label}" for label in refused)
        return f"value carries {labels}, which limits.labels does not allow here" if refused else ""

    def _taken(self, type_: Type) -> Type:
        """The type without the labels that the receiver takes."""
        if self._receiver.accepts is None:
            return relations.without_labels(type_)
        return accepted(type_, self._receiver.accepts) if self._receiver.accepts else type_

    def _record(self, value: ir.RecordValue, type_: Type, target: RecordType, path: str) -> list[Problem]:
        found: list[Problem] = []
        written = set()
        for name, part in value.fields:
            written.add(name)
            wanted = target.field(name)
            if wanted is None:
                found.append(self._extra(value, name, target, path))
            else:
                found += self.problems(part, _part(type_, name), wanted, f"{path}.{name}")
        missing = [name for name, of in target.fields if name not in written and not relations.nullable(of)]
        if missing and not any(problem.code == "E311" for problem in found):
            wanted_ = ", ".join(f"{name}: {show(target.field(name) or UNKNOWN)}" for name in missing)
            found.append(Problem("E310", value.at, f"{path}: missing {wanted_}", "add what is missing"))
        return found

    def _extra(self, value: ir.RecordValue, name: str, target: RecordType, path: str) -> Problem:
        names = [field for field, _ in target.fields]
        return Problem(
            "E311",
            self._check.at(value.at, name),
            f"{path}: no field '{name}' in {show(target)}",
            did_you_mean(name, names) or (f"fields: {', '.join(names)}" if names else "write {}"),
        )

    def _mapping(self, value: ir.RecordValue, target: MapType, path: str) -> list[Problem]:
        return [
            problem
            for name, part in value.fields
            for problem in self._alone(part, target.value, f"{path}.{name}")
        ]

    def _list(self, value: ir.ListValue, target: ListType, path: str) -> list[Problem]:
        return [
            problem
            for index, item in enumerate(value.items)
            for problem in self._alone(item, target.item, f"{path}[{index}]")
        ]

    def _alone(self, value: ir.Value, target: Type, path: str) -> list[Problem]:
        """A part whose own type the join of all parts has swallowed; its mistakes are told already."""
        type_ = compile_value(value, self._place.scope, Diagnostics(), target).type
        return self.problems(value, type_, target, path)

    def _union(self, value: ir.Value, type_: Type, target: UnionType, path: str) -> list[Problem]:
        every = [self.problems(value, type_, option, path) for option in target.options]
        return min(every, key=len, default=[])


def _part(type_: Type, name: str) -> Type:
    """The type of a field of a written record."""
    return (type_.field(name) or UNKNOWN) if isinstance(type_, RecordType) else UNKNOWN


def advice(type_: Type, target: Type) -> str:
    """What to do about a value that does not fit, where that is plain."""
    if relations.is_null(type_):
        return f"a value of type {show(target)} is required"
    return _advice_on_scalars(type_, relations.without_null(target))


def _advice_on_scalars(type_: Type, target: Type) -> str:
    match type_, target:
        case EnumType(members=(member,)), EnumType():
            return did_you_mean(member, target.members) or f"one of {', '.join(target.members)}"
        case EnumType(), EnumType():
            return f"{', '.join(sorted({*type_.members} - {*target.members}))} must not get here"
        case RecordType(), _:
            names = [name for name, of in type_.fields if relations.assignable(of, target)]
            return f"take a field of it: {', '.join(names)}" if names else ""
        case ((Primitive() | EnumType()), Primitive()):
            return _conversion("string" if isinstance(type_, EnumType) else type_.name, target.name)
        case _:
            return ""


def _conversion(given_: str, wanted: str) -> str:
    """How a scalar becomes another."""
    if given_ == "json":
        return "convert it first: let: with type:"
    if wanted == "bool":
        return "write a comparison: it is true or false"
    if wanted == "string":
        return "string(x) writes it as text"
    if given_ == "float" and wanted == "int":
        return "int(x) cuts the fraction off"
    if given_ == "string" and wanted in ("int", "float"):
        return "numbers stand without quotes; int(x) and double(x) read text"
    return ""
