"""The canonical form of a flow: what it means, as JSON, without what it is called.

In: operators, structure, resolved types, expressions as syntax trees, field and branch names,
limits, agents with their signatures, error kinds. Out: ids and binders (a reference is the
position of what it names), type names, the flow's name, notes, comments, key order, defaults.
The body of a step written as a list of one step is a block, and not the same as that step:
step keys derive from positions, which differ. Must never know: whether a flow is valid.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec.structs import replace

from stratarouter_runtime.canonical import FLOW, canonical, digest_bytes
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.canonical_expressions import expression_form, scalar_form
from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.digests import (
    Form,
    agent_digest,
    call_key,
    limits_form,
    number,
    signature_form,
    some,
    step_key,
    type_form,
)
from stratarouter_runtime.tcfp.types import Type
from stratarouter_runtime.tcfp.validation.aliases import Aliases

__all__ = [
    "agent_digest",
    "call_key",
    "flow_digest",
    "flow_form",
    "signature_form",
    "step_key",
    "type_form",
]

Scope: TypeAlias = dict[str, str]
"""What a name stands for: `in/ticket`, `step/2/do/0`, `item/3`, `run`."""


def flow_digest(flow: ir.Flow) -> Digest:
    """The identity of a valid flow: equal for flows that mean the same, however written."""
    return digest_bytes(canonical(flow_form(flow)), FLOW)


def flow_form(flow: ir.Flow) -> dict[str, Form]:
    """The canonical form of a valid flow. Its fields are those of a document; sets are sorted."""
    return _Former(flow).form()


class _Former:
    """Forms one flow: knows its types, and follows its names."""

    def __init__(self, flow: ir.Flow) -> None:
        self._flow = flow
        self._aliases = Aliases(flow.types, Diagnostics())

    def form(self) -> dict[str, Form]:
        flow = self._flow
        scope = {"run": "run"} | {name: f"in/{name}" for name, _ in flow.input}
        head = some(
            {
                "errors": {kind: self._type(of) for kind, of in flow.errors},
                "raises": sorted(set(flow.raises)),
                "limits": limits_form(flow.limits),
                "stable": flow.stable,
                "cache": flow.cache,
                "semantic": sorted(set(flow.semantic)),
                "about": flow.about,
                "tags": sorted(set(flow.tags)),
            }
        )
        return head | {
            "tcfp": "1.0",
            "in": {name: self._type(of) for name, of in flow.input},
            "out": self._type(flow.output),
            "agents": {agent.name: self._agent(agent) for agent in flow.agents},
            **self._block(flow.body, "", scope),
        }

    def _agent(self, agent: ir.AgentRef) -> Form:
        if agent.signature is None:
            return None
        signature = agent.signature
        return signature_form(
            replace(signature, input=self._resolve(signature.input), output=self._resolve(signature.output))
        )

    def _resolve(self, type_: Type) -> Type:
        return self._aliases.resolve(type_, ir.NOWHERE)

    def _type(self, type_: Type) -> Form:
        return type_form(self._resolve(type_))

    # Values.

    def _value(self, value: ir.Value, scope: Scope) -> Form:
        match value:
            case ir.Constant():
                return scalar_form(value.data)
            case ir.Expression():
                return {"=": expression_form(value.source, scope)}
            case ir.ListValue():
                return [self._value(item, scope) for item in value.items]
            case ir.RecordValue():
                return {"{}": {name: self._value(item, scope) for name, item in value.fields}}

    def _optional(self, name: str, value: ir.Value | None, scope: Scope) -> dict[str, Form]:
        return {} if value is None else {name: self._value(value, scope)}

    # Steps.

    def _step(self, step: ir.Step, path: str, scope: Scope) -> dict[str, Form]:
        form = self._operator(step.does, path, scope)
        form.update(self._optional("if", step.guard, scope))
        if step.time is not None:
            form["time"] = step.time
        if step.retry is not None:
            form["retry"] = _retry(step.retry)
        if step.limits is not None and (limits := limits_form(step.limits)):
            form["limits"] = limits
        if step.catch:
            form["catch"] = [
                self._catch(catch, _at(path, "catch", index), scope) for index, catch in enumerate(step.catch)
            ]
        if step.undo is not None:
            form["undo"] = self._step(step.undo, _at(path, "undo"), _bound(step, path, scope))
        return form

    def _catch(self, catch: ir.Catch, path: str, scope: Scope) -> Form:
        inner = scope | {catch.binder: f"error/{path}"}
        return {"on": sorted(set(catch.on)), "do": self._step(catch.body, path, inner)}

    def _operator(self, does: ir.Operator, path: str, scope: Scope) -> dict[str, Form]:  # noqa: C901 - one case an operator
        match does:
            case ir.Call():
                return {"call": does.agent, "with": self._value(does.with_, scope)}
            case ir.Route():
                return self._route(does, scope)
            case ir.Let():
                typed = {} if does.type is None else {"type": self._type(does.type)}
                return {"let": self._value(does.value, scope)} | typed
            case ir.Do():
                return self._block(does, _at(path, "do"), scope)
            case ir.Match():
                return self._match(does, path, scope)
            case ir.Par():
                return {"par": self._branches(does.branches, _at(path, "par"), scope)}
            case ir.Race():
                return {"race": self._branches(does.branches, _at(path, "race"), scope)}
            case ir.Each():
                return self._each(does, path, scope)
            case ir.Loop():
                return self._loop(does, path, scope)
            case ir.Ask():
                return self._ask(does, scope)
            case ir.Sleep():
                return {"sleep": does.time}
            case ir.Fail():
                return {
                    "fail": does.kind,
                    **self._optional("message", does.message, scope),
                    **self._optional("data", does.data, scope),
                }

    def _route(self, does: ir.Route, scope: Scope) -> dict[str, Form]:
        among: Form = (
            {"tag": does.among.tag, "out": self._type(does.among.output)}
            if isinstance(does.among, ir.Among)
            else list(does.among)
        )
        rules = [{"when": self._value(rule.when, scope), "pick": rule.pick} for rule in does.rules]
        return {
            "route": self._value(does.query, scope),
            "among": among,
            "with": self._value(does.with_, scope),
            **some({"rules": rules, "min": number(does.min), "else": does.otherwise}),
        }

    def _block(self, does: ir.Do, path: str, scope: Scope) -> dict[str, Form]:
        inner = dict(scope)
        steps = []
        for index, step in enumerate(does.steps):
            here = _at(path, index)
            steps.append(self._step(step, here, inner))
            if step.id is not None:
                inner[step.id] = f"step/{here}"
        return {"do": steps} | self._result(does.result, does, path, inner)

    def _result(self, result: ir.Value | None, does: ir.Do, path: str, scope: Scope) -> dict[str, Form]:
        """What a block gives; to name its last step is to write the default."""
        form = self._optional("return", result, scope)
        last = f"step/{_at(path, len(does.steps) - 1)}"
        return {} if form == {"return": {"=": ["name", last]}} else form

    def _match(self, does: ir.Match, path: str, scope: Scope) -> dict[str, Form]:
        form: dict[str, Form] = {
            "match": self._value(does.subject, scope),
            "cases": self._branches(does.cases, _at(path, "case"), scope),
        }
        if does.otherwise is not None:
            form["else"] = self._step(does.otherwise, _at(path, "else"), scope)
        return form

    def _branches(self, branches: tuple[tuple[str, ir.Step], ...], path: str, scope: Scope) -> Form:
        return {name: self._step(branch, _at(path, name), scope) for name, branch in branches}

    def _each(self, does: ir.Each, path: str, scope: Scope) -> dict[str, Form]:
        inner = dict(scope)
        if does.item is not None:
            inner[does.item] = f"item/{path}"
        if does.index is not None:
            inner[does.index] = f"index/{path}"
        parallel = {} if does.parallel is None else {"parallel": does.parallel}
        return {
            "each": self._value(does.items, scope),
            "max": does.max,
            "do": self._step(does.body, _at(path, "each"), inner),
            **parallel,
        }

    def _loop(self, does: ir.Loop, path: str, scope: Scope) -> dict[str, Form]:
        inner = dict(scope)
        if does.state is not None:
            inner[does.state] = f"state/{path}"
        form: dict[str, Form] = {
            "loop": self._value(does.initial, scope),
            "while": self._value(does.test, inner),
            "max": does.max,
            "do": self._step(does.body, _at(path, "loop"), inner),
        }
        if does.type is not None:
            form["type"] = self._type(does.type)
        return form | self._optional("return", does.result, _after(does.body, _at(path, "loop"), inner))

    def _ask(self, does: ir.Ask, scope: Scope) -> dict[str, Form]:
        sender = {} if does.sender is None else {"from": does.sender}
        return {
            "ask": self._type(does.type),
            "for": does.time,
            **sender,
            **self._optional("show", does.show, scope),
            **self._optional("else", does.otherwise, scope),
        }


def _retry(retry: ir.Retry) -> Form:
    return some(
        {
            "wait": retry.wait,
            "factor": None if retry.factor == 1 else number(retry.factor),
            "on": sorted(set(retry.on)),
            "unsafe": retry.unsafe,
        }
    ) | {"max": retry.max}


def _bound(step: ir.Step, path: str, scope: Scope) -> Scope:
    return scope if step.id is None else scope | {step.id: f"step/{path}"}


def _after(body: ir.Step, path: str, scope: Scope) -> Scope:
    """The names that the result of a loop sees: its state, and what its body bound."""
    if isinstance(body.does, ir.Do):
        scope = dict(scope)
        for index, step in enumerate(body.does.steps):
            if step.id is not None:
                scope[step.id] = f"step/{_at(path, 'do', index)}"
    return _bound(body, path, scope)


def _at(path: str, *parts: str | int) -> str:
    tail = "/".join(map(str, parts))
    return f"{path}/{tail}" if path else tail
