"""The HTTP application: its routes and its middleware, each one visible list.

Must never know: what a handler does, or where the runtime comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from starlette.routing import Route, Router

from stratarouter_runtime.api import (
    agents,
    batches,
    caching,
    executions,
    health,
    listing,
    reference,
    routing,
    streaming,
    tables,
    usage,
    workflows,
)
from stratarouter_runtime.api.access import Callers, Paced, check_scope, required
from stratarouter_runtime.api.errors import Refused
from stratarouter_runtime.api.exchange import (
    CALLER,
    App,
    Handler,
    Receive,
    Request,
    Scope,
    Send,
    Service,
    check_stated_length,
    respond,
)
from stratarouter_runtime.api.middleware import Answers, LocalHosts, Problems, Tracing, draining
from stratarouter_runtime.api.openapi import document as openapi
from stratarouter_runtime.api.traffic import ROUTE

ROUTES: Final[tuple[tuple[str, Mapping[str, Handler]], ...]] = (
    ("/api/v1/workflows/execute", {"POST": executions.execute}),
    ("/api/v1/executions", {"GET": listing.search}),
    ("/api/v1/executions/{id}", {"GET": executions.read}),
    ("/api/v1/executions/{id}/cancel", {"POST": executions.cancel}),
    ("/api/v1/executions/{id}/answer", {"POST": executions.answer}),
    ("/api/v1/executions/{id}/replay", {"POST": executions.replay}),
    ("/api/v1/executions/{id}/pause", {"POST": executions.pause}),
    ("/api/v1/executions/{id}/resume", {"POST": executions.resume}),
    ("/api/v1/executions/{id}/fork", {"POST": executions.fork}),
    ("/api/v1/executions/{id}/migrate", {"POST": executions.migrate}),
    ("/api/v1/executions/{id}/feedback", {"POST": routing.feedback}),
    ("/api/v1/executions/{id}/difference/{other}", {"GET": executions.difference}),
    ("/api/v1/executions/{id}/events", {"GET": streaming.events}),
    ("/api/v1/events", {"GET": streaming.news}),
    ("/api/v1/workflows", {"GET": listing.workflows}),
    ("/api/v1/workflows/validate", {"POST": workflows.validate}),
    ("/api/v1/workflows/{id}/executions", {"GET": listing.of_workflow}),
    ("/api/v1/workflows/{id}", {"GET": workflows.read, "PUT": workflows.deploy, "DELETE": workflows.retire}),
    (
        "/api/v1/routing/rules",
        {"GET": routing.rules, "POST": routing.put_rules, "DELETE": routing.remove_rules},
    ),
    ("/api/v1/routing/decide", {"POST": routing.decide}),
    ("/api/v1/routing/tables", {"GET": tables.listed}),
    ("/api/v1/routing/tables/{name}", {"GET": tables.read, "PUT": tables.put}),
    ("/api/v1/routing/tables/{name}/promote", {"POST": tables.promote}),
    ("/api/v1/agents", {"GET": agents.listed, "POST": agents.create}),
    ("/api/v1/agents/{name}", {"GET": agents.read, "PUT": agents.put, "DELETE": agents.delete}),
    ("/api/v1/batch/submit", {"POST": batches.submit}),
    ("/api/v1/batch/{id}", {"GET": batches.read}),
    ("/api/v1/batch/{id}/cancel", {"POST": batches.cancel}),
    ("/api/v1/cache/stats", {"GET": caching.stats}),
    ("/api/v1/cache/{workflow_id}/invalidate", {"DELETE": caching.invalidate}),
    (
        "/api/v1/cache/{workflow_id}/policy",
        {"GET": caching.policy, "PUT": caching.put_policy, "DELETE": caching.remove_policy},
    ),
    ("/api/v1/usage/stats", {"GET": usage.stats}),
    ("/api/v1/usage/workflows/{id}", {"GET": usage.of_workflow}),
    ("/api/v1/health", {"GET": health.health}),
    ("/api/v1/status", {"GET": health.status}),
    ("/metrics", {"GET": health.metrics}),
    ("/livez", {"GET": health.live}),
    ("/readyz", {"GET": health.ready}),
    ("/problems/{code}", {"GET": health.problem}),
    ("/openapi.json", {"GET": reference.document}),
    ("/reference", {"GET": reference.page}),
)
"""Path -> handler by method. The first that matches answers; the busiest stand first."""

MIDDLEWARE: Final = (Answers, Tracing, Problems, LocalHosts, Callers, Paced)
"""From the outermost to the innermost."""

_ASKING: Final = frozenset({"GET", "HEAD"})
"""Methods that a server still answers while it shuts down."""


class Resource:
    """What answers at one path: a handler for each method."""

    def __init__(self, path: str, handlers: Mapping[str, Handler], service: Service) -> None:
        self._path = path
        self._handlers = dict(handlers)
        if "GET" in handlers:
            self._handlers["HEAD"] = handlers["GET"]
        self._scopes = {method: required(path, method) for method in self._handlers}
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to its handler.

        Raises `Refused` for another method, a missing scope, work while the server shuts down, and what
        says of itself that it is too large; what arrives is measured as it is read.
        """
        scope[ROUTE] = self._path
        handler = self._handlers.get(scope["method"])
        if handler is None:
            allowed = ", ".join(sorted(self._handlers))
            raise Refused(
                "method-not-allowed",
                f"{scope['method']} is not possible at {scope['path']}",
                hint=f"possible are: {allowed}",
                headers=((b"allow", allowed.encode()),),
            )
        check_scope(scope[CALLER], self._scopes[scope["method"]])
        if self._service.draining and scope["method"] not in _ASKING:
            raise draining()
        check_stated_length(scope)
        await respond(await handler(self._service, Request(scope, receive)), receive, send)


class Paths:
    """Finds what answers at a path: one without parameters by its name, the others in their order."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self._plain = {path: resource for path, resource in resources.items() if "{" not in path}
        routes = [Route(path, resource) for path, resource in resources.items()]
        self._others = Router(routes, redirect_slashes=False, default=_nowhere)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on. Raises `Refused` where there is nothing at its path."""
        await self._plain.get(scope["path"], self._others)(scope, receive, send)


async def _nowhere(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise Refused(
        "not-found", f"there is nothing at {scope['path']}", hint="GET /openapi.json lists all paths"
    )


def create_app(service: Service) -> App:
    """The application that serves this runtime. It answers `http` scopes only: no lifespan."""
    service.reference = cache(lambda: reference.rendered(openapi(ROUTES, service.version)))
    app: App = Paths({path: Resource(path, handlers, service) for path, handlers in ROUTES})
    for middleware in reversed(MIDDLEWARE):
        app = middleware(app, service)
    return app
