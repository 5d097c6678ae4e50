"""Values to the Python classes that a function is annotated with, and what it returns back to values.

Must never know flows, or when a function is called.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeAlias

from stratarouter_runtime.builder.annotations import (
    Annotation,
    File,
    bare,
    fields_of,
    is_model,
    item_of,
    options_of,
    type_of,
    value_of,
)
from stratarouter_runtime.tcfp.projection import trial_order
from stratarouter_runtime.tcfp.times import MICROS, duration_micros, duration_text, time_micros, time_text
from stratarouter_runtime.tcfp.types import Type, UnionType
from stratarouter_runtime.tcfp.values import Misfit, checker

Decode: TypeAlias = Callable[[Any], Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 86_400
_AS_THEY_ARE: Final = frozenset({type(None), bool, int, float, bytes, str})


def decoder(annotation: Annotation) -> Decode | None:
    """What turns a projected value into the class annotated; None where it is the value already."""
    annotation = bare(annotation)
    options = options_of(annotation)
    if options is not None:
        return _union(options)
    item, value = item_of(annotation), value_of(annotation)
    if item is not None:
        return _items(decoder(item))
    if value is not None:
        return _entries(decoder(value))
    return _class(annotation)


def _class(annotation: Annotation) -> Decode | None:
    plain = _PLAIN.get(annotation) if isinstance(annotation, type) else None
    if plain is not None or not isinstance(annotation, type):
        return plain
    if issubclass(annotation, Enum):
        return annotation
    found = fields_of(annotation)
    return None if found is None else _record(annotation, found)


def _record(class_: Any, annotations: dict[str, Annotation]) -> Decode:
    decoders = [(name, decoder(of)) for name, of in annotations.items()]
    build = class_.model_validate if is_model(class_) else lambda values: class_(**values)

    def decode(value: dict[str, Any]) -> Any:
        values = dict(value)
        for name, decode_field in decoders:
            if decode_field is not None and values.get(name) is not None:
                values[name] = decode_field(values[name])
        return build(values)

    return decode


def _items(decode: Decode | None) -> Decode | None:
    return None if decode is None else lambda value: [decode(item) for item in value]


def _entries(decode: Decode | None) -> Decode | None:
    return None if decode is None else lambda value: {key: decode(item) for key, item in value.items()}


def _union(options: tuple[Annotation, ...]) -> Decode | None:
    """The first option that fits, in the order in which projection tries them."""
    decoders = {type_of(option): decoder(option) for option in options}
    if all(decode is None for decode in decoders.values()):
        return None
    order = trial_order(UnionType(tuple(decoders)))

    def decode(value: Any) -> Any:
        for type_ in order:
            if _fits(type_, value):
                chosen = decoders[type_]
                return value if chosen is None else chosen(value)
        return value

    return decode


def _fits(type_: Type, value: Any) -> bool:
    try:
        checker(type_).project(value)
    except Misfit:
        return False
    return True


def _time(value: str) -> datetime:
    return _EPOCH + timedelta(microseconds=time_micros(value))


def _duration(value: str) -> timedelta:
    return timedelta(microseconds=duration_micros(value))


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else b64decode(value)


def _file(value: dict[str, Any]) -> File:
    return File(**value)


_PLAIN: Final[dict[type, Decode]] = {datetime: _time, timedelta: _duration, bytes: _bytes, File: _file}


def encode(value: Any) -> Any:
    """What a function returned, as a value; unknown classes are left for the check to refuse.

    Raises `ValueError` for a time without a zone.
    """
    if type(value) in _AS_THEY_ARE:
        return value
    match value:
        case Enum():
            return encode(value.value)
        case int() | float() | bytes() | str():
            return value
        case datetime():
            return _instant(value)
        case timedelta():
            return duration_text(value // timedelta(microseconds=1))
        case dict():
            return {encode(key): encode(item) for key, item in value.items()}
        case list() | tuple():
            return [encode(item) for item in value]
        case _:
            return _object(value)


def unknown_to_json(value: Any) -> Any:
    """What encoders of JSON ask for what they do not know: bytes travel as base64. Raises `TypeError`."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("a time without a zone means no moment: use datetime.now(UTC) or the like")
    since = value - _EPOCH
    return time_text((since.days * _DAY + since.seconds) * MICROS + since.microseconds)


def _object(value: object) -> Any:
    names = names_of(value)
    return value if names is None else {name: encode(getattr(value, name)) for name in names}


def names_of(value: object) -> tuple[str, ...] | None:
    """The names of the fields of an object of a record class; None for anything else."""
    return _names(type(value))  # type: ignore[arg-type]  # every class is hashable


@lru_cache(maxsize=1024)
def _names(class_: type) -> tuple[str, ...] | None:
    if is_dataclass(class_):
        return tuple(field.name for field in fields(class_))
    return tuple(class_.model_fields) if is_model(class_) else None  # type: ignore[attr-defined]  # is_model has looked
