"""Agents for the flow `support.triage`: words are counted, facts are found, replies are filled in.

No model is asked, so the example runs anywhere and answers the same question the same way.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from stratarouter_runtime.builder import PII, Cost, agent

BILLING = {
    "charge",
    "charged",
    "invoice",
    "refund",
    "payment",
    "paid",
    "card",
    "price",
    "subscription",
    "bill",
}
TECH = {"error", "crash", "crashes", "bug", "login", "api", "timeout", "down", "slow", "broken", "outage"}
URGENT = {"urgent", "immediately", "asap", "down", "outage", "deadline", "lawyer", "emergency"}

AMOUNT = re.compile(r"(?:EUR|USD|[€$£])\s?\d+(?:[.,]\d\d)?|\d+(?:[.,]\d\d)?\s?(?:EUR|USD|[€$£])")
ERROR_CODE = re.compile(r"\b(?:HTTP )?[45]\d\d\b|\bE\d{2,4}\b")


@dataclass
class Ticket:
    """What a customer wrote."""

    id: str
    subject: str
    body: Annotated[str, PII]
    lang: str | None = None


@dataclass
class Reply:
    """What the customer gets back, and what is to be done."""

    text: Annotated[str, PII]
    actions: list[str]


@dataclass
class Intent:
    """What a message is about, how much it presses, and how sure that is."""

    intent: Literal["billing", "tech", "other"]
    urgency: Literal["low", "high"]
    confidence: float


@agent(effect="pure", stable=True, accepts=["pii"], cost=Cost(usd=0.002, tokens=1500))
def classify(text: str) -> Intent:
    """Count the words that speak for billing and for technology."""
    words = re.findall(r"[a-z]+", text.lower())
    billing = sum(word in BILLING for word in words)
    tech = sum(word in TECH for word in words)
    urgency: Literal["low", "high"] = "high" if URGENT & set(words) or text.count("!") > 1 else "low"
    if billing == tech:
        return Intent("other", urgency, 0.5)
    # Laplace's rule of succession: one word is a hint, five of one kind are near certainty.
    confidence = (max(billing, tech) + 1) / (billing + tech + 2)
    return Intent("billing" if billing > tech else "tech", urgency, round(confidence, 3))


@agent(
    effect="idempotent",
    about="refunds, invoices, charges, subscriptions and payment methods",
    cost=Cost(usd=0.03, tokens=6000),
)
def billing(ticket: Ticket) -> Reply:
    """Name the amounts that the ticket is about, and have them checked."""
    amounts = AMOUNT.findall(ticket.body)
    named = " and ".join(amounts) or "the amount in question"
    return Reply(
        f'Thank you for writing about "{ticket.subject}". We are checking {named} on your account '
        f"and will correct what is wrong.",
        [f"check {amount}" for amount in amounts] or ["ask for the amount"],
    )


@agent(
    effect="pure",
    stable=True,
    about="errors, crashes, outages, configuration and API questions",
    cost=Cost(usd=0.03, tokens=6000),
)
def tech(ticket: Ticket) -> Reply:
    """Name the error codes in the ticket, or ask for one."""
    codes = ERROR_CODE.findall(ticket.body)
    if codes:
        return Reply(
            f"We are looking into {', '.join(codes)}.", [f"search the logs for {code}" for code in codes]
        )
    return Reply("Which message do you see, and since when?", ["wait for details"])


@agent(effect="pure", stable=True, about="anything else a customer may ask", cost=Cost(usd=0.01, tokens=3000))
def general(ticket: Ticket) -> Reply:
    """Promise an answer, in the customer's language where it is known."""
    language = ticket.lang or "en"
    greeting = {"de": "Danke für Ihre Nachricht", "fr": "Merci pour votre message"}.get(
        language, "Thank you for your message"
    )
    return Reply(f"{greeting}: {ticket.subject}.", [f"answer in {language}"])


@dataclass
class Page:
    """The call that wakes somebody."""

    page: str


@agent(effect="idempotent")
def page_oncall(ticket_id: str, why: str) -> Page:
    """Page whoever is on call; the same ticket and reason are the same page."""
    return Page(f"page-{hashlib.sha256(f'{ticket_id}: {why}'.encode()).hexdigest()[:8]}")
