"""Whether an answer to one text may stand for another: gates, each of which can refuse.

A cosine says that two texts are about the same; it does not see that a number, a name or a `not`
is another. These gates compare what a text states. Each has a name, by which its refusals are
counted and shown; the first that refuses decides. Must never know: where texts, vectors or
answers come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from stratarouter_runtime.cache import lexicon
from stratarouter_runtime.cache.reading import MAX_CHARACTERS, Reading, read, stem

ALIKE: Final = 0.79
"""Cosine of two words' vectors from which one may take the other's place."""


class Refusal(Struct, frozen=True):
    """A gate said no, and why in words for people."""

    gate: str
    why: str


class Compared(Struct, frozen=True):
    """What the gates on texts make of a pair.

    `open` holds the pairs of words whose likeness is still to be looked at: (own word, words of
    the other text). The pair passes where every one has a counterpart; see `substitution`.
    """

    refusal: Refusal | None = None
    normal: bool = False
    open: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The words whose vectors `substitution` wants."""
        return tuple(dict.fromkeys(word for own, others in self.open for word in (own, *others)))


Gate = Callable[[Reading, Reading], "str | None"]


def numbers(left: Reading, right: Reading) -> str | None:
    """The same numbers, each as often."""
    return _differ("numbers", sorted(left.numbers), sorted(right.numbers))


def dates(left: Reading, right: Reading) -> str | None:
    """The same months, days, and times told in words."""
    return _differ("dates", left.dates, right.dates)


def units(left: Reading, right: Reading) -> str | None:
    """The same units and currencies."""
    return _differ("units", left.units, right.units)


def symbols(left: Reading, right: Reading) -> str | None:
    """The same signs that mean something by themselves, in the same order."""
    return _differ("symbols", left.symbols or "none", right.symbols or "none")


def language(left: Reading, right: Reading) -> str | None:
    """Both in English, the only language whose small words these gates know; or the same words."""
    if (left.foreign or right.foreign) and left.normal != right.normal:
        return "the gates read English, and this does not look like it"
    return None


def negation(left: Reading, right: Reading) -> str | None:
    """As many negations."""
    return _differ("negations", left.negations, right.negations)


def quotes(left: Reading, right: Reading) -> str | None:
    """What is quoted is said by both, word for word."""
    for one, other in ((left, right), (right, left)):
        for quoted in one.quotes:
            if f" {quoted} " not in f" {' '.join(other.words)} ":
                return f"only one quotes '{quoted}'"
    return None


def entities(left: Reading, right: Reading) -> str | None:
    """What one writes as a name or a code, the other says as well."""
    for word in [word for words in _private(left, right) for word in words]:
        if _coded(word):
            return f"only one names '{word.strip('_')}'"
    for one, other in ((left, right), (right, left)):
        said = {*other.words, *other.stems, *other.names}
        for name in one.names:
            if (
                name not in said
                and stem(name) not in said
                and name not in lexicon.FILLERS | lexicon.STOP_WORDS
            ):
                parts = [part for part in _parts(name) if part not in said and stem(part) not in said]
                if parts:
                    return f"only one names '{name}'"
    return None


def question(left: Reading, right: Reading) -> str | None:
    """The same kind of question, and of what can, must or should be."""
    if left.kind != right.kind:
        return f"one asks {left.kind or 'nothing'}, the other {right.kind or 'nothing'}"
    if left.modal and right.modal and left.modal != right.modal:
        return f"one asks what is {left.modal}, the other what is {right.modal}"
    return None


def antonyms(left: Reading, right: Reading) -> str | None:
    """No word in one stands against its opposite in the other."""
    mine, yours = _private(left, right)
    for one in mine:
        for other in yours:
            if _opposite(one, other):
                return f"'{one}' and '{other}' are opposites"
    return None


def order(left: Reading, right: Reading) -> str | None:
    """What both say, they say in the same order; a phrase may move whole from one end to the other."""
    common = Counter(left.stems) & Counter(right.stems)
    for mine in _orders(left, common):
        for yours in _orders(right, common):
            if mine == yours or any(mine[cut:] + mine[:cut] == yours for cut in range(2, len(mine) - 1)):
                return None
    return "the same words stand in another order"


GATES: Final[tuple[tuple[str, Gate], ...]] = (
    ("numbers", numbers),
    ("dates", dates),
    ("units", units),
    ("symbols", symbols),
    ("negation", negation),
    ("quotes", quotes),
    ("entities", entities),
    ("question", question),
    ("antonyms", antonyms),
    ("order", order),
    ("language", language),
)
"""The gates on texts, in the order in which they are asked."""


TOO_LONG: Final = Refusal("length", f"texts above {MAX_CHARACTERS} characters are not compared by meaning")


def compare(left: str, right: str) -> Compared:
    """Ask every gate on these two texts, in order, up to the first that refuses."""
    if max(len(left), len(right)) > MAX_CHARACTERS:
        return Compared(TOO_LONG)
    one, other = read(left), read(right)
    for name, gate in GATES:
        why = gate(one, other)
        if why is not None:
            return Compared(Refusal(name, why))
    return Compared(normal=one.normal == other.normal, open=_open(one, other))


def substitution(compared: Compared, likeness: Mapping[tuple[str, str], float]) -> Refusal | None:
    """Every word that one text has for itself has a word like it in the other.

    `likeness` gives the cosine of the vectors of two of `compared.words`. Catches what no capital
    and no list tells: a city for another in lower case, a thing added that narrows the question.
    """
    for own, others in compared.open:
        if not any(_synonyms(own, other) or likeness.get((own, other), 0.0) >= ALIKE for other in others):
            return Refusal("substitution", f"only one text speaks of '{own}'")
    return None


def _differ(what: str, left: object, right: object) -> str | None:
    return None if left == right else f"{what} differ: {_told(left)} and {_told(right)}"


def _told(found: object) -> str:
    return (", ".join(found) or "none") if isinstance(found, list | tuple) else str(found)


def _parts(name: str) -> list[str]:
    return [
        part
        for part in name.replace("/", " ").replace("-", " ").replace(".", " ").replace("&", " ").split()
        if part
    ]


def _private(left: Reading, right: Reading) -> tuple[list[str], list[str]]:
    """The words, each in its own spelling, that one has more often than the other."""
    ours, theirs = Counter(left.stems), Counter(right.stems)
    mine = _words_of(left, ours - theirs)
    yours = _words_of(right, theirs - ours)
    return mine, yours


def _words_of(reading: Reading, more: Counter[str]) -> list[str]:
    found = {one: word for word, one in zip(reading.words, reading.stems, strict=True)}
    return [found[one] for one in more]


def _opposite(one: str, other: str) -> bool:
    pairs = lexicon.OPPOSITES
    if (one, other) in pairs or (stem(one), stem(other)) in _STEMMED:
        return True
    short, long = sorted((stem(one), stem(other)), key=len)
    return len(short) > 2 and any(long == f"{prefix}{short}" for prefix in lexicon.NEGATING)


_STEMMED: Final = frozenset((stem(one), stem(other)) for one, other in lexicon.OPPOSITES)


def _orders(reading: Reading, common: Counter[str]) -> tuple[list[str], list[str]]:
    """What both say, in this one's order, without what may stand anywhere.

    Twice: where this one says a word more often, its first are meant, or its last.
    """
    words = [one for word, one in zip(reading.words, reading.stems, strict=True) if word not in _ANYWHERE]
    return _kept(words, common), _kept(words[::-1], common)[::-1]


def _kept(words: list[str], common: Counter[str]) -> list[str]:
    left, kept = Counter(common), []
    for word in words:
        if left[word] > 0:
            left[word] -= 1
            kept.append(word)
    return kept


_ANYWHERE: Final = lexicon.ARTICLES | lexicon.AUXILIARIES | lexicon.FILLERS | {"and", "or"}


def _open(left: Reading, right: Reading) -> tuple[tuple[str, tuple[str, ...]], ...]:
    mine, yours = _private(left, right)
    own = [word for word in mine if _telling(word)]
    others = [word for word in yours if _telling(word)]
    return tuple([(word, tuple(others)) for word in own] + [(word, tuple(own)) for word in others])


def _synonyms(one: str, other: str) -> bool:
    if (one, other) in lexicon.SYNONYMS or (stem(one), stem(other)) in _ALIKE_STEMS:
        return True
    short, long = sorted((stem(one), stem(other)), key=len)
    return len(short) > 3 and any(long == short + ending for ending in lexicon.DERIVING)


_COMPARED: Final = (
    lexicon.STOP_WORDS
    | lexicon.FILLERS
    | lexicon.NEGATIONS
    | {*lexicon.NUMBERS, *lexicon.UNITS, *lexicon.DATES}
)
"""Words that count for nothing by themselves, or have a gate of their own."""

_ALIKE_STEMS: Final = frozenset((stem(one), stem(other)) for one, other in lexicon.SYNONYMS)


def _coded(word: str) -> bool:
    """Whether letters, digits and underscores are mixed in it."""
    return not word.isalpha() and any(map(str.isalpha, word))


def _telling(word: str) -> bool:
    return word not in _COMPARED and any(map(str.isalpha, word))
