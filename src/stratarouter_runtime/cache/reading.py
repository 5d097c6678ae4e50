"""A text as the gates see it: its words, and what among them states facts.

Pure, and deterministic: the same text gives the same reading everywhere. Must never know: what it
is compared with.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from msgspec import Struct

from stratarouter_runtime.cache import lexicon

MAX_CHARACTERS: Final = 4_096
"""Longer texts are reused by their exact bytes only: gates made for questions say little of documents."""

_TOKEN: Final = re.compile(r"\d+(?:[.,]\d+)*(?:st|nd|rd|th)?|[^\W\d_]+(?:'[^\W\d_]+)*|[\w]+|[$€£¥₹₩₽%+=<>]")
_QUOTED: Final = re.compile(r"``\s*(.+?)\s*(?:''|``)|\"([^\"]+)\"|“([^”]+)”|«([^»]+)»|(?<!\w)'([^']+)'(?!\w)")
_AMOUNT: Final = re.compile(r"(?:0|[1-9]\d{0,14})(?:[.,]\d{1,9})?")
_SIGN: Final = re.compile(r"(?<!\w)-(?=[\d.])|(?<=\d)\s*/\s*(?=\d)|[*#@\\{}\[\]|~^]")
_TENS: Final = frozenset({20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0})
_SCALES: Final = frozenset({100.0, 1e3, 1e6, 1e9})
_ORDINAL: Final = re.compile(r"^(\d+)(?:st|nd|rd|th)$")
_GROUPED: Final = re.compile(r"^\d{1,3}(?:,\d{3})+(?:\.\d+)?$")
_MIXED: Final = re.compile(r"^(?=\w*\d)(?=\w*[^\W\d])\w+$")
_MEASURED: Final = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)*)([^\W\d_]+)(?!\w)")
_CLOCK: Final = re.compile(r"\b(\d{1,2})(?::(?=\d\d\b)|\.(?=\d\d\s*(?:am|pm|h\b|o'clock)))(\d\d)")

_CONTRACTED: Final = (
    ("can't", "can not"),
    ("cannot", "can not"),
    ("won't", "will not"),
    ("shan't", "shall not"),
    ("ain't", "is not"),
    ("n't", " not"),
    ("i'm", "i am"),
    ("let's", "let us"),
    ("'re", " are"),
    ("'ve", " have"),
    ("'ll", " will"),
    ("'d", " would"),
    ("o'clock", ""),
)
_APOSTROPHES: Final = {0x2018: "'", 0x2019: "'"}
_IS: Final = re.compile(r"\b(what|where|when|who|why|how|which|it|he|she|that|there|here)'?s\b(?!\w)")
_POSSESSIVE: Final = re.compile(r"'s\b|(?<=s)'(?=\s|$)")

_COURTESY: Final = re.compile(
    r"^(?:(?:hi|hello|hey|dear|please|pls|plz|kindly|thanks|thank you|ok|okay|um|uh|er|erm|well|yeah|so um|so|sorry"
    r"|excuse me|sorry to bother you|sorry but|but|hiya|good (?:morning|afternoon|evening)|quick question|just wondering|i was just wondering"
    r"|i was wondering|i am wondering|i wonder|just curious|out of interest|i have a question"
    r"|(?:can|could|would|will) you (?:please |kindly )?(?:tell|inform|advise) (?:me|us)"
    r"|(?:do|would) you (?:happen to )?know|please tell me|tell me|let me know|there|sir|madam|team|all"
    r"|i (?:want|need|would like|would love) to know)\b[\s,.:;!-]*)+"
)
_THANKS: Final = re.compile(
    r"[\s,.:;!?-]*\b(?:please|pls|plz|thanks|thank you|many thanks|thanks a lot|thank you very much|thx|cheers|asap"
    r"|kindly|thanks in advance|thank you in advance|so much|if you (?:can|could|please)|sir|madam|guys|mate)[\s,.:;!?-]*$"
)


class Reading(Struct, frozen=True):
    """What a text says, apart from its words' order where a field is sorted.

    `normal` is the text without case, punctuation and courtesy; `words` its words, opened
    contractions included; `stems` their stems in order. `own` are the stems that carry meaning,
    with one word each that stands for them. The rest are the facts that gates compare.
    """

    normal: str
    words: tuple[str, ...]
    stems: tuple[str, ...]
    numbers: tuple[str, ...]
    dates: tuple[str, ...]
    units: tuple[str, ...]
    negations: int
    quotes: tuple[str, ...]
    symbols: str
    """Signs that mean something by themselves: operators, a minus, emoji."""
    foreign: bool
    """Whether it is written otherwise than in English, as far as its small words tell."""
    names: tuple[str, ...]
    """Words written as names or codes: with a capital inside a sentence, or mixed of letters and digits."""
    kind: str
    """What is asked for: `how many`, `when`, `yes or no`, … ; empty for what is no question."""
    modal: str


@lru_cache(maxsize=8_192)
def read(text: str) -> Reading:
    """The reading of a text."""
    plain = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES)
    opened = _open(plain.lower())
    asking = _without_courtesy(opened)
    words = tuple(_words(asking))
    numbers, used = _numbers(words)
    return Reading(
        normal=" ".join(words),
        words=words,
        stems=tuple(stem(word) for word in words),
        numbers=numbers,
        dates=tuple(sorted(_dates(words))),
        units=tuple(sorted(_units(words, used))),
        negations=sum(word in lexicon.NEGATIONS for word in words),
        quotes=tuple(sorted(_quotes(plain))),
        symbols=_symbols(plain),
        foreign=_foreign(words),
        names=tuple(sorted(_names(plain))),
        kind=_kind(words),
        modal=_modal(words),
    )


def _open(text: str) -> str:
    """Contractions opened, possessives dropped, times of day split."""
    text = _IS.sub(r"\1 is", text)
    for short, long in _CONTRACTED:
        text = text.replace(short, long)
    text = re.sub(r"\bn not\b|(?<=\w) n't\b", " not", text)
    text = _POSSESSIVE.sub("", text)
    text = _CLOCK.sub(r"\1 \2", text)
    return _MEASURED.sub(_split_measure, text)


def _split_measure(found: re.Match[str]) -> str:
    """`3pm` and `10kg` are a number and a unit; `5th` is an ordinal; `4chan` stays a word."""
    unit = found[2]
    known = unit in lexicon.UNITS or unit in {"am", "pm", "h", "g", "m", "l"}
    return f"{found[1]} {unit}" if known else found[0]


def _without_courtesy(text: str) -> str:
    before = None
    text = text.strip()
    while before != text:
        before = text
        shorter = _THANKS.sub("", _COURTESY.sub("", text)).strip()
        text = shorter or text
    return text


def _words(text: str) -> list[str]:
    return [_number_text(token) for token in _TOKEN.findall(text)]


def _number_text(token: str) -> str:
    """Numbers with one spelling: no thousands separators, no ordinal endings."""
    ordinal = _ORDINAL.match(token)
    if ordinal:
        return ordinal[1]
    if _GROUPED.match(token):
        return token.replace(",", "")
    return token


def stem(word: str) -> str:
    """A light stem of an English word: plural, -ing, -ed, -ly and -e are dropped, -ise becomes -ize."""
    if len(word) <= 3 or not word.isalpha():
        return word
    word = _plural(word)
    for ending, least in (("ingly", 9), ("edly", 8), ("ing", 6), ("ed", 5), ("ly", 6)):
        if word.endswith(ending) and len(word) >= least:
            word = word[: -len(ending)]
            if len(word) > 2 and word[-1] == word[-2] and word[-1] not in "aeiousl":
                word = word[:-1]
            break
    word = word.removesuffix("e") if len(word) > 3 else word
    if word.endswith("is") and len(word) > 5:
        word = word[:-1] + "z"
    if word.endswith("our") and len(word) > 4:
        word = word[:-3] + "or"
    return word[:-1] + "i" if word.endswith("y") else word


def _plural(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _numbers(words: tuple[str, ...]) -> tuple[tuple[str, ...], frozenset[int]]:
    """The numbers in order, one spelling each, and at which words they stand: `twenty five` is 25."""
    found: list[float | str] = []
    used: set[int] = set()
    joining = False  # whether the word before was part of a number told in words
    for index, word in enumerate(words):
        value = _value(words, index)
        if value is None:
            joining = joining and word == "and"
            continue
        used.add(index)
        last = found[-1] if found and joining else None
        if isinstance(last, float) and isinstance(value, float) and _joins(last, value):
            found[-1] = last * value if value > last else last + value
        else:
            found.append(value)
        joining = not word[0].isdigit() or value != found[-1]
        joining = joining or isinstance(value, float)
    return tuple(f"{each:.15g}" if isinstance(each, float) else each for each in found), frozenset(used)


def _value(words: tuple[str, ...], index: int) -> float | str | None:
    """The number a word tells; its own text where it is a code rather than an amount."""
    word, before = words[index], words[index - 1] if index else ""
    if word[0].isdigit():
        amount = _AMOUNT.fullmatch(word)
        return word if amount is None else float(word.replace(",", "."))
    if word not in lexicon.NUMBERS or (word == "one" and before in lexicon.NOT_COUNTING):
        return None
    if word in {"second", "quarter"} and (before[:1].isdigit() or before in lexicon.NUMBERS):
        return None  # a unit
    return float(lexicon.NUMBERS[word])


def _joins(last: float, value: float) -> bool:
    """Whether two numbers after each other are one: `twenty five`, `two hundred`, `three million`."""
    tens = last in _TENS and 1 <= value <= 9
    return tens or (last < value and value in _SCALES) or (last >= 100 and last % 100 == 0 and value < 100)


def _dates(words: tuple[str, ...]) -> set[str]:
    found = set()
    for index, word in enumerate(words):
        if word in lexicon.MONTHS and (word not in lexicon.DOUBTFUL_MONTHS or _dated(words, index)):
            found.add(lexicon.MONTHS[word])
        elif word in lexicon.DATES and (word not in {"am", "pm"} or _after_number(words, index)):
            found.add(lexicon.DATES[word])
    return found


def _dated(words: tuple[str, ...], index: int) -> bool:
    beside = words[max(0, index - 1) : index] + words[index + 1 : index + 2]
    return any(word[0].isdigit() for word in beside) or (
        index > 0 and words[index - 1] in {"in", "of", "until", "till", "since", "by", "before", "after"}
    )


def _after_number(words: tuple[str, ...], index: int) -> bool:
    before = words[index - 1] if index else ""
    return before[:1].isdigit() or before in lexicon.NUMBERS


def _units(words: tuple[str, ...], numbers: frozenset[int]) -> set[str]:
    short = {"g": "gram", "m": "metre", "l": "litre", "h": "hour", "in": "inch"}
    found = {
        lexicon.UNITS[word]
        for index, word in enumerate(words)
        if word in lexicon.UNITS and index not in numbers
    }
    return found | {
        short[word]
        for index, word in enumerate(words)
        if word in short and word != "in" and index - 1 in numbers
    }


def _symbols(text: str) -> str:
    signs = [found[0].strip() for found in _SIGN.finditer(text)]
    return "".join(
        signs + [char for char in text if unicodedata.category(char) in {"Sm", "So"} and char not in "|~"]
    )


def _foreign(words: tuple[str, ...]) -> bool:
    if not all(char.isascii() for word in words for char in word):
        latin = all(
            "LATIN" in unicodedata.name(char, "") or not char.isalpha() for word in words for char in word
        )
        if not latin:
            return True
    return not any(word in _ENGLISH for word in words)


def _quotes(text: str) -> set[str]:
    found = set()
    for groups in _QUOTED.findall(text):
        quoted = " ".join(_words(next(group for group in groups if group).lower()))
        if quoted:
            found.add(quoted)
    return found


def _names(text: str) -> set[str]:
    """Capitals tell names only where not everything is capitalised, and not at the start of a sentence."""
    tokens = list(re.finditer(r"[^\W_][\w&.+/@#-]*", text))
    letters = [token for token in tokens if token[0][0].isalpha()]
    capitals = [token for token in letters if token[0][0].isupper()]
    telling = 2 * len(capitals) <= len(letters) + 1
    found = set()
    for token in tokens:
        word = token[0].rstrip(".,-/")
        if _MIXED.match(word) and not _ORDINAL.match(word) and not _MEASURED.fullmatch(word):
            found.add(word.lower())
        elif telling and word.isupper() and word.lower() in lexicon.STOP_WORDS - {"i", "a"}:
            found.add(word)  # `US` and `us`, `IT` and `it`
        elif telling and word[:1].isupper() and not _begins(text, token.start()) and word != "I":
            found.add(word.lower())
    return found


def _begins(text: str, at: int) -> bool:
    """Whether a sentence begins here."""
    before = text[:at].rstrip(" \t\n\"'`“«([*-")
    return not before or before[-1] in ".!?:;\n"


_ENGLISH: Final = lexicon.STOP_WORDS | lexicon.NEGATIONS - {"no"}
_WH: Final = frozenset({"what", "which", "who", "whom", "whose", "when", "where", "why", "how"})
_CLAUSE: Final = 3
_SAME: Final = {"which": "what", "whom": "who"}
_HOW: Final = frozenset(
    {"many", "much", "long", "often", "far", "old", "big", "tall", "high", "fast", "soon", "late", "early"}
)
_WAYS: Final = frozenset({"way", "ways", "steps", "step", "process", "procedure", "method"})
_NOUNS: Final = {
    "time": "when",
    "date": "when",
    "reason": "why",
    "place": "where",
    "location": "where",
    "person": "who",
    "number": "how many",
    "price": "how much",
    "cost": "how much",
}


def _asks(words: tuple[str, ...]) -> bool:
    return bool(words) and (words[0] in _WH or words[0] in lexicon.AUXILIARIES)


def _kind(words: tuple[str, ...]) -> str:
    for index, word in enumerate(words):
        if word in _WH and (index == 0 or not _asks(words)):
            if index > _CLAUSE:
                continue  # inside of a clause, as in "remind me of the day when …"
            return _wh(words, index)
    if words and words[0] in {"can", "could", "would", "will"} and words[1:2] == ("you",):
        return ""  # a request, however politely it is put
    if words and words[0] in lexicon.AUXILIARIES and words[0] != "do":
        return "yes or no"
    if words[:1] == ("do",) and words[1:2] and words[1] in {"i", "you", "we", "they"}:
        return "yes or no"
    return ""


def _wh(words: tuple[str, ...], index: int) -> str:
    word, after = words[index], words[index + 1 : index + 6]
    if word == "how":
        if after[:1] and after[0] in _HOW:
            return f"how {after[0]}"
        return "how about" if after[:1] == ("about",) else "how"
    if word in {"what", "which"}:
        for near in after:
            if near in _WAYS:
                return "how"
            if near in _NOUNS:
                return _NOUNS[near]
    return _SAME.get(word, word)


def _modal(words: tuple[str, ...]) -> str:
    """Whether something can, must or should be; empty where that is not what is asked."""
    for index, word in enumerate(words):
        if word in {"have", "need", "needs", "has"} and words[index + 1 : index + 2] == ("to",):
            return "needed"
        if word in lexicon.MODALS and not (word == "may" and _dated(words, index)):
            return lexicon.MODALS[word]
    return ""
