"""An agent for the flow `texts.nearest`: of which topic each of many texts is, several texts in one call.

A text is scored by the words that it shares with each topic. No model is asked; with one, a call of
thirty-two texts would cost little more than a call of one.
"""

from __future__ import annotations

import re
from typing import Literal

from stratarouter_runtime.builder import AgentError, Batch, agent

TOPICS = {
    "weather": {"fog", "wind", "swell", "force", "rain"},
    "cargo": {"tonnes", "timber", "fish", "grain", "crates", "crane"},
}


def words(text: str) -> set[str]:
    """The words of a text."""
    return set(re.findall(r"[a-z]+", text.lower()))


@agent(effect="pure", stable=True, cache="never", batch=Batch(32, wait="20ms"))
def nearest(text: list[str]) -> list[Literal["cargo", "weather"] | AgentError]:
    """The topic of each text; a text without words fails by itself."""
    return [_topic(words(each)) for each in text]


def _topic(found: set[str]) -> Literal["cargo", "weather"] | AgentError:
    if not found:
        return AgentError("agent.refused", "the text holds no words")
    return "weather" if len(found & TOPICS["weather"]) > len(found & TOPICS["cargo"]) else "cargo"
