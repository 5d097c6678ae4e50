"""What a tenant says of the reuse of one flow or agent, beside what its author and the settings say.

It is kept on the shelf, and is no part of what a flow means: a plan stays the same plan. Must never
know: how an answer is found.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from stratarouter_runtime.errors import InvalidInput

Seconds = Annotated[int, Meta(ge=0, le=10 * 366 * 86_400)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Terms(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """On what terms answers are reused; null is as in the settings.

    `tags` mark what is kept. With the scope `user` nothing is reused for a request that names no user.
    """

    enabled: bool = True
    threshold: Annotated[float, Meta(ge=0.5, le=1)] | None = None
    ttl_seconds: Seconds | None = None
    max_age_seconds: Seconds | None = None
    tags: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=16)] = ()
    scope: Literal["shared", "user"] = "shared"
    shadow_share: Share | None = None


USUAL: Final = Terms()


def read_terms(given: object) -> Terms:
    """Terms as somebody wrote them. Raises `InvalidInput`."""
    try:
        return msgspec.convert(given, Terms)
    except msgspec.ValidationError as error:
        hint = f"terms are: {', '.join(Terms.__struct_fields__)}"
        raise InvalidInput(f"the terms do not fit: {error}", hint=hint) from None
