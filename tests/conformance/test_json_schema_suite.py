"""The public JSON Schema suite, draft 2020-12, against the types that its schemas map to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.suites import suite_path

from stratarouter_runtime.canonical import MAX_INTEGER
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.tcfp.json_schema import Mapped, from_schema
from stratarouter_runtime.tcfp.values import Misfit, checker

pytestmark = pytest.mark.suite

SCHEMAS_MAPPED_EXACTLY = 50
"""How many schemas of the suite a type says wholly; the rest uses keywords beyond types."""


def _otherwise_by_design(value: Any) -> bool:
    """An integer has no fraction in the language, not even .0, and 53 bits at a boundary."""
    if isinstance(value, float) and value.is_integer():
        return True
    return isinstance(value, int) and abs(value) > MAX_INTEGER


def _cases() -> Iterator[tuple[str, dict[str, Any], Mapped]]:
    root = suite_path("json-schema-test-suite") / "tests" / "draft2020-12"
    for path in sorted(Path(root).rglob("*.json")):
        for case in json.loads(path.read_text()):
            try:
                yield f"{path.stem}: {case['description']}", case, from_schema(case["schema"])
            except InvalidInput as refused:
                if not refused.pointer.endswith("/$ref"):
                    raise


def _accepts(mapped: Mapped, value: Any) -> bool:
    try:
        checker(mapped.type).project(value)
    except Misfit:
        return False
    return True


def test_schemas_that_a_type_says_wholly_agree_on_every_value() -> None:
    covered, disagree = 0, []
    for name, case, mapped in _cases():
        if mapped.leftovers or mapped.warnings:
            continue
        covered += 1
        disagree += [
            f"{name}: {test['description']}"
            for test in case["tests"]
            if _accepts(mapped, test["data"]) != test["valid"] and not _otherwise_by_design(test["data"])
        ]
    print(f"\n{covered} schemas are mapped without leftovers")  # noqa: T201 - the reader of -s asks for it
    assert disagree == []
    assert covered >= SCHEMAS_MAPPED_EXACTLY


def test_leftovers_only_ever_make_a_type_wider() -> None:
    refused = [
        f"{name}: {test['description']}"
        for name, case, mapped in _cases()
        for test in case["tests"]
        if test["valid"] and not _accepts(mapped, test["data"]) and not _otherwise_by_design(test["data"])
    ]
    assert refused == []
