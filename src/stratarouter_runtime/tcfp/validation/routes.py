"""The operator `route`: its candidates, what each must take, and who can be picked.

The embedder that compares texts runs inside the host and keeps nothing, so it takes a
query of any label; `limits.labels` still holds. Must never know how scores come about.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.types import STRING, UNKNOWN, Type, enum, record, show
from stratarouter_runtime.tcfp.validation import agents, bounds, kinds, policy, tree
from stratarouter_runtime.tcfp.validation.context import Checking, Place
from stratarouter_runtime.tcfp.validation.fits import (
    Problem,
    Receiver,
    compiled,
    condition,
    given,
    misfits,
    report,
)
from stratarouter_runtime.tcfp.validation.outcome import Outcome, greatest, raised_by
from stratarouter_runtime.tcfp.validation.tree import Facts

MIN = -1.0
"""The least similarity there is: where `min` is not written, the nearest candidate always answers."""


class _Candidate(Struct, frozen=True):
    """One agent that may be chosen; no signature where nothing is known of it."""

    name: str
    signature: ir.Signature | None
    at: Where


def check_route(check: Checking, step: ir.Step, route: ir.Route, place: Place) -> Outcome:
    """The outcome of a route: `{by, out}`."""
    check.routes = True
    query = given(check, route.query, place, STRING, Receiver("query", accepts=None, outgoing=True))
    candidates = _candidates(check, step, route)
    code = _input(check, route, place, candidates)
    names = [candidate.name for candidate in candidates]
    known = [] if any(candidate.signature is None for candidate in candidates) else names
    rules = _rules(check, step, route, place, known)
    _check_numbers(check, step, route, known)
    for candidate in candidates:
        _check_candidate(check, candidate, place)
    codes = raised_by(query, code, *(when for when, _ in rules))
    least = MIN if route.min is None else float(route.min)
    does = tree.Route(query, tuple(names), code, rules, least, route.otherwise)
    return Outcome(does, _type(check, step, route, candidates), _facts(route, candidates, codes), "route")


def _candidates(check: Checking, step: ir.Step, route: ir.Route) -> list[_Candidate]:
    if isinstance(route.among, ir.Among):
        return _by_tag(check, step, route.among)
    found: list[_Candidate] = []
    for index, name in enumerate(route.among):
        at = check.at(step.at, "among", index)
        if any(name == other.name for other in found):
            check.add("E307", at, f"candidate '{name}' stands twice", "remove one of the two")
            continue
        found.append(_Candidate(name, agents.signature(check, name, at), at))
    if not found:
        check.add("E307", check.at(step.at, "among"), "a route needs at least one candidate", "name agents")
    return found


def _by_tag(check: Checking, step: ir.Step, among: ir.Among) -> list[_Candidate]:
    """The agents at hand with the tag and a fitting output, by name: the set the plan is frozen to."""
    at = check.at(step.at, "among")
    if check.registry is None:
        check.add(
            "W304",
            at,
            f"which agents carry the tag '{among.tag}' is known to the registry only: the route was not checked",
            "validate where the agents are at hand",
        )
        return []
    wanted = check.resolve(among.output, check.at(at, "out"))
    found = []
    for name, agent in sorted(check.registry.items()):
        if among.tag in agent.signature.tags and relations.assignable(agent.signature.output, wanted):
            check.used.add(name)
            signature = check.agents.setdefault(name, agent.signature)
            found.append(_Candidate(name, signature, at))
    if not found:
        tags = {tag for agent in check.registry.values() for tag in agent.signature.tags}
        hint = did_you_mean(among.tag, tags - {among.tag}) or "tag an agent that returns this type"
        check.add("E304", at, f"no agent at hand has the tag '{among.tag}' and returns {show(wanted)}", hint)
    return found


def _input(check: Checking, route: ir.Route, place: Place, candidates: Sequence[_Candidate]) -> Code:
    """The input, which every candidate must take; only the first that does not is told."""
    code = compiled(check, route.with_, place)
    wrong = []
    for candidate in candidates:
        if candidate.signature is not None:
            receiver = agents.receiver(candidate.name, candidate.signature)
            wrong.append(misfits(check, route.with_, place, code.type, candidate.signature.input, receiver))
    report(check, _first(wrong))
    return code


def _first(wrong: Sequence[list[Problem]]) -> list[Problem]:
    """The problems of the first candidate that has any; a field that only some take is none."""
    for problems in wrong:
        found = [
            problem
            for problem in problems
            if problem.code != "E311" or all(problem.at in (other.at for other in others) for others in wrong)
        ]
        if found:
            return found
    return []


def _rules(
    check: Checking, step: ir.Step, route: ir.Route, place: Place, names: Sequence[str]
) -> tuple[tuple[Code, str], ...]:
    rules = []
    for index, rule in enumerate(route.rules):
        when = condition(check, rule.when, place, "when")
        _check_pick(check, check.at(step.at, "rules", index, "pick"), rule.pick, names)
        rules.append((when, rule.pick))
    return tuple(rules)


def _check_numbers(check: Checking, step: ir.Step, route: ir.Route, names: Sequence[str]) -> None:
    if route.min is not None and not 0.0 <= route.min <= 1.0:
        check.add(
            "E307",
            check.at(step.at, "min"),
            f"min is {route.min:g}, outside of 0 to 1",
            "it is the least similarity that counts: try 0.3",
        )
    if route.otherwise is not None:
        _check_pick(check, check.at(step.at, "else"), route.otherwise, names)


def _check_pick(check: Checking, at: Where, pick: str, names: Sequence[str]) -> None:
    if names and pick not in names:
        hint = did_you_mean(pick, names) or f"candidates: {', '.join(names)}"
        check.add("E305", at, f"'{pick}' is no candidate of this route", hint)


def _check_candidate(check: Checking, candidate: _Candidate, place: Place) -> None:
    if candidate.signature is None:
        return
    if not candidate.signature.about.strip():
        check.add(
            "E306",
            candidate.at,
            f"candidate '{candidate.name}' has no about",
            "write about: in its signature: the query is compared with it",
        )
    policy.check_needs(check, candidate.name, candidate.signature, place, candidate.at)


def _type(check: Checking, step: ir.Step, route: ir.Route, candidates: Sequence[_Candidate]) -> Type:
    if isinstance(route.among, ir.Among):
        out = check.resolve(route.among.output, check.at(step.at, "among", "out"))
    else:
        outputs = (UNKNOWN if known.signature is None else known.signature.output for known in candidates)
        out = relations.join(*outputs) if candidates else UNKNOWN
    sure = candidates and all(known.signature is not None for known in candidates)
    return record({"by": enum(known.name for known in candidates) if sure else UNKNOWN, "out": out})


def _facts(route: ir.Route, candidates: Sequence[_Candidate], codes: kinds.Kinds) -> Facts:
    every = [
        agents.UNKNOWN_FACTS if known.signature is None else agents.facts(known.signature)
        for known in candidates
    ] or [agents.UNKNOWN_FACTS]
    raises = codes.union(*(facts.raises for facts in every))
    if route.min is not None and route.otherwise is None:
        raises |= kinds.NO_ROUTE
    worst = bounds.dearest(facts.worst for facts in every)
    return Facts(greatest(facts.effect for facts in every), raises, worst)
