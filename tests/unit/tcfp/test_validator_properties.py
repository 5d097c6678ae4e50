"""Whatever the loader takes, the validator answers; and what it lets pass, compiles, twice alike."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, note
from hypothesis import strategies as st
from tests.unit.tcfp.checking import EXAMPLES, example, registry_of

from stratarouter_runtime.tcfp.compiler import compile_document, compile_flow
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.validator import validate

FOLDER = Path(__file__).parent / "mistakes"
TEXTS = [example(name) for name in EXAMPLES] + [
    (FOLDER / f"{name}.yaml").read_text(encoding="utf-8") for name in ("desk", "work")
]
TOKEN = re.compile(r"[A-Za-z_][\w.]*|[0-9.]+|[{}\[\]:,=]")
TOKENS = sorted({token for text in TEXTS for token in TOKEN.findall(text)})


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """One of the flows with one or two of its tokens lost, or replaced by another flow's."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 2))):
        places = [match.span() for match in TOKEN.finditer(text)]
        start, end = draw(st.sampled_from(places))
        text = text[:start] + draw(st.sampled_from(["", *TOKENS])) + text[end:]
    return text


@given(damaged())
def test_a_damaged_flow_gets_diagnostics_or_a_plan_that_compiles_again(text: str) -> None:
    flow = load(text).flow
    if flow is None:
        return
    note(text)
    found = validate(flow)
    assert all(one.line > 0 and one.column > 0 and one.message for one in found.diagnostics)
    registry = registry_of(flow)
    checked = validate(flow, registry)
    if checked.ok:
        plan = compile_flow(checked, registry, "scorer")
        again = compile_document(plan.document)
        assert (again.digest, again.document) == (plan.digest, plan.document)
