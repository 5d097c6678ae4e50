"""What stands behind the `?` of a request, as a record; and lists page by page.

A page ends with an opaque cursor for the next one; there are no offsets, so what is added meanwhile
moves nothing. Must never know: what a query looks for.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, get_args, get_origin
from urllib.parse import parse_qs, urlencode

import msgspec
from msgspec import Meta, Struct

from stratarouter_runtime.api.errors import Refused, refused_at
from stratarouter_runtime.api.exchange import Reply
from stratarouter_runtime.tcfp.diagnostics import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from msgspec.structs import FieldInfo

    from stratarouter_runtime.api.exchange import Request

T = TypeVar("T", bound=msgspec.Struct)
Item = TypeVar("Item")

Limit: TypeAlias = Annotated[int, Meta(ge=1, le=200)]


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    """Which page."""

    limit: Limit = 50
    cursor: str | None = None


def read_query(request: Request, type_: type[T]) -> T:
    """The query of a request as a record of this type; a list may be given by commas or by repeating.

    Raises `Refused` for a parameter that is unknown, given twice, or does not fit.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    values: dict[str, Any] = {}
    for name, given in parse_qs(request.query, keep_blank_values=True).items():
        if name not in fields:
            hint = did_you_mean(name, fields) or f"known are: {', '.join(fields)}"
            raise refused_at(f"?{name}", "invalid-request", f"the parameter {name} is not known", hint)
        many = get_origin(fields[name].type) is tuple
        if len(given) > 1 and not many:
            raise refused_at(f"?{name}", "invalid-request", f"the parameter {name} stands twice")
        values[name] = [part for each in given for part in each.split(",")] if many else given[0]
    try:
        found = msgspec.convert(values, type_, strict=False)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), fields) from None
    for name in values:
        if getattr(found, fields[name].name) is None:  # `null` is no way to say nothing
            raise refused_at(f"?{name}", "invalid-request", f"the parameter {name} does not fit")
    return found


def _misfit(message: str, fields: Mapping[str, FieldInfo]) -> Refused:
    """What the decoder says (`… - at `$.limit``), told of the parameter it says it of."""
    what, _, path = message.partition(" - at `$.")
    name = path.rstrip("`").partition("[")[0]
    if name not in fields:
        return Refused("invalid-request", f"the query does not fit: {message[:1].lower()}{message[1:]}")
    detail = f"the parameter {name} does not fit: {what[:1].lower()}{what[1:]}"
    return refused_at(f"?{name}", "invalid-request", detail, _possible(name, fields[name]))


def _possible(name: str, field: FieldInfo) -> str:
    """What a parameter may be that takes words of a closed list."""
    known = [each for each in get_args((get_args(field.type) or (None,))[0]) if isinstance(each, str)]
    return f"{name} is of {', '.join(known)}" if known else ""


def paged(
    request: Request,
    query: Page,
    found: Sequence[Item],
    place_of: Callable[[Item], str],
    told: Callable[[tuple[Item, ...], str | None], Any],
) -> Reply:
    """The page that was asked for, and where the next one is (RFC 8288).

    Of what was `found` one more than goes on a page says that there is a next one; `told` makes the body
    of the items and the cursor.
    """
    page = tuple(found[: query.limit])
    following = cursor(place_of(page[-1])) if len(found) > query.limit else None
    return Reply(told(page, following), 200, _links(request, query, following))


def _links(request: Request, query: Page, following: str | None) -> tuple[tuple[bytes, bytes], ...]:
    if following is None:
        return ()
    given = msgspec.structs.asdict(query) | {"cursor": following}
    texts = {name: ",".join(value) if isinstance(value, tuple) else value for name, value in given.items()}
    parameters = urlencode({name: value for name, value in texts.items() if value})
    return ((b"link", f'<{request.path}?{parameters}>; rel="next"'.encode()),)


def cursor(place: str) -> str:
    """A place in a list, as clients hand it back."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place(cursor: str | None) -> str | None:
    """The place that a cursor stands for. Raises `Refused`."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError:  # of the letters, the padding, or the text
        hint = "send a next_cursor as it came, or none"
        raise refused_at("?cursor", "invalid-request", "the cursor is none of this server", hint) from None
