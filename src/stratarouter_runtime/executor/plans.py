"""Plans by digest: compiled once, kept, and brought back from the catalog when needed.

Must never know: how a plan is compiled, or who runs it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.errors import NotFound
from stratarouter_runtime.state.replay import plans_of
from stratarouter_runtime.tcfp.compiler import compile_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.ports import Catalog
    from stratarouter_runtime.state.events import Record
    from stratarouter_runtime.tcfp.plan import Plan

KEPT: Final = 1_000
"""Compiled plans held in memory; the least recently used is dropped, and compiled again on demand."""


class Plans:
    """A cache in front of the catalog. What `keep` has returned for can be found after a crash."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._plans: OrderedDict[Digest, Plan] = OrderedDict()

    async def keep(self, plan: Plan) -> None:
        """Make a plan findable for ever; a second time costs nothing."""
        if plan.digest not in self._plans:
            await self._catalog.keep_plan(plan.digest, plan.document)
        self._remember(plan)

    def at_hand(self, digest: Digest) -> Plan | None:
        """The plan of this digest where it is in memory."""
        return self._plans.get(digest)

    async def get(self, digest: Digest) -> Plan:
        """The plan of this digest. Raises `NotFound`."""
        plan = self._plans.get(digest)
        if plan is None:
            document = await self._catalog.plan(digest)
            if document is None:
                raise NotFound(
                    f"no plan {digest[:12]}… in this store", hint="was the store restored in part?"
                )
            plan = compile_document(document)
        self._remember(plan)
        return plan

    async def named(self, records: Sequence[Record]) -> dict[Digest, Plan]:
        """Every plan that a journal names, as `replay` needs them. Raises `NotFound`."""
        return {digest: await self.get(digest) for digest in plans_of(records)}

    def _remember(self, plan: Plan) -> None:
        self._plans[plan.digest] = plan
        self._plans.move_to_end(plan.digest)
        if len(self._plans) > KEPT:
            self._plans.popitem(last=False)
