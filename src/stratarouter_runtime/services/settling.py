"""The policy for one question: from what its author, its tenant, the settings and the request say.

Must never know: how an answer is found, kept or made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.cache.policy import Defaults, Policy, Wishes, settle
from stratarouter_runtime.cache.terms import USUAL, Terms

if TYPE_CHECKING:
    from stratarouter_runtime.cache.book import TermsBook
    from stratarouter_runtime.ids import Digest, Tenant
    from stratarouter_runtime.tcfp.ir import Signature

POLICIES: Final = 1_000
"""Policies remembered, by flow or agent and wishes."""


class Settling:
    """Policies, and the edition of what decides besides plans."""

    def __init__(
        self,
        defaults: Defaults,
        terms: TermsBook | None,
        edition: Callable[[Tenant], Awaitable[str]] | None,
    ) -> None:
        self.defaults = defaults
        self.terms = terms
        self._edition = edition
        self._known: dict[tuple[Digest, Wishes, Terms], Policy | str] = {}

    async def policy(
        self, tenant: Tenant, space: str, of: Digest, signature: Signature, wishes: Wishes
    ) -> Policy | str:
        """How a question to this flow or agent, of this digest, is answered; or why nothing is reused.

        As `settle`, which looks at whole types: remembered for what has just been asked.
        """
        terms = USUAL if self.terms is None else await self.terms.of(tenant, space)
        known = self._known.get((of, wishes, terms))
        if known is None:
            if len(self._known) >= POLICIES:
                self._known.clear()
            known = self._known[of, wishes, terms] = settle(signature, self.defaults, wishes, terms)
        return known

    async def edition(self, tenant: Tenant) -> str:
        """What decides besides plans, by name: another edition, other keys."""
        return "" if self._edition is None else await self._edition(tenant)
