"""The checked tree becomes an array of ops, chained by index.

The steps of a block stand side by side, its `Exit` behind them; arms, branches, bodies,
handlers and undos belong to their op and are followed by nothing. Must never know types'
rules, digests, or a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp import ir, plan
from stratarouter_runtime.tcfp.allowed import ANYTHING, Allowed
from stratarouter_runtime.tcfp.plan import NONE, LinkedAgent, Op
from stratarouter_runtime.tcfp.relations import labels_of
from stratarouter_runtime.tcfp.types import Labels
from stratarouter_runtime.tcfp.validation import tree
from stratarouter_runtime.tcfp.validation.steps import UNDO_RETRY
from stratarouter_runtime.tcfp.values import checker


def flatten(
    body: tree.Step,
    numbers: Mapping[str, int],
    agents: Sequence[LinkedAgent],
    limits: ir.Limits | None = None,
) -> tuple[Op, ...]:
    """The ops of a checked body, which becomes `ops[0]`; `numbers` are those of `agents`, by name.

    `limits` are those of the whole flow.
    """
    flat = _Flat(numbers, agents)
    flat.place(body, NONE, within=ANYTHING.within(limits))
    return tuple(flat.ops[index] for index in range(flat.size))


class _Flat:
    """The ops so far. An index is reserved before its op is known, so that others can point at it."""

    def __init__(self, numbers: Mapping[str, int], agents: Sequence[LinkedAgent]) -> None:
        self.ops: dict[int, Op] = {}
        self.size = 0
        self._allowed: dict[int, Allowed] = {NONE: ANYTHING}
        self._numbers = numbers
        self._agents = agents

    def place(
        self, step: tree.Step, parent: int, retry: ir.Retry | None = None, within: Allowed | None = None
    ) -> int:
        """A step that nothing follows; `retry` stands in where it has none of its own."""
        index = self._reserve()
        self._allowed[index] = within or self._allowed[parent]
        self._put(step, index, parent, NONE, retry)
        return index

    def _reserve(self) -> int:
        self.size += 1
        return self.size - 1

    def _put(
        self, step: tree.Step, index: int, parent: int, follows: int, retry: ir.Retry | None = None
    ) -> None:
        source = step.source
        self._allowed[index] = self._allowed.get(index, self._allowed[parent]).within(source.limits)
        does = self._does(step, index)
        catch = tuple(
            plan.Handler(handler.on, handler.slot, self.place(handler.body, index)) for handler in step.catch
        )
        self.ops[index] = Op(
            index=index,
            path=step.path,
            pointer=source.at.pointer,
            name=step.name,
            does=does,
            type=step.type,
            parent=parent,
            next=follows,
            depth=step.depth,
            out=step.slot,
            guard=step.guard,
            time=self._time(step),
            retry=source.retry or retry,
            catch=catch,
            undo=NONE if step.undo is None else self.place(step.undo, index, UNDO_RETRY),
            limits=source.limits,
            bound=step.facts.worst.bound(),
            allowed=self._allowed[index],
            carries=self._carries(step),
        )

    def _does(self, step: tree.Step, index: int) -> plan.Does:  # noqa: C901 - one case an operator
        match step.does:
            case tree.Call() as call:
                return plan.Call(self._numbers[call.agent], call.input)
            case tree.Route() as route:
                return self._route(route)
            case tree.Let() as let:
                return plan.Let(let.value, None if let.type is None else checker(let.type))
            case tree.Do() as do:
                return plan.Enter(self._block(do, step, index))
            case tree.Match() as match:
                return self._switch(match, index)
            case tree.Par() as par:
                return plan.Fork(self._branches(par.branches, index))
            case tree.Race() as race:
                return plan.Race(self._branches(race.branches, index))
            case tree.Each() as each:
                body = self.place(each.body, index)
                return plan.Map(each.items, body, each.max, each.parallel, each.size)
            case tree.Loop() as loop:
                return self._loop(loop, index)
            case tree.Ask() as ask:
                return plan.Ask(checker(ask.type), ask.time, ask.sender, ask.show, ask.otherwise, ask.sleep)
            case tree.Fail() as fail:
                return plan.Fail(fail.kind, fail.message, fail.data)
            case _:
                assert_never(step.does)

    def _route(self, route: tree.Route) -> plan.Route:
        return plan.Route(
            query=route.query,
            candidates=tuple(self._numbers[name] for name in route.candidates),
            input=route.input,
            rules=tuple(plan.Pick(when, self._numbers[name]) for when, name in route.rules),
            min=route.min,
            otherwise=NONE if route.otherwise is None else self._numbers[route.otherwise],
        )

    def _block(self, do: tree.Do, step: tree.Step, index: int) -> int:
        """The ops of a block; the index of the first."""
        places = [self._reserve() for _ in do.steps]
        end = self._reserve()
        for inner, here, follows in zip(do.steps, places, [*places, end][1:], strict=True):
            self._put(inner, here, index, follows)
        self.ops[end] = _exit(do, step, end, index)
        return places[0] if places else end

    def _switch(self, match: tree.Match, index: int) -> plan.Switch:
        arms = {key: self.place(arm, index) for key, arm in match.arms}
        otherwise = NONE if match.otherwise is None else self.place(match.otherwise, index)
        return plan.Switch(match.subject, arms, otherwise)

    def _branches(
        self, branches: tuple[tuple[str, tree.Step], ...], index: int
    ) -> tuple[tuple[str, int], ...]:
        return tuple((name, self.place(branch, index)) for name, branch in branches)

    def _loop(self, loop: tree.Loop, index: int) -> plan.Loop:
        return plan.Loop(
            initial=loop.initial,
            test=loop.test,
            body=self.place(loop.body, index),
            max=loop.max,
            size=loop.size,
            result=loop.result,
            project=checker(loop.state),
        )

    def _carries(self, step: tree.Step) -> dict[AgentName, Labels]:
        """The labels that may reach each agent; the check has seen to it that it takes them."""
        names: Sequence[str]
        match step.does:
            case tree.Call(agent=agent, input=given):
                names, labels = (agent,), labels_of(given.type)
            case tree.Route(candidates=candidates, input=given):
                names, labels = candidates, labels_of(given.type)
            case _:
                return {}
        agents = [self._agents[self._numbers[name]] for name in names] if labels else []
        return {
            agent.name: labels & (agent.signature.accepts | labels_of(agent.signature.input))
            for agent in agents
        }

    def _time(self, step: tree.Step) -> int | None:
        """What bounds one attempt: the step's own time, or that of the agent where it is less."""
        own = step.source.time
        match step.does:
            case tree.Call() as call:
                times = [self._agent_time(call.agent)]
            case tree.Route() as route:
                times = [self._agent_time(name) for name in route.candidates]
            case _:
                return own
        known = [time for time in times if time is not None]
        longest = max(known) if known and len(known) == len(times) else None
        return longest if own is None else own if longest is None else min(own, longest)

    def _agent_time(self, name: str) -> int | None:
        return self._agents[self._numbers[name]].signature.time


def _exit(do: tree.Do, step: tree.Step, index: int, parent: int) -> Op:
    """The end of a block; it is no step, and has no position of its own."""
    at = step.source.at.pointer
    return Op(
        index=index,
        path=f"{step.path}/return" if step.path else "return",
        pointer=f"{at}/return",
        name=f"end of {step.name}",
        does=plan.Exit(do.result),
        type=do.steps[-1].type if do.result is None and do.steps else step.type,
        parent=parent,
        next=NONE,
        depth=step.depth,
        out=NONE,
        guard=None,
        time=None,
        retry=None,
        catch=(),
        undo=NONE,
        limits=None,
        bound=plan.Bound(),
    )
