from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stratarouter_runtime.tcfp.canonical_form import flow_digest
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.validator import validate

PAGE = Path(__file__).resolve().parents[3] / "docs" / "python.md"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The code of the page as one module, run from top to bottom."""
    module = ModuleType("documented")
    monkeypatch.setitem(sys.modules, "documented", module)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile("\n".join(blocks), str(PAGE), "exec"), module.__dict__)  # noqa: S102 - the page is ours
    return module


def test_the_code_of_the_page_runs_and_its_flows_are_valid(page: Any) -> None:
    for flow in (page.triage, page.short_names):
        assert [str(found) for found in validate(flow.ir).diagnostics] == []
    assert page.general(page.Ticket("1", "b")) == page.Reply("A kind answer.")


def test_the_flow_of_the_page_is_its_yaml(page: Any) -> None:
    written = load(
        """
tcfp: "1.0"
flow: names.short
in: { names: list<string> }
out: { short: list<string>, count: int }
do: []
return:
  short: =names.filter(n, size(n) < 5)
  count: =size(names.filter(n, size(n) < 5))
"""
    ).flow
    assert written is not None
    assert page.short_names.digest == flow_digest(written)
