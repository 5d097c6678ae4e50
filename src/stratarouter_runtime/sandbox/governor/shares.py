"""Shares CPU and memory between tenants: deficit round robin over reserved CPU seconds.

After Shreedhar and Varghese, "Efficient Fair Queueing Using Deficit Round Robin" (1995): every
tenant that waits is visited in turn; a visit adds a quantum to what it may reserve, and what its
first demand reserves is taken off. Pure. Must never know: time, or what is done with a share.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from msgspec import Struct

Refusal: TypeAlias = Literal["cpu", "memory", "queue"]


class Room(Struct, frozen=True):
    """CPU in thousandths of a processor, and memory in bytes."""

    cpu: int
    memory: int


class Demand(Struct, frozen=True):
    """What one call wants. `cost` is what it reserves for how long: thousandths of CPU times seconds."""

    number: int
    tenant: str
    room: Room
    cost: float


@dataclass(slots=True)
class Shares:
    """What is free, and who waits. `waiting` and `deficits` hold only tenants with demands."""

    total: Room
    most_waiting: int
    free: Room = field(init=False)
    waiting: dict[str, deque[Demand]] = field(default_factory=dict)
    turn: deque[str] = field(default_factory=deque)
    deficits: dict[str, float] = field(default_factory=dict)
    length: int = 0

    def __post_init__(self) -> None:
        self.free = self.total


def take(shares: Shares, room: Room) -> bool:
    """Give the room at once where nobody waits and there is enough; whether it was."""
    if shares.turn or room.cpu > shares.free.cpu or room.memory > shares.free.memory:
        return False
    shares.free = Room(shares.free.cpu - room.cpu, shares.free.memory - room.memory)
    return True


def offer(shares: Shares, demand: Demand) -> Refusal | None:
    """Queue a demand; or why it can never, or not now, be met."""
    if demand.room.cpu > shares.total.cpu:
        return "cpu"
    if demand.room.memory > shares.total.memory:
        return "memory"
    if shares.length >= shares.most_waiting:
        return "queue"
    if demand.tenant not in shares.waiting:
        shares.waiting[demand.tenant] = deque()
        shares.deficits[demand.tenant] = 0.0
        shares.turn.append(demand.tenant)
    shares.waiting[demand.tenant].append(demand)
    shares.length += 1
    return None


def make_room(shares: Shares, tenant: str) -> Demand | None:
    """The last demand of the tenant with the most, withdrawn so that `tenant` can wait in its place.

    None where nobody has two more than `tenant`: then it is this one who has too many.
    """
    crowd = max(shares.waiting.values(), key=len, default=None)
    if crowd is None or len(crowd) < len(shares.waiting.get(tenant, ())) + 2:
        return None
    last = crowd[-1]
    withdraw(shares, last)
    return last


def following(shares: Shares) -> Demand | None:
    """The demand that is next, whether or not there is room for it; None where nobody waits.

    Whoever has its turn keeps it until it has used up what the visit gave it.
    """
    if not shares.turn:
        return None
    quantum = max(queue[0].cost for queue in shares.waiting.values())
    while True:
        tenant = shares.turn[0]
        head = shares.waiting[tenant][0]
        if shares.deficits[tenant] >= head.cost:
            return head
        # A visit: no head costs more than the quantum, so this one can now be met.
        shares.deficits[tenant] += quantum


def fits(shares: Shares, demand: Demand) -> bool:
    """Whether there is room for it now."""
    return demand.room.cpu <= shares.free.cpu and demand.room.memory <= shares.free.memory


def grant(shares: Shares, demand: Demand) -> None:
    """Give the demand at the head of its tenant's queue what it wants, and pass the turn on."""
    shares.deficits[demand.tenant] -= demand.cost
    shares.free = Room(shares.free.cpu - demand.room.cpu, shares.free.memory - demand.room.memory)
    _leave(shares, demand)


def withdraw(shares: Shares, demand: Demand) -> None:
    """Its caller has given up waiting."""
    _leave(shares, demand)


def give_back(shares: Shares, room: Room) -> None:
    """What was granted is free again, or a part of it."""
    shares.free = Room(shares.free.cpu + room.cpu, shares.free.memory + room.memory)


def _leave(shares: Shares, demand: Demand) -> None:
    queue = shares.waiting[demand.tenant]
    queue.remove(demand)
    shares.length -= 1
    if not queue:
        # What a tenant saved while it waited is not kept for later.
        del shares.waiting[demand.tenant], shares.deficits[demand.tenant]
        shares.turn.remove(demand.tenant)
    elif shares.turn[0] == demand.tenant and shares.deficits[demand.tenant] < queue[0].cost:
        shares.turn.rotate(-1)
