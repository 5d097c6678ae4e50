"""Who may call what: one table from routes to the scope they need, and the way in.

A route that is missing here needs every scope there is, and fails a test. Must never know: what a
handler does, or where keys are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stratarouter_runtime.api.errors import Refused
from stratarouter_runtime.api.exchange import CALLER, FIELDS, LOCALLY, header
from stratarouter_runtime.limits.policy import described, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stratarouter_runtime.api.exchange import App, Receive, Send, Service
    from stratarouter_runtime.api.exchange import Scope as Exchange
    from stratarouter_runtime.ports import Caller, Scope

SCOPES: Final[Mapping[str, Mapping[str, Scope]]] = {
    "/api/v1/workflows/execute": {"POST": "execute"},
    "/api/v1/executions": {"GET": "read"},
    "/api/v1/executions/{id}": {"GET": "read"},
    "/api/v1/executions/{id}/cancel": {"POST": "execute"},
    "/api/v1/executions/{id}/answer": {"POST": "execute"},
    "/api/v1/executions/{id}/replay": {"POST": "read"},
    "/api/v1/executions/{id}/pause": {"POST": "execute"},
    "/api/v1/executions/{id}/resume": {"POST": "execute"},
    "/api/v1/executions/{id}/fork": {"POST": "execute"},
    "/api/v1/executions/{id}/migrate": {"POST": "execute"},
    "/api/v1/executions/{id}/feedback": {"POST": "execute"},
    "/api/v1/executions/{id}/difference/{other}": {"GET": "read"},
    "/api/v1/executions/{id}/events": {"GET": "read"},
    "/api/v1/events": {"GET": "read"},
    "/api/v1/workflows": {"GET": "read"},
    "/api/v1/workflows/validate": {"POST": "read"},
    "/api/v1/workflows/{id}": {"GET": "read", "PUT": "deploy", "DELETE": "deploy"},
    "/api/v1/workflows/{id}/executions": {"GET": "read"},
    "/api/v1/agents": {"GET": "read", "POST": "deploy"},
    "/api/v1/agents/{name}": {"GET": "read", "PUT": "deploy", "DELETE": "deploy"},
    "/api/v1/routing/rules": {"GET": "read", "POST": "deploy", "DELETE": "deploy"},
    "/api/v1/routing/decide": {"POST": "execute"},
    "/api/v1/routing/tables": {"GET": "read"},
    "/api/v1/routing/tables/{name}": {"GET": "read", "PUT": "deploy"},
    "/api/v1/routing/tables/{name}/promote": {"POST": "deploy"},
    "/api/v1/batch/submit": {"POST": "execute"},
    "/api/v1/batch/{id}": {"GET": "read"},
    "/api/v1/batch/{id}/cancel": {"POST": "execute"},
    "/api/v1/cache/stats": {"GET": "read"},
    "/api/v1/cache/{workflow_id}/invalidate": {"DELETE": "deploy"},
    "/api/v1/cache/{workflow_id}/policy": {"GET": "read", "PUT": "deploy", "DELETE": "deploy"},
    "/api/v1/usage/stats": {"GET": "read"},
    "/api/v1/usage/workflows/{id}": {"GET": "read"},
    "/api/v1/status": {"GET": "operate"},
    "/metrics": {"GET": "operate"},
}
"""Path -> scope by method."""

OPEN: Final = frozenset(
    {"/api/v1/health", "/livez", "/readyz", "/problems/{code}", "/openapi.json", "/reference"}
)
"""Paths that nobody needs a key for: they tell of no tenant."""

EXEMPT: Final = frozenset({"/metrics"})
"""Paths that need a key, but do not count as requests of its tenant: who watches a server may look often.

Whoever asks for a path that is open is nobody's caller, and is not counted either.
"""

_OPEN_BELOW: Final = ("/problems/", "/reference/")
_BEARER: Final = "bearer "
_CHALLENGE: Final = ((b"www-authenticate", b"Bearer"),)


def required(path: str, method: str) -> Scope | None:
    """The scope that a route needs; None for one that is open."""
    if path in OPEN:
        return None
    return SCOPES.get(path, {}).get("GET" if method == "HEAD" else method, "operate")


def check_scope(caller: Caller, wanted: Scope | None) -> None:
    """Refuse who lacks a scope. Raises `Refused`."""
    if wanted is not None and not caller.may(wanted):
        raise Refused(
            "forbidden",
            f"this needs the scope '{wanted}', which the key does not have",
            hint=f"a key that has it is made with: strata keys create --scope {wanted}",
        )


class Callers:
    """Names who makes a request, by the key that it shows; refuses one without a valid key."""

    def __init__(self, app: App, service: Service) -> None:
        self._app = app
        self._door = service.door

    async def __call__(self, scope: Exchange, receive: Receive, send: Send) -> None:
        """Pass on whoever is let in."""
        if self._door is None or is_open(scope["path"]):
            scope[CALLER] = LOCALLY
        else:
            scope[CALLER] = await self._let_in(scope)
        await self._app(scope, receive, send)

    async def _let_in(self, scope: Exchange) -> Caller:
        shown = _shown(scope)
        caller = None if shown is None or self._door is None else await self._door.caller(shown)
        if caller is None:
            raise Refused(
                "unauthenticated",
                "no key was shown" if shown is None else "the key is not valid",
                hint="send the header Authorization: Bearer sr_…",
                headers=_CHALLENGE,
            )
        return caller


def is_open(path: str) -> bool:
    """Whether nobody needs a key for this path."""
    return path in OPEN or path.startswith(_OPEN_BELOW)


def _shown(scope: Exchange) -> str | None:
    """What stands behind `Authorization: Bearer`."""
    text = header(scope, b"authorization")
    if text is None:
        return None
    return text[len(_BEARER) :].strip() if text[: len(_BEARER)].lower() == _BEARER else ""


class Paced:
    """Counts requests against the tier of whoever makes them, and tells with every answer what is left."""

    def __init__(self, app: App, service: Service) -> None:
        self._app = app
        self._gate = service.gate

    async def __call__(self, scope: Exchange, receive: Receive, send: Send) -> None:
        """Pass on what is within the limit."""
        caller: Caller = scope[CALLER]
        counted = None
        if self._gate is not None and caller is not LOCALLY and scope["path"] not in EXEMPT:
            counted = await self._gate.request(caller.tenant)
        if self._gate is None or counted is None:
            await self._app(scope, receive, send)
            return
        spent, limit = counted
        left = (b"ratelimit-policy", described(limit).encode()), (b"ratelimit", told(spent).encode())
        scope[FIELDS] += left
        self._gate.refuse(caller.tenant, spent, limit)
        await self._app(scope, receive, send)
