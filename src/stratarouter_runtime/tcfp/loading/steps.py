"""Steps: which operator a mapping writes, and the eight modifiers around it.

Must never know what an operator does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.ir import Ask, Catch, Do, Let, Retry, Step
from stratarouter_runtime.tcfp.loading.fields import (
    COUNT,
    NOTE,
    Fields,
    Range,
    items_of,
    open_fields,
    wrong,
)
from stratarouter_runtime.tcfp.loading.operators import OPERATORS, Bodies
from stratarouter_runtime.tcfp.loading.signatures import read_limits
from stratarouter_runtime.tcfp.loading.values import NOTHING, read_value
from stratarouter_runtime.tcfp.text import Entry, Mapping, Node, Sequence

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.diagnostics import Diagnostics

MODIFIERS: Final = ("id", "if", "time", "retry", "catch", "undo", "limits", NOTE)
MAX_STEPS: Final = 1000
"""How many steps may be written in one flow, blocks and the steps inside of them counted."""

_BODY_OWNERS: Final = ("each", "loop")
_FACTOR: Final = Range(1, 1000)
_KEYS: Final = {name: frozenset((name, *own, *MODIFIERS)) for name, (own, _) in OPERATORS.items()}
_ALL_KEYS: Final = frozenset().union(*_KEYS.values())
_BROKEN_STEP: Final = Step(Let(NOTHING))


class StepReader(Bodies):
    """Reads steps, and counts them."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self._diagnostics = diagnostics
        self._count = 0

    @override
    def steps(self, node: Node | None) -> tuple[Step, ...]:
        items = None if node is None else items_of(node, self._diagnostics)
        return tuple(self._step(item) for item in items or ())

    @override
    def body(self, node: Node | None) -> Step:
        if isinstance(node, Sequence):
            self._counted(node)
            return Step(Do(self.steps(node), None, node.at), at=node.at)
        return _BROKEN_STEP if node is None else self._step(node)

    def _counted(self, node: Node) -> None:
        self._count += 1
        if self._count == MAX_STEPS + 1:
            hint = "move a part of it into a flow of its own, and call that"
            self._diagnostics.add("E132", node.at, f"more than {MAX_STEPS} steps are written", hint)

    def _step(self, node: Node) -> Step:
        self._counted(node)
        if not isinstance(node, Mapping):
            wrong(node, "a step", self._diagnostics, "a step is a mapping such as call: agent")
            return _BROKEN_STEP
        fields = Fields(node, "a step", self._diagnostics)
        operator = self._operator(fields)
        if operator is None:
            return _BROKEN_STEP
        return self._read(fields, operator)

    def _read(self, fields: Fields, operator: str) -> Step:
        does = OPERATORS[operator][1](fields, self)
        if len(fields.entries) == 1:
            return Step(does, at=fields.at)
        guard = fields.node("if")
        undo = fields.node("undo")
        return Step(
            does=does,
            id=fields.name("id"),
            guard=None if guard is None else read_value(guard, self._diagnostics),
            time=None if isinstance(does, Ask) else fields.duration("time", least=1),
            retry=self._retry(fields.node("retry")),
            catch=self._catches(fields),
            undo=None if undo is None else self.body(undo),
            limits=read_limits(fields.node("limits"), self._diagnostics),
            note=_note(fields),
            at=fields.at,
        )

    def _operator(self, fields: Fields) -> str | None:
        """The operator of a step; reports none, a second one, and keys that are not its own."""
        written = [key for key in fields.entries if key in OPERATORS]
        if "do" in written and any(owner in written for owner in _BODY_OWNERS):
            written.remove("do")
        if not written:
            self._no_operator(fields)
            return None
        operator, *others = written
        for other in others:
            message = f"a step has one operator, and this has '{operator}' and '{other}'"
            hint = "make two steps of it, or put both into do: [...]"
            self._diagnostics.add("E114", fields.entries[other].at, message, hint)
        self._check_keys(fields, operator, others)
        return operator

    def _no_operator(self, fields: Fields) -> None:
        strangers = [entry for entry in fields.entries.values() if entry.key not in _ALL_KEYS]
        for entry in strangers:
            if did_you_mean(entry.key, OPERATORS):
                fields.unknown(entry, OPERATORS)
                return
        hint = f"write one of {', '.join(OPERATORS)}"
        self._diagnostics.add("E113", fields.at, "this step has no operator", hint)

    def _check_keys(self, fields: Fields, operator: str, others: list[str]) -> None:
        known = _KEYS[operator].union(*(_KEYS[other] for other in others))
        if not fields.entries.keys() <= known:
            fields.what = f"a step with '{operator}'"
            for entry in fields.entries.values():
                if entry.key not in known:
                    self._stranger(fields, entry, operator)

    def _stranger(self, fields: Fields, entry: Entry, operator: str) -> None:
        if entry.key not in _ALL_KEYS:
            fields.unknown(entry, _KEYS[operator])
            return
        owners = [name for name, keys in _KEYS.items() if entry.key in keys]
        message = f"'{entry.key}' is no key of '{operator}'"
        self._diagnostics.add("E110", entry.at, message, f"it belongs to {', '.join(owners)}")

    def _retry(self, node: Node | None) -> Retry | None:
        fields = open_fields(node, "retry", ("max", "wait", "factor", "on", "unsafe"), self._diagnostics)
        if fields is None:
            return None
        fields.need("max", "write how many times to try again")
        return Retry(
            max=fields.integer("max", COUNT) or 0,
            wait=fields.duration("wait") or 0,
            factor=fields.number("factor", _FACTOR) or 1.0,
            on=fields.texts("on") or (),
            unsafe=fields.flag("unsafe"),
            at=fields.at,
        )

    def _catches(self, fields: Fields) -> tuple[Catch, ...]:
        handlers = (self._catch(item) for item in fields.items("catch") or ())
        return tuple(handler for handler in handlers if handler is not None)

    def _catch(self, node: Node) -> Catch | None:
        fields = open_fields(node, "a handler", ("on", "as", "do"), self._diagnostics)
        if fields is None:
            return None
        kinds = fields.need("on", "write the kinds of errors to catch: [timeout, agent]")
        if isinstance(kinds, Sequence) and not kinds.items:
            self._diagnostics.add(
                "E135",
                kinds.at,
                "an error kind is expected here, and nothing is written",
                "write at least one",
            )
        body = self.body(fields.need("do", "write the step that handles the error"))
        return Catch(fields.texts("on") or (), body, fields.name("as") or "error", fields.at)


def _note(fields: Fields) -> str:
    entry = fields.entries.get(NOTE)
    data = getattr(entry.value, "data", None) if entry is not None else None
    return data if isinstance(data, str) else ""
