"""Agents for the flow `rag.answer`: search a small library, quote it, and judge the quotation.

Retrieval is by word overlap and by hashed letter trigrams, answers are sentences of the
documents, and the judge measures how much of the question they cover. No model is asked.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from stratarouter_runtime.builder import Cost, agent

DIMENSION = 256
STOP = {
    *("a", "an", "and", "are", "at", "be", "by", "can", "do", "does", "for", "how", "i", "in", "is", "it"),
    *("may", "much", "my", "of", "on", "or", "the", "to", "what", "when", "which", "who", "with"),
}
SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass
class Doc:
    """A document that was found, and how well it fits."""

    id: str
    text: str
    score: float


@dataclass
class Answer:
    """Quoted sentences, and the documents they stand in."""

    text: str
    cites: list[str]


@dataclass
class Found:
    """Documents, the best first."""

    docs: list[Doc]


@dataclass
class Vector:
    """Where a text lies."""

    vector: list[float]


@dataclass
class Judgement:
    """How much of the question is answered, and which of its words are not."""

    score: float
    critique: str


def words(text: str) -> list[str]:
    """The words that matter, cut to their first six letters so that endings do not."""
    return [word[:6] for word in re.findall(r"[a-z]+", text.lower()) if word not in STOP]


def place(text: str) -> list[float]:
    """A unit vector of hashed letter trigrams."""
    vector = [0.0] * DIMENSION
    for word in words(text):
        edged = f"<{word}>"
        for start in range(len(edged) - 2):
            vector[zlib.crc32(edged[start : start + 3].encode()) % DIMENSION] += 1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


LIBRARY: dict[str, str] = json.loads(Path(__file__).with_name("library.json").read_text(encoding="utf-8"))
NOTICES = {name: text for name, text in LIBRARY.items() if name.startswith("notice-")}
BOOKS = {name: text for name, text in LIBRARY.items() if name not in NOTICES}
PLACES = {name: place(text) for name, text in BOOKS.items()}


def best(scores: dict[str, float], texts: dict[str, str], k: int) -> Found:
    """The k documents with the highest scores above 0; ties by name."""
    order = sorted(scores, key=lambda name: (-scores[name], name))[:k]
    return Found([Doc(name, texts[name], round(scores[name], 6)) for name in order if scores[name] > 0])


def overlap(query: str, texts: dict[str, str]) -> dict[str, float]:
    """The share of the query's words in each text, rare words counting more."""
    wanted = set(words(query))
    bags = {name: set(words(text)) for name, text in texts.items()}
    weight = {
        word: math.log(1 + len(texts) / (1 + sum(word in bag for bag in bags.values()))) for word in wanted
    }
    whole = sum(weight.values()) or 1.0
    return {name: sum(weight[word] for word in wanted & bag) / whole for name, bag in bags.items()}


@agent(effect="pure", stable=True, cost=Cost(usd=0.0001, tokens=500))
def embed(text: str) -> Vector:
    """Where the text lies."""
    return Vector(place(text))


@agent(effect="pure", stable=True)
def dense(vector: list[float], k: int) -> Found:
    """The documents that lie nearest."""
    scores = {name: sum(a * b for a, b in zip(vector, there, strict=True)) for name, there in PLACES.items()}
    return best(scores, BOOKS, k)


@agent(effect="pure", stable=True)
def sparse(query: str, k: int) -> Found:
    """The documents that share the most words."""
    return best(overlap(query, BOOKS), BOOKS, k)


@agent(effect="pure", stable=True, cost=Cost(usd=0.005))
def web(query: str) -> Found:
    """The notices that share the most words."""
    return best(overlap(query, NOTICES), NOTICES, 3)


@agent(effect="pure", stable=True, cost=Cost(usd=0.02, tokens=8000))
def answer(question: str, docs: list[Doc], critique: str | None) -> Answer:
    """Quote the sentence nearest to the question, and one more for every word the critique misses."""
    sentences = [(doc.id, sentence) for doc in docs for sentence in SENTENCE.split(doc.text)]
    wanted = Counter(words(question))
    chosen: list[tuple[str, str]] = []
    for target in (wanted, *(Counter([word]) for word in words(critique or ""))):
        ranked = sorted(
            sentences, key=lambda found: (-sum(target[word] for word in set(words(found[1]))), found)
        )
        if ranked and ranked[0] not in chosen and target.keys() & set(words(ranked[0][1])):
            chosen.append(ranked[0])
    return Answer(" ".join(text for _, text in chosen), sorted({name for name, _ in chosen}))


@agent(effect="pure", stable=True, cost=Cost(usd=0.01, tokens=8000))
def judge(question: str, answer: Answer, docs: list[Doc]) -> Judgement:
    """The share of the question's words that the answer takes up; 0 for what no document says."""
    wanted = list(dict.fromkeys(words(question)))
    known = " ".join(doc.text for doc in docs)
    if not all(sentence in known for sentence in SENTENCE.split(answer.text)):
        return Judgement(0.0, " ".join(wanted))
    missing = [word for word in wanted if word not in words(answer.text)]
    return Judgement(round(1 - len(missing) / (len(wanted) or 1), 6), " ".join(missing))
