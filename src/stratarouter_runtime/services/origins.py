"""What the answers of executions rest on: as it was heard here, or as their journals tell.

Must never know: what becomes of answers, or who asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stratarouter_runtime.errors import StrataError
from stratarouter_runtime.state.provenance import Provenance, provenance

if TYPE_CHECKING:
    from stratarouter_runtime.ids import ExecutionId, Tenant
    from stratarouter_runtime.observability.ends import Ends
    from stratarouter_runtime.services.history import History

_UNKNOWN: Final = Provenance(whole=False)


class Origins:
    """Of executions that have ended, whichever process drove them."""

    def __init__(self, ends: Ends, history: History) -> None:
        self._ends = ends
        self._history = history

    async def of(self, execution: ExecutionId, tenant: Tenant) -> Provenance:
        """What its answer rests on; one whose journal cannot be read is not whole."""
        known = self._ends.of(execution)
        if known is not None:
            return known
        try:
            return provenance((await self._history.journal(execution, tenant)).events)
        except StrataError:  # the answer is there all the same; it is only not kept
            return _UNKNOWN
