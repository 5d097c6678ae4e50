"""Whether the server does its work, for people and for orchestrators; its figures; and what problems mean.

Must never know: flows or executions.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stratarouter_runtime.api.contract import TEXT, operation
from stratarouter_runtime.api.errors import KINDS, Refused, refusal
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.models import (
    HealthAnswer,
    Misplaced,
    PartAnswer,
    ProblemKind,
    StateAnswer,
    StatusAnswer,
)
from stratarouter_runtime.observability.exposition import CONTENT_TYPE
from stratarouter_runtime.tally import Distribution

if TYPE_CHECKING:
    from stratarouter_runtime.observability.health import Part

_LONG: Final = frozenset({"facts", "http"})
"""Figures that grow with the names there are: `/metrics` has them, the status has not."""


@operation({200: HealthAnswer}, refuses=("store-unavailable",))
async def health(service: Service, _request: Request) -> Reply:
    """`GET /api/v1/health`: 200 with every part while all work, also while the server shuts down.

    A problem of 503 that names each part otherwise.
    """
    parts = await service.observatory.health.look()
    _check(parts)
    answers = {name: PartAnswer(part.status, part.detail, part.ms) for name, part in parts.items()}
    return Reply(HealthAnswer(_state(service), service.version, answers))


@operation({200: StateAnswer})
async def live(service: Service, _request: Request) -> Reply:
    """`GET /livez`: the loop ticks, or nobody would answer."""
    return Reply(StateAnswer(_state(service), service.version))


@operation({200: StateAnswer}, refuses=("draining", "store-unavailable"))
async def ready(service: Service, _request: Request) -> Reply:
    """`GET /readyz`: 200 where new work is welcome; a problem of 503 otherwise."""
    if service.draining:
        raise Refused("draining", "the server is shutting down", hint="send new work elsewhere, or later")
    _check(await service.observatory.health.look())
    return Reply(StateAnswer(_state(service), service.version))


@operation({200: StatusAnswer})
async def status(service: Service, _request: Request) -> Reply:
    """`GET /api/v1/status`: what runs here, and how each part stands."""
    figures = service.observatory.metrics.snapshot()
    parts = {
        name: _told(msgspec.structs.asdict(stats)) for name, stats in figures.items() if name not in _LONG
    }
    return Reply(
        StatusAnswer(
            status=_state(service),
            version=service.version,
            store=service.place,
            uptime_seconds=round(monotonic() - service.began, 3),
            isolation=dict(service.isolation),
            parts=parts,
        )
    )


@operation({200: TEXT})
async def metrics(service: Service, _request: Request) -> Reply:
    """`GET /metrics`: all figures, as Prometheus reads them."""
    text = await service.observatory.metrics.scrape()
    return Reply(text, headers=((b"content-type", CONTENT_TYPE),))


@operation({200: ProblemKind})
async def problem(_service: Service, request: Request) -> Reply:
    """`GET /problems/{code}`: what the `type` of a problem document means."""
    code = request.param("code")
    kind = KINDS.get(code)
    if kind is None:
        raise Refused("not-found", f"there is no problem '{code}'", hint="docs/api.md lists all of them")
    return Reply(ProblemKind(code, kind.title, kind.status, kind.retry))


def _check(parts: Mapping[str, Part]) -> None:
    """Refuse while a part is down. The problem is that of the first, and names them all."""
    down = {name: part.error for name, part in parts.items() if part.error is not None}
    for error in down.values():
        first = refusal(error)
        places = [Misplaced(f"/parts/{name}", each.message) for name, each in down.items()]
        raise Refused(first.code, first.detail, hint=first.hint, errors=places)


def _state(service: Service) -> Any:
    return "draining" if service.draining else "ok"


def _told(value: Any) -> Any:
    """Figures as JSON has them; of a distribution how many values there were, and their sum."""
    match value:
        case Distribution():
            return {"count": sum(value.counts), "sum": value.total}
        case Mapping():
            return {
                "/".join(key) if isinstance(key, tuple) else key: _told(each) for key, each in value.items()
            }
        case _:
            return value
