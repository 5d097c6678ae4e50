"""Flows that hypothesis makes up: every operator and modifier, nested at random, always valid.

Agents are `pure` (may be called again), `near` and `far` (to choose among), `mail` (has side
effects, and asks a person after a crash), `post` and `send` (which are called again, or fail then) or `book` and `drop` (a booking and its undo); which call fails, and how long it takes,
is drawn beside the flow.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from hypothesis import strategies as st

Step: TypeAlias = dict[str, Any]

AGENTS = {
    "pure": {"in": {"n": "int"}, "out": {"n": "int"}, "effect": "pure", "cost": {"usd": 0.01}},
    "book": {"in": {"n": "int"}, "out": {"n": "int"}, "effect": "idempotent"},
    "drop": {"in": {"n": "int"}, "out": {"n": "int"}, "effect": "idempotent"},
    "mail": {"in": {"n": "int"}, "out": {"n": "int"}, "effect": "effect", "cost": {"tokens": 10}},
    "post": {"in": {"n": "int"}, "out": {"n": "int"}, "effect": "effect", "on_crash": "retry"},
    "send": {"in": {"n": "int"}, "out": {"n": "int"}, "effect": "effect", "on_crash": "fail"},
    "near": {"in": {"n": "int"}, "out": {"n": "int"}, "effect": "pure", "about": "what is near"},
    "far": {"in": {"n": "int"}, "out": {"n": "int"}, "effect": "pure", "about": "what is far"},
}

CAUGHT = [
    {"on": ["agent", "timeout", "limit", "all_failed", "expression", "no_route"], "do": {"let": {"n": -1}}}
]


class Names:
    """New names, one after the other: ids are bound once."""

    def __init__(self) -> None:
        self.used = 0

    def __call__(self) -> str:
        self.used += 1
        return f"s{self.used}"


def _call(names: Names) -> st.SearchStrategy[Step]:
    def make(number: int, booked: bool) -> Step:  # noqa: FBT001 - drawn by position
        name = names()
        step: Step = {"id": name, "call": "book" if booked else "pure", "with": {"n": number}}
        if booked:
            drop = {"call": "drop", "with": {"n": f"={name}.n"}}
            step["undo"] = {"do": [drop, {"let": 1}]} if number % 2 else drop
        return step

    return st.builds(make, st.integers(0, 99), st.booleans())


def _route(number: int, least: float, falls: bool) -> Step:  # noqa: FBT001 - drawn by position
    step: Step = {
        "route": "which",
        "among": ["near", "far"],
        "with": {"n": number},
        "rules": [{"when": f"=n > {number}", "pick": "far"}],
        "min": least,
    }
    return {**step, "else": "near"} if falls else step


def _ask(milliseconds: int, falls: bool) -> Step:  # noqa: FBT001 - drawn by position
    step: Step = {"ask": {"n": "int"}, "time": f"{milliseconds}ms"}
    return {**step, "else": {"n": 0}} if falls else step


WAITS: st.SearchStrategy[Step] = st.one_of(
    st.builds(_route, st.integers(0, 2), st.sampled_from([0.0, 0.9]), st.booleans()),
    st.builds(_ask, st.integers(1, 9), st.booleans()),
    st.builds(lambda milliseconds: {"sleep": f"{milliseconds}ms"}, st.integers(1, 9)),
    st.just({"let": "=10 / (n - 1)"}),
)

MAIL: st.SearchStrategy[Step] = st.builds(
    lambda agent, retries: {"call": agent, "with": {"n": 7}, "retry": {"max": retries, "unsafe": True}},
    st.sampled_from(["mail", "post", "send"]),
    st.integers(0, 2),
)


def _block(steps: list[Step]) -> Step:
    return {"do": [*steps, {"let": {"n": len(steps)}}]}


def _branches(steps: list[Step], operator: str) -> Step:
    return {operator: {f"b{number}": step for number, step in enumerate(steps)}}


def _compound(children: st.SearchStrategy[Step], names: Names) -> st.SearchStrategy[Step]:
    several = st.lists(children, min_size=1, max_size=3)

    def each(body: Step, items: int, parallel: int) -> Step:
        name = names()
        return {
            "do": [
                {
                    "each": f"=[{', '.join(map(str, range(items)))}]",
                    "as": name,
                    "max": 4,
                    "parallel": parallel,
                    "do": body,
                },
                {"let": {"n": items}},
            ]
        }

    def loop(body: Step, turns: int) -> Step:
        name = names()
        return {
            "loop": {"n": 0},
            "as": name,
            "max": 4,
            "while": f"={name}.n < {turns}",
            "do": [body],
            "return": {"n": f"={name}.n + 1"},
        }

    def match(first: Step, second: Step, taken: bool) -> Step:  # noqa: FBT001 - drawn by position
        return {"match": f"=n {'>' if taken else '<'} 0", "cases": {"true": first, "false": second}}

    return st.one_of(
        st.builds(_block, several),
        st.builds(lambda steps: {"do": [_branches(steps, "par"), {"let": {"n": 1}}]}, several),
        st.builds(lambda steps: {"do": [_branches(steps, "race"), {"let": {"n": 2}}]}, several),
        st.builds(each, children, st.integers(0, 3), st.integers(1, 3)),
        st.builds(loop, children, st.integers(0, 3)),
        st.builds(match, children, children, st.booleans()),
    )


def _modified(step: Step, modifiers: Step) -> Step:
    """The step with its modifiers; a booking is not caught, since a fallback would be undone too."""
    if "undo" in step:
        modifiers = {name: modifier for name, modifier in modifiers.items() if name != "catch"}
    return {**step, **modifiers}


MODIFIERS: st.SearchStrategy[Step] = st.fixed_dictionaries(
    {},
    optional={
        "if": st.sampled_from(["=n > 0", "=n > 1", "=10 / (n - 1) > 0"]),
        "retry": st.fixed_dictionaries(
            {"max": st.integers(1, 2), "wait": st.sampled_from(["0ms", "2ms"])},
            optional={"on": st.just(["agent", "timeout", "limit", "expression", "all_failed", "no_route"])},
        ),
        "time": st.sampled_from(["3ms", "20ms", "1s"]),
        "catch": st.just(CAUGHT),
        "limits": st.sampled_from(
            [{"usd": 0.02}, {"parallel": 1}, {"parallel": 2}, {"time": "15ms"}, {"tokens": 5}]
        ),
    },
)


@st.composite
def flows(draw: st.DrawFn) -> str:
    """A valid flow, as JSON text."""
    names = Names()
    leaf = st.builds(_modified, st.one_of(_call(names), _call(names), WAITS), MODIFIERS)
    tree = st.recursive(
        leaf, lambda inner: st.builds(_modified, _compound(inner, names), MODIFIERS), max_leaves=8
    )
    steps = draw(st.lists(st.one_of(tree, tree, tree, MAIL), min_size=1, max_size=3))
    return json.dumps(
        {
            "tcfp": "1.0",
            "flow": "generated",
            "agents": AGENTS,
            "in": {"n": "int"},
            "out": {"n": "int"},
            "do": steps,
            "return": {"n": "=n"},
        }
    )
