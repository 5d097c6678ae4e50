"""Agents of a shop's support inbox: they read a message, answer it, and check the answer.

No model is asked. Facts come out of the text by patterns, the route is found by the
runtime's own encoder, and replies are sentences filled in with the facts.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from stratarouter_runtime.builder import PII, Cost, agent, usage

from .reading import Amount, Facts, Message, Mood, facts_of, mood_of, spoken

RETURN_DAYS = 30
USD_PER_WORD = 0.000_002
"""A tariff made up for the demonstration, so that there is a cost to add up."""

ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
CARD = re.compile(r"\b(?:\d[ -]?){13,16}\b")

READER = Cost(usd=0.001, tokens=2000)
WRITER = Cost(usd=0.002, tokens=4000)


@dataclass
class Reply:
    """What the customer gets back, and what is to be done."""

    text: Annotated[str, PII]
    actions: list[str]


@dataclass
class Checked:
    """A reply that may be sent, and the facts that it passes over."""

    text: Annotated[str, PII]
    missing: list[str]


@dataclass
class Ticket:
    """The number under which a person finds the case."""

    ticket: str


def spend(read: str, written: str = "") -> None:
    """Report what a call has cost: so much for every word read and written."""
    words_in, words_out = len(read.split()), len(written.split())
    usage.report(usd=(words_in + words_out) * USD_PER_WORD, tokens_in=words_in, tokens_out=words_out)


def money(amount: Amount) -> str:
    """`49.90 EUR`."""
    return f"{amount.value:.2f} {amount.currency}"


def listed(parts: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def named(facts: Facts) -> str:
    """The facts of a message in one clause, empty where there are none."""
    parts = [
        ("order " + listed(facts.orders)) if facts.orders else "",
        listed([money(amount) for amount in facts.amounts]),
        listed([spoken(day) for day in facts.dates]),
        ("code " + listed(facts.codes)) if facts.codes else "",
    ]
    return listed([part for part in parts if part])


def answer(message: Message, facts: Facts, says: str, *actions: str) -> Reply:
    """A reply: thanks, what was understood, what happens next."""
    subject = f' about "{message.subject}"' if message.subject else ""
    understood = named(facts)
    noted = f" We have noted {understood}." if understood else ""
    text = f"Thank you for your message{subject}.{noted} {says}"
    spend(message.text, text)
    return Reply(text, list(actions))


# Reading.


@agent(effect="pure", stable=True, cost=READER)
async def extract(message: Message) -> Facts:
    """Amounts, days, orders and codes of the message, and what its clear words say."""
    text = f"{message.subject} {message.text}"
    spend(text)
    return facts_of(text)


@agent(effect="pure", stable=True, cost=READER)
async def gauge(message: Message) -> Mood:
    """The tone of the message, and whether it can wait."""
    text = f"{message.subject} {message.text}"
    spend(text)
    return mood_of(text)


# Answering: what each is about, and so what a message is compared with, stands in the flow.


@agent(effect="pure", stable=True, cost=WRITER)
async def delivery(message: Message, facts: Facts) -> Reply:
    """Trace the orders named, or ask for one."""
    if not facts.orders:
        return answer(
            message, facts, "Which order is it about? Its number is in the confirmation.", "ask for the order"
        )
    orders = listed(facts.orders)
    return answer(
        message,
        facts,
        f"We are asking the courier where {orders} is.",
        *(f"trace {order}" for order in facts.orders),
    )


@agent(effect="pure", stable=True, cost=WRITER)
async def billing(message: Message, facts: Facts) -> Reply:
    """Have the amounts checked, or the papers sent."""
    if facts.amounts:
        amounts = [money(amount) for amount in facts.amounts]
        return answer(
            message,
            facts,
            f"Our accounts team compares {listed(amounts)} with what you owe.",
            *(f"check {amount}" for amount in amounts),
        )
    return answer(message, facts, "Our accounts team looks at it and writes to you.", "ask accounts")


@agent(effect="pure", stable=True, cost=WRITER)
async def refund(message: Message, facts: Facts) -> Reply:
    """Promise to look for the money; the largest sum is what it is about."""
    if not facts.amounts:
        return answer(message, facts, "Which amount do you expect back?", "ask for the amount")
    largest = money(max(facts.amounts, key=lambda amount: amount.value))
    return answer(
        message,
        facts,
        f"We check whether {largest} has been sent back, and by which way.",
        f"find refund of {largest}",
    )


@agent(effect="pure", stable=True, cost=WRITER)
async def returns(message: Message, facts: Facts) -> Reply:
    """Send a label, and say until when it is good where the day of delivery is known."""
    whole = [day for day in facts.dates if len(day) == len("2026-01-31")]
    if whole:
        last = date.fromisoformat(whole[0]) + timedelta(RETURN_DAYS)
        says = f"You can send the item back until {spoken(last.isoformat())}; the label comes by e-mail."
    else:
        says = (
            f"You can send the item back within {RETURN_DAYS} days of its arrival; the label comes by e-mail."
        )
    return answer(
        message, facts, says, *(f"send label for {order}" for order in facts.orders or ["the order"])
    )


@agent(effect="pure", stable=True, cost=WRITER)
async def account(message: Message, facts: Facts) -> Reply:
    """Offer a link, or take it from there where somebody else got in."""
    if mood_of(message.text).priority == "high":
        return answer(
            message,
            facts,
            "We have locked the account and call you to make it yours again.",
            "lock the account",
            "call back",
        )
    return answer(
        message,
        facts,
        "A link to confirm that it is you comes by e-mail; it is good for an hour.",
        "send link",
    )


@agent(effect="pure", stable=True, cost=WRITER)
async def technical(message: Message, facts: Facts) -> Reply:
    """Look for the codes, or ask for what was on the screen."""
    if facts.codes:
        return answer(
            message,
            facts,
            f"We look for {listed(facts.codes)} in our logs.",
            *(f"search {code}" for code in facts.codes),
        )
    return answer(
        message,
        facts,
        "Which device do you use, and what is on the screen when it happens?",
        "ask for details",
    )


@agent(effect="pure", stable=True, cost=WRITER)
async def subscription(message: Message, facts: Facts) -> Reply:
    """Confirm from when a change counts."""
    since = f"from {spoken(facts.dates[0])}" if facts.dates else "from the end of the month"
    return answer(
        message, facts, f"We change your plan {since} and confirm it in writing.", f"change plan {since}"
    )


@agent(effect="pure", stable=True, cost=WRITER)
async def product(message: Message, facts: Facts) -> Reply:
    """Pass on what is asked, with the measures that are given."""
    measures = re.findall(r"\b\d+(?:[.,]\d+)? ?(?:cm|mm|m|kg|g|l|w|watts?|degrees)\b", message.text.lower())
    says = f"Our buyers compare it with {listed(measures)}." if measures else "Our buyers look it up for you."
    return answer(message, facts, says, "ask the buyers")


@agent(effect="pure", stable=True, cost=WRITER)
async def complaint(message: Message, facts: Facts) -> Reply:
    """Apologise, and promise a call as soon as the tone asks for."""
    when = "today" if mood_of(message.text).tone == "angry" else "within two days"
    return answer(message, facts, f"We are sorry. The head of our service calls you {when}.", f"call {when}")


@agent(effect="pure", stable=True, cost=WRITER)
async def privacy(message: Message, facts: Facts) -> Reply:
    """Delete or disclose, as the message asks."""
    wants = "delete" if re.search(r"\b(delete|erase|remove|stop|off)\b", message.text.lower()) else "disclose"
    return answer(
        message,
        facts,
        "Our data protection officer answers within one month, as the law asks.",
        f"{wants} data",
    )


@agent(effect="pure", stable=True, cost=WRITER)
async def handover(message: Message, facts: Facts) -> Reply:
    """Say that a person will read it."""
    return answer(message, facts, "A person of our team reads it and answers you.", "answer by hand")


# Sending.


@agent(effect="pure", stable=True, cost=READER)
async def check(reply: Reply, facts: Facts) -> Checked:
    """Mask addresses and card numbers, and name every fact that the reply passes over."""
    text = CARD.sub("[card]", ADDRESS.sub("[address]", reply.text))
    wanted = [
        *facts.orders,
        *(money(amount) for amount in facts.amounts),
        *map(spoken, facts.dates),
        *facts.codes,
    ]
    spend(reply.text)
    return Checked(text, [fact for fact in wanted if fact not in text])


@agent(effect="idempotent")
async def open_ticket(message_id: str, queue: str) -> Ticket:
    """Open a ticket; the same message in the same queue has one."""
    return Ticket(f"{queue}-{hashlib.sha256(message_id.encode()).hexdigest()[:8]}")
