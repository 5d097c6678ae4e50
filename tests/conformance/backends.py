"""The stores that the conformance suite runs on, one line each, and what it fills them with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import Execution, Store
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.storage.sqlite import open_store

BACKENDS: Final[dict[str, Callable[[Path], Store]]] = {
    "memory": lambda folder: MemoryStore(),
    "sqlite": lambda folder: open_store(folder / "store.db"),
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
