"""An agent whose code runs behind walls: what all such kinds have in common.

Must never know: how the walls are built, or what runs there.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.agents.charges import charged
from stratarouter_runtime.agents.failures import MAX_OUTPUT, REFUSED
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Cell, Cells, Isolation
from stratarouter_runtime.state.events import Failure, Usage
from stratarouter_runtime.tcfp.ir import Signature

SECONDS: Final = 60.0
"""What one call may take where the signature says no `time`."""
MIB: Final = 1024 * 1024
_BUILT_IN: Final = ("agent.", "limit.", "sandbox", "timeout")


def seconds_of(signature: Signature) -> float:
    """The wall time of one call."""
    return SECONDS if signature.time is None else signature.time / 1e6


class ConfinedAgent(Agent):
    """Answers from a cell, at most `cap` bytes. Raises `LinkError` where this machine cannot build its walls."""

    def __init__(
        self,
        name: AgentName,
        signature: Signature,
        digest: Digest,
        cell: Cell,
        cells: Cells | None,
        *,
        cap: int = MAX_OUTPUT,
    ) -> None:
        if cells is None:
            raise LinkError(f"the agent '{name}' needs walls, and there are none here")
        cells.admit(name, cell)
        self.name = name
        self.signature = signature
        self.digest = digest
        self.isolation: Isolation = cell.level
        self.kind = "python" if cell.level == "process" else cell.level
        self._cell = replace(cell, output=min(cell.output, cap))
        self._cells = cells

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        reply = await self._cells.call(self._cell, call)
        failure = None if reply.failure is None else self._declared(reply.failure)
        usage = charged(reply.usage or Usage(), self.signature.cost, reported=reply.reported)
        return replace(reply, failure=failure, usage=usage)

    def _declared(self, failure: Failure) -> Failure:
        """Only what the signature declares, and what is built in, is what the code says it is."""
        kind = failure.kind
        if kind in self.signature.errors or kind.startswith(_BUILT_IN):
            return failure
        message = f"{kind}, which its signature does not declare: {failure.message}"
        return replace(failure, kind=REFUSED, message=message)
