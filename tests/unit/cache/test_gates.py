"""Each gate refuses what differs in its own way, and lets through what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.cache.gates import GATES, compare, substitution
from stratarouter_runtime.cache.reading import MAX_CHARACTERS, read, stem

REFUSED = [
    ("numbers", "book a table for two at eight", "book a table for three at eight"),
    ("numbers", "what does room 3.1.2 cost", "what does room 31.2 cost"),
    ("numbers", "is it order 12345678901234567890", "is it order 12345678901234567891"),
    ("numbers", "where is the twenty fifth floor", "where is the twenty fourth floor"),
    ("dates", "are you open in june", "are you open in july"),
    ("dates", "can we meet at 3pm", "can we meet at 3 am"),
    ("dates", "what did i spend last week", "what will i spend next week"),
    ("units", "how much is 5 euros", "how much is 5 dollars"),
    ("units", "wake me in ten minutes", "wake me in ten hours"),
    ("units", "how much is $20", "how much is £20"),
    ("symbols", "is it -5 outside", "is it 5 outside"),
    ("symbols", "is 3 < 4", "is 3 > 4"),
    ("symbols", "what is 🙂", "what is 🙃"),
    ("negation", "can i cancel my trip", "can i not cancel my trip"),
    ("negation", "why doesn't it start", "why does it start"),
    ("quotes", 'what does "carpe diem" mean', 'what does "carpe noctem" mean'),
    ("entities", "is it sunny in Lisbon", "is it sunny in Oporto"),
    ("entities", "do you like US history", "do you like us history"),
    ("numbers", "where is the a1b2 key", "where is the a1b3 key"),
    ("entities", "open the file report_a1.csv", "open the file report_a2.csv"),
    ("question", "when does the shop open", "where does the shop open"),
    ("question", "can i bring a dog", "how can i bring a dog"),
    ("question", "can i sign here", "must i sign here"),
    ("antonyms", "how do i open the valve", "how do i close the valve"),
    ("antonyms", "how do i mount the disk", "how do i unmount the disk"),
    ("antonyms", "do both a and b", "do both a or b"),
    ("order", "does the cat chase the dog", "does the dog chase the cat"),
    ("order", "fly from rome to oslo", "fly from oslo to rome"),
    ("language", "wo ist der große Schlüssel", "wo ist der kleine Schlüssel"),
    ("language", "什么是税", "什么是法"),
    ("length", "a" * (MAX_CHARACTERS + 1), "a"),
]

SAME = [
    ("Where is my parcel?", "where is my parcel"),
    ("Where is my parcel?", "Hi, could you tell me where is my parcel? Thanks a lot"),
    ("What's the price?", "what is the price"),
    ("my order hasn't come", "my order has not come"),
    ("book 2,000 seats", "book 2000 seats"),
    ("call me at 7.30pm", "call me at 7:30 pm"),
    ("", ""),
]


@pytest.mark.parametrize(("gate", "left", "right"), REFUSED)
def test_what_differs_is_refused_by_its_gate(gate: str, left: str, right: str) -> None:
    """By that one, whichever of the two was kept."""
    for one, other in ((left, right), (right, left)):
        refusal = compare(one, other).refusal
        assert refusal is not None
        assert refusal.gate == gate
        assert refusal.why


@pytest.mark.parametrize(("left", "right"), SAME)
def test_what_is_the_same_but_for_manners_has_one_normal_form(left: str, right: str) -> None:
    """Without a vector."""
    compared = compare(left, right)
    assert compared.refusal is None
    assert compared.normal


def test_a_phrase_may_move_whole() -> None:
    """From the end of a question to its beginning."""
    compared = compare("On the menu, which soups do you have?", "Which soups do you have on the menu?")
    assert compared.refusal is None


@pytest.mark.parametrize(
    ("left", "right", "alike", "passes"),
    [
        ("is the hotel in lyon full", "is the hotel in nice full", 0.5, False),
        ("is the hotel in lyon full", "is the hotel in lyons full", 0.0, True),
        ("where can i get bread", "where can i get rolls", 0.85, True),
        ("where can i buy bread", "where can i purchase bread", 0.0, True),
        ("can i cancel the order", "can i cancel the order of my neighbour", 0.0, False),
        ("what causes rain to form", "what causes the formation of rain", 0.0, True),
    ],
)
def test_a_word_of_ones_own_needs_one_like_it(left: str, right: str, alike: float, *, passes: bool) -> None:
    """By a list of synonyms, by its stem, or by vectors."""
    compared = compare(left, right)
    assert compared.refusal is None
    likeness = {(one, other): alike for one in compared.words for other in compared.words}
    refusal = substitution(compared, likeness)
    assert (refusal is None) == passes
    assert refusal is None or refusal.gate == "substitution"


@given(st.text(max_size=80))
def test_every_text_passes_for_itself(text: str) -> None:
    """Whatever is in it."""
    compared = compare(text, text)
    assert compared.refusal is None
    assert compared.normal
    assert substitution(compared, {}) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_gates_do_not_ask_which_text_came_first(left: str, right: str) -> None:
    """The same verdict both ways round."""
    one, other = compare(left, right), compare(right, left)
    assert (one.refusal is None) == (other.refusal is None)
    if one.refusal is not None and other.refusal is not None:
        assert one.refusal.gate == other.refusal.gate


def test_gates_are_asked_in_one_order() -> None:
    """That of the documents."""
    assert [name for name, _ in GATES] == [
        "numbers",
        "dates",
        "units",
        "symbols",
        "negation",
        "quotes",
        "entities",
        "question",
        "antonyms",
        "order",
        "language",
    ]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("two hundred and five", ("205",)),
        ("twenty five people, 25 seats", ("25", "25")),
        ("one of them", ("1",)),
        ("which one is it", ()),
        ("half past 7", ("0.5", "7")),
        ("three million", ("3000000",)),
        ("version 1.2.3 or 007", ("1.2.3", "007")),
        ("1,5 and 1.50", ("1.5", "1.5")),
    ],
)
def test_numbers_have_one_spelling(text: str, numbers: tuple[str, ...]) -> None:
    """In digits or in words."""
    assert read(text).numbers == numbers


@pytest.mark.parametrize(
    "words",
    [("book", "books", "booked", "booking"), ("colour", "color"), ("realise", "realize"), ("city", "cities")],
)
def test_forms_of_a_word_share_a_stem(words: tuple[str, ...]) -> None:
    """Endings and spellings fall away."""
    assert len({stem(word) for word in words}) == 1
