"""Reads messages: amounts, dates, order numbers, codes, clear words, and the mood they are in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, get_args

from stratarouter_runtime.builder import PII

Currency = Literal["CHF", "EUR", "GBP", "USD"]
Topic = Literal["billing", "none", "privacy", "product", "returns", "technical"]

CURRENCIES: dict[str, Currency] = {
    **dict.fromkeys(("€", "eur", "euro", "euros"), "EUR"),
    **dict.fromkeys(("$", "usd", "dollar", "dollars"), "USD"),
    **dict.fromkeys(("£", "gbp", "pound", "pounds"), "GBP"),
    "chf": "CHF",
}
_UNIT = "|".join(sorted((re.escape(name) for name in CURRENCIES), key=len, reverse=True))
_VALUE = r"\d{1,3}(?:,\d{3})+(?:\.\d\d)?|\d+(?:[.,]\d\d)?"
AMOUNT = re.compile(
    rf"(?:(?P<before>{_UNIT})\s?(?P<value>{_VALUE}))|(?P<other>{_VALUE})\s?(?P<after>{_UNIT})(?!\w)"
)

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
ISO_DAY = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
NAMED_DAY = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?({'|'.join(MONTHS)})\b(?: (\d{{4}}))?")

ORDER = re.compile(r"\b[A-Z]-\d{5}\b")
CODE = re.compile(
    r"\b(?:HTTP \d{3}|E\d{2,4}|0x[0-9A-Fa-f]{4,8}|[45]\d\d (?=internal|bad|not|forbidden|gateway))"
)

CLEAR_WORDS: dict[Topic, re.Pattern[str]] = {
    "billing": re.compile(r"\b(invoices?|receipts?|vat|direct debit|payment methods?)\b"),
    "privacy": re.compile(
        r"\b(gdpr|personal (data|details)|data protection|newsletters?|cookies|unsubscribed?|marketing e-?mails?)\b"
    ),
    "product": re.compile(
        r"\b(in stock|compatible|dimensions|waterproof|what material|made of|weighs?|available in)\b"
    ),
    "returns": re.compile(
        r"\b(return (label|policy|portal)|exchanged?|send (it|them|this|something) back|swap)\b"
    ),
    "technical": re.compile(r"\b(crash(es|ed)?|bugs?|(http|error|code) e?\d{2,}|0x[0-9a-f]{4,})\b"),
}
ANGRY = re.compile(
    r"\b(worst|unacceptable|furious|ashamed|never again|fed up|disgrace|cheated|rude|useless|hopeless|outrag\w+)\b"
)
ANNOYED = re.compile(
    r"\b(still|disappointed|unhappy|third time|again|nobody|complain\w*|how much longer|gave up)\b"
)
CAPITALS = re.compile(r"\b[A-Z]{5,}\b")
PRESSING = re.compile(r"\b(hacked|stolen|fraud|did not make|asap|urgent\w*|immediately|overdraft|lawyer)\b")


@dataclass
class Message:
    """What a customer wrote."""

    id: str
    subject: str
    text: Annotated[str, PII]


@dataclass
class Amount:
    """Money."""

    value: float
    currency: Currency


@dataclass
class Facts:
    """What a message states: days as `MM-DD`, or `YYYY-MM-DD` where the year is given."""

    amounts: list[Amount]
    dates: list[str]
    orders: list[str]
    codes: list[str]
    topic: Topic


@dataclass
class Mood:
    """How the customer feels, and whether it can wait."""

    tone: Literal["angry", "annoyed", "calm"]
    priority: Literal["high", "normal"]


def facts_of(text: str) -> Facts:
    """Everything that is stated, in the order of the text, nothing twice."""
    return Facts(
        amounts=amounts_of(text),
        dates=dates_of(text),
        orders=list(dict.fromkeys(ORDER.findall(text))),
        codes=list(dict.fromkeys(code.strip() for code in CODE.findall(text))),
        topic=topic_of(text),
    )


def amounts_of(text: str) -> list[Amount]:
    """The sums of money: `£64.90`, `58,40 €`, `1,000.00 USD`, `59 dollars`."""
    found = []
    for match in AMOUNT.finditer(text.lower()):
        written = match["value"] or match["other"]
        value = float(written.replace(",", "") if "." in written else written.replace(",", "."))
        if re.fullmatch(r"\d{1,3}(,\d{3})+", written):
            value = float(written.replace(",", ""))
        amount = Amount(value, CURRENCIES[match["before"] or match["after"]])
        if amount not in found:
            found.append(amount)
    return found


def dates_of(text: str) -> list[str]:
    """The days: `2026-04-02`, `3 March`, `17 April 2026`; what is no day of the calendar is left out."""
    found = [(match.start(), match[1], int(match[2]), int(match[3])) for match in ISO_DAY.finditer(text)] + [
        (match.start(), match[3], MONTHS.index(match[2]) + 1, int(match[1]))
        for match in NAMED_DAY.finditer(text.lower())
    ]
    days = [_day(year, month, day) for _, year, month, day in sorted(found, key=lambda one: one[0])]
    return list(dict.fromkeys(day for day in days if day is not None))


def _day(year: str | None, month: int, day: int) -> str | None:
    try:
        # A leap year where none is given, so that 29 February counts.
        moment = date(int(year or 2000), month, day)
    except ValueError:
        return None
    return moment.isoformat() if year else f"{moment:%m-%d}"


def spoken(day: str) -> str:
    """A day as people write it: `3 March`, `2 April 2026`."""
    *year, month, number = day.split("-")
    return " ".join([str(int(number)), MONTHS[int(month) - 1].title(), *year])


def topic_of(text: str) -> Topic:
    """What clear words say the message is about, where they agree."""
    found = [topic for topic, words in CLEAR_WORDS.items() if words.search(text.lower())]
    return found[0] if len(found) == 1 else "none"


def mood_of(text: str) -> Mood:
    """Strong words, capitals and exclamation marks make a tone; danger and anger do not wait."""
    lower = text.lower()
    shouting = text.count("!") > 1 or CAPITALS.search(text) is not None
    tone: Literal["angry", "annoyed", "calm"] = "calm"
    if ANGRY.search(lower):
        tone = "angry"
    elif shouting or ANNOYED.search(lower):
        tone = "annoyed"
    return Mood(tone, "high" if tone == "angry" or PRESSING.search(lower) else "normal")


assert set(CURRENCIES.values()) == set(get_args(Currency))
