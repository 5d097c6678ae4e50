"""Cells of Python text, and calls of them, for the tests that go behind real walls."""

from __future__ import annotations

from typing import Any

import orjson
from blake3 import blake3
from msgspec.structs import replace

from stratarouter_runtime.ids import Digest, ExecutionId, Tenant
from stratarouter_runtime.ports import AgentCall, Cell

MIB = 1024 * 1024


def text_cell(code: str, **changed: Any) -> Cell:
    """A cell whose function `run` is that of the text."""
    plain = Cell(
        "sandbox",
        "stratarouter_runtime.agents.inside.text",
        Digest(blake3(code.encode()).hexdigest()),
        orjson.dumps({"code": code}),
        seconds=5,
        cpu_seconds=5,
    )
    return replace(plain, **changed)


def a_call(tenant: str = "acme", deadline: int | None = None, **given: Any) -> AgentCall:
    """A call with these inputs."""
    return AgentCall(
        ExecutionId("exec_1"), Tenant(tenant), Digest("key"), "5eed" * 8, 1, given, deadline=deadline
    )
