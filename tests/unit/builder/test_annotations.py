from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, NewType, NotRequired, Optional, Required, TypedDict, Union

import pytest
from pydantic import BaseModel, Field

from stratarouter_runtime.builder.annotations import PII, File, Label, bare, type_of
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp.relations import join, optional
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

CustomerId = NewType("CustomerId", str)
PRIVATE = labelled(STRING, frozenset({"pii"}))


class Level(StrEnum):
    LOW = "low"
    HIGH = "high"


class Size(Enum):
    SMALL = 1


@dataclass
class Item:
    id: CustomerId
    level: Level
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    computed: int = field(init=False, default=0)


@dataclass
class Node:
    children: list[Node]


class Model(BaseModel):
    who: Annotated[str, PII]
    count: int = Field(ge=0)
    item: Item | None = None


class Loose(TypedDict, total=False):
    a: Required[int]
    b: str


class Strict(TypedDict):
    a: int
    b: NotRequired[Annotated[str, PII]]


ITEM = record(
    {"id": STRING, "level": enum(["low", "high"]), "tags": ListType(STRING), "note": optional(STRING)}
)


@pytest.mark.parametrize(
    ("annotation", "type_"),
    [
        (None, NULL),
        (bool, BOOL),
        (int, INT),
        (float, FLOAT),
        (str, STRING),
        (bytes, BYTES),
        (datetime, TIME),
        (timedelta, DURATION),
        (File, FILE),
        (Any, JSON),
        (object, JSON),
        (list, ListType(JSON)),
        (dict, MapType(JSON)),
        (list[int], ListType(INT)),
        (Sequence[int], ListType(INT)),
        (tuple[int, ...], ListType(INT)),
        (dict[str, float], MapType(FLOAT)),
        (Mapping[str, float], MapType(FLOAT)),
        (Optional[int], optional(INT)),  # noqa: UP045 - the old spelling is still met
        (Union[int, str], join(INT, STRING)),  # noqa: UP007 - likewise
        (int | str | None, optional(join(INT, STRING))),
        (Literal["b", "a"], enum(["a", "b"])),
        (Literal["a", None], optional(enum(["a"]))),  # noqa: PYI061 - the spelling under test
        (Literal[True, False], BOOL),
        (Literal[Level.LOW], enum(["low"])),
        (Level, enum(["low", "high"])),
        (CustomerId, STRING),
        (Annotated[str, PII], PRIVATE),
        (Annotated[str, "other", Label("a"), Label("b")], labelled(STRING, frozenset("ab"))),
        (list[Annotated[str, PII]], ListType(PRIVATE)),
        (Item, ITEM),
        (Model, record({"who": PRIVATE, "count": INT, "item": optional(ITEM)})),
        (Loose, record({"a": INT, "b": optional(STRING)})),
        (Strict, record({"a": INT, "b": optional(PRIVATE)})),
    ],
)
def test_an_annotation_is_a_type(annotation: Any, type_: Type) -> None:
    assert type_of(annotation) == type_


@pytest.mark.parametrize(
    ("annotation", "message", "hint"),
    [
        (set, "what set is", "dataclass"),
        (set[int], "what set", "list[T]"),
        (tuple[int, str], "what tuple", "list[T]"),
        (dict[int, str], "what dict", "keys of a map are strings"),
        (Literal[1], "what", "closed set holds strings"),
        (Literal[True], "what", "closed set holds strings"),
        (Size, "what Size is", "values of an enum are strings"),
        (complex, "what complex is", "dataclass"),
        (Node, "what Node is", "not recursive"),
    ],
)
def test_what_no_type_says_is_refused_with_advice(annotation: Any, message: str, hint: str) -> None:
    with pytest.raises(InvalidFlow) as refused:
        type_of(annotation)
    assert message in refused.value.message
    assert hint in (refused.value.hint or "")


def test_a_name_out_of_reach_is_explained() -> None:
    @dataclass
    class Local:
        other: Unreachable  # type: ignore[name-defined]  # noqa: F821 - on purpose

    with pytest.raises(InvalidFlow, match="Unreachable") as refused:
        type_of(Local)
    assert "top of the module" in (refused.value.hint or "")


def test_wrappers_come_off() -> None:
    assert bare(Annotated[NotRequired[CustomerId], 1]) is str


def test_pydantic_is_never_imported_for_the_sake_of_it() -> None:
    program = "import sys, stratarouter_runtime.builder as b; b.agent(len.__class__); print('pydantic' in sys.modules)"
    program = program.replace("b.agent(len.__class__); ", "")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - a program of our own
    assert done.stdout.strip() == "False"
