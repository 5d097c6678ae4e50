"""Form that lint cannot hold: modules that say what they are, and stay small enough to be read."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest
from tests.architecture import source

LONGEST_MODULE: Final = 400
LONGEST_FUNCTION: Final = 60


@pytest.mark.parametrize("module", source.modules(), ids=source.name)
def test_a_module_says_what_lives_in_it(module: Path) -> None:
    docstring = ast.get_docstring(source.tree(module))
    assert docstring is not None
    assert docstring.split("\n\n")[0].rstrip().endswith((".", ":")), "its first paragraph is no sentence"


@pytest.mark.parametrize("module", source.modules(), ids=source.name)
def test_a_module_can_be_read_in_one_sitting(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("module", source.modules(), ids=source.name)
def test_no_function_is_long(module: Path) -> None:
    lengths = {
        each.name: (each.end_lineno or each.lineno) - each.lineno + 1 for each in source.functions(module)
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_every_package_of_the_tests_exists_in_the_source() -> None:
    packages = {path.name for path in (source.ROOT / "tests" / "unit").iterdir() if path.is_dir()}
    assert {name for name in packages - {"__pycache__"} if not (source.PACKAGE / name).is_dir()} == set()


_REASON: Final = r"(:\s?[A-Z]+\d+(, ?[A-Z]+\d+)*|\[[a-z-]+(, ?[a-z-]+)*\])\s+([-#] )?[^\s#-]"


def waived(text: str, what: str) -> list[str]:
    """The lines on which a check is waived without a reason."""
    found = (re.search(rf"#\s*(?:{what})\b(?P<rest>.*)", line) for line in text.splitlines())
    return [one.string.strip() for one in found if one and not re.match(_REASON, one["rest"])]


@pytest.mark.parametrize(
    ("folder", "what"), [("src", "noqa|type: ignore"), ("tools", "noqa|type: ignore"), ("tests", "noqa")]
)
def test_a_check_is_waived_for_a_reason(folder: str, what: str) -> None:
    root = source.ROOT / folder
    guilty = {str(path): waived(path.read_text(encoding="utf-8"), what) for path in root.rglob("*.py")}
    assert {path: lines for path, lines in guilty.items() if lines} == {}


@pytest.mark.parametrize(
    ("line", "reasoned"),
    [
        ("x = 1  # no" + "qa: E731", False),
        ("x = 1  # no" + "qa: E731 - one line says it", True),
        ("x = 1  # no" + "qa: C901, PLR0912 - one case an operator", True),
        ("x = 1  # type: ig" + "nore[index]", False),
        ("x = 1  # type: ig" + "nore[index, attr-defined]  # or fails", True),
        ("x = 1  # no" + "qa", False),
    ],
)
def test_a_reason_is_told_from_none(line: str, reasoned: bool) -> None:  # noqa: FBT001 - a row
    assert (waived(line, "noqa|type: ignore") == []) is reasoned
