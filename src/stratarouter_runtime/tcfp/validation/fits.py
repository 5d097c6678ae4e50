"""Whether a written value fits the type it is given for, and where exactly it does not.

Written records are held to their type field by field (an unknown field is a mistake in a
literal, though allowed on a computed value). Must never know operators.
"""

from __future__ import annotations

from msgspec import Struct

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.expressions import compile_value, value_type
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.labels import accepted
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.types import (
    BOOL,
    NO_LABELS,
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
    """One comparison; `path` names the part in messages: `billing.ticket`.

    Where the join of all parts has swallowed the type of one, it is None, and found when it is needed.
    """

    def __init__(self, check: Checking, place: Place, receiver: Receiver) -> None:
        self._check = check
        self._place = place
        self._receiver = receiver

    def problems(self, value: ir.Value, type_: Type | None, target: Type, path: str) -> list[Problem]:
        """What is wrong with this part of the value."""
        match value, relations.without_null(target):
            case ir.RecordValue(), RecordType() as record:
                return self._record(value, type_, record, path)
            case ir.RecordValue(), MapType() as mapping:
                return self._mapping(value, mapping, path)
            case ir.ListValue(), ListType() as list_:
                return self._list(value, type_, list_, path)
            case ir.RecordValue() | ir.ListValue(), UnionType() as union:
                return self._union(value, type_, union, path)
            case _:
                return self._whole(value, type_, target, path)

    def _whole(self, value: ir.Value, type_: Type | None, target: Type, path: str) -> list[Problem]:
        at = self._check.whole(value)
        type_ = self._known(value, type_, target)
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

    def _known(self, value: ir.Value, type_: Type | None, target: Type) -> Type:
        """The type of the value; the mistakes in it are told already."""
        return value_type(value, self._place.scope, target) if type_ is None else type_

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

    def _record(
        self, value: ir.RecordValue, type_: Type | None, target: RecordType, path: str
    ) -> list[Problem]:
        wanted, given_ = dict(target.fields), _fields(type_)
        found: list[Problem] = []
        for name, part in value.fields:
            if name in wanted:
                found += self.problems(part, given_.get(name), wanted[name], f"{path}.{name}")
        written = {name for name, _ in value.fields}
        extra = [name for name, _ in value.fields if name not in wanted]
        missing = [name for name, of in target.fields if name not in written and not relations.nullable(of)]
        if missing and not extra:
            shown = ", ".join(f"{name}: {show(wanted[name])}" for name in missing)
            found.append(Problem("E310", value.at, f"{path}: missing {shown}", "add what is missing"))
        return found + self._extra(value, extra, target, path)

    def _extra(self, value: ir.RecordValue, extra: list[str], target: RecordType, path: str) -> list[Problem]:
        """The fields that the type does not have."""
        if not extra:
            return []
        names = [field for field, _ in target.fields]
        shown, listed = show(target), f"fields: {', '.join(names)}" if names else "write {}"
        return [
            Problem(
                "E311",
                self._check.at(value.at, name),
                f"{path}: no field '{name}' in {shown}",
                did_you_mean(name, names) or listed,
            )
            for name in extra
        ]

    def _mapping(self, value: ir.RecordValue, target: MapType, path: str) -> list[Problem]:
        return [
            problem
            for name, part in value.fields
            for problem in self.problems(part, None, target.value, f"{path}.{name}")
        ]

    def _list(self, value: ir.ListValue, type_: Type | None, target: ListType, path: str) -> list[Problem]:
        if type_ is not None and not _holds_records(value) and not self._whole(value, type_, target, path):
            return []
        return [
            problem
            for index, item in enumerate(value.items)
            for problem in self.problems(item, None, target.item, f"{path}[{index}]")
        ]

    def _union(self, value: ir.Value, type_: Type | None, target: UnionType, path: str) -> list[Problem]:
        type_ = self._known(value, type_, target)
        every = [self.problems(value, type_, option, path) for option in target.options]
        return min(every, key=len, default=[])


def _holds_records(value: ir.Value) -> bool:
    """Whether any part is a written record, which is held to its type more strictly than a computed one."""
    if isinstance(value, ir.ListValue):
        return any(map(_holds_records, value.items))
    return isinstance(value, ir.RecordValue)


def _fields(type_: Type | None) -> dict[str, Type]:
    """The types of the fields of a written record."""
    return dict(type_.fields) if isinstance(type_, RecordType) else {}


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
