"""The shape of plans: ops chained by index, slots, and everything a run needs to know."""

from __future__ import annotations

import orjson
import pytest
from tests.unit.tcfp.checking import EXAMPLES, example, flow, flow_text, plan_of, registry_of

from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp import plan as ops
from stratarouter_runtime.tcfp.compiler import compile_document, compile_flow
from stratarouter_runtime.tcfp.diagnostics import Diagnostic
from stratarouter_runtime.tcfp.expressions import ExpressionFailed
from stratarouter_runtime.tcfp.plan import NONE, Environment, Plan
from stratarouter_runtime.tcfp.types import show
from stratarouter_runtime.tcfp.validator import validate
from stratarouter_runtime.tcfp.values import Misfit


def steps_of(steps: str, result: str = "null", head: str = "", out: str = "json") -> Plan:
    return plan_of(flow_text(steps, result=result, head=head, out=out))


EVERYTHING = """
- id: a
  call: pure
  with: { n: =n }
- par:
    right: { id: p, call: safe, with: { n: 1 }, undo: { call: safe, with: { n: =p.n } } }
    left: { do: [{ id: q, let: =a.n }], return: =q }
- id: m
  match: =a.n > 1
  cases:
    true: { each: =many, as: x, max: 3, do: { let: =x } }
  else: { let: [] }
- loop: 0
  as: k
  max: 4
  while: =k < 3
  do:
    - id: next
      let: =k + size(m)
  return: =next
  catch:
    - on: [expression]
      do: { let: 1 }
- if: =n > 2
  race:
    slow: { sleep: 1s }
    fast: { ask: bool, time: 1s, from: me, else: false }
- route: =s
  among: [text, open]
  with: { s: =s }
  rules: [{ when: =n == 1, pick: open }]
- fail: lost
  data: { where: here }
"""


def paths(plan: Plan) -> list[str]:
    return [op.path for op in plan.ops]


def test_positions_name_every_step_and_never_repeat() -> None:
    plan = steps_of(EVERYTHING)
    assert sorted(paths(plan)) == sorted(
        [
            *("", "return", "0", "1", "1/par/right", "1/par/right/undo", "1/par/left", "1/par/left/do/0"),
            *("1/par/left/return", "2", "2/case/true", "2/case/true/each", "2/else", "3", "3/loop"),
            *("3/loop/do/0", "3/loop/return", "3/catch/0", "4", "4/race/slow", "4/race/fast", "5", "6"),
        ]
    )


def test_a_step_in_a_block_is_followed_by_the_next_and_the_last_by_the_end() -> None:
    plan = steps_of(EVERYTHING)
    body = plan.ops[0]
    assert isinstance(body.does, ops.Enter)
    assert body.parent == NONE
    seen, index = [], body.does.first
    while index != NONE:
        op = plan.ops[index]
        assert op.parent == 0
        seen.append(op.path)
        index = op.next
    assert seen == ["0", "1", "2", "3", "4", "5", "6", "return"]


def test_indices_are_places_and_every_op_but_the_body_is_reached_from_its_parent() -> None:
    plan = steps_of(EVERYTHING)
    assert [op.index for op in plan.ops] == list(range(len(plan.ops)))
    for op in plan.ops[1:]:
        assert op.index in below(plan, plan.ops[op.parent]), op.path


def below(plan: Plan, op: ops.Op) -> set[int]:
    """The ops whose parent this one has to be."""
    owned = {handler.op for handler in op.catch} | {op.undo}
    match op.does:
        case ops.Enter(first=index):
            while index != NONE:
                owned.add(index)
                index = plan.ops[index].next
        case ops.Switch(arms=arms, otherwise=otherwise):
            owned |= {*arms.values(), otherwise}
        case ops.Fork(branches=branches) | ops.Race(branches=branches):
            owned |= {index for _, index in branches}
        case ops.Map(body=body) | ops.Loop(body=body):
            owned.add(body)
        case _:
            pass
    return owned


def at(plan: Plan, path: str) -> ops.Op:
    (op,) = [op for op in plan.ops if op.path == path]
    return op


def test_every_kind_of_op_carries_what_was_written() -> None:
    plan = steps_of(EVERYTHING)
    call, fork, switch = at(plan, "0").does, at(plan, "1").does, at(plan, "2").does
    assert isinstance(call, ops.Call)
    assert plan.agents[call.agent].name == "pure"
    assert isinstance(fork, ops.Fork)
    assert [name for name, _ in fork.branches] == ["left", "right"]
    assert isinstance(switch, ops.Switch)
    assert list(switch.arms) == [True]
    each, loop = at(plan, "2/case/true").does, at(plan, "3").does
    assert isinstance(each, ops.Map)
    assert (each.max, each.parallel, each.size) == (3, 0, 2)
    assert isinstance(loop, ops.Loop)
    assert (loop.max, loop.size, loop.result) == (4, 2, None)
    sleep, ask = at(plan, "4/race/slow").does, at(plan, "4/race/fast").does
    assert isinstance(sleep, ops.Ask)
    assert (sleep.sleep, sleep.time, sleep.otherwise) == (True, 1_000_000, None)
    assert isinstance(ask, ops.Ask)
    assert (ask.sleep, ask.sender) == (False, "me")
    route, fail = at(plan, "5").does, at(plan, "6").does
    assert isinstance(route, ops.Route)
    assert [plan.agents[index].name for index in route.candidates] == ["text", "open"]
    assert [plan.agents[rule.agent].name for rule in route.rules] == ["open"]
    assert (route.min, route.otherwise) == (-1.0, NONE)
    assert isinstance(fail, ops.Fail)
    assert fail.data is not None
    assert fail.data.run(()) == {"where": "here"}


def test_agents_are_those_that_steps_use_in_the_order_of_names() -> None:
    assert [agent.name for agent in steps_of(EVERYTHING).agents] == ["open", "pure", "safe", "text"]


def test_slots_hold_the_run_then_inputs_by_name_then_ids() -> None:
    plan = steps_of("- id: b\n  let: =n\n- id: a\n  let: =b + 1", result="=a", out="int")
    assert plan.inputs == ("any", "many", "maybe", "n", "name", "s")
    assert (at(plan, "0").out, at(plan, "1").out, plan.size) == (7, 8, 9)
    env: Environment = ([{}, None, [], None, 4, "", "", 0, 0],)
    first, second, end = at(plan, "0").does, at(plan, "1").does, at(plan, "return").does
    assert isinstance(first, ops.Let)
    assert isinstance(second, ops.Let)
    assert isinstance(end, ops.Exit)
    assert end.value is not None
    env[0][7] = first.value.run(env)
    env[0][8] = second.value.run(env)
    assert end.value.run(env) == 5


def test_rounds_open_a_depth_with_their_binders_first() -> None:
    plan = steps_of(
        "- id: it\n  each: =many\n  as: x\n  at: i\n  max: 2\n  do: [{ id: y, let: =x + i }, { let: =y }]",
    )
    each, inner = at(plan, "0").does, at(plan, "0/each/do/0")
    assert isinstance(each, ops.Map)
    assert each.size == 3
    assert (inner.depth, inner.out) == (1, 2)
    assert isinstance(inner.does, ops.Let)
    assert inner.does.value.run(([], [40, 2, None])) == 42


def test_a_loop_whose_body_is_one_step_computes_its_state_beside_it() -> None:
    plan = steps_of(
        "- id: it\n  loop: 0\n  as: k\n  max: 2\n  while: =k < 2\n  do: { id: r, call: pure, with: { n: =k } }\n  return: =r.n"
    )
    loop = at(plan, "0").does
    assert isinstance(loop, ops.Loop)
    assert loop.result is not None
    assert loop.result.run(([], [0, {"n": 7}])) == 7


def test_the_handlers_slot_holds_the_error_at_the_depth_of_its_step() -> None:
    plan = steps_of(
        "- each: =many\n  max: 2\n  do: { call: safe, with: { n: 1 }, catch: [{ on: [lost], do: { let: =error.kind } }] }"
    )
    (handler,) = at(plan, "0/each").catch
    body = plan.ops[handler.op]
    assert (handler.on, handler.slot, body.depth) == (("lost",), 2, 1)
    assert isinstance(body.does, ops.Let)
    assert body.does.value.run(([], [0, 0, {"kind": "lost"}])) == "lost"


def test_an_undo_is_retried_even_where_it_does_not_say_so() -> None:
    plan = steps_of(
        "- call: pure\n  with: { n: 1 }\n  undo: { call: safe, with: { n: 1 } }\n"
        "- call: pure\n  with: { n: 1 }\n  undo: { call: safe, with: { n: 1 }, retry: { max: 1 } }\n"
        "- call: pure\n  with: { n: 1 }"
    )
    silent, spoken = at(plan, "0/undo").retry, at(plan, "1/undo").retry
    assert silent is not None
    assert (silent.max, silent.wait, silent.factor) == (3, 100_000, 2.0)
    assert spoken is not None
    assert spoken.max == 1
    assert at(plan, "2").retry is None
    assert at(plan, "2").undo == NONE


TIMES = [
    ("call: pure\n  with: { n: 1 }", 1_000_000),
    ("call: pure\n  with: { n: 1 }\n  time: 5s", 1_000_000),
    ("call: pure\n  with: { n: 1 }\n  time: 200ms", 200_000),
    ("call: safe\n  with: { n: 1 }\n  time: 5s", 5_000_000),
    ("call: safe\n  with: { n: 1 }", None),
    ("route: a\n  among: [text, open]\n  with: { s: x }", None),
    ("do: [{ call: pure, with: { n: 1 } }]", None),
]


@pytest.mark.parametrize(("step", "time"), TIMES)
def test_an_attempt_takes_no_longer_than_step_and_agent_allow(step: str, time: int | None) -> None:
    assert at(steps_of(f"- {step}"), "0").time == time


def test_an_empty_block_is_its_end() -> None:
    plan = steps_of("- do: []")
    block = at(plan, "0").does
    assert isinstance(block, ops.Enter)
    assert plan.ops[block.first].does == ops.Exit(None)
    assert plan.ops[block.first].parent == at(plan, "0").index


def test_a_plan_knows_the_flow_as_an_agent() -> None:
    plan = steps_of(
        "- call: pure\n  with: { n: 1 }\n- call: safe\n  with: { n: 1 }",
        head="limits: { usd: 0.5, time: 9s }\nabout: numbers\ntags: [math]\ncache: never\n",
    )
    signature = plan.signature
    assert show(signature.output) == "json"
    assert signature.effect == plan.effect == "idempotent"
    assert signature.errors == plan.raises == ("found.twice", "lost")
    assert (signature.cost.usd, signature.cost.tokens) == (0.5, 10)
    assert (signature.about, signature.tags, signature.cache, signature.time) == (
        "numbers",
        ("math",),
        "never",
        9_000_000,
    )
    assert plan.limits.usd == 0.5
    assert plan.bound.steps == 2


def test_a_plan_checks_the_data_of_its_own_kinds_of_errors() -> None:
    errors = steps_of("- let: 1").errors
    assert sorted(errors) == ["found.twice", "lost"]
    assert errors["lost"].project({"where": "here", "more": 1}) == {"where": "here"}
    with pytest.raises(Misfit):
        errors["lost"].project({"where": 1})
    assert errors["found.twice"].project(None) is None


def test_checkers_project_inputs_and_outputs() -> None:
    plan = steps_of("- let: 1", result="{ a: 1 }", out="{ a: float, b: string? }")
    assert plan.output.project({"a": 1, "c": 2}) == {"a": 1.0, "b": None}
    assert plan.input.project({"n": 1, "s": "", "name": "", "many": [], "any": 1})["maybe"] is None


def test_a_flow_with_mistakes_is_refused_with_all_of_them() -> None:
    broken = flow(flow_text("- let: =nothing\n- call: nobody\n  with: {}"))
    with pytest.raises(InvalidFlow, match="2 mistakes") as refused:
        compile_flow(broken, {})
    codes = [found.code for found in refused.value.diagnostics if isinstance(found, Diagnostic)]
    assert codes == ["E210", "E303"]


def test_warnings_do_not_keep_a_flow_from_running() -> None:
    assert steps_of("- sleep: 2h").bound.time == 2 * 3_600_000_000


def test_a_checked_flow_is_compiled_as_it_is_and_checked_again_for_another_registry() -> None:
    of = flow(flow_text("- call: pure\n  with: { n: 1 }"))
    registry = registry_of(of)
    alone, linked = validate(of), validate(of, registry)
    assert compile_flow(alone, registry).digest == compile_flow(linked, registry).digest


# The document that travels with executions.


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_plan_can_be_compiled_again_from_its_document(name: str) -> None:
    plan = plan_of(example(name))
    again = compile_document(plan.document)
    assert (again.digest, again.document) == (plan.digest, plan.document)
    assert (again.name, again.router, again.raises, again.bound) == (
        plan.name,
        plan.router,
        plan.raises,
        plan.bound,
    )
    assert shape(again) == shape(plan)


def shape(plan: Plan) -> list[object]:
    return [
        (
            op.path,
            op.name,
            type(op.does),
            show(op.type),
            op.parent,
            op.next,
            op.depth,
            op.out,
            op.undo,
            op.time,
        )
        for op in plan.ops
    ]


def test_what_fails_first_does_not_depend_on_the_order_of_keys() -> None:
    plan = steps_of("- let: { b: =1 / (n - n), a: [{ z: '=many[n]', c: =n }] }")
    env: Environment = ([{}, None, [], None, 5, "", ""],)
    for one in (plan, compile_document(plan.document)):
        let = one.ops[1].does
        assert isinstance(let, ops.Let)
        with pytest.raises(ExpressionFailed, match="no element 5"):
            let.value.run(env)


def test_floats_stay_floats_on_their_way_through_the_document() -> None:
    plan = steps_of("- let: { a: 0.0, b: [1.0, 2.5], c: 1 }")
    again = compile_document(plan.document)
    assert show(again.ops[1].type) == show(plan.ops[1].type) == "{a: float, b: list<float>, c: int}"
    assert again.digest == plan.digest


def test_a_document_holds_the_flow_its_agents_and_the_router() -> None:
    document = orjson.loads(plan_of(example("support_triage"), "my-encoder").document)
    assert sorted(document) == ["agents", "flow", "router", "tcfp"]
    assert document["router"] == "my-encoder"
    assert sorted(document["agents"]) == ["billing", "classify", "general", "page_oncall", "tech"]
    assert document["agents"]["billing"]["signature"]["effect"] == "idempotent"


@pytest.mark.parametrize(
    "damaged",
    [b"", b"{", b"[]", b"{}", b'{"tcfp":"1.0"}', b'{"tcfp":"1.0","flow":{},"agents":{},"router":""}'],
)
def test_a_damaged_document_is_refused(damaged: bytes) -> None:
    with pytest.raises(InvalidFlow):
        compile_document(damaged)


def test_a_document_of_another_version_is_refused() -> None:
    document = steps_of("- let: 1").document.replace(b'"tcfp":"1.0"', b'"tcfp":"9.0"')
    with pytest.raises(InvalidFlow, match=r"tcfp 9\.0"):
        compile_document(document)
