"""Mistakes in expressions that are not written straight on: the place is that of the very word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.text.jumps import jumps
from stratarouter_runtime.tcfp.validator import validate

HEAD = 'tcfp: "1.0"\nflow: f\nin: {name: string}\nout: string\ndo:\n'
JSON = '{"tcfp": "1.0", "flow": "f", "out": "string",\n "do": [{"let": %s}]}'


@pytest.mark.parametrize(
    "written",
    [
        HEAD + "  - let: =nmae\n",
        HEAD + "  - let: =name\n      + nmae\n",
        HEAD + r"""  - {let: "='\u0041\x41\U00000041\e\"' + nmae"}""",
        HEAD + '  - {let: "=name +\n\n      \\\n  nmae"}\n',
        HEAD + "  - {let: '=\"it''s\" + nmae'}\n",
        HEAD + "  - {let: '=name +\n      nmae'}\n",
        HEAD + "  - let: |\n      =name\n        + name\n        + nmae\n",
        HEAD + "  - let: |2-\n      =name\n        + name\n        + nmae\n",
        HEAD + "  - let: >-\n      =name +\n\n      name +\n        nmae\n",
        (HEAD + "  - let: >-\n      =name +\n      nmae\n").replace("\n", "\r\n"),
        JSON % r'"=\"\u00e9\uD83D\uDE00\" + nmae"',
        JSON % '"=nmae"',
    ],
)
def test_a_mistake_stands_where_its_word_stands(written: str) -> None:
    flow = load(written.encode()).flow
    assert flow is not None
    (found,) = validate(flow).diagnostics
    before, _, _ = written.replace("\r\n", "\n").partition("nmae")
    assert (found.line, found.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))


def test_a_place_inside_of_a_text_keeps_the_jumps_behind_it() -> None:
    start = Where("/a", 1, 1, ((3, 1, 9), (5, 2, 4)))
    assert start.after(2) == Where("/a", 1, 3, ((1, 1, 9), (3, 2, 4)))
    assert start.after(2).after(2) == start.after(4) == Where("/a", 1, 10, ((1, 2, 4),))
    assert start.after(7) == Where("/a", 2, 6)


def test_what_cannot_be_followed_ends_the_search() -> None:
    assert jumps("ab\\tcd", "ab\txd", 1, 1, '"') == ((3, 1, 5),)


@given(
    st.text("a\\\"'\n \t{é", max_size=12),
    st.text("a\\\"'\n \t{é", max_size=12),
    st.sampled_from(["", "'", '"']),
)
def test_any_two_texts_give_places_in_order_and_no_defect(written: str, text: str, quote: str) -> None:
    found = jumps(written, text, 1, 1, quote)
    assert list(found) == sorted(found)
    assert all(read <= len(text) for read, _, _ in found)
