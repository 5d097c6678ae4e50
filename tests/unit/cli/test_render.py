from __future__ import annotations

import pytest

from stratarouter_runtime.cli import render
from stratarouter_runtime.errors import InvalidInput, NotFound
from stratarouter_runtime.tcfp.diagnostics import Diagnostic

SOURCE = 'do:\n  - if: =c.urgncy == "high"\n\tcall: x\n'


def mistake(line: int = 2, column: int = 10, **more: str) -> Diagnostic:
    fields = {
        "code": "E211",
        "pointer": "/do/0/if",
        "message": "no field 'urgncy'",
        "hint": "did you mean 'urgency'?",
    }
    return Diagnostic(line=line, column=column, **{**fields, **more})


def test_a_diagnostic_shows_its_line_and_marks_the_token() -> None:
    assert render.diagnostics([mistake()], SOURCE, "flow.yaml").splitlines() == [
        "flow.yaml:2:10: error E211: no field 'urgncy'",
        '    2 |   - if: =c.urgncy == "high"',
        "      |          ^^^^^^^^ /do/0/if",
        "  hint: did you mean 'urgency'?",
    ]


def test_a_quoted_token_is_marked_whole() -> None:
    assert render.excerpt('x: "a b" c', 1, 4, "")[1] == "      |    ^^^^^"


def test_a_tab_before_the_place_stays_a_tab() -> None:
    assert render.excerpt("\tcall: x", 3, 8, "")[1] == "      | \t      ^"


@pytest.mark.parametrize(
    ("before", "carets"),
    [
        ("日本: ", "      |       ^^^^"),
        ("e\N{COMBINING ACUTE ACCENT}: ", "      |    ^^^^"),
        ("\N{FULLWIDTH COLON}", "      |   ^^^^"),
    ],
)
def test_carets_stand_under_their_word_in_cells_of_a_terminal(before: str, carets: str) -> None:
    assert render.excerpt(before + "nmae", 1, len(before) + 1, "")[1] == carets
    assert render.excerpt("日本", 1, 1, "")[1] == "      | ^^^^"


def test_a_document_cannot_command_the_terminal() -> None:
    assert render.excerpt("a: \x1b[2J\x07", 1, 1, "")[0] == "    1 | a: \ufffd[2J\ufffd"


@pytest.mark.parametrize(("line", "column"), [(0, 0), (99, 1)])
def test_without_a_place_in_the_text_the_pointer_says_where(line: int, column: int) -> None:
    shown = render.diagnostics([mistake(line, column)], SOURCE, "flow.yaml")
    assert "  at /do/0/if" in shown
    assert "^" not in shown


def test_a_column_behind_the_end_is_marked_at_the_end() -> None:
    assert render.excerpt("ab", 1, 40, "")[1] == "      |   ^"


@pytest.mark.parametrize("column", [1, 200, 500])
def test_a_long_line_is_cut_around_the_place(column: int) -> None:
    line = "x" * (column - 1) + "!" + "y" * 500
    shown, carets = render.excerpt(line, 1, column, "")
    assert len(shown) <= render.WIDTH + 8
    assert len(carets) <= render.WIDTH + 8
    assert shown[carets.index("^")] == "!"


def test_an_error_says_what_where_and_what_to_do() -> None:
    shown = render.error(InvalidInput("expected int, found string", pointer="/n", hint="write a number"))
    assert shown == "error: expected int, found string\n  at /n\n  hint: write a number"


def test_an_error_without_advice_is_one_line() -> None:
    assert render.error(NotFound("no execution exec_1")) == "error: no execution exec_1"


def test_a_defect_is_told_with_its_place_and_without_a_traceback() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 // 0
    shown = render.internal(caught.value)
    assert "ZeroDivisionError" in shown
    assert "test_a_defect_is_told_with_its_place_and_without_a_traceback:" in shown
    assert "Traceback" not in shown
    assert "hint:" in shown


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        (["E211"], "1 error"),
        (["E211", "E212", "W303"], "2 errors, 1 warning"),
        (["W303"], "1 warning"),
        ([], ""),
    ],
)
def test_the_verdict_counts_each_kind(codes: list[str], says: str) -> None:
    assert render.verdict([mistake(code=code) for code in codes]) == says
