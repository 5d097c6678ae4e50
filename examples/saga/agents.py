"""Agents for the flow `trip.book`: hold a flight and a hotel, charge, or let go again.

Prices follow from the trip alone and references from the key of the request: the same
request is the same booking, so each agent may be called again at any time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypedDict

from stratarouter_runtime.builder import AgentError, Cost, agent

# Written as a call because `from` is a word of Python.
Trip = TypedDict("Trip", {"id": str, "from": str, "to": str, "day": str, "nights": int, "budget": float})

CARD_LIMIT = 3_000.0


@dataclass
class Held:
    """A booking that is held, and what it will cost."""

    ref: str
    price: float


@dataclass
class Dropped:
    """Whether a booking was let go."""

    done: bool


@dataclass
class Receipt:
    """What was paid."""

    receipt: str


@dataclass
class Other:
    """Another trip to the same end."""

    trip: Trip


def number(*parts: str) -> int:
    """A number that follows from the parts and looks like any other."""
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:4], "big")


@agent(effect="idempotent", errors=["sold_out"])
def hold_flight(trip: Trip, key: str) -> Held:
    """Hold a seat; flights on the 31st are always full."""
    if trip["day"].endswith("-31"):
        raise AgentError("sold_out", f"no seat from {trip['from']} to {trip['to']} on {trip['day']}")
    price = 90.0 + number(trip["from"], trip["to"], trip["day"]) % 160
    return Held(f"FL-{number(key) % 1_000_000:06}", price)


@agent(effect="idempotent")
def drop_flight(ref: str) -> Dropped:
    """Let a seat go."""
    return Dropped(ref.startswith("FL-"))


@agent(effect="idempotent", errors=["sold_out"])
def hold_hotel(trip: Trip, key: str) -> Held:
    """Hold a room; nobody has one for more than three weeks."""
    if trip["nights"] > 21:
        raise AgentError("sold_out", f"no room in {trip['to']} for {trip['nights']} nights")
    rate = 70.0 + number(trip["to"]) % 90
    return Held(f"HO-{number(key) % 1_000_000:06}", rate * trip["nights"])


@agent(effect="idempotent")
def drop_hotel(ref: str) -> Dropped:
    """Let a room go."""
    return Dropped(ref.startswith("HO-"))


@agent(effect="idempotent", errors=["card_declined"])
def charge(amount: float, key: str) -> Receipt:
    """Charge the card, once for each key."""
    if amount > CARD_LIMIT:
        raise AgentError("card_declined", f"{amount:.2f} is above the limit of the card")
    return Receipt(f"RC-{number(key) % 1_000_000:06}-{amount:.2f}")


@agent(effect="pure", stable=True, cost=Cost(usd=0.01, tokens=3000))
def cheaper(trip: Trip) -> Other:
    """The same trip with half the nights, and a day earlier when it was to be on the 31st."""
    day = trip["day"].removesuffix("31") + "30" if trip["day"].endswith("-31") else trip["day"]
    return Other({**trip, "day": day, "nights": max(1, trip["nights"] // 2)})
