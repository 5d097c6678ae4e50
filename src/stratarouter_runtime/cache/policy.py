"""What may be reused for whom, and for how long: decided from signature, settings and request.

A request may only ask for less: a higher threshold, a younger answer, none at all. Must never
know: clocks, stores, or how an answer is found. Times are in microseconds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

from blake3 import blake3
from msgspec import Struct

from stratarouter_runtime.cache.terms import USUAL, Terms
from stratarouter_runtime.canonical import canonical
from stratarouter_runtime.ids import Digest, Tenant
from stratarouter_runtime.state.events import Wished
from stratarouter_runtime.tcfp.digests import cache_policy
from stratarouter_runtime.tcfp.relations import labels_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from stratarouter_runtime.tcfp.ir import Signature

T = TypeVar("T")

SECOND: Final = 1_000_000


class Defaults(Struct, frozen=True):
    """What holds where nobody says otherwise.

    `threshold` is the least cosine of texts that match by meaning; `ttl` how long an answer is kept;
    `max_age` how old one may be when it is reused; `shadow` the share of reused answers that is
    worked out anew as well.
    """

    threshold: float = 0.85
    ttl: int = 24 * 3600 * SECOND
    max_age: int | None = None
    shadow: float = 0.0
    enabled: bool = True


class Wishes(Struct, frozen=True):
    """What a request asks for. `scope` is the user it is made for; `tags` mark what is kept, and what is read."""

    read: bool = True
    keep: bool = True
    max_age: int | None = None
    threshold: float | None = None
    scope: str = ""
    tags: tuple[str, ...] = ()

    @property
    def wished(self) -> Wished | None:
        """What of them an execution carries to its calls, beside scope and freshness; None for nothing."""
        wished = Wished(self.keep, self.max_age, self.threshold, self.tags)
        return None if wished == _NOTHING else wished


_NOTHING: Final = Wished()
NO_WISHES: Final = Wishes()

Reason: TypeAlias = Literal["off", "policy", "request", "effect", "never", "run", "personal"]
"""Why nothing is reused: by the settings, the tenant's policy, the request, the effect, its author, or without a scope."""


class Policy(Struct, frozen=True):
    """How one question is to be answered."""

    semantic: tuple[str, ...]
    """The fields that may match by meaning; empty where only the very same input will do."""
    threshold: float
    ttl: int
    max_age: int | None
    shadow: float
    read: bool
    keep: bool
    scope: str
    tags: tuple[str, ...]
    """Which have to be on what is reused."""
    marks: tuple[str, ...] = ()
    """Which are put on what is kept."""


def settle(
    signature: Signature, defaults: Defaults, wishes: Wishes = NO_WISHES, terms: Terms = USUAL
) -> Policy | Reason:
    """The policy for one request to what has this signature, or why nothing is reused."""
    declared = cache_policy(signature)
    if not (defaults.enabled and terms.enabled):
        return "policy" if defaults.enabled else "off"
    if not (wishes.read or wishes.keep):
        return "request"
    if signature.effect != "pure":
        return "effect"
    if declared in ("never", "run"):
        return "never" if declared == "never" else "run"
    personal = terms.scope == "user" or labels_of(signature.input) or labels_of(signature.output)
    if personal and not wishes.scope:
        return "personal"
    return Policy(
        semantic=tuple(sorted(signature.semantic)) if declared == "semantic" else (),
        threshold=max(_either(terms.threshold, defaults.threshold), wishes.threshold or 0.0),
        ttl=_either(_micros(terms.ttl_seconds), defaults.ttl),
        max_age=_least(_either(_micros(terms.max_age_seconds), defaults.max_age), wishes.max_age),
        shadow=_either(terms.shadow_share, defaults.shadow),
        read=wishes.read,
        keep=wishes.keep,
        scope=wishes.scope,
        tags=wishes.tags,
        marks=tuple(dict.fromkeys((*wishes.tags, *terms.tags))),
    )


def _either(written: T | None, usual: T) -> T:
    return usual if written is None else written


def _micros(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * SECOND


def _least(*ages: int | None) -> int | None:
    return min((age for age in ages if age is not None), default=None)


# Keys.


class Partition(Struct, frozen=True, array_like=True):
    """Within what an answer may be reused. Every part is hashed with its length: none can pose as another."""

    tenant: Tenant
    space: str
    scope: str
    epoch: int

    @property
    def parts(self) -> tuple[str, ...]:
        """As texts."""
        return self.tenant, self.space, self.scope, str(self.epoch)


def exact_key(partition: Partition, call: Digest) -> Digest:
    """The key of exactly this question: `call` is `tcfp.digests.call_key` of it."""
    return _digest("exact", partition, call)


def group_key(partition: Partition, of: Digest, rest: Any, identity: str) -> str:
    """The fingerprint of everything that may not differ where texts match by meaning.

    `of` is the digest of plan or agent, `rest` the input without its semantic fields in canonical
    form, `identity` that of the embedder: entries of another encoder are not seen.
    """
    return _digest("group", partition, of, canonical(rest), identity)


def _digest(kind: Literal["exact", "group"], partition: Partition, *parts: str | bytes) -> Digest:
    hasher = _begun(kind, partition).copy()
    hasher.update(_framed(parts))
    return Digest(hasher.hexdigest())


@lru_cache(maxsize=4096)
def _begun(kind: Literal["exact", "group"], partition: Partition) -> blake3:
    """A hash of the partition, to be gone on with: it is the same for many questions."""
    return blake3(_framed(partition.parts), derive_key_context=_CONTEXTS[kind])


def _framed(parts: Iterable[str | bytes]) -> bytes:
    pieces: list[bytes] = []
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode()
        pieces += (len(data).to_bytes(8, "little"), data)
    return b"".join(pieces)


_CONTEXTS: Final = {kind: f"stratarouter cache {kind} 1.0" for kind in ("exact", "group")}


# Shadow samples.


def wrong_at_most(compared: int, differing: int) -> float | None:
    """Upper end of the 95 % confidence interval (Wilson, one-sided) of the share that differs.

    None where nothing was compared.
    """
    if not compared:
        return None
    z = 1.6448536269514722
    share, scale = differing / compared, 1 + z * z / compared
    middle = share + z * z / (2 * compared)
    spread: float = z * ((share * (1 - share) + z * z / (4 * compared)) / compared) ** 0.5
    return min(1.0, (middle + spread) / scale)
