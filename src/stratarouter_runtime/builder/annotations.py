"""Python annotations to types: dataclasses, pydantic models, TypedDicts, Literals and the plain classes.

pydantic is used only where the caller has imported it. Must never know values or flows.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from types import UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NewType,
    NotRequired,
    Required,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp.relations import join, nullable, optional
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    DURATION,
    FILE,
    FLOAT,
    INT,
    JSON,
    NULL,
    STRING,
    TIME,
    ListType,
    MapType,
    Type,
    enum,
    labelled,
    record,
)

Annotation: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Label:
    """Marks what a value carries: `Annotated[str, Label("pii")]`."""

    name: str


PII: Final = Label("pii")
SECRET: Final = Label("secret")


@dataclass(frozen=True, slots=True)
class File:
    """A file by reference: the digest and size of its content, and its media type."""

    digest: str
    size: int
    media: str


_PLAIN: Final[dict[Annotation, Type]] = {
    None: NULL,
    type(None): NULL,
    bool: BOOL,
    int: INT,
    float: FLOAT,
    str: STRING,
    bytes: BYTES,
    datetime: TIME,
    timedelta: DURATION,
    File: FILE,
    Any: JSON,
    object: JSON,
    list: ListType(JSON),
    dict: MapType(JSON),
}
_LISTS: Final = (list, Sequence)
_MAPS: Final = (dict, Mapping)
_UNIONS: Final = (Union, UnionType)


def origin_of(annotation: Annotation) -> Any:
    """What a generic annotation is made of (`list` of `list[str]`), None for a plain class."""
    return get_origin(annotation)


def type_of(annotation: Annotation) -> Type:
    """The type of an annotation. Raises `InvalidFlow` for one that no type says."""
    return _type(annotation, ())


def fields_of(class_: Annotation) -> dict[str, Annotation] | None:
    """Names and annotations of the fields of a dataclass, pydantic model or TypedDict; else None.

    A key that a TypedDict does not require is annotated as `NotRequired`.
    """
    if is_typeddict(class_):
        hints = hints_of(class_)
        return {name: _demanded(hint, name in class_.__required_keys__) for name, hint in hints.items()}
    if isinstance(class_, type) and is_dataclass(class_):
        hints = hints_of(class_)
        return {field.name: hints[field.name] for field in fields(class_) if field.init}
    if is_model(class_):
        return {name: _with_labels(field) for name, field in class_.model_fields.items()}
    return None


def is_model(class_: Annotation) -> bool:
    """Whether this is a pydantic model; asks only where pydantic has been imported already."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(class_, type) and issubclass(class_, pydantic.BaseModel)


def hints_of(annotated: Any) -> dict[str, Annotation]:
    """The annotations of a class or function, resolved; raises `InvalidFlow` for unknown names."""
    try:
        return get_type_hints(annotated, include_extras=True)
    except NameError as unknown:
        name = getattr(annotated, "__qualname__", annotated)
        raise InvalidFlow(
            f"the annotations of {name} use a name that is not at module level: {unknown.name}",
            hint="define the class at the top of the module, and import it outside of TYPE_CHECKING",
        ) from None


def bare(annotation: Annotation) -> Annotation:
    """The annotation without `Annotated`, `Required`, `NotRequired` and `NewType` around it."""
    while True:
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif origin_of(annotation) in (Annotated, Required, NotRequired):
            annotation = get_args(annotation)[0]
        else:
            return annotation


def options_of(annotation: Annotation) -> tuple[Annotation, ...] | None:
    """The members of a union annotation, else None."""
    return get_args(annotation) if origin_of(annotation) in _UNIONS else None


def item_of(annotation: Annotation) -> Annotation | None:
    """The annotation of the items of a list annotation, else None."""
    origin, parts = origin_of(annotation), get_args(annotation)
    if origin in _LISTS or (origin is tuple and parts[1:] == (...,)):
        return parts[0]
    return None


def value_of(annotation: Annotation) -> Annotation | None:
    """The annotation of the values of a map annotation, else None."""
    return get_args(annotation)[1] if origin_of(annotation) in _MAPS else None


def _demanded(hint: Annotation, required: bool) -> Annotation:  # noqa: FBT001 - private
    said = origin_of(hint) in (Required, NotRequired)
    return hint if required or said else NotRequired[hint]


def _with_labels(field: Any) -> Annotation:
    found = tuple(extra for extra in field.metadata if isinstance(extra, Label))
    return Annotated[(field.annotation, *found)] if found else field.annotation


def _type(annotation: Annotation, outer: tuple[Annotation, ...]) -> Type:
    match origin_of(annotation):
        case origin if origin is Annotated:
            inner, *extras = get_args(annotation)
            names = frozenset(extra.name for extra in extras if isinstance(extra, Label))
            return labelled(_type(inner, outer), names)
        case origin if origin is NotRequired:
            of = _type(get_args(annotation)[0], outer)
            return of if nullable(of) else optional(of)
        case origin if origin in _UNIONS:
            return join(*(_type(option, outer) for option in get_args(annotation)))
        case origin if origin is Literal:
            return _literal(annotation)
        case None:
            return _class(annotation, outer)
        case _:
            return _generic(annotation, outer)


def _generic(annotation: Annotation, outer: tuple[Annotation, ...]) -> Type:
    stripped = bare(annotation)
    if stripped is not annotation:
        return _type(stripped, outer)
    item, value = item_of(annotation), value_of(annotation)
    if item is not None:
        return ListType(_type(item, outer))
    if value is not None and get_args(annotation)[0] is str:
        return MapType(_type(value, outer))
    if origin_of(annotation) in _MAPS:
        raise _unsayable(annotation, "the keys of a map are strings: dict[str, T]")
    raise _unsayable(annotation, "use list[T], dict[str, T], a dataclass or Any")


def _literal(annotation: Annotation) -> Type:
    values = get_args(annotation)
    members = [value.value if isinstance(value, Enum) else value for value in values]
    names = [member for member in members if isinstance(member, str)]
    rest = {member for member in members if not isinstance(member, str)}
    if not rest <= {None, True, False} or (rest - {None} and not rest >= {True, False}):
        raise _unsayable(annotation, "a closed set holds strings, or null")
    parts = [enum(names)] if names else []
    return join(*parts, *({BOOL} if True in rest else ()), *({NULL} if None in rest else ()))


def _class(annotation: Annotation, outer: tuple[Annotation, ...]) -> Type:
    if isinstance(annotation, NewType):
        return _type(annotation.__supertype__, outer)
    if isinstance(annotation, Hashable) and annotation in _PLAIN:
        return _PLAIN[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        members = [member.value for member in annotation]
        if all(isinstance(member, str) for member in members):
            return enum(members)
        raise _unsayable(annotation, "the values of an enum are strings")
    if annotation in outer:
        raise _unsayable(annotation, "types are not recursive: use Any where the nesting has no end")
    found = fields_of(annotation)
    if found is None:
        raise _unsayable(annotation, "use a dataclass, a pydantic model, a TypedDict or Any")
    return record({name: _type(of, (*outer, annotation)) for name, of in found.items()})


def _unsayable(annotation: Annotation, hint: str) -> InvalidFlow:
    name = getattr(annotation, "__name__", None) or repr(annotation)
    return InvalidFlow(f"no type says what {name} is", hint=hint)
