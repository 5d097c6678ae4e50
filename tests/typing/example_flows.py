"""The five example flows, written in Python as a user would: checked by mypy, and equal to their YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

from stratarouter_runtime.builder import (
    PII,
    Cost,
    Limits,
    Retry,
    agent,
    ask,
    call,
    catch,
    choose,
    do,
    each,
    fail,
    flow,
    fn,
    let,
    loop,
    match,
    par,
    route,
    run,
    when,
)

# 1. Support triage.


@dataclass
class Ticket:
    id: str
    subject: str
    body: Annotated[str, PII]
    lang: str | None = None


@dataclass
class Reply:
    text: Annotated[str, PII]
    actions: list[str]


@dataclass
class Intent:
    intent: Literal["billing", "tech", "other"]
    urgency: Literal["low", "high"]
    confidence: float


@dataclass
class Paged:
    page: str


@dataclass
class Triaged:
    reply: Reply
    by: Literal["billing", "tech", "general"]
    page: str | None


@agent(effect="pure", accepts=[PII], cost=Cost(usd=0.002, tokens=1500))
async def classify(text: str) -> Intent:
    urgency: Literal["low", "high"] = "high" if "!" in text else "low"
    return Intent("billing" if "refund" in text else "other", urgency, 0.9)


@agent(
    effect="idempotent",
    about="refunds, invoices, charges, subscriptions and payment methods",
    cost=Cost(usd=0.03, tokens=6000),
)
async def billing(ticket: Ticket) -> Reply:
    return Reply(f"About {ticket.subject}", ["refund"])


@agent(
    effect="pure",
    about="errors, crashes, outages, configuration and API questions",
    cost=Cost(usd=0.03, tokens=6000),
)
def tech(ticket: Ticket) -> Reply:
    return Reply(f"About {ticket.subject}", [])


@agent(effect="pure", about="anything else a customer may ask", cost=Cost(usd=0.01, tokens=3000))
def general(ticket: Ticket) -> Reply:
    return Reply(f"About {ticket.subject}", [])


@agent(effect="idempotent")
def page_oncall(ticket_id: str, why: str) -> Paged:
    return Paged(f"{ticket_id}: {why}")


@flow("support.triage", limits=Limits(usd=0.10, tokens=20000, time="60s", parallel=2))
def triage(ticket: Ticket) -> Triaged:
    c = call(
        classify,
        text=ticket.subject + "\n" + ticket.body,
        retry=Retry(max=2, wait="200ms", factor=2.0),
    )
    r = route(
        ticket.body,
        among=[billing, tech, general],
        with_={"ticket": ticket},
        rules=[
            when((c.intent == "billing") & (c.confidence >= 0.8), billing),
            when((c.intent == "tech") & (c.confidence >= 0.8), tech),
        ],
        min=0.35,
        otherwise=general,
        time="20s",
        catch=catch(
            ["timeout", "agent"],
            {"by": "general", "out": {"text": "A person will answer you soon.", "actions": []}},
        ),
    )
    p = call(page_oncall, ticket_id=ticket.id, why="urgent ticket", if_=c.urgency == "high")
    by: Any = r.by
    return Triaged(reply=r.out, by=by, page=choose(fn.present(p), p.page, None))


# 2. Answers from documents, judged.


@dataclass
class Doc:
    id: str
    text: str
    score: float


@dataclass
class Docs:
    docs: list[Doc]


@dataclass
class Vector:
    vector: list[float]


@dataclass
class Answer:
    text: str
    cites: list[str]


@dataclass
class Verdict:
    score: float
    critique: str


@dataclass
class Draft:
    answer: Answer
    score: float
    critique: str | None


@dataclass
class Score:
    score: float


@dataclass
class Answered:
    answer: Answer
    score: float


@agent(effect="pure", cost=Cost(usd=0.0001, tokens=500))
def embed(text: str) -> Vector:
    return Vector([float(len(text))])


@agent(effect="pure")
def dense(vector: list[float], k: int) -> Docs:
    return Docs([Doc("d", "dense", sum(vector) * k)])


@agent(effect="pure")
def sparse(query: str, k: int) -> Docs:
    return Docs([Doc("s", query, float(k))])


@agent(effect="pure", cost=Cost(usd=0.005))
def web(query: str) -> Docs:
    return Docs([Doc("w", query, 0.5)])


@agent(effect="pure", cost=Cost(usd=0.02, tokens=8000))
def answer(question: str, docs: list[Doc], critique: str | None) -> Answer:
    return Answer(question + (critique or ""), [doc.id for doc in docs])


@agent(effect="pure", cost=Cost(usd=0.01, tokens=8000))
def judge(question: str, answer: Answer, docs: list[Doc]) -> Verdict:
    return Verdict(len(answer.cites) / max(len(docs), 1), question)


@flow(
    "rag.answer",
    errors={"not_grounded": Score},
    raises=["not_grounded"],
    limits=Limits(usd=0.12, time="45s", hosts=["search.internal"]),
)
def rag(question: str) -> Answered:
    def by_vector() -> Docs:
        e = call(embed, text=question)
        return call(dense, vector=e.vector, k=20)

    found = par(
        dense=by_vector,
        sparse=lambda: call(sparse, query=question, k=20),
        web=lambda: call(web, query=question, time="3s", catch=catch(["timeout", "agent"], {"docs": []})),
    )
    every: list[Doc] = found.dense.docs + found.sparse.docs + found.web.docs
    docs = let(fn.filter(every, lambda d: d.score >= 0.3))

    def improve(s: Draft) -> Draft:
        a = call(answer, question=question, docs=docs, critique=s.critique)
        j = call(judge, question=question, answer=a, docs=docs)
        return Draft(answer=a, score=j.score, critique=j.critique)

    best = loop(
        Draft(answer=Answer(text="", cites=[]), score=0.0, critique=None),
        type=Draft,
        while_=lambda s: s.score < 0.7,
        do=improve,
        max=3,
    )
    fail(
        "not_grounded",
        "no answer is supported by the documents",
        data=Score(score=best.score),
        if_=best.score < 0.4,
    )
    return Answered(answer=best.answer, score=best.score)


# 3. Map and reduce.


@dataclass
class Chunks:
    chunks: list[str]


@dataclass
class Brief:
    summary: str
    facts: list[str]


@dataclass
class Merged:
    summary: str


@dataclass
class Summary:
    summary: str
    facts: list[str]
    failed: int


@agent(effect="pure")
def split(text: str, size: int) -> Chunks:
    return Chunks([text[at : at + size] for at in range(0, len(text), size)])


@agent(effect="pure", cost=Cost(usd=0.001, tokens=2500))
def brief(text: str) -> Brief:
    return Brief(text[:20], [text[:5]])


@agent(effect="pure", cost=Cost(usd=0.02, tokens=12000))
def merge(parts: list[str]) -> Merged:
    return Merged(" ".join(parts))


@flow("docs.summarise", limits=Limits(usd=0.70, tokens=1_600_000, time="10m", parallel=16))
def summarise(text: str) -> Summary:
    s = call(split, text=text, size=6000)
    parts = each(
        s.chunks,
        lambda chunk: call(
            brief,
            text=chunk,
            retry=Retry(max=2, wait="500ms", factor=2.0),
            time="30s",
            catch=catch(["agent", "timeout"], {"summary": None, "facts": []}),
        ),
        max=200,
        parallel=8,
    )
    good = fn.filter(parts, lambda p: fn.present(p.summary))
    m = call(merge, parts=fn.map(good, lambda p: fn.or_value(p.summary, "")))
    return Summary(
        summary=m.summary,
        facts=fn.distinct(fn.flatten(fn.map(parts, lambda p: p.facts))),
        failed=fn.size(fn.filter(parts, lambda p: fn.absent(p.summary))),
    )


# 4. Approval.


@dataclass
class Expense:
    id: str
    who: Annotated[str, PII]
    usd: float
    what: str


@dataclass
class Decision:
    verdict: Literal["approve", "reject"]
    note: str | None = None


@dataclass
class Policy:
    verdict: Literal["ok", "ask", "deny"]
    why: str


@dataclass
class Refused:
    why: str


@dataclass
class Payment:
    payment: str


@dataclass
class Sent:
    sent: bool


@dataclass
class Approved:
    payment: str
    decided_by: Literal["policy", "person", "clock"]


@agent(effect="pure", cost=Cost(usd=0.004, tokens=2000))
def policy(expense: Expense) -> Policy:
    return Policy("ok" if expense.usd < 100 else "ask", "the policy says so")


@agent(effect="idempotent", errors=["card_declined"])
def pay(expense: Expense) -> Payment:
    return Payment(f"paid {expense.id}")


@agent(effect="idempotent", accepts=[PII])
def notify(to: str, text: str) -> Sent:
    return Sent(bool(to and text))


@flow(
    "expense.approve",
    errors={"card_declined": None, "refused": Refused},
    raises=["card_declined", "refused"],
    limits=Limits(usd=0.02, time="1h"),
)
def approve(expense: Expense) -> Approved:
    v = call(policy, expense=expense)

    def by_person() -> dict[str, Any]:
        h = ask(
            Decision,
            from_="finance-approvers",
            show={"expense": expense, "why": v.why},
            for_="45m",
            otherwise=Decision(verdict="reject", note="no answer within 45 minutes"),
        )
        return {"by": "person", "verdict": h.verdict, "note": fn.or_value(h.note, "")}

    d: Any = match(
        v.verdict,
        {
            "ok": {"by": "policy", "verdict": "approve", "note": v.why},
            "deny": {"by": "policy", "verdict": "reject", "note": v.why},
            "ask": by_person,
        },
    )
    call(notify, to=expense.who, text="Your expense was: " + d.verdict + ". " + d.note)
    fail("refused", d.note, data=Refused(why=d.note), if_=d.verdict == "reject")
    p = call(pay, expense=expense, retry=Retry(max=3, wait="1s", factor=2.0))
    return Approved(payment=p.payment, decided_by=d.by)


# 5. A journey, undone where a part of it fails.


@dataclass
class Held:
    ref: str
    price: float


@dataclass
class Dropped:
    done: bool


@dataclass
class Receipt:
    receipt: str


@dataclass
class TooDear:
    price: float


@dataclass
class Booked:
    receipt: str
    flight: str
    hotel: str
    plan: Literal["first", "second"]


Trip = TypedDict("Trip", {"id": str, "from": str, "to": str, "day": str, "nights": int, "budget": float})


class NewTrip(TypedDict):
    trip: Trip


@agent(effect="idempotent", errors=["sold_out"])
def hold_flight(trip: Trip, key: str) -> Held:
    return Held(key, trip["budget"] / 2)


@agent(effect="idempotent")
def drop_flight(ref: str) -> Dropped:
    return Dropped(bool(ref))


@agent(effect="idempotent", errors=["sold_out"])
def hold_hotel(trip: Trip, key: str) -> Held:
    return Held(key, trip["budget"] / 3)


@agent(effect="idempotent")
def drop_hotel(ref: str) -> Dropped:
    return Dropped(bool(ref))


@agent(effect="idempotent", errors=["card_declined"])
def charge(amount: float, key: str) -> Receipt:
    return Receipt(f"{key}: {amount}")


@agent(effect="pure", cost=Cost(usd=0.01, tokens=3000))
def cheaper(trip: Trip) -> NewTrip:
    return NewTrip(trip=trip)


@flow(
    "trip.book",
    errors={"sold_out": None, "card_declined": None, "too_dear": TooDear},
    raises=["sold_out", "card_declined", "too_dear"],
    limits=Limits(usd=0.05, time="5m"),
)
def book_trip(trip: Trip) -> Booked:
    def flight(of: Trip, key: str) -> Held:
        return call(hold_flight, trip=of, key=run.id + key, undo=lambda f: call(drop_flight, ref=f.ref))

    def hotel(of: Trip, key: str) -> Held:
        return call(hold_hotel, trip=of, key=run.id + key, undo=lambda h: call(drop_hotel, ref=h.ref))

    def first() -> Booked:
        book = par(flight=lambda: flight(trip, "/flight"), hotel=lambda: hotel(trip, "/hotel"))
        price = let(book.flight.price + book.hotel.price)
        fail("too_dear", data=TooDear(price=price), if_=price > trip["budget"])
        c = call(
            charge,
            amount=price,
            key=run.id + "/charge",
            retry=Retry(max=3, wait="500ms", factor=2.0),
        )
        return Booked(receipt=c.receipt, flight=book.flight.ref, hotel=book.hotel.ref, plan="first")

    def second() -> Booked:
        n = call(cheaper, trip=trip)
        f = flight(n["trip"], "/flight2")
        h = hotel(n["trip"], "/hotel2")
        c = call(charge, amount=f.price + h.price, key=run.id + "/charge2")
        return Booked(receipt=c.receipt, flight=f.ref, hotel=h.ref, plan="second")

    return do(first, catch=catch(["sold_out", "too_dear"], second))
