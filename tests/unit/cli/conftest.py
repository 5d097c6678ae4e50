from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from stratarouter_runtime.cli.flows import Document, compile_document, declared
from stratarouter_runtime.tcfp.plan import Plan

EVERYTHING: Final = """\
tcfp: "1.0"
flow: every.thing
agents:
  look: {in: {q: string}, out: {n: int}, effect: pure, about: looking, cost: {usd: 0.5, tokens: 100}, time: 2s}
  book: {in: {q: string}, out: {n: int}, effect: idempotent, about: booking}
  drop: {in: {n: int}, out: {ok: bool}, effect: idempotent}
errors: {bad: null}
raises: [bad]
in: {q: string}
out: int
limits: {steps: 900}
do:
  - {id: a, call: look, with: {q: =q}, retry: {max: 2}, time: 3s}
  - {id: r, route: =q, among: [look, book], with: {q: =q}, rules: [{when: '=q == "<x>"', pick: book}], else: look}
  - id: m
    match: '=a.n > 3 ? "big" : "small"'
    cases: {big: {let: 1}, small: {do: [{id: z, let: 2}], return: =z}}
  - id: p
    par:
      one: {call: book, with: {q: =q}, id: b, undo: {call: drop, with: {n: =b.n}}}
      two: {race: {x: {let: 1}, y: {let: 2}}}
    limits: {usd: 1.5, tokens: 5, time: 10s, steps: 40, parallel: 2}
  - {each: '=[1, 2]', as: i, max: 2, parallel: 1, do: {let: =i}}
  - {loop: 0, as: s, while: =s < 3, max: 3, do: {let: =s + 1}}
  - {ask: bool, from: boss, time: 45m, else: false}
  - {sleep: 1h30m}
  - {if: =a.n > 100, fail: bad, catch: [{on: [bad], do: {let: null}}]}
return: =a.n + m
"""


@pytest.fixture(scope="session")
def everything() -> Plan:
    document = Document("everything.yaml", EVERYTHING.encode())
    return compile_document(document, declared(document))


@pytest.fixture
def flow_file(tmp_path: Path) -> Path:
    path = tmp_path / "every thing.yaml"
    path.write_text(EVERYTHING)
    return path
