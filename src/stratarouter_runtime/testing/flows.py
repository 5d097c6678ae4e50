"""Small flows that use every operator and modifier between them, and what each may come to.

`may` is a model of its own: a plain function from the input to the outputs that a
completed execution may have. Must never know: the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from msgspec import Struct

from stratarouter_runtime.ids import AgentName, Digest, Tenant
from stratarouter_runtime.tcfp.compiler import compile_document, compile_flow
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.tcfp.registry import LinkableAgent
from stratarouter_runtime.tcfp.standins import stand_ins
from stratarouter_runtime.tcfp.validator import validate
from stratarouter_runtime.testing import quotes

ROUTER: Final = "simulated"

HEAD: Final = """
tcfp: "1.0"
flow: NAME
agents:
  add:  {in: {n: int}, out: {n: int}, effect: pure, about: adds one, cost: {usd: 0.01, tokens: 10}}
  more: {in: {n: int}, out: {n: int}, effect: idempotent, about: adds more, cost: {usd: 0.01, tokens: 10}}
  pay:  {in: {n: int}, out: {n: int}, effect: effect, on_crash: fail}
  ring: {in: {n: int}, out: {n: int}, effect: effect, on_crash: retry, cost: {usd: 0.01, tokens: 10}}
  ship: {in: {n: int}, out: {n: int}, effect: effect, cost: {usd: 0.01, tokens: 10}}
  book: {in: {n: int}, out: {ref: string}, effect: idempotent}
  drop: {in: {ref: string}, out: {done: bool}, effect: idempotent}
  inner: {in: {n: int}, out: {n: int}, effect: effect, cost: {usd: 0.02, tokens: 20}}
in: {n: int}
out: {n: int}
"""
"""Every agent answers `n` with `n + 1`, save `book`, whose reference `drop` takes back."""


class Told(Struct, frozen=True):
    """A flow, and what becomes of it where it completes.

    `may` gives the outputs that an input may come to, `holds` how many references are held
    at an output. `asks` is what a person answers the step `q`, given the input; where `doubts`,
    what that call comes to if it happened, and `q` asks only after a crash. `usd` is what may be
    spent, `unsafe` says that effects may be tried again. `quoted` is how many prices of its tenant are in
    its output: by so many marks more it comes to.
    """

    name: str
    body: str
    may: Callable[[int], set[int]]
    holds: Callable[[int], int] = lambda _: 0
    asks: Callable[[int], dict[str, int]] | None = None
    doubts: bool = False
    usd: float | None = None
    unsafe: bool = False
    quoted: int = 0

    def outputs(self, n: int, tenant: Tenant) -> set[int]:
        """What it may come to where it completes for a tenant."""
        return {output + self.quoted * quotes.mark(tenant) for output in self.may(n)}

    @property
    def books(self) -> bool:
        """Whether it holds references, which belong to one execution."""
        return "call: book" in self.body


CHAIN: Final = """
do:
  - {id: x, call: add, with: {n: =n}, retry: {max: 2, wait: 20ms, factor: 2.0}}
  - {id: y, call: pay, with: {n: =x.n}}
  - {id: z, call: more, with: {n: =y.n}, retry: {max: 1}}
return: =z
"""

SAGA: Final = """
do:
  - id: t
    do:
      - id: held
        par:
          a: {id: f, call: book, with: {n: =n}, undo: {call: drop, with: {ref: =f.ref}}}
          b: {id: h, call: book, with: {n: =n + 1}, undo: {call: drop, with: {ref: =h.ref}}}
      - {id: x, call: add, with: {n: =n}, time: 30ms}
      - {id: p, call: pay, with: {n: =x.n}}
    return: {n: =p.n}
return: =t
"""

CAUGHT: Final = """
do:
  - id: t
    do:
      - {id: f, call: book, with: {n: =n}, undo: {call: drop, with: {ref: =f.ref}}}
      - id: x
        call: add
        with: {n: =n}
        time: 25ms
        retry: {max: 1, wait: 10ms}
    return: {n: =x.n}
    retry: {max: 1}
    catch:
      - on: [agent, timeout]
        do: {let: {n: -1}}
  - {if: =t.n < 0, call: more, with: {n: =n}}
return: =t
"""

FAN: Final = """
limits: {usd: 0.09, parallel: 2}
do:
  - id: e
    each: =[n, n + 1, n + 2, n + 3]
    as: x
    max: 4
    parallel: 3
    do: {call: add, with: {n: =x}, retry: {max: 1}, catch: [{on: [agent], do: {let: {n: 0}}}]}
return: {n: '=e.map(r, r.n).sum()'}
"""

RACE: Final = """
do:
  - id: r
    race:
      a: {id: f, call: book, with: {n: =n}, undo: {call: drop, with: {ref: =f.ref}}}
      b:
        do:
          - {id: g, call: book, with: {n: =n + 1}, undo: {call: drop, with: {ref: =g.ref}}}
          - {id: m, call: more, with: {n: =n}, retry: {max: 1}}
        return: {ref: =g.ref}
  - {id: x, call: add, with: {n: =n}}
return: =x
"""

LOOP: Final = """
do:
  - id: l
    loop: {n: =n, turn: 0}
    as: s
    while: =s.turn < 3
    max: 3
    do:
      - {id: x, call: more, with: {n: =s.n}, retry: {max: 1, wait: 5ms}}
    return: {n: =x.n, turn: =s.turn + 1}
return: {n: =l.n}
"""

MATCH: Final = """
do:
  - id: m
    match: '=n % 3 == 0 ? "pay" : n % 3 == 1 ? "ask" : "sleep"'
    cases:
      pay: {call: pay, with: {n: =n}}
      ask: {id: q, ask: {n: int}, show: {n: =n}, time: 40ms, else: {n: 0}}
      sleep:
        do:
          - {sleep: 30ms}
          - {call: add, with: {n: =n}}
return: =m
"""

ASKED: Final = """
do:
  - id: b
    par:
      person: {id: q, ask: {n: int}, time: 1h}
      clock:
        do:
          - {sleep: 10m}
          - {id: c, call: add, with: {n: =n}, retry: {max: 1}}
        return: =c
  - {id: p, call: pay, with: {n: =b.person.n + b.clock.n}}
return: =p
"""

BOTH: Final = """
do:
  - id: p
    par:
      a:
        do:
          - {id: f, call: book, with: {n: =n}, undo: {call: drop, with: {ref: =f.ref}}}
          - {id: x, call: add, with: {n: =n}, time: 18ms}
        return: {n: =x.n}
      b: {call: more, with: {n: =n}}
      c: {call: pay, with: {n: =n}}
return: {n: =p.a.n + p.b.n + p.c.n}
"""

MEAN: Final = """
limits: {usd: 0.035, tokens: 60, steps: 6, time: 300ms, parallel: 2}
do:
  - id: p
    par:
      a: {call: add, with: {n: =n}}
      b: {call: add, with: {n: =n}}
      c: {call: more, with: {n: =n}, limits: {time: 60ms}, catch: [{on: [limit], do: {let: {n: 0}}}]}
      d: {call: add, with: {n: =n}, retry: {max: 1}}
return: {n: =p.a.n + p.b.n + p.c.n + p.d.n}
"""

ROUTED: Final = """
do:
  - id: r
    route: ="how do I get " + string(n)
    among: [add, more]
    with: {n: =n}
    rules: [{when: =n > 7, pick: more}]
    min: 0.3
    else: add
    retry: {max: 1}
  - {if: '=r.by == "more"', call: add, with: {n: =n}}
return: =r.out
"""

UNSAFE: Final = """
do:
  - {id: x, call: pay, with: {n: =n}, retry: {max: 2, wait: 5ms, unsafe: true}}
  - if: =n == 5
    call: add
    with: {n: =n}
return: =x
"""

INNER: Final = """
do:
  - {id: x, call: add, with: {n: =n}, retry: {max: 1}}
  - {id: y, call: pay, with: {n: =x.n}}
return: =y
"""

OUTER: Final = """
do:
  - {id: b, call: book, with: {n: =n}, undo: {call: drop, with: {ref: =b.ref}}}
  - {id: c, call: inner, with: {n: =n}, limits: {time: 400ms}}
  - {id: z, call: more, with: {n: =c.n}}
return: =z
"""

RUNG: Final = """
do:
  - {id: x, call: add, with: {n: =n}}
  - id: p
    par:
      a: {call: ring, with: {n: =x.n}, time: 40ms, retry: {max: 1, unsafe: true}}
      b: {call: ring, with: {n: =x.n}, limits: {time: 50ms, parallel: 1}, catch: [{on: [limit], do: {let: {n: =n + 2}}}]}
return: =p.a
"""

DOUBTED: Final = """
limits: {time: 2h, parallel: 1}
do:
  - id: b
    par:
      one: {id: f, call: book, with: {n: =n}, undo: {call: drop, with: {ref: =f.ref}}}
      two: {id: q, call: ship, with: {n: =n + 1}, time: 200ms}
      three: {id: x, call: add, with: {n: =n}}
  - {id: z, call: more, with: {n: =b.two.n}, retry: {max: 1}}
return: =z
"""

ANSWER: Final = {"n": 100}
"""What a person answers a step that asks."""

FLOWS: Final = (
    Told("chain", CHAIN, lambda n: {n + 3}),
    Told("saga", SAGA, lambda n: {n + 2}, lambda _: 2),
    Told("caught", CAUGHT, lambda n: {n + 1, -1}, lambda n: int(n >= 0)),
    Told("fan", FAN, lambda n: _sums([(n + 1, 0), (n + 2, 0), (n + 3, 0), (n + 4, 0)]), usd=0.09),
    Told("race", RACE, lambda n: {n + 1}, lambda _: 1),
    Told("loop", LOOP, lambda n: {n + 3}),
    Told("match", MATCH, lambda n: {n + 1, 0, 100} if n % 3 == 1 else {n + 1}, asks=lambda _: ANSWER),
    Told("asked", ASKED, lambda n: {100 + n + 1 + 1}, asks=lambda _: ANSWER),
    Told("both", BOTH, lambda n: {3 * (n + 1)}, lambda _: 1),
    Told("mean", MEAN, lambda n: {4 * (n + 1), 3 * (n + 1)}, usd=0.035),
    Told("routed", ROUTED, lambda n: {n + 1}),
    Told("unsafe", UNSAFE, lambda n: {n + 1}, unsafe=True),
    Told("rung", RUNG, lambda n: {n + 2}, unsafe=True),
    Told("doubted", DOUBTED, lambda n: {n + 3}, lambda _: 1, asks=lambda n: {"n": n + 2}, doubts=True),
    Told("inner", INNER, lambda n: {n + 2}),
    Told("outer", OUTER, lambda n: {n + 3}, lambda _: 1),
)

REUSING: Final = (
    Told("quoted", quotes.QUOTED, lambda n: {2 * (n + 1)}, quoted=2),
    Told("resold", quotes.RESOLD, lambda n: {n + 2}, quoted=1),
)
"""Flows of which whole answers, or those of calls, may be reused."""

BY_NAME: Final = {told.name: told for told in FLOWS + REUSING}


def _sums(choices: list[tuple[int, ...]]) -> set[int]:
    sums = {0}
    for choice in choices:
        sums = {total + one for total in sums for one in choice}
    return sums


@cache
def plan(name: str, *, later: bool = False) -> Plan:
    """The plan of one of the flows, compiled once; or that of a later version, which does the same."""
    told = BY_NAME[name]
    head = HEAD.replace("agents:\n", f"agents:\n{quotes.AGENT}") if told.quoted else HEAD
    loaded = load(head.replace("NAME", name) + (_later(told.body) if later else told.body))
    assert loaded.flow is not None, loaded.diagnostics
    return compile_flow(loaded.flow, stand_ins(validate(loaded.flow)) | _flows(name), ROUTER)


def _later(body: str) -> str:
    """The same with a limit that nothing reaches."""
    if "steps: 6" in body:
        return body.replace("steps: 6", "steps: 60")
    if body.startswith("\nlimits: {"):
        return body.replace("limits: {", "limits: {steps: 600, ", 1)
    return "\nlimits: {steps: 600}" + body


def _flows(name: str) -> dict[str, LinkableAgent]:
    """The flows that a flow may call."""
    if name != "outer":
        return {}
    inner = plan("inner")
    return {"inner": LinkableAgent(AgentName("inner"), inner.signature, inner.digest)}


@cache
def agents() -> dict[str, LinkableAgent]:
    """The agents that the flows call, save the flows among them."""
    linked = (agent for made in map(plan, BY_NAME) for agent in made.agents)
    return {
        agent.name: LinkableAgent(agent.name, agent.signature, agent.digest)
        for agent in linked
        if agent.name not in BY_NAME
    }


@cache
def compiled() -> dict[Digest, Plan]:
    """Every plan by its digest: what a process that has run for a while holds in memory."""
    made = [plan(name, later=later) for name in BY_NAME for later in (False, True)]
    return {each.digest: each for each in made}


@cache
def restored(document: bytes) -> Plan:
    """The plan of a document, compiled once."""
    return compile_document(document)
