from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Literal, TypedDict

import pytest
from pydantic import BaseModel

from stratarouter_runtime.builder.annotations import File, type_of
from stratarouter_runtime.builder.conversion import decoder, encode
from stratarouter_runtime.tcfp.values import checker, to_json


class Level(StrEnum):
    LOW = "low"


@dataclass
class Point:
    x: float
    at: datetime | None = None


class Shape(BaseModel):
    kind: Literal["shape"]
    points: list[Point]
    level: Level
    pause: timedelta


class Bag(TypedDict):
    data: bytes
    shapes: dict[str, Shape]


@dataclass
class Circle:
    kind: Literal["circle"]
    middle: Point


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHAPE = Shape(kind="shape", points=[Point(1.0, NOON)], level=Level.LOW, pause=timedelta(seconds=90))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 1),
        (str | None, None),
        (datetime, NOON),
        (timedelta, timedelta(microseconds=1)),
        (bytes, b"\x00\xff"),
        (Level, Level.LOW),
        (File, File("0" * 64, 3, "text/plain")),
        (Point, Point(1.0, NOON)),
        (Point, Point(1.0)),
        (list[Point], [Point(0.0), Point(1.0, NOON)]),
        (dict[str, Point], {"a": Point(0.0)}),
        (Shape, SHAPE),
        (Bag, {"data": b"hi", "shapes": {"a": SHAPE}}),
        (Shape | Circle, Circle("circle", Point(0.0))),
        (Shape | Circle | None, SHAPE),
        (datetime | str, "noon"),
        (datetime | int, 5),
        (Any, {"a": [1, None]}),
    ],
)
def test_a_value_comes_back_as_the_class_it_was(annotation: Any, value: Any) -> None:
    type_ = type_of(annotation)
    projected = checker(type_).project(encode(value))
    decode = decoder(annotation)
    for form in (projected, checker(type_).project(to_json(type_, projected))):
        found = decode(form) if decode is not None and form is not None else form
        assert found == value
        assert type(found) is type(value)


@pytest.mark.parametrize("annotation", [int, str, Any, list[int], dict[str, Any], int | None, Literal["a"]])
def test_plain_classes_need_no_conversion(annotation: Any) -> None:
    assert decoder(annotation) is None


def test_a_time_is_a_moment_wherever_it_was_taken() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=-5)))
    assert encode(there) == encode(NOON) == "2026-03-01T12:00:00.000000Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        encode({"at": [NOON.replace(tzinfo=None)]})


def test_what_is_no_value_is_left_for_the_check_to_refuse() -> None:
    thing = object()
    assert encode([thing]) == [thing]
