"""Why an answer to one text may stand for another, or which gate refuses: every gate asked, not only the first.

Must never know: where answers are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from stratarouter_runtime.cache.gates import GATES, compare, substitution
from stratarouter_runtime.cache.reading import read

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Embedder


class Opinion(Struct, frozen=True):
    """What one gate says; `why` is empty where it lets the pair pass."""

    gate: str
    why: str = ""


class Explanation(Struct, frozen=True):
    """Whether an answer would be reused, how, and what every gate says."""

    reused: bool
    kind: str
    cosine: float
    threshold: float
    encoder: str
    opinions: tuple[Opinion, ...]


async def explain(embedder: Embedder, left: str, right: str, threshold: float) -> Explanation:
    """Look at a pair as the cache would. Raises what the encoder raises."""
    from stratarouter_runtime.cache.matrix import cosines  # noqa: PLC0415 - start-up: numpy when vectors come

    texts = cosines([left, right], await embedder.embed([left, right]))
    cosine = texts[left, right]
    compared = compare(left, right)
    words = compared.words
    likeness = cosines(words, await embedder.embed(words)) if words else {}
    one, other = read(left), read(right)
    opinions = [Opinion("cosine", "" if cosine >= threshold else f"{cosine:.3f} is below {threshold:g}")]
    opinions += [Opinion(name, gate(one, other) or "") for name, gate in GATES]
    if compared.refusal is not None and compared.refusal.gate == "length":
        opinions.append(Opinion("length", compared.refusal.why))
    refusal = None if compared.refusal else substitution(compared, likeness)
    opinions.append(Opinion("substitution", "" if refusal is None else refusal.why))
    normal = compared.refusal is None and compared.normal
    kind = "exact" if left == right else "normalised" if normal else "semantic"
    blind = {"cosine", "substitution"} if normal else set()
    reused = left == right or all(not each.why or each.gate in blind for each in opinions)
    return Explanation(reused, kind if reused else "", cosine, threshold, embedder.identity, tuple(opinions))
