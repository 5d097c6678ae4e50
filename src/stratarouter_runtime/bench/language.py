"""What loading, checking, compiling, evaluating and hashing cost.

Must never know: runs, or stores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson
from blake3 import blake3
from yaml._yaml import CParser

from stratarouter_runtime.bench.flows import EXPRESSION, chain
from stratarouter_runtime.bench.measure import Measure, micros
from stratarouter_runtime.canonical import digest
from stratarouter_runtime.tcfp.compiler import compile_flow
from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.expressions import Scope, compile_value, parse
from stratarouter_runtime.tcfp.ir import Expression
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.standins import stand_ins
from stratarouter_runtime.tcfp.types import FLOAT, STRING, record
from stratarouter_runtime.tcfp.validator import validate

TRIAGE: Final = Path(__file__).parents[3] / "examples" / "support_triage" / "flow.yaml"
"""There in a checkout only."""


def language() -> list[Measure]:
    """All figures about the language."""
    measures = [_compile("compile a chain of 1,000 steps", chain(1_000), 200_000, repeat=1)]
    if TRIAGE.exists():
        measures.insert(0, _compile("compile the triage flow", TRIAGE.read_text(), 3_000, repeat=20))
    return [*measures, _condition(), _digest()]


def _compile(name: str, source: str, target: float, repeat: int) -> Measure:
    """From text to plan: load, validate, link, compile, hash. Expressions are parsed anew."""
    written = load(source).flow
    assert written is not None
    registry = stand_ins(validate(written))

    def work() -> None:
        parse.cache_clear()
        flow = load(source).flow
        assert flow is not None
        compile_flow(flow, registry, "bench")

    return Measure(
        name,
        micros(work, repeat=repeat, rounds=3),
        "µs",
        target,
        "less",
        micros(lambda: _events(source), repeat=repeat, rounds=3),
        "libyaml reading the text",
    )


def _events(source: str) -> None:
    parser = CParser(source)
    while parser.check_event():
        parser.get_event()


def _condition() -> Measure:
    scope = Scope().bind("c", record({"intent": STRING, "confidence": FLOAT}), 0, 1)
    code = compile_value(Expression(EXPRESSION), scope, Diagnostics())
    environment: tuple[list[Any], ...] = ([None, {"intent": "billing", "confidence": 0.9}],)
    return Measure(
        "evaluate a warm condition",
        micros(lambda: code.run(environment), repeat=100_000),
        "µs",
        1.0,
        "less",
        micros(lambda: _plain(environment[0][1]), repeat=100_000),
        "the same in Python",
    )


def _plain(c: dict[str, Any]) -> bool:
    """The condition as one would write it in Python."""
    return bool(c["intent"] == "billing" and c["confidence"] >= 0.8)


def _digest() -> Measure:
    value = {
        f"field{number}": {"text": "x" * 30, "n": number, "score": 0.015 + 0.125 * number}
        for number in range(16)
    }
    return Measure(
        f"canonical JSON and blake3 of {len(orjson.dumps(value))} bytes",
        micros(lambda: digest(value), repeat=5_000),
        "µs",
        25.0,
        "less",
        micros(lambda: blake3(orjson.dumps(value)).hexdigest(), repeat=5_000),
        "orjson and blake3, unguarded",
    )
