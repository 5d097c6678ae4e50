"""Whether the server does its work, for people and for orchestrators; and what problems mean.

Must never know: flows or executions.
"""

from __future__ import annotations

import contextlib

from stratarouter_runtime.api.errors import KINDS, Refused
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.models import HealthAnswer
from stratarouter_runtime.errors import NotFound
from stratarouter_runtime.ids import ExecutionId

_NOBODY = ExecutionId("exec_00000000000000000000000000000000")


async def health(service: Service, _request: Request) -> Reply:
    """`GET /api/v1/health`: 200 while the server works, also while it shuts down."""
    await _check(service)
    return _state(service)


async def live(service: Service, _request: Request) -> Reply:
    """`GET /livez`: the loop ticks, or nobody would answer."""
    return _state(service)


async def ready(service: Service, _request: Request) -> Reply:
    """`GET /readyz`: 200 where new work is welcome; a problem of 503 otherwise."""
    if service.draining:
        raise Refused("draining", "the server is shutting down", hint="send new work elsewhere, or later")
    await _check(service)
    return _state(service)


async def problem(_service: Service, request: Request) -> Reply:
    """`GET /problems/{code}`: what the `type` of a problem document means."""
    code = request.param("code")
    kind = KINDS.get(code)
    if kind is None:
        raise Refused("not-found", f"there is no problem '{code}'", hint="docs/api.md lists all of them")
    return Reply({"code": code, "title": kind.title, "status": kind.status, "retry": kind.retry})


async def _check(service: Service) -> None:
    """Whether the store answers. Raises `StoreError`."""
    with contextlib.suppress(NotFound):
        await service.runtime.history.find(_NOBODY)


def _state(service: Service) -> Reply:
    return Reply(HealthAnswer("draining" if service.draining else "ok", service.version))
