"""Typed identities: the strings by which things are named, kept from being mixed up.

Must never know: what the named things are, or how a new id is drawn (that takes
entropy, and belongs to `system`).
"""

from __future__ import annotations

from typing import Final, NewType

from blake3 import blake3

Digest = NewType("Digest", str)
"""64 lower-case hex digits of a blake3 hash (see `canonical`)."""

ExecutionId = NewType("ExecutionId", str)
"""`exec_` and 32 hex digits of a UUID: version 7 when drawn, version 8 when derived from a key."""

FlowId = NewType("FlowId", str)
"""The name under which a flow is deployed."""

AgentName = NewType("AgentName", str)
"""The name of an agent, as flows and registries write it."""

Tenant = NewType("Tenant", str)
"""Whose data it is. Part of every key; tenants never share."""

StepPath = NewType("StepPath", str)
"""Where in a plan an activation stands: position path, then `[i,j]` for the rounds around it.

`2/each/do/0[7]` is the first step of the body of the third step, an `each`, in round 7.
"""

LOCAL = Tenant("local")
"""The tenant of the command line, the benchmarks and a server in development mode."""

OPERATOR = Tenant("operator")
"""Owns what is about tenants: keys and tiers. No caller is ever of it."""

_DERIVED: Final = "stratarouter execution id 1.0"


def derived_execution_id(tenant: Tenant, key: str) -> ExecutionId:
    """The id of the execution that a caller's idempotency key stands for, of UUID version 8.

    The same tenant and key always give the same id; two tenants never share one.
    """
    name = tenant.encode()
    digest = blake3(len(name).to_bytes(8, "big") + name + key.encode(), derive_key_context=_DERIVED).digest(
        16
    )
    number = int.from_bytes(digest, "big")
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return ExecutionId(f"exec_{number:032x}")
