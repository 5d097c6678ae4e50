"""One canonical JSON form for equal values (RFC 8785), and one digest for equal bytes (blake3).

Equal values give equal bytes on every machine, in every process. Must never know
what the values mean or what the digests name.
"""

from __future__ import annotations

import math
import re
from base64 import b64encode
from struct import Struct
from typing import Any, Final

import orjson
import rfc8785
from blake3 import blake3

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import Digest

FLOW: Final = "tcfp 1.0 flow"
STEP: Final = "tcfp 1.0 step"
CALL: Final = "tcfp 1.0 call"
PLAN: Final = "tcfp 1.0 plan"
AGENT: Final = "tcfp 1.0 agent"

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (I-JSON, RFC 7493)."""

MAX_DEPTH: Final = 254
"""How deeply lists and records may nest: as deep as the fast encoder goes."""

_LENGTH: Final = Struct("<Q").pack

GENESIS: Final = bytes(32)
"""The link before the first one of a hash chain."""

# What the fast encoder writes otherwise than RFC 8785: whole floats (`1.0`, `-0.0`), exponents,
# integers that may be beyond the exact range, and the order of keys with characters beyond
# U+FFFF. Searching for substrings costs a tenth of a regular expression; so all digits are made
# equal, and all brackets, and the expression only confirms what may stand inside of a string.
_SHAPE: Final = bytes.maketrans(
    b"123456789[]{}:" + bytes(range(0xF0, 0x100)), b"000000000,,,,," + b"\xff" * 16
)
_SUSPECTS: Final = (b".0,", b"0e", b"0" * 16)
_NUMBER: Final = re.compile(rb",-?0+(?:\.0,|(?:\.0+)?e|(?<=0{16}))")

_FAST: Final = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def canonical(value: Any, *, finite: bool = False) -> bytes:
    """The RFC 8785 bytes of a JSON value; `bytes` in it are written as base64 text.

    `finite` promises that no number in it is NaN or infinite, as in all that fits a type of the
    language: what holds a null is then not read back to find out.

    Raises `InvalidInput`, with the pointer of the culprit, for what JSON cannot hold
    or not every reader would keep: NaN and infinities, keys that are no strings,
    integers beyond 2^53-1, lone surrogates, other Python objects.
    """
    try:
        encoded = orjson.dumps(value, _base64, _FAST)
    except (TypeError, RecursionError):
        return _exact(value)
    if _suspicious(encoded) or (not finite and b"null" in encoded and _may_hide_nan(encoded, value)):
        return _exact(value)
    return encoded


def digest(value: Any, *, finite: bool = False) -> Digest:
    """The blake3 hash of the canonical bytes of `value`; `finite` and errors as of `canonical`."""
    return Digest(blake3(canonical(value, finite=finite)).hexdigest())


def digest_bytes(data: bytes, context: str | None = None) -> Digest:
    """The blake3 hash of `data`; under a `context`, one that no other context can give."""
    if context is None:
        return Digest(blake3(data).hexdigest())
    return Digest(blake3(data, derive_key_context=context).hexdigest())


def link(previous: bytes, *parts: bytes) -> bytes:
    """The next link (32 bytes) of a hash chain: it depends on `previous` and on every part.

    Parts are hashed with their lengths, so that no two different lists of parts are
    hashed as the same bytes. A chain starts from `GENESIS`.
    """
    pieces = [previous]
    for part in parts:
        pieces += (_LENGTH(len(part)), part)
    return blake3(b"".join(pieces)).digest()


def _base64(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b64encode(value).decode("ascii")
    raise TypeError(type(value).__name__)


def _suspicious(encoded: bytes) -> bool:
    """Whether RFC 8785 may write anything in these bytes otherwise."""
    shape = encoded.translate(_SHAPE)
    # `find`, since `in` first tries, and fails, to take what it looks for as a number.
    if shape[0] in b"-0" or shape.find(b"\xff") >= 0:
        return True
    for suspect in _SUSPECTS:
        if shape.find(suspect) >= 0:
            return _NUMBER.search(shape) is not None
    return False


def _may_hide_nan(encoded: bytes, value: Any) -> bool:
    """The fast encoder writes NaN and infinities as null: then what is read back differs."""
    return bool(orjson.loads(encoded) != value)


def _exact(value: Any) -> bytes:
    """The slow path: says what is wrong, or writes what the fast encoder cannot."""
    return rfc8785.dumps(_plain(value, "", 0))


def _plain(value: Any, pointer: str, depth: int) -> Any:
    """The value with base64 text for bytes; raises `InvalidInput` for what is no JSON."""
    if depth > MAX_DEPTH:
        raise InvalidInput(f"the value nests deeper than {MAX_DEPTH}", pointer=pointer[:80])
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, pointer)
        case int():
            return _integer(value, pointer)
        case float():
            return _float(value, pointer)
        case bytes() | bytearray() | memoryview():
            return _base64(value)
        case _:
            return _parts(value, pointer, depth + 1)


def _parts(value: Any, pointer: str, depth: int) -> Any:
    match value:
        case dict():
            return {
                _key(key, pointer): _plain(item, f"{pointer}/{escape(key)}", depth)
                for key, item in value.items()
            }
        case list() | tuple():
            return [_plain(item, f"{pointer}/{index}", depth) for index, item in enumerate(value)]
        case _:
            raise InvalidInput(
                f"a {type(value).__name__} cannot be written as JSON",
                pointer=pointer,
                hint="use null, booleans, numbers, strings, bytes, lists and records",
            )


def escape(key: object) -> str:
    """One token of a JSON Pointer (RFC 6901) for this key."""
    return str(key).replace("~", "~0").replace("/", "~1")


def _key(key: Any, pointer: str) -> str:
    if not isinstance(key, str):
        raise InvalidInput(
            f"the key {key!r} is no string", pointer=pointer, hint="write the keys of records as strings"
        )
    return _text(key, pointer)


def _text(text: str, pointer: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            "the text holds half of a surrogate pair",
            pointer=pointer,
            hint="it was probably cut in the middle of a character",
        ) from None
    return str(text)


def _integer(number: int, pointer: str) -> int:
    if abs(number) > MAX_INTEGER:
        raise InvalidInput("an integer is beyond ±(2^53-1)", pointer=pointer, hint="send it as a string")
    return int(number)


def _float(number: float, pointer: str) -> float:
    if not math.isfinite(number):
        raise InvalidInput(
            f"{number} is no JSON number", pointer=pointer, hint="use null for a value that is missing"
        )
    return number
