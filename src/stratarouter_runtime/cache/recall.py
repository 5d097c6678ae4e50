"""Kept answers: asked for by exactly the same question, or by one that means the same.

An answer is reused only when every gate passes; a gate that fails or takes too long is a miss.
Entries lie in the store, and those used lately in memory in front of it. Must never know: how an
answer is made, or what is asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from msgspec import Struct

from stratarouter_runtime.cache.answers import LARGEST, Answer
from stratarouter_runtime.cache.counts import Ledger
from stratarouter_runtime.cache.front import Held
from stratarouter_runtime.cache.gates import TOO_LONG, Compared, Refusal, compare, substitution
from stratarouter_runtime.cache.policy import Partition, Policy, exact_key, group_key
from stratarouter_runtime.cache.reading import MAX_CHARACTERS
from stratarouter_runtime.cache.tiers import Tiers
from stratarouter_runtime.errors import StoreError
from stratarouter_runtime.ids import Digest, ExecutionId, Tenant
from stratarouter_runtime.ports import Holding, Selection
from stratarouter_runtime.state.events import Reused

if TYPE_CHECKING:
    from stratarouter_runtime.cache.groups import Group
    from stratarouter_runtime.ports import CacheStore, Clock, Embedder

NEAREST: Final = 4
"""Entries that the gates are asked about, nearest first."""

PATIENCE: Final = 5.0
"""Seconds that vectors may take before the question counts as a miss."""

AHEAD: Final = 60_000_000
"""Microseconds by which the clocks of processes may differ."""

Kind: TypeAlias = Literal["exact", "normalised", "semantic"]


class Question(Struct, frozen=True):
    """What is asked, as a cache sees it.

    `call` is the digest of all that is asked (`tcfp.digests.call_key`), `of` that of who answers,
    `rest` the input without the semantic fields, `texts` those fields, in the order of their names.
    """

    tenant: Tenant
    space: str
    policy: Policy
    call: Digest
    of: Digest
    rest: Any = None
    texts: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether its texts may match by meaning: there are some, and none is too long for the gates."""
        return bool(self.texts) and max(map(len, self.texts)) <= MAX_CHARACTERS


class Asked(Struct, frozen=True):
    """A question with its keys, for keeping the answer later.

    `group` and `vector` are there once it was looked for by meaning, both of one encoder.
    `revision` is that of its space: what is answered after something of it was forgotten is not kept.
    """

    question: Question
    revision: int
    key: Digest
    group: str = ""
    vector: bytes = b""

    @property
    def flight(self) -> str:
        """Under what it is answered together with others: never with who asked before something was forgotten."""
        return f"{self.key}:{self.revision}"


class Found(Struct, frozen=True):
    """An answer that may be reused."""

    kind: Kind
    held: Held
    similarity: float = 1.0

    @property
    def told(self) -> Reused:
        """As a journal tells it."""
        return Reused(self.kind, self.held.source, self.held.key, self.similarity)


class Looked(Struct, frozen=True):
    """What looking came to: an answer or none, and which gates stood before those that were near."""

    asked: Asked
    found: Found | None = None
    refused: tuple[Refusal, ...] = ()


class Cache:
    """Looks up and keeps. `close` it when done; belongs to one event loop."""

    def __init__(self, store: CacheStore, embedder: Embedder, clock: Clock, *, room: int = 64 << 20) -> None:
        """Hold at most about `room` bytes in memory, half of them with vectors."""
        self.ledger = Ledger()
        self._tiers = Tiers(store, clock, self.ledger, room)
        self._embedder = embedder
        self._clock = clock

    # Looking.

    def ask(self, question: Question) -> Asked:
        """The question with its key, as of now."""
        partition, revision = self._partition(question)
        return Asked(question, revision, exact_key(partition, question.call))

    def at_hand(self, asked: Asked) -> Looked | None:
        """The answer to the very same question, if it lies in memory. Waits for nothing."""
        if self.stale:
            return None
        question = asked.question
        held = self._tiers.at_hand(question.tenant, asked.key)
        if held is None or self._bar(held, question.policy) is not None:
            return None
        return self._hit(Looked(asked, Found("exact", held)))

    @property
    def stale(self) -> bool:
        """Whether others may have forgotten something that is not known here yet."""
        return self._tiers.stale

    async def refresh(self) -> None:
        """Learn what others have forgotten."""
        await self._tiers.refresh()

    async def look(self, asked: Asked) -> Looked:
        """The answer that may be reused, if there is one. Failures of store and encoder are misses."""
        await self._tiers.refresh()
        asked, refused = self._as_of_now(asked), list[Refusal]()
        question = asked.question
        held = await self._exact(asked)
        if held is not None and self._passes(held, question.policy, refused):
            return self._hit(Looked(asked, Found("exact", held), tuple(refused)))
        if question.readable:
            looked = await self._by_meaning(asked, {asked.key}, refused)
        else:
            if question.texts:
                self._note(question, TOO_LONG, refused)
            looked = Looked(asked, None, tuple(refused))
        return self._miss(looked) if looked.found is None else self._hit(looked)

    def _as_of_now(self, asked: Asked) -> Asked:
        """The same, whatever was forgotten since it was asked."""
        question = asked.question
        unchanged = self._tiers.generation(question.tenant, question.space)[1] == asked.revision
        return asked if unchanged else self.ask(question)

    async def _exact(self, asked: Asked) -> Held | None:
        try:
            return await self._tiers.find(asked.question.tenant, asked.key)
        except StoreError:
            self._fault(asked.question, "store")
            return None

    async def _by_meaning(self, asked: Asked, seen: set[Digest], refused: list[Refusal]) -> Looked:
        """As `look`, among the entries of the group but those `seen`."""
        question, asked = asked.question, self._placed(asked)
        try:
            async with asyncio.timeout(PATIENCE):
                group = await self._tiers.group(question.tenant, question.space, asked.group)
            same = group.same(question.texts)
            if same is not None and same.key not in seen and self._passes(same, question.policy, refused):
                if self._refusal(question, same, {}, refused, normal=True) is None:
                    return Looked(asked, Found("normalised", same), tuple(refused))
                seen.add(same.key)
            async with asyncio.timeout(PATIENCE):
                vector = b"".join(await self._embedder.embed(question.texts))
                asked = Asked(question, asked.revision, asked.key, asked.group, vector)
                found = await self._nearest(asked, group, seen, refused)
        except Exception:  # noqa: BLE001 - whatever an encoder or a store raises is a miss, and counted
            self._fault(question, "look-up")
            return Looked(asked, None, (*refused, Refusal("fault", "the look-up by meaning failed")))
        return Looked(asked, found, tuple(refused))

    async def _nearest(
        self, asked: Asked, group: Group, seen: set[Digest], refused: list[Refusal]
    ) -> Found | None:
        question = asked.question
        for held, cosine in group.nearest(asked.vector, question.policy.threshold, NEAREST):
            if held.key in seen or not self._passes(held, question.policy, refused):
                continue
            pairs = [compare(*pair) for pair in zip(question.texts, held.answer.texts, strict=True)]
            likeness = await self._likeness(pairs)
            if self._refusal(question, held, likeness, refused, pairs=pairs) is None:
                return Found("semantic", held, cosine)
        return None

    async def _likeness(self, pairs: list[Compared]) -> dict[tuple[str, str], float]:
        """The cosines of the words that are still open; none where a gate refused already."""
        if any(pair.refusal for pair in pairs):
            return {}
        words = tuple(dict.fromkeys(word for pair in pairs for word in pair.words))
        if not words:
            return {}
        from stratarouter_runtime.cache.matrix import cosines  # noqa: PLC0415 - start-up: numpy when vectors come

        return cosines(words, await self._embedder.embed(words))

    def _refusal(
        self,
        question: Question,
        held: Held,
        likeness: dict[tuple[str, str], float],
        refused: list[Refusal],
        *,
        pairs: list[Compared] | None = None,
        normal: bool = False,
    ) -> Refusal | None:
        """The first gate that refuses a text; noted and counted."""
        if pairs is None:
            pairs = [compare(*pair) for pair in zip(question.texts, held.answer.texts, strict=True)]
        for pair in pairs:
            refusal = pair.refusal or (None if normal and pair.normal else substitution(pair, likeness))
            if refusal is not None:
                return self._note(question, refusal, refused)
        return None

    def _passes(self, held: Held, policy: Policy, refused: list[Refusal]) -> bool:
        """Whether age and tags let an entry be reused; noted and counted where not."""
        refusal = self._bar(held, policy)
        if refusal is not None:
            refused.append(refusal)
            self.ledger.refuse(held.tenant, held.space, refusal.gate)
        return refusal is None

    def _bar(self, held: Held, policy: Policy) -> Refusal | None:
        return self._too_old(held, policy) or _untagged(held, policy)

    def _too_old(self, held: Held, policy: Policy) -> Refusal | None:
        now = self._clock.now()
        if held.expires <= now:
            return Refusal("age", "it has expired")
        if held.created > now + AHEAD:
            return Refusal("age", "it was made later than now: a clock was set back")
        if policy.max_age is not None and now - held.created > policy.max_age:
            return Refusal("age", f"it is {(now - held.created) // 1_000_000} s old")
        return None

    def _note(self, question: Question, refusal: Refusal, refused: list[Refusal]) -> Refusal:
        refused.append(refusal)
        self.ledger.refuse(question.tenant, question.space, refusal.gate)
        return refusal

    def _hit(self, looked: Looked) -> Looked:
        found, question = looked.found, looked.asked.question
        assert found is not None
        answer = found.held.answer
        self.ledger.count(question.tenant, question.space, found.kind)
        self.ledger.save(question.tenant, question.space, answer.usd, answer.tokens, answer.ms)
        return looked

    def _miss(self, looked: Looked) -> Looked:
        """To be answered from here on: as of now, whatever was forgotten during the look."""
        question = looked.asked.question
        self.ledger.count(question.tenant, question.space, "misses")
        return Looked(self._as_of_now(looked.asked), None, looked.refused)

    def compared(self, question: Question, *, equal: bool) -> None:
        """A reused answer was worked out anew."""
        self.ledger.count(question.tenant, question.space, "compared")
        if not equal:
            self.ledger.count(question.tenant, question.space, "differing")

    # Keeping.

    async def keep(self, asked: Asked, answer: Answer, source: ExecutionId, since: int = 0) -> bool:
        """Keep a finished, valid, whole answer; False where it comes too late, is too old or too large.

        It is as old as the oldest that it rests on, made at `since`; 0 says that it was made now. It is found at once, and becomes durable soon: a crash may lose it, which costs a miss.
        """
        question = asked.question
        if len(answer.output) > LARGEST:
            return False
        if question.readable:
            asked = await self._embedded(asked)
            answer = Answer(answer.output, question.texts, asked.vector, answer.usd, answer.tokens, answer.ms)
        held = self._held(asked, answer, source, since)
        if held.expires <= self._clock.now() or not self._tiers.put(held, asked.revision):
            return False
        self.ledger.count(question.tenant, question.space, "kept")
        return True

    async def _embedded(self, asked: Asked) -> Asked:
        """With its group, and the vectors of its texts; without these where the encoder fails."""
        question = asked.question
        if asked.vector:
            return asked
        asked = self._placed(asked)
        try:
            async with asyncio.timeout(PATIENCE):
                vector = b"".join(await self._embedder.embed(question.texts))
        except Exception:  # noqa: BLE001 - without vectors it is found by its very input, or its normal form
            self._fault(question, "encoder")
            return asked
        return Asked(question, asked.revision, asked.key, asked.group, vector)

    def _held(self, asked: Asked, answer: Answer, source: ExecutionId, since: int) -> Held:
        question, now = asked.question, self._clock.now()
        created = min(now, since or now)
        return Held(
            tenant=question.tenant,
            key=asked.key,
            space=question.space,
            group=asked.group,
            source=source,
            created=created,
            expires=created + question.policy.ttl,
            tags=question.policy.marks,
            answer=answer,
        )

    # Forgetting.

    async def forget(self, selection: Selection, *, dry_run: bool = False) -> int:
        """Take entries away, here and in the store; how many. Raises `StoreError`."""
        if dry_run:
            return await self._tiers.count(selection)
        return len(await self._tiers.forget(selection))

    async def wrong(
        self, tenant: Tenant, *, key: Digest | None = None, source: ExecutionId | None = None
    ) -> int:
        """Somebody says that a reused answer was wrong: it is forgotten, and counted against its space."""
        if key is None and source is None:
            return 0
        spaces = await self._tiers.forget(Selection(tenant, key=key, source=source))
        for space in spaces:
            self.ledger.count(tenant, space, "wrong")
        return len(spaces)

    async def holdings(self, tenant: Tenant) -> list[Holding]:
        """What is kept, by space."""
        return await self._tiers.holdings(tenant)

    async def close(self) -> None:
        """Let what is on its way to the store arrive there."""
        await self._tiers.close()

    # Parts.

    def _partition(self, question: Question) -> tuple[Partition, int]:
        """Within what it may be answered, and the revision of that."""
        epoch, revision = self._tiers.generation(question.tenant, question.space)
        return Partition(question.tenant, question.space, question.policy.scope, epoch), revision

    def _placed(self, asked: Asked) -> Asked:
        """With the group of the encoder as it is now, where it has none."""
        if asked.group:
            return asked
        question = asked.question
        partition, _ = self._partition(question)
        group = group_key(partition, question.of, question.rest, self._identity(question))
        return Asked(question, asked.revision, asked.key, group)

    def _identity(self, question: Question) -> str:
        """That of the encoder; empty where there is none, so that only normal forms are compared."""
        try:
            return self._embedder.identity
        except Exception:  # noqa: BLE001 - a missing encoder leaves the exact tier
            self._fault(question, "encoder")
            return ""

    def _fault(self, question: Question, what: str) -> None:
        self.ledger.fault(question.tenant, question.space, what)


def _untagged(held: Held, policy: Policy) -> Refusal | None:
    missing = [tag for tag in policy.tags if tag not in held.tags]
    return Refusal("tags", f"it lacks the tag '{missing[0]}'") if missing else None
