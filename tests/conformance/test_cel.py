"""The public conformance cases of CEL: whatever the checker accepts agrees with CEL.

A case is bound by the types of its JSON values; the checker accepts or rejects it.
Rejecting is always allowed (the profile is smaller than CEL), wrong answers never are.
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.suites import suite_path

from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.expressions import ExpressionFailed, Scope, compile_value
from stratarouter_runtime.tcfp.ir import Expression
from stratarouter_runtime.tcfp.relations import join
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    NULL,
    STRING,
    ListType,
    Type,
    record,
)

pytestmark = pytest.mark.suite

SKIPPED = {"proto2", "proto2_ext", "proto3", "enums", "wrappers", "dynamic"}
"""Files about protocol buffers and dynamic types, which the profile leaves out."""
AT_LEAST = 420
MISREAD = {
    "parse/bytes_literals/triple_single_quoted_unescaped_punctuation",
    "parse/bytes_literals/triple_double_quoted_unescaped_punctuation",
}
"""Their expected bytes hold a backslash that only escapes the question mark in the text they come from."""
NO_VALUE = object()
"""Stands for an error where a value could be."""


class Foreign(Exception):
    """A value that the profile has no type for."""


def decode(value: dict[str, Any]) -> tuple[Any, Type]:  # noqa: C901 - one case a kind of value
    """A value of the suite as ours, with its type; raises `Foreign`."""
    ((kind, of),) = value.items()
    match kind:
        case "null_value":
            return None, NULL
        case "bool_value":
            return of, BOOL
        case "int64_value":
            return int(of), INT
        case "double_value":
            return float(of), FLOAT
        case "string_value":
            return of, STRING
        case "bytes_value":
            return base64.b64decode(of), BYTES
        case "list_value":
            items = [decode(item) for item in of.get("values", [])]
            return [item for item, _ in items], ListType(join(*(type_ for _, type_ in items)))
        case "map_value":
            return decode_map(of.get("entries", []))
        case _:
            raise Foreign(kind)


def decode_map(entries: list[dict[str, Any]]) -> tuple[Any, Type]:
    found = {}
    for entry in entries:
        key, type_ = decode(entry["key"])
        if type_ != STRING:
            raise Foreign("key")
        found[key] = decode(entry["value"])
    return {key: of for key, (of, _) in found.items()}, record({key: of for key, (_, of) in found.items()})


def same(ours: Any, theirs: Any) -> bool:
    """Equal to the last bit: the sign of zero counts, and not-a-number is itself."""
    if type(ours) is not type(theirs):
        return False
    match ours:
        case float():
            return (math.isnan(ours) and math.isnan(theirs)) or repr(ours) == repr(theirs)
        case list():
            return len(ours) == len(theirs) and all(map(same, ours, theirs))
        case dict():
            return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
        case _:
            return bool(ours == theirs)


def cases() -> list[tuple[str, dict[str, Any]]]:
    folder: Path = suite_path("cel-spec") / "json"
    return [
        (f"{path.stem}/{section['name']}/{case['name']}", case)
        for path in sorted(folder.glob("*.json"))
        if path.stem not in SKIPPED
        for section in json.loads(path.read_bytes()).get("section", [])
        for case in section.get("test", [])
        if "result" in case.get("typed_result", {"result": None})
        and f"{path.stem}/{section['name']}/{case['name']}" not in MISREAD
    ]


def expected(case: dict[str, Any]) -> Any:
    """What CEL says; the suite leaves `true` unsaid."""
    if "eval_error" in case:
        return NO_VALUE
    found = case.get("value") or case.get("typed_result", {}).get("result")
    return True if found is None else decode(found)[0]


def outcome(case: dict[str, Any]) -> tuple[bool, Any]:
    """Whether the checker accepts the case, and what it evaluates to."""
    if "container" in case:
        raise Foreign("qualified names")
    scope = Scope()
    slots: list[Any] = []
    for name, binding in case.get("bindings", {}).items():
        value, type_ = decode(binding["value"])
        scope = scope.bind(name, type_, 0, len(slots))
        slots.append(value)
    diagnostics = Diagnostics()
    code = compile_value(Expression(case["expr"]), scope, diagnostics)
    if diagnostics.failed:
        return False, None
    try:
        return True, code.run((slots,))
    except ExpressionFailed:
        return True, NO_VALUE


def disagreement(name: str, case: dict[str, Any], ours: Any) -> list[str]:
    theirs = expected(case)
    agree = ours is theirs if NO_VALUE in (ours, theirs) else same(ours, theirs)
    return [] if agree else [f"{name}: {case['expr']}: {ours!r}, CEL has {theirs!r}"]


def test_every_accepted_case_agrees_with_cel(capsys: pytest.CaptureFixture[str]) -> None:
    accepted: Counter[str] = Counter()
    wrong: list[str] = []
    found = cases()
    for name, case in found:
        try:
            taken, ours = outcome(case)
        except Foreign:
            continue
        if taken:
            accepted[name.split("/", 1)[0]] += 1
            wrong += disagreement(name, case, ours)
    with capsys.disabled():
        print(  # noqa: T201 - the figure is what the run is for
            f"\ncel-spec: {accepted.total()} of {len(found)} cases accepted: {dict(accepted)}"
        )
    assert not wrong, "\n".join(wrong)
    assert accepted.total() >= AT_LEAST
