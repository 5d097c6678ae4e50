from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from stratarouter_runtime.cli import app, mermaid, svg, tree
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.outline import Node, brief, cost, outline, span
from stratarouter_runtime.tcfp.plan import Bound, Plan


def titles(node: Node) -> list[str]:
    return [node.title, *(title for part in (*node.parts, *node.aside) for title in titles(part))]


@pytest.mark.parametrize(
    "line",
    [
        "every.thing  {q: string}\n             → int\n",
        "├─ a: call look  (time 2s; retry 2) → {n: int}  [1 step, 3 attempts, $1.5, 300 tokens, 6s]",
        "├─ r: route look | book, 1 rule first, else look → {by: [book, look], out: {n: int}}",
        '├─ m: match a.n > 3 ? "big" : "small" → int',
        "│  ├─ case big ─ let 1 → int",
        "│  └─ case small ─ do → int",
        "│     ├─ z: let 2 → int",
        "│     └─ return z → int",
        "(limits $1.5, 5 tokens, 10s, 40 steps, 2 parallel)",
        "│  ├─ one ─ b: call book → {n: int}",
        "│  │  └─ undo ─ call drop",
        "│  └─ two ─ race → {by: [x, y], out: int}",
        "├─ each [1, 2], at most 2, 1 at a time → list<int>",
        "├─ loop while s < 3, at most 3 times → int",
        "├─ ask from boss within 45m → bool",
        "├─ sleep 90m → null",
        "fail bad  (if a.n > 100)",
        "│  └─ catch bad ─ let null → null",
        "└─ return a.n + m → int",
    ],
)
def test_the_tree_shows_every_operator_and_modifier(everything: Plan, line: str) -> None:
    drawn = tree.draw(everything)
    assert line in drawn, drawn


def test_the_head_tells_the_worst_case_effect_and_errors(everything: Plan) -> None:
    head = tree.draw(everything).splitlines()[3]
    assert head.startswith(f"worst case {everything.bound.steps} steps")
    assert "; idempotent" in head


def test_every_step_is_drawn_by_each_picture(everything: Plan) -> None:
    body = outline(everything)
    drawn = {
        "mermaid": mermaid.draw(body).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"'),
        "svg": " ".join(ET.fromstring(svg.draw("t", body)).itertext()),  # noqa: S314 - our own
    }
    for name, text in drawn.items():
        assert [title for title in titles(body)[1:] if title not in text] == [], name


def test_mermaid_nests_and_joins_what_it_draws(everything: Plan) -> None:
    lines = mermaid.draw(outline(everything)).splitlines()
    assert lines[0] == "flowchart TD"
    opened = sum(line.lstrip().startswith("subgraph") for line in lines)
    assert opened == sum(line.strip() == "end" for line in lines) > 0
    boxes = {found for line in lines for found in re.findall(r"(n\d+)\[", line)}
    joined = {
        found for line in lines if "-->" in line or ".->" in line for found in re.findall(r"\bn\d+\b", line)
    }
    assert joined <= boxes


def test_labels_cannot_break_out_of_mermaid_or_svg() -> None:
    hostile = Node(title='"]; <script>&', type="string")
    assert '["&quot;]; &lt;script&gt;&amp;' in mermaid.draw(Node("", "", parts=(hostile,)))
    assert "<script>" not in svg.draw("</title><script>", hostile)


def test_boxes_of_the_picture_lie_inside_their_frames(everything: Plan) -> None:
    def check(box: svg.Box) -> None:
        inner = box.parts.width + box.aside.width
        assert inner <= box.width - svg.PAD
        assert max(box.parts.height, box.aside.height) <= box.height - svg.PAD
        for part in (*box.parts.boxes, *box.aside.boxes):
            check(part)

    check(svg.measure(outline(everything)))


@pytest.mark.parametrize(
    ("bound", "says"),
    [
        (Bound(), "0 steps"),
        (Bound(steps=1, attempts=1), "1 step, 1 attempt"),
        (Bound(steps=1200, usd=0.1, tokens=21000, time=62_000_000), "1,200 steps, $0.1, 21,000 tokens, 62s"),
        (Bound(steps=2, usd=0.000002), "2 steps, $0.000002"),
        (Bound(steps=2, usd=10.0), "2 steps, $10"),
    ],
)
def test_a_worst_case_in_words(bound: Bound, says: str) -> None:
    assert cost(bound) == says


@pytest.mark.parametrize(("micros", "says"), [(1_500, "2ms"), (9_999_001, "10s"), (2_287_500_000, "38m8s")])
def test_a_span_is_rounded_up(micros: int, says: str) -> None:
    assert span(micros) == says


@pytest.mark.parametrize(
    ("option", "start"), [((), "every.thing"), (("--mermaid",), "flowchart"), (("--svg",), "<svg")]
)
def test_the_command_writes_each_form(
    option: tuple[str, ...], start: str, flow_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["graph", str(flow_file), *option]) == Exit.OK
    assert capsys.readouterr().out.startswith(start)


def test_a_flow_with_mistakes_is_not_drawn_but_explained(
    flow_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow_file.write_text(flow_file.read_text().replace("=a.n + m", "=a.nn + m"))
    assert app.run(["graph", str(flow_file)]) == Exit.BAD_INPUT
    told = capsys.readouterr()
    assert told.out == ""
    assert "error E211" in told.err
    assert "^^^^" in told.err
    assert told.err.endswith(f"error: {flow_file}: 1 error, 1 warning\n")


@pytest.mark.parametrize(
    ("room", "drawn"),
    [
        (60, "{by: [one, two], out: {all: list<{n: int}>, any: bool}}"),
        (54, "{by: [one, two], out: {all: list<{…}>, any: bool}}"),
        (30, "{by: […], out: {…}}"),
        (10, "{by: […],…"),
    ],
)
def test_a_type_that_is_too_long_loses_its_innermost_parts_first(room: int, drawn: str) -> None:
    assert brief("{by: [one, two], out: {all: list<{n: int}>, any: bool}}", room) == drawn


def test_the_whole_of_it_is_there_as_json(flow_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["graph", str(flow_file), "--json"]) == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    assert (shown["flow"], shown["input"], shown["output"]) == ("every.thing", "{q: string}", "int")
    assert shown["worst_case"]["steps"] == 16
    assert shown["body"]["parts"][0]["title"] == "a: call look"
