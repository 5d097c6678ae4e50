"""Cells that are opened when somebody first needs them: a server without walled agents pays nothing.

Must never know: how a cell is built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from typing_extensions import override

from stratarouter_runtime.ports import Cells

if TYPE_CHECKING:
    from stratarouter_runtime.ports import AgentCall, AgentReply, Cell
    from stratarouter_runtime.sandbox.cells import CellStats


class Counting(Cells, Protocol):
    """Cells that tell what they do."""

    def stats(self) -> CellStats:
        """Counters since the start, and what is in use now."""
        ...


class LazyCells(Cells):
    """Opens with `opening` at the first agent that needs walls."""

    def __init__(self, opening: Callable[[], Counting]) -> None:
        self._opening = opening
        self._opened: Counting | None = None

    @override
    def admit(self, name: str, cell: Cell) -> None:
        self._cells().admit(name, cell)

    @override
    async def prepare(self) -> None:
        await self._cells().prepare()

    @override
    async def call(self, cell: Cell, call: AgentCall) -> AgentReply:
        return await self._cells().call(cell, call)

    @override
    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    def stats(self) -> CellStats | None:
        """What metrics show; None as long as nobody needed walls."""
        return None if self._opened is None else self._opened.stats()

    def _cells(self) -> Counting:
        if self._opened is None:
            self._opened = self._opening()
        return self._opened
