"""The identity of plans: equal for what means the same, different for what does not."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from msgspec.structs import replace
from tests.unit.tcfp.checking import example, flow, plan_of, registry_of

from stratarouter_runtime.ids import Digest
from stratarouter_runtime.tcfp import writer
from stratarouter_runtime.tcfp.compiler import compile_flow

Edit = Callable[[str], str]


def swap(*pairs: tuple[str, str]) -> Edit:
    def edit(text: str) -> str:
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        return text

    return edit


def as_json(text: str) -> str:
    return json.dumps(writer.write(flow(text)), indent=1)


def backwards(text: str) -> str:
    """Keys in the opposite order, at every depth where order means nothing."""
    document = json.loads(as_json(text))

    def turned(value: object) -> object:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    return json.dumps(turned(document))


SAME: dict[str, Edit] = {
    "ids renamed": swap(("id: c\n", "id: kind\n"), ("c.intent", "kind.intent"), ("c.confidence", "kind.confidence"), ("c.urgency", "kind.urgency")),
    "types renamed": swap(("Ticket", "Letter"), ("Reply", "Response")),
    "comments": lambda text: "# a comment\n" + text.replace("do:\n", "do: # another\n"),
    "notes": swap(("  - id: c\n", "  - id: c\n    note: reads the letter\n")),
    "the label of the flow": swap(("flow: support.triage", "flow: another.name")),
    "spaces and brackets in an expression": swap(('c.intent == "billing" && c.confidence >= 0.8', '(c.intent=="billing")  &&  (c.confidence >= 0.80)')),
    "JSON": as_json,
    "the order of keys": backwards,
    "a default written": swap(("    effect: pure\n    accepts: [pii]", "    effect: pure\n    stable: false\n    accepts: [pii]")),
}  # fmt: skip

OTHER: dict[str, Edit] = {
    "a threshold": swap(("min: 0.35", "min: 0.36")),
    "an about": swap(("errors, crashes, outages", "errors, crashes")),
    "a literal": swap(("urgent ticket", "urgent")),
    "a limit": swap(("usd: 0.10", "usd: 0.11")),
    "a retry": swap(("max: 2, wait: 200ms", "max: 3, wait: 200ms")),
    "a time": swap(("time: 20s", "time: 21s")),
    "the order of candidates": swap(("among: [billing, tech, general]", "among: [tech, billing, general]")),
    "an operator": swap(("confidence >= 0.8', pick: tech", "confidence > 0.8', pick: tech")),
    "a field of a type": swap(("lang: string? }", "lang: string?, more: int? }")),
    "a caught kind": swap(("on: [timeout, agent]", "on: [timeout]")),
}  # fmt: skip


@pytest.mark.parametrize("edit", SAME.values(), ids=SAME.keys())
def test_what_means_the_same_has_the_same_digest(edit: Edit) -> None:
    text = example("support_triage")
    plan, other = plan_of(text), plan_of(edit(text))
    assert other.flow_digest == plan.flow_digest
    assert other.digest == plan.digest


@pytest.mark.parametrize("edit", OTHER.values(), ids=OTHER.keys())
def test_what_means_something_else_has_another_digest(edit: Edit) -> None:
    text = example("support_triage")
    plan, other = plan_of(text), plan_of(edit(text))
    assert other.flow_digest != plan.flow_digest
    assert other.digest != plan.digest


def test_another_implementation_is_another_plan_of_the_same_flow() -> None:
    of = flow(example("support_triage"))
    registry = registry_of(of)
    changed = {**registry, "tech": replace(registry["tech"], digest=Digest("f" * 64))}
    plan, other = compile_flow(of, registry, "m"), compile_flow(of, changed, "m")
    assert plan.flow_digest == other.flow_digest
    assert plan.digest != other.digest


def test_an_agent_that_the_flow_does_not_use_changes_nothing() -> None:
    of = flow(example("support_triage"))
    registry = registry_of(of)
    more = {**registry, "stranger": replace(registry["tech"], digest=Digest("f" * 64))}
    assert compile_flow(of, registry, "m").digest == compile_flow(of, more, "m").digest


def test_the_router_counts_only_where_the_flow_routes() -> None:
    routes, does_not = example("support_triage"), example("rag_judge")
    assert plan_of(routes, "one").digest != plan_of(routes, "two").digest
    assert plan_of(does_not, "one").digest == plan_of(does_not, "two").digest
    assert plan_of(does_not, "one").router == ""
