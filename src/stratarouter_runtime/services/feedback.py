"""What people say of executions: was the route right, was the answer good, was a reuse wrong.

Kept on the shelf, and used for the next version of a table; never changes one that is at work. Must
never know: HTTP, or how a table is fitted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from blake3 import blake3
from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import ExecutionId, Tenant
from stratarouter_runtime.routing.tables import MAX_CHARACTERS, MAX_UTTERANCES, NONE, Route, Table, is_text
from stratarouter_runtime.state.asking import Routed, routed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ports import Clock, Shelf
    from stratarouter_runtime.services.history import Journaled
    from stratarouter_runtime.tcfp.plan import Plan

KIND: Final = "feedback"
_HELD_OUT: Final = 5
"""Every fifth remark, by the digest of its query, is not learnt from but measured with."""

WrongReuse = Callable[[Tenant, ExecutionId], Awaitable[None]]


class Said(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One remark. `step` names the route it is about (the only one, where there is one).

    `should` is where the query belongs: the name of an agent, or `none`.
    """

    route: Literal["right", "wrong"] | None = None
    step: str = ""
    should: str = ""
    answer: Literal["good", "bad"] | None = None
    reuse: Literal["right", "wrong"] | None = None
    comment: str = ""


class Remark(Struct, frozen=True, omit_defaults=True):
    """A remark as it is kept, with the query it was about and who was chosen for it."""

    execution: str
    said: Said
    at: int
    by: str = ""
    query: str = ""
    chosen: str = ""

    @property
    def belongs(self) -> str:
        """Where the query belongs, as far as it was said."""
        return self.said.should or (self.chosen if self.said.route == "right" else "")


class Feedback:
    """The remarks of tenants. `wrong_reuse` hears of answers that should not have been reused."""

    def __init__(self, shelf: Shelf, clock: Clock, wrong_reuse: WrongReuse | None = None) -> None:
        self._shelf = shelf
        self._clock = clock
        self._wrong_reuse = wrong_reuse

    async def give(self, journaled: Journaled, plan: Plan, said: Said, *, by: str = "") -> Remark:
        """Keep a remark, in place of an earlier one about the same. Raises `InvalidInput`."""
        _check(said)
        row = journaled.execution
        asked = _about(routed(plan, journaled.records), said) if said.route is not None else None
        remark = Remark(
            row.id,
            said,
            self._clock.now(),
            by,
            "" if asked is None else asked.query,
            "" if asked is None else asked.agent,
        )
        name = f"{row.id}/{said.step or (asked.step if asked else '')}"
        await self._shelf.put(row.tenant, KIND, name, msgspec.json.encode(remark), at=remark.at, by=by)
        if said.reuse == "wrong" and self._wrong_reuse is not None:
            await self._wrong_reuse(row.tenant, row.id)
        return remark

    async def all(self, tenant: Tenant) -> list[Remark]:
        """Every remark of a tenant, in the order of their executions."""
        found: list[Remark] = []
        after = ""
        while kept := await self._shelf.all(tenant, KIND, after):
            found += [msgspec.json.decode(each.body, type=Remark) for each in kept]
            after = kept[-1].name
        return found


def _check(said: Said) -> None:
    if said.route is None and said.answer is None and said.reuse is None:
        raise InvalidInput("nothing is said", hint="say route, answer or reuse")
    if said.should and said.route != "wrong":
        raise InvalidInput("where a query should have gone is said of a wrong route", pointer="/should")
    if len(said.comment) > 4_096 or len(said.should) > 128 or len(said.step) > 1_024:
        raise InvalidInput("a remark is shorter than this", hint="comment: 4,096 characters, should: 128")


def _about(decisions: list[Routed], said: Said) -> Routed:
    """The decision that is meant. Raises `InvalidInput`."""
    found = [each for each in decisions if said.step in ("", each.step)]
    if not found:
        where = f"step '{said.step[:140]}'" if said.step else "the execution"
        raise InvalidInput(f"{where} chose nobody by comparing", pointer="/route")
    if len(found) > 1 and not said.step:
        steps = ", ".join(each.step for each in found[:8])
        raise InvalidInput(
            f"the execution routed {len(found)} times", pointer="/step", hint=f"one of: {steps}"
        )
    return found[-1]


def learn(table: Table, remarks: Sequence[Remark]) -> tuple[Table, list[Remark]]:
    """The table with what was said put in, and the remarks held out to measure with.

    A remark moves its query to where it belongs, from wherever it was an example before. Left out is
    what a table cannot take: a route it does not have, a text too long for an example or that is the
    description of another route, the last example of a route without a description, and the oldest
    remarks where there are more than it has room for.
    """
    known = {route.name for route in table.routes} | {NONE}
    described = {route.description for route in table.routes}
    useful = [
        one for one in remarks if one.belongs in known and _fits(one.query) and one.query not in described
    ]
    held = [one for one in useful if _held_out(one)]
    room = MAX_UTTERANCES - len(table.none) - sum(len(route.utterances) for route in table.routes)
    newest = sorted((one for one in useful if not _held_out(one)), key=lambda one: one.at)
    moved = _newest({one.query: one.belongs for one in newest}, max(room, 0))
    for route in table.routes:
        if not route.description.strip() and not _moved(route, route.utterances, moved):
            moved = {query: to for query, to in moved.items() if query not in route.utterances}
    routes = tuple(
        replace(route, utterances=_moved(route, route.utterances, moved)) for route in table.routes
    )
    none = [text for text in table.none if text not in moved]
    none += [query for query, to in moved.items() if to == NONE]
    return Table(table.name, routes, tuple(none)), held


def _fits(query: str) -> bool:
    return bool(query.strip()) and len(query) <= MAX_CHARACTERS and is_text(query)


def _newest(moved: dict[str, str], room: int) -> dict[str, str]:
    return dict(list(moved.items())[max(len(moved) - room, 0) :])


def _moved(route: Route, texts: tuple[str, ...], moved: dict[str, str]) -> tuple[str, ...]:
    stay = [text for text in texts if moved.get(text, route.name) == route.name]
    come = [query for query, to in moved.items() if to == route.name and query not in texts]
    return (*stay, *come)


def _held_out(remark: Remark) -> bool:
    return blake3(remark.query.encode(errors="replace")).digest()[0] % _HELD_OUT == 0
