"""The forms a projected value takes outside of expressions: JSON, canonical, and redacted.

Each form is compiled once a type, to nothing at all where the value already has the form.
All take values that have been projected to the type; what they return may share parts with
the value, and must not be mutated. Must never know: where a value goes.
"""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stratarouter_runtime.tcfp.projection import checker, tag_of, trial_order
from stratarouter_runtime.tcfp.relations import nullable
from stratarouter_runtime.tcfp.scalars import Misfit
from stratarouter_runtime.tcfp.types import (
    EnumType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Type,
    UnionType,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Form: TypeAlias = "Callable[[Any], Any]"
Compile: TypeAlias = "Callable[[Type], Form | None]"


def to_json(type_: Type, value: Any) -> Any:
    """The value as JSON has it: bytes become base64 text. Types without bytes cost nothing."""
    form = _json_form(type_)
    return value if form is None else form(value)


def canonical_value(type_: Type, value: Any) -> Any:
    """The JSON form under which equal values are equal: fields that are null are left out.

    Cache keys and input digests are made of it, so that a nullable field added to a type
    changes no key. Nulls in lists, maps and `json` are data, and stay.
    """
    form = _canonical_form(type_)
    return value if form is None else form(value)


def redact(type_: Type, value: Any) -> Any:
    """The JSON form with every labelled part replaced by `[redacted: label]`, for logs."""
    form = _redacted_form(type_)
    return to_json(type_, value) if form is None else form(value)


@lru_cache(maxsize=4096)
def _json_form(type_: Type) -> Form | None:
    if isinstance(type_, Primitive) and type_.name == "bytes":
        return _base64
    return _within(type_, _json_form)


@lru_cache(maxsize=4096)
def _canonical_form(type_: Type) -> Form | None:
    if isinstance(type_, Primitive) and type_.name == "bytes":
        return _base64
    if isinstance(type_, RecordType) and any(nullable(of) for _, of in type_.fields):
        inner = _within(type_, _canonical_form)
        return lambda value: _present(value if inner is None else inner(value))
    return _within(type_, _canonical_form)


@lru_cache(maxsize=4096)
def _redacted_form(type_: Type) -> Form | None:
    if type_.labels:
        marker = f"[redacted: {', '.join(sorted(type_.labels))}]"
        return lambda _value: marker
    if isinstance(type_, Primitive) and type_.name == "bytes":
        return _base64
    return _within(type_, _redacted_form)


def _base64(value: Any) -> Any:
    return b64encode(value).decode()


def _present(value: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if item is not None}


def _within(type_: Type, form_of: Compile) -> Form | None:
    """The form of a type from the forms of its parts; None where no part changes."""
    match type_:
        case ListType():
            return _each_item(form_of(type_.item))
        case MapType():
            return _each_entry(form_of(type_.value))
        case RecordType():
            changing = [(name, form_of(of)) for name, of in type_.fields]
            return _some_fields([(name, form) for name, form in changing if form is not None])
        case UnionType():
            return _option(type_, form_of)
        case _:
            return None


def _each_item(form: Form | None) -> Form | None:
    return None if form is None else lambda value: [form(item) for item in value]


def _each_entry(form: Form | None) -> Form | None:
    return None if form is None else lambda value: {key: form(item) for key, item in value.items()}


def _some_fields(forms: list[tuple[str, Form]]) -> Form | None:
    if not forms:
        return None

    def apply(value: dict[str, Any]) -> dict[str, Any]:
        done = dict(value)
        for name, form in forms:
            done[name] = form(value[name])
        return done

    return apply


def _option(type_: UnionType, form_of: Compile) -> Form | None:
    order = trial_order(type_)
    forms = [form_of(option) for option in order]
    if all(form is None for form in forms):
        return None
    pick = chooser(type_)

    def apply(value: Any) -> Any:
        form = forms[pick(value)]
        return value if form is None else form(value)

    return apply


def chooser(type_: UnionType) -> Callable[[Any], int]:
    """Which option, counted in trial order, a value projected to the union belongs to."""
    order = trial_order(type_)
    tagged = tag_of(order)
    if tagged is not None:
        name, options = tagged
        return lambda value: order.index(options[value[name]])
    projects = [(checker(option).project, _class(option)) for option in order]

    def pick(value: Any) -> int:
        for index, (project, class_) in enumerate(projects):
            if isinstance(value, class_) and _fits(project, value):
                return index
        return len(order) - 1

    return pick


def _fits(project: Form, value: Any) -> bool:
    try:
        project(value)
    except Misfit:
        return False
    return True


_CLASSES: Final[dict[str, type]] = {"bytes": bytes, "json": object, "file": dict, "null": type(None)}


def _class(option: Type) -> type:
    """The class of projected values: text is no longer taken for bytes, which are bytes by now."""
    match option:
        case Primitive():
            return _CLASSES.get(option.name, object if option.name in {"bool", "int", "float"} else str)
        case EnumType():
            return str
        case ListType():
            return list
        case MapType() | RecordType():
            return dict
        case _:
            return object
