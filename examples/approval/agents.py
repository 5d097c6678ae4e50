"""Agents for the flow `expense.approve`: a policy, a payment and a message.

The policy is a list of rules; payments and messages are numbered by what they are for, so
that the same one is never made twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from stratarouter_runtime.builder import PII, AgentError, Cost, agent

PETTY = 50.0
CEILING = 5_000.0
CARD_LIMIT = 2_500.0
NEVER = ("gift card", "fine", "alcohol", "casino")


@dataclass
class Expense:
    """What somebody spent, and on what."""

    id: str
    who: Annotated[str, PII]
    usd: float
    what: str


@dataclass
class Verdict:
    """What the rules say."""

    verdict: Literal["ok", "ask", "deny"]
    why: str


@dataclass
class Paid:
    """The number of a payment."""

    payment: str


@dataclass
class Sent:
    """Whether a message has left."""

    sent: bool


@agent(effect="pure", stable=True, cost=Cost(usd=0.004, tokens=2000))
def policy(expense: Expense) -> Verdict:
    """Apply the rules in order: the first that fits decides."""
    banned = next((word for word in NEVER if word in expense.what.lower()), None)
    if banned is not None:
        return Verdict("deny", f"the company does not pay for: {banned}")
    if expense.usd > CEILING:
        return Verdict("deny", f"{expense.usd:.2f} USD is above the ceiling of {CEILING:.0f} USD")
    if expense.usd <= PETTY:
        return Verdict("ok", f"{expense.usd:.2f} USD is petty cash")
    return Verdict("ask", f"{expense.usd:.2f} USD for {expense.what} needs a person")


@agent(effect="idempotent", errors=["card_declined"])
def pay(expense: Expense) -> Paid:
    """Pay by card; an expense has one payment, however often it is asked for."""
    if expense.usd > CARD_LIMIT:
        raise AgentError("card_declined", f"the limit of the card is {CARD_LIMIT:.0f} USD")
    return Paid(f"pay-{hashlib.sha256(expense.id.encode()).hexdigest()[:10]}")


@agent(effect="idempotent", accepts=["pii"])
def notify(to: str, text: str) -> Sent:
    """Send a message, where the address is one and there is something to say."""
    name, at, host = to.partition("@")
    return Sent(bool(name and at and "." in host and text.strip()))
