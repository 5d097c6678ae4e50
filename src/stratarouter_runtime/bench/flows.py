"""The flows of the benchmarks, as text.

Must never know: what is measured with them.
"""

from __future__ import annotations

from typing import Final

_HEAD: Final = """
tcfp: "1.0"
flow: bench.{name}
agents:
  increment: {{in: {{n: int}}, out: {{n: int}}, effect: pure, stable: true}}
in: {{{given}}}
"""

HELD_BEFORE: Final = 5
"""Steps before the one that may be held."""

EXPRESSION: Final = 'c.intent == "billing" && c.confidence >= 0.8'
"""The condition of a rule, as flows have them."""


def chain(steps: int) -> str:
    """Steps one after the other, each on the result of the one before."""
    given = ["n", *(f"s{number}.n" for number in range(steps))]
    body = [
        f"  - {{id: s{number}, call: increment, with: {{n: ={given[number]}}}}}" for number in range(steps)
    ]
    head = _HEAD.format(name=f"chain{steps}", given="n: int")
    return "\n".join([head, "out: {n: int}", "do:", *body, f"return: =s{steps - 1}", ""])


def held(steps: int) -> str:
    """Like a chain, with an agent in its middle that may be held."""
    more = "\n  linger: {in: {n: int}, out: {n: int}, effect: pure}"
    return (
        chain(steps)
        .replace("stable: true}\n", f"stable: true}}{more}\n")
        .replace(f"id: s{HELD_BEFORE}, call: increment", f"id: s{HELD_BEFORE}, call: linger")
    )


def fork(width: int) -> str:
    """Branches all at once, and their sum."""
    body = [f"      b{number}: {{call: increment, with: {{n: =n}}}}" for number in range(width)]
    head = _HEAD.format(name=f"par{width}", given="n: int")
    end = ["return: {n: =p.b0.n}", ""]
    return "\n".join([head, "out: {n: int}", "do:", "  - id: p", "    par:", *body, *end])


def fan(width: int) -> str:
    """Rounds all at once over a list, and how many there were."""
    head = _HEAD.format(name=f"each{width}", given="ns: list<int>")
    return f"""{head}out: {{n: int}}
do:
  - id: e
    each: =ns
    as: n
    max: {width}
    do: {{call: increment, with: {{n: =n}}}}
return: {{n: =size(e)}}
"""
