"""Agents for the flow `docs.summarise`: split a text, brief every part, merge the briefs.

A summary is the sentence whose words are the commonest of its part; facts are the
sentences with the largest numbers. No model is asked.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from stratarouter_runtime.builder import AgentError, Cost, agent

SENTENCE = re.compile(r"(?<=[.!?])\s+")
NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b")
FACTS = 3


@dataclass
class Chunks:
    """The parts of a text, in order."""

    chunks: list[str]


@dataclass
class Brief:
    """What one part says."""

    summary: str
    facts: list[str]


@dataclass
class Summary:
    """What the whole says."""

    summary: str


def words(text: str) -> list[str]:
    """Words of more than three letters: the short ones say little."""
    return re.findall(r"[a-z]{4,}", text.lower())


def largest(sentence: str) -> float:
    """The largest number of a sentence."""
    return max((float(number) for number in NUMBER.findall(sentence)), default=0.0)


@agent(effect="pure", stable=True)
def split(text: str, size: int) -> Chunks:
    """Parts of at most `size` characters that end with a sentence, where a sentence fits at all."""
    chunks = [""]
    for sentence in SENTENCE.split(text.strip()):
        if chunks[-1] and len(chunks[-1]) + 1 + len(sentence) > size:
            chunks.append("")
        chunks[-1] = f"{chunks[-1]} {sentence}".strip()
    return Chunks([chunk[start : start + size] for chunk in chunks for start in range(0, len(chunk), size)])


@agent(effect="pure", stable=True, cost=Cost(usd=0.001, tokens=2500))
def brief(text: str) -> Brief:
    """The most typical sentence, and those with the largest numbers."""
    sentences = SENTENCE.split(text)
    common = Counter(words(text))
    if not common:
        raise AgentError("agent.refused", "the part holds no words")
    typical = max(
        sentences, key=lambda one: sum(common[word] for word in set(words(one))) / (5 + len(words(one)))
    )
    facts = sorted(sentences, key=largest, reverse=True)[:FACTS]
    return Brief(typical, [fact for fact in facts if largest(fact) > 0])


@agent(effect="pure", stable=True, cost=Cost(usd=0.02, tokens=12000))
def merge(parts: list[str]) -> Summary:
    """The briefs in order, none twice."""
    return Summary(" ".join(dict.fromkeys(parts)))
