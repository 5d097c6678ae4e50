"""What must not stand in any file: addresses and paths of one machine, work left to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from tests.architecture import source

# Put together from halves, so that this file does not hold what it looks for.
FORBIDDEN: Final = {
    "a path of one machine": re.compile(
        r"(^|[^A-Za-z.])/(wo" + r"rk|ro" + r"ot|ho" + r"me/\w+|Us" + r"ers/\w+)/"
    ),
    "the address of a package registry": re.compile(
        r"(index-" + r"url|--find-" + r"links)\b|pypi\.or" + r"g/simple"
    ),
    "work left to do": re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"),
}
TEXT: Final = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".jsonl", ".sql", ".sh", ""}


def found(text: str, what: str) -> list[str]:
    """The lines of `text` in which it is found, with their numbers."""
    return [f"{n}: {line}" for n, line in enumerate(text.splitlines(), 1) if FORBIDDEN[what].search(line)]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    guilty = {
        str(path.relative_to(source.ROOT)): lines
        for path in source.tracked()
        if path.suffix in TEXT and (lines := found(_read(path), what))
    }
    assert guilty == {}


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a path of one machine", "see /wo" + "rk/main"),
        ("a path of one machine", "'/ho" + "me/ann/x'"),
        ("the address of a package registry", "pip install --index-" + "url=x"),
        ("work left to do", "# TO" + "DO: later"),
    ],
)
def test_the_search_finds_what_it_looks_for(what: str, line: str) -> None:
    assert found(line, what)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
