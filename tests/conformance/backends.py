"""The stores that the conformance suite runs on, one line each, and what it fills them with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace
from tests.postgres import server

from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import Execution, Store
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.storage import postgres, sqlite
from stratarouter_runtime.storage.memory import MemoryStore


async def _memory(folder: Path) -> Store:
    return MemoryStore()


async def _sqlite(folder: Path) -> Store:
    return sqlite.open_store(folder / "store.db")


async def _postgres(folder: Path) -> Store:
    return await postgres.open_store(await server().database())


BACKENDS: Final[dict[str, Callable[[Path], Awaitable[Store]]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgres": _postgres,
}

ANN: Final = Tenant("ann")
BOB: Final = Tenant("bob")
PLAN: Final = Digest("ab" * 32)


def name(number: int) -> ExecutionId:
    """The id of execution `number`."""
    return ExecutionId(f"exec_{number:032x}")


def row(number: int, **changes: Any) -> Execution:
    """A running execution of Ann's, created at microsecond `number`."""
    first = Execution(
        id=name(number),
        tenant=ANN,
        flow=FlowId("triage"),
        plan=PLAN,
        status="running",
        created=number,
        updated=number,
        records=0,
    )
    return replace(first, **changes)


def record(seq: int, body: bytes = b'{"t":"cancel"}') -> Record:
    """Record `seq`, written at microsecond 1,000 + `seq`."""
    return Record(seq=seq, at=1_000 + seq, body=body, link=seq.to_bytes(32, "big"))


def records(*numbers: int) -> list[Record]:
    """Records of these numbers."""
    return [record(number) for number in numbers]
