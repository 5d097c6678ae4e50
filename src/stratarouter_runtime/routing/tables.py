"""Routing tables as written: routes, what people say that belongs to them, and what belongs to none.

Must never know: vectors, files, or how a table is used.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from stratarouter_runtime.errors import InvalidInput

MAX_UTTERANCES: Final = 20_000
"""Up to here every route is weighed exactly; beyond, a decision would no longer be quick."""
MAX_ROUTES: Final = 5_000
MAX_CHARACTERS: Final = 4_096
"""Of one utterance, and of one description."""

NONE: Final = "none"
"""No route's name: it says that a query belongs to none."""

_SEPARATORS: Final = re.compile(r"[\W_]+")
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What tables, routes and rules may be called."""


class Route(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A destination. Among equal scores the higher `priority` wins, then the name that sorts first."""

    name: str
    utterances: tuple[str, ...] = ()
    description: str = ""
    tags: tuple[str, ...] = ()
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0

    def examples(self) -> tuple[str, ...]:
        """What it is learnt from: its utterances, its description, and the words of its name."""
        spoken = _SEPARATORS.sub(" ", self.name).strip()
        return tuple(dict.fromkeys(text for text in (*self.utterances, self.description, spoken) if text))


class Table(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Routes to choose from. `none` are examples of what belongs to none of them."""

    name: str
    routes: tuple[Route, ...]
    none: tuple[str, ...] = ()

    def foreign(self) -> tuple[str, ...]:
        """What belongs to none of its routes, each text once."""
        return tuple(dict.fromkeys(self.none))


def read_table(data: Any) -> Table:
    """A table from JSON data. Raises `InvalidInput` that names every fault."""
    try:
        table = msgspec.convert(data, Table)
    except msgspec.ValidationError as error:
        hint = "a table is {name, routes: [{name, utterances, description, tags, priority}], none}"
        raise InvalidInput(f"this is no routing table: {error}", hint=hint) from None
    check(table)
    return table


def check(table: Table) -> None:
    """Raise `InvalidInput` that names every fault of a table, not the first."""
    faults = list(_faults(table))
    if faults:
        told = "\n  ".join(faults[:20])
        more = f"\n  and {len(faults) - 20} more" if len(faults) > 20 else ""
        raise InvalidInput(f"the routing table '{table.name[:140]}' cannot be used:\n  {told}{more}")


def is_text(text: str) -> bool:
    """Whether it can be written down: half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _faults(table: Table) -> Iterator[str]:
    if not NAME.fullmatch(table.name):
        yield "its name has to be 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', the first a letter or digit"
    if not table.routes:
        yield "it has no routes"
    if len(table.routes) > MAX_ROUTES:
        yield f"it has {len(table.routes)} routes; {MAX_ROUTES} are possible"
    count = sum(len(route.utterances) for route in table.routes) + len(table.none)
    if count > MAX_UTTERANCES:
        yield f"it has {count} utterances; {MAX_UTTERANCES} are possible"
    for name, times in Counter(route.name for route in table.routes).items():
        if times > 1:
            yield f"{times} routes are called '{name[:140]}'"
    for route in table.routes:
        yield from _route_faults(route)
    yield from _texts_faults("none", table.none)
    yield from _shared(table)


def _route_faults(route: Route) -> Iterator[str]:
    if not NAME.fullmatch(route.name):
        yield f"the name of route '{route.name[:140]}' has other characters than A-Z, a-z, 0-9, '.', '_', '-'"
    if route.name == NONE:
        yield f"a route is called '{NONE}', which says that a query belongs to none: give it another name"
    if not route.utterances and not route.description.strip():
        yield f"route '{route.name[:140]}' has neither utterances nor a description: nothing can be near it"
    yield from _texts_faults(f"route '{route.name[:140]}'", (*route.utterances, route.description or "-"))


def _texts_faults(where: str, texts: tuple[str, ...]) -> Iterator[str]:
    for text in texts:
        if not text.strip():
            yield f"{where} has an utterance without text"
        elif len(text) > MAX_CHARACTERS:
            yield f"{where} has an utterance of {len(text)} characters; {MAX_CHARACTERS} are possible"
        elif not is_text(text):
            yield f"{where} has an utterance with half a surrogate pair: it is no text"


def _shared(table: Table) -> Iterator[str]:
    """One text cannot be an example of two routes: whichever is chosen would be wrong."""
    owners: dict[str, str] = {}
    groups = [(route.name, (*route.utterances, route.description)) for route in table.routes]
    groups.append((NONE, table.none))
    for name, texts in groups:
        for text in filter(None, dict.fromkeys(texts)):
            other = owners.setdefault(text, name)
            if other != name:
                yield f"'{text[:80]}' is an example of '{other[:140]}' and of '{name[:140]}'"
