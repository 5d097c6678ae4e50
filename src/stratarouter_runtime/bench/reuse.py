"""How often answers are reused that should be, and that must not be: the gates beside plain cosines.

Pairs of questions come from the shipped sample or from public data, and every policy sees the same
vectors. Must never know: how a gate decides.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml
from msgspec import Struct

from stratarouter_runtime.bridge.batching import BatchedEncoder
from stratarouter_runtime.cache.gates import Compared, compare, substitution
from stratarouter_runtime.cache.matrix import cosines

if TYPE_CHECKING:
    from stratarouter_runtime.bridge.encoder import Encoder
    from stratarouter_runtime.ports import Embedder

THRESHOLD: Final = 0.85
COSINES: Final = (0.80, 0.85, 0.90, 0.95)


class Pair(Struct, frozen=True):
    """Two questions; `same` where one answer does for both."""

    kind: str
    same: bool
    left: str
    right: str

    @property
    def held_out(self) -> bool:
        """Whether it is in the half whose mistakes were not looked at while the gates were made."""
        return bool(blake2b(f"{self.left}{self.right}".encode()).digest()[0] & 1)


class Judged(Struct, frozen=True):
    """A pair with its cosine, and which gate refused it, if one did."""

    pair: Pair
    cosine: float
    refused: str
    normal: bool

    def served(self, threshold: float, *, gates: bool) -> bool:
        """Whether an answer would be reused, with all gates or by the cosine alone."""
        if not gates:
            return self.cosine >= threshold
        return not self.refused and (self.normal or self.cosine >= threshold)


class Row(Struct, frozen=True):
    """One policy on one set: the percent served of the pairs that may be, and of those that must not.

    `held_out` is of the latter too, of the half that was not looked at.
    """

    data: str
    policy: str
    rightly: float
    wrongly: float
    held_out: float


def sample() -> list[Pair]:
    """The shipped pairs."""
    text = files("stratarouter_runtime.bench").joinpath("reuse_sample.yaml").read_text(encoding="utf-8")
    return [Pair(kind, kind == "same", left, right) for kind, left, right in yaml.safe_load(text)]


def fow(folder: Path) -> list[Pair]:
    """The pairs of fow-cache."""
    rows = map(json.loads, (folder / "pairs.jsonl").read_text(encoding="utf-8").splitlines())
    return [Pair(row["category"], row["same_answer"], row["a"], row["b"]) for row in rows]


def minimal(folder: Path) -> list[Pair]:
    """Pairs that differ in one fact, and harmless variants."""
    rows = map(json.loads, (folder / "pairs.jsonl").read_text(encoding="utf-8").splitlines())
    return [Pair(row["kind"], bool(row["label"]), row["a"], row["b"]) for row in rows]


def paws(folder: Path) -> list[Pair]:
    """Pairs with words in another order."""
    lines = (folder / "pairs.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return [Pair("order", row[3] == "1", _text(row[1]), _text(row[2])) for row in rows]


async def judge(pairs: Sequence[Pair], embedder: Embedder) -> list[Judged]:
    """Every pair with its cosine, and what the gates say of it."""
    compared = [compare(pair.left, pair.right) for pair in pairs]
    texts = {text for pair in pairs for text in (pair.left, pair.right)}
    words = {word for each in compared for word in each.words}
    wanted = sorted(texts | words)
    vectors = dict(zip(wanted, await embedder.embed(wanted), strict=True))
    return [_judged(pair, each, vectors) for pair, each in zip(pairs, compared, strict=True)]


def _judged(pair: Pair, compared: Compared, vectors: dict[str, bytes]) -> Judged:
    both = cosines(["left", "right"], [vectors[pair.left], vectors[pair.right]])
    likeness = cosines(compared.words, [vectors[word] for word in compared.words])
    refusal = compared.refusal or substitution(compared, likeness)
    gate = "" if refusal is None else refusal.gate
    return Judged(pair, both["left", "right"], gate, compared.normal)


def share(judged: Iterable[Judged], threshold: float = THRESHOLD, *, same: bool, gates: bool = True) -> float:
    """Percent of those pairs served; 0 where there are none."""
    served = [each.served(threshold, gates=gates) for each in judged if each.pair.same == same]
    return 100 * sum(served) / len(served) if served else 0.0


async def measure(encoder: Encoder, data: Path) -> list[Row]:
    """Plain cosines as most caches have them, then the default policy, on every set that is there."""
    embedder = BatchedEncoder(encoder, remember=0)
    sets = {"shipped": sample()} | {
        name: read(data / name) for name, read in PUBLIC.items() if (data / name).is_dir()
    }
    try:
        return [row for name, pairs in sets.items() for row in _rows(name, await judge(pairs, embedder))]
    finally:
        embedder.close()


def _rows(data: str, judged: Sequence[Judged]) -> list[Row]:
    rows = [_row(data, f"cosine {least:.2f}", judged, least, gates=False) for least in COSINES]
    return [*rows, _row(data, f"cosine {THRESHOLD:.2f} and all gates", judged, THRESHOLD, gates=True)]


def _row(data: str, policy: str, judged: Sequence[Judged], threshold: float, *, gates: bool) -> Row:
    held = [each for each in judged if each.pair.held_out]
    return Row(
        data,
        policy,
        round(share(judged, threshold, same=True, gates=gates), 1),
        round(share(judged, threshold, same=False, gates=gates), 1),
        round(share(held, threshold, same=False, gates=gates), 1),
    )


def _text(literal: str) -> str:
    """The text of a bytes literal, as the data has it."""
    value = ast.literal_eval(literal)
    return value.decode() if isinstance(value, bytes) else str(value)


PUBLIC: Final[dict[str, Callable[[Path], list[Pair]]]] = {
    "fow_cache": fow,
    "minimal_pairs": minimal,
    "paws_qqp": paws,
}
"""Public data by the name of its folder."""
