"""The public YAML suite: what must be refused is refused, and what is read is read as it says.

TCFP leaves out parts of YAML on purpose (anchors, aliases, tags, several documents, keys
that are no text); a case that uses them must be refused, and is no deviation. Where libyaml
differs from YAML 1.2 the case is listed below with the reason; it is expected to fail, and
one that starts to work fails the run until it is taken off the list.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest
import yaml
from msgspec import Struct
from tests.suites import suite_path

from stratarouter_runtime.tcfp.text import Mapping, Node, Scalar, Sequence, read_text

pytestmark = pytest.mark.suite


class Case(Struct, frozen=True):
    """A case of the suite; `expected` is its JSON text, `fails` that it is no YAML."""

    id: str
    text: str
    events: str
    expected: str | None
    fails: bool


# libyaml accepts what YAML 1.2 refuses. None of these can change what a text means.
_LENIENT: Final = {
    "9C9N-00": "lines of a flow list may be indented less than the list",
    "9JBA-00": "a comment may touch the closing bracket",
    "CVW2-00": "a comment may touch a comma",
    "DK95-01": "a tab may indent the next line of a quoted text",
    "G5U8-00": "a lone dash is text within brackets",
    "QB6E-00": "the next line of a quoted text may be indented less",
    "S98Z-00": "blank lines before a folded text may be indented more than it",
    "SU5Z-00": "a comment may touch a closing quote",
    "X4QW-00": "a comment may touch the header of a block text",
    "Y79Y-03": "a tab may indent within brackets",
    "YJV2-00": "a lone dash is text within brackets",
}

# libyaml refuses what YAML 1.2 accepts: an error where there could be none, never a wrong value.
_STRICT: Final = {
    **dict.fromkeys(("2LFX-00", "6LVF-00"), "directives that are not known are refused"),
    "BEC7-00": "another minor version in %YAML is refused",
    **dict.fromkeys(("4MUZ-00", "4MUZ-02"), "the colon stands in the line of its key"),
    **dict.fromkeys(("5MUD-00", "K3WX-00", "VJP3-01"), "the colon stands in the line of its key"),
    **dict.fromkeys(("9SA2-00", "NJ66-00"), "a key stands on one line, within brackets too"),
    **dict.fromkeys(
        ("58MP-00", "5T43-00", "DBG4-00", "HM87-00"), "no plain text starts with ':' in brackets"
    ),
    **dict.fromkeys(
        ("6BCT-00", "6CA3-00", "A2M4-00", "DK95-00", "Q5MG-00"), "no tab may separate indentation"
    ),
    **dict.fromkeys(("DK95-03", "DK95-04", "Y79Y-10"), "no tab may separate indentation"),
    **dict.fromkeys(("96NN-00", "96NN-01", "R4YG-00", "Y79Y-01"), "no block text starts with a tab"),
    **dict.fromkeys(("DK3J-00", "FP8R-00"), "block text at the top of a document is indented"),
}

# libyaml reads something else. Both are spellings that no flow needs.
_DIFFERENT: Final = {
    "652Z-00": "a '?' that touches a key within brackets is taken as the sign of a key",
    "HM87-01": "a '?' that touches a key within brackets is taken as the sign of a key",
    "JEF9-02": "a last line of spaces without a line break is kept as it is",
    "L24T-01": "a last line of spaces without a line break is kept as it is",
}

# We refuse what YAML 1.2 reads as a key without a value: in a flow it is a colon forgotten (E136).
_REFUSED: Final = dict.fromkeys(("8KB6-00", "9BXH-00"), "a key between braces has a colon")

DEVIATIONS: Final = {**_LENIENT, **_STRICT, **_DIFFERENT, **_REFUSED}


def _visible(text: str) -> str:
    """The text that the suite's visible signs stand for."""
    text = re.sub("—*»", "\t", text).replace("␣", " ").replace("↵", "")
    return text.replace("∎\n", "").replace("←", "\r").replace("⇔", "\N{ZERO WIDTH NO-BREAK SPACE}")


def _cases() -> list[Case]:
    found: list[Case] = []
    for path in sorted((suite_path("yaml-test-suite") / "src").glob("*.yaml")):
        before: dict[str, Any] = {}
        for number, written in enumerate(yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)):
            # What a later case of a file leaves out it has from the one before.
            case = written if "tree" in written or written.get("fail") else {**before, **written}
            before = {key: case[key] for key in ("tree", "json") if key in case}
            expected = case.get("json")
            found.append(
                Case(
                    id=f"{path.stem}-{number:02}",
                    text=_visible(case["yaml"]),
                    events=case.get("tree", ""),
                    expected=_visible(expected) if expected is not None else None,
                    fails=bool(case.get("fail")),
                )
            )
    return found


CASES: Final = _cases()


def _left_out(case: Case) -> bool:
    """Whether a case uses a part of YAML that TCFP leaves out, judged by its events alone."""
    events = [line.strip() for line in case.events.splitlines()]
    if sum(event.startswith("+DOC") for event in events) != 1:
        return True
    if any(re.match(r"=ALI|(\+MAP|\+SEQ|=VAL)( \{\}| \[\])?( &\S+)?( <\S+>)", event) for event in events):
        return True
    if any(re.match(r"(\+MAP|\+SEQ|=VAL)( \{\}| \[\])? &", event) for event in events):
        return True
    return _odd_keys(events) or _odd_root(events)


def _odd_root(events: list[str]) -> bool:
    """Whether the document is empty."""
    return events[2] == "=VAL :" and events[3].startswith("-DOC")


def _odd_keys(events: list[str]) -> bool:
    """Whether any key is a collection, is not written, or is written twice."""
    open_: list[tuple[str, set[str], int]] = []
    for event in events:
        if event.startswith(("-MAP", "-SEQ")):
            open_.pop()
            continue
        if not event.startswith(("+MAP", "+SEQ", "=VAL")):
            continue
        if open_:
            kind, keys, count = open_[-1]
            open_[-1] = (kind, keys, count + 1)
            if kind == "+MAP" and count % 2 == 0:
                if not event.startswith("=VAL") or event == "=VAL :" or event in keys:
                    return True
                keys.add(event)
        if event.startswith("+"):
            open_.append((event[:4], set(), 0))
    return False


def _data(node: Node | None) -> Any:
    match node:
        case Scalar():
            return node.data
        case Sequence():
            return [_data(item) for item in node.items]
        case Mapping():
            return {entry.key: _data(entry.value) for entry in node.entries}
        case _:
            raise AssertionError(node)


def _params(cases: list[Case]) -> list[Any]:
    return [pytest.param(case, id=case.id, marks=_marks(case)) for case in cases]


def _marks(case: Case) -> list[pytest.MarkDecorator]:
    reason = DEVIATIONS.get(case.id)
    return [] if reason is None else [pytest.mark.xfail(reason=reason, raises=AssertionError)]


REFUSED: Final = [case for case in CASES if case.fails or _left_out(case)]
READ: Final = [case for case in CASES if not (case.fails or _left_out(case)) and case.expected is not None]


def test_the_suite_is_whole() -> None:
    assert len(CASES) == 406
    stated = {case.id for case in REFUSED + READ}
    assert {case.id for case in CASES} - stated == {"2G84-03", "4ABK-00", "4MUZ-01"}, "these give no data"
    assert stated >= DEVIATIONS.keys()


@pytest.mark.parametrize("case", _params(REFUSED))
def test_is_refused(case: Case) -> None:
    found = read_text(case.text, kind="yaml").diagnostics
    assert found
    assert all(one.code.startswith("E1") and one.line > 0 and one.column > 0 and one.hint for one in found)


@pytest.mark.parametrize("case", _params(READ))
def test_is_read(case: Case) -> None:
    document = read_text(case.text, kind="yaml")
    assert document.diagnostics == ()
    expected = json.loads(case.expected or "")
    assert _data(document.root) == expected
    assert json.dumps(_data(document.root), sort_keys=True) == json.dumps(expected, sort_keys=True)
