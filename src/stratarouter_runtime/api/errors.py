"""The one table from an error's code to HTTP, and every refusal as a problem document.

A code that is missing here fails a test. Must never know: where errors come from.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, Struct

from stratarouter_runtime.api.models import Misplaced, Problem
from stratarouter_runtime.errors import InvalidFlow, InvalidInput, QuotaExceeded, StrataError
from stratarouter_runtime.tcfp.diagnostics import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TYPE: Final = "/problems/"
"""A problem's `type` is this and its code: a page of this very server says what it means."""

RETRY_SECONDS: Final = 2
"""What `Retry-After` advises where the same request may succeed later."""


class Kind(Struct, frozen=True):
    """How a code is answered."""

    status: int
    title: str
    retry: bool = False


KINDS: Final = {
    # Codes of `stratarouter_runtime.errors`.
    "conflict": Kind(409, "The request contradicts one accepted before"),
    "interrupted": Kind(503, "Work shared with other callers was given up", retry=True),
    "encoder-failed": Kind(503, "The encoder gave no vectors", retry=True),
    "exceeds-tier": Kind(422, "The tier of the tenant does not allow this"),
    "internal": Kind(500, "A defect of the runtime"),
    "invalid-agent": Kind(422, "The agent has mistakes"),
    "invalid-flow": Kind(422, "The flow has mistakes"),
    "invalid-input": Kind(422, "The input does not fit"),
    "invalid-setting": Kind(500, "The server is not set up for this"),
    "invalid-state": Kind(409, "The execution is not in a state for this"),
    "journal-mismatch": Kind(500, "The journal does not follow from its plan"),
    "lease-lost": Kind(503, "Another process goes on with the work of this one", retry=True),
    "limit-exceeded": Kind(429, "A limit refused the request", retry=True),
    "link-error": Kind(422, "The agents at hand do not fit the flow"),
    "not-found": Kind(404, "There is no such thing"),
    "quota-exceeded": Kind(429, "The tenant has used up what its tier allows for now", retry=True),
    "store-error": Kind(500, "The store failed"),
    "store-full": Kind(507, "The store has no room left", retry=True),
    "store-locked": Kind(503, "Another process owns the store", retry=True),
    "store-read-only": Kind(503, "The store may not be written"),
    "store-unavailable": Kind(503, "The store cannot be reached", retry=True),
    "store-version": Kind(503, "The store was written by a newer runtime"),
    "workflow-quota": Kind(409, "The tenant has as many workflows as its tier allows"),
    "agent-quota": Kind(409, "The tenant has as many agents as its tier allows"),
    "policy-refused": Kind(403, "The policy of the tenant does not allow this agent"),
    # Codes of this edge.
    "body-too-large": Kind(413, "The body is too large"),
    "draining": Kind(503, "The server is shutting down", retry=True),
    "forbidden": Kind(403, "The key does not allow this"),
    "headers-too-large": Kind(431, "The headers are too large"),
    "idempotency-key-reused": Kind(422, "The key stands for another request"),
    "in-flight": Kind(409, "The first request with this key is still being worked on", retry=True),
    "invalid-request": Kind(422, "The request cannot be understood"),
    "malformed-request": Kind(400, "The request cannot be read"),
    "method-not-allowed": Kind(405, "This is not possible here"),
    "misdirected": Kind(421, "This server does not answer for that host"),
    "not-supported": Kind(422, "This server does not support the option"),
    "precondition-failed": Kind(412, "The workflow is not the expected version"),
    "request-timeout": Kind(408, "The request did not arrive in time"),
    "too-many-connections": Kind(503, "Too many connections", retry=True),
    "unauthenticated": Kind(401, "A valid key is needed"),
    "unsupported-media-type": Kind(415, "The type of the body is not understood"),
}


class Refused(Exception):
    """A request that is refused at the edge; `code` is in `KINDS`."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        hint: str = "",
        errors: Iterable[Misplaced] = (),
        headers: tuple[tuple[bytes, bytes], ...] = (),
        policy: str = "",
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.errors = tuple(errors)
        self.headers = headers
        self.policy = policy


def refused_at(pointer: str, code: str, detail: str, hint: str = "") -> Refused:
    """A refusal because of what stands at one place of the body."""
    return Refused(code, detail, hint=hint, errors=(Misplaced(pointer, detail),))


@contextmanager
def within(root: str = "") -> Iterator[None]:
    """What does not fit is told at its place below `root` in the body: pointers of inputs are relative."""
    try:
        yield
    except InvalidInput as error:
        raise refused_at(root + error.pointer, error.code, error.message, error.hint or "") from error


def refusal(error: Exception) -> Refused:
    """Any exception as a refusal. What is not meant for callers is told as `internal`."""
    match error:
        case Refused():
            return error
        case QuotaExceeded():
            return Refused(
                error.code,
                error.message,
                hint=error.hint or "",
                headers=((b"retry-after", b"%d" % error.retry_after),),
                policy=error.policy,
            )
        case StrataError():
            return Refused(error.code, error.message, hint=error.hint or "", errors=_places(error))
        case _:
            return Refused(
                "internal",
                "something went wrong that is no fault of the request",
                hint="the log of the server says more under this trace_id; please report it",
            )


def problem(refused: Refused, instance: str, trace_id: str) -> Problem:
    """The problem document of a refusal."""
    kind = KINDS[refused.code]
    return Problem(
        type=TYPE + refused.code,
        title=kind.title,
        status=kind.status,
        detail=refused.detail,
        instance=instance,
        code=refused.code,
        trace_id=trace_id,
        errors=refused.errors,
        hint=refused.hint,
        violated=(refused.policy,) if refused.policy else UNSET,
    )


def rendered(refused: Refused, instance: str, trace_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of a refusal."""
    body = msgspec.json.encode(problem(refused, instance, trace_id))
    kind = KINDS[refused.code]
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        *refused.headers,
    ]
    if kind.retry and not any(name == b"retry-after" for name, _ in refused.headers):
        headers.append((b"retry-after", b"%d" % RETRY_SECONDS))
    return kind.status, headers, body


def _places(error: StrataError) -> tuple[Misplaced, ...]:
    if isinstance(error, InvalidFlow):
        return tuple(place_of(found) for found in error.diagnostics if isinstance(found, Diagnostic))
    if isinstance(error, InvalidInput):
        return (Misplaced(f"/input{error.pointer}", error.message),)
    return ()


def place_of(found: Diagnostic) -> Misplaced:
    """One mistake or warning of a flow, as the API tells it."""
    return Misplaced(
        pointer=found.pointer,
        detail=found.message,
        code=found.code,
        severity=found.severity,
        line=found.line,
        column=found.column,
        hint=found.hint,
    )
