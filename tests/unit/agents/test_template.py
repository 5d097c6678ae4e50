from __future__ import annotations

from typing import Any

import pytest

from stratarouter_runtime.agents.template import Template, read_template
from stratarouter_runtime.tcfp import text
from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.relations import join
from stratarouter_runtime.tcfp.text import Mapping, Scalar
from stratarouter_runtime.tcfp.types import INT, NULL, STRING, ListType, record

TICKET = record({"subject": STRING, "tags": ListType(STRING)})
INPUT = record({"ticket": TICKET, "who": join(STRING, NULL), "maybe": join(TICKET, NULL), "n": INT})


def read(written: str) -> tuple[Template, list[str]]:
    root = text.read_text(written.encode()).root
    assert isinstance(root, Mapping)
    node = root.entries[0].value
    assert isinstance(node, Scalar)
    diagnostics = Diagnostics()
    template = read_template(node, INPUT, diagnostics)
    return template, [
        f"{found.line}:{found.column} {found.code}: {found.message} [{found.hint}]"
        for found in diagnostics.sorted()
    ]


@pytest.mark.parametrize(
    ("written", "rendered"),
    [
        ("nothing to fill", "nothing to fill"),
        ("{{n}}{{ who }}", "3Ana"),
        ("a {{ticket.subject}} b {{ticket.tags}} c", 'a It\'s "down" b ["x","y"] c'),
        ("{{ticket}}", '{"subject":"It\'s \\"down\\"","tags":["x","y"]}'),
        ("<{{maybe}}{{maybe.subject}}>", "<>"),
        ("{ {n} } }}", "{ {n} } }}"),
        ("{{n}} {{who}} {{n}}", "3 Ana 3"),
    ],
)
def test_a_template_is_filled_from_the_input(written: str, rendered: str) -> None:
    template, mistakes = read(f"prompt: '{written.replace(chr(39), chr(39) * 2)}'")
    assert mistakes == []
    value: dict[str, Any] = {
        "ticket": {"subject": 'It\'s "down"', "tags": ["x", "y"]},
        "n": 3,
        "who": "Ana",
        "maybe": None,
    }
    assert template.render(value) == rendered


def test_what_is_filled_in_is_not_filled_again() -> None:
    template, _ = read("prompt: '{{who}}'")
    assert template.render({"who": "{{n}}", "n": 3}) == "{{n}}"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("p: a {{tiket.subject}}", "1:8 E211: no field 'tiket' in {maybe: "),
        ('p: "a {{ ticket.subjct }}"', "1:10 E211: no field 'subjct' in {subject: string, tags: list<string>} [did you mean 'subject'?]"),
        ("p: |\n  one\n  two {{wo}}\n", "3:9 E211: no field 'wo' in "),
        ("p: '{{n.x}}'", "1:7 E211: no field 'x' in int []"),
        ("p: '{{a b}}'", "1:7 E134: 'a b' is no path [write the name of an input"),
        ("p: '{{}}'", "1:7 E134: '' is no path"),
        ("p: 'open {{n'", "1:10 E134: '{{' is not closed [write {{name}}]"),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_told_with_its_place(written: str, said: str) -> None:
    _, mistakes = read(written)
    assert len(mistakes) == 1
    assert mistakes[0].startswith(said)
