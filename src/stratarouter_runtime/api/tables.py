"""Routing tables over HTTP: uploaded and fitted, listed, read, promoted.

An entity tag is of the table by its name: it changes with every version that is added or promoted.
Must never know: how anything is learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.api.bodies import read_json
from stratarouter_runtime.api.conditions import (
    check_conditions,
    conditional,
    overtaken,
    tagged,
    unchanged,
)
from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.errors import Refused, within
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.queries import Page, paged, place, read_query
from stratarouter_runtime.api.routing_models import (
    PromoteRequest,
    TableAnswer,
    TableList,
    TableRequest,
    TableSummary,
    Versioned,
)
from stratarouter_runtime.errors import Conflict
from stratarouter_runtime.routing.tables import Table

if TYPE_CHECKING:
    from stratarouter_runtime.services.versions import Listed, Pointer, Versions


@operation(
    {200: TableAnswer, 201: TableAnswer},
    takes=TableRequest,
    headers=("If-Match", "If-None-Match"),
    refuses=("invalid-input", "limit-exceeded", "precondition-failed", "encoder-failed"),
)
async def put(service: Service, request: Request) -> Reply:
    """`PUT /api/v1/routing/tables/{name}`: a new version, fitted before the answer; 201 for a new table.

    Nothing goes by it unless `promote` is true.
    """
    versions, name = _versions(service), request.param("name")
    body = await read_json(request, TableRequest)
    before = await versions.pointer(request.tenant, name)
    guarded = _check(request, before)
    with within():
        fitted = await versions.fit(Table(name, body.routes, body.none))
    expected = before.document if guarded else None
    try:
        digest = await versions.add(
            request.tenant, fitted, promote=body.promote, by=request.caller.by, expected=expected
        )
    except Conflict as error:
        raise overtaken(error) from error
    location = () if before.versions else ((b"location", f"/api/v1/routing/tables/{name}".encode()),)
    return await _told(service, request, digest, 200 if before.versions else 201, *location)


@operation({200: TableList}, query=Page)
async def listed(service: Service, request: Request) -> Reply:
    """`GET /api/v1/routing/tables`: by name."""
    query = read_query(request, Page)
    found = await _versions(service).all(request.tenant, place(query.cursor) or "", query.limit + 1)
    return paged(
        request,
        query,
        found,
        lambda one: one.name,
        lambda page, following: TableList(tuple(map(_summary, page)), following),
    )


@operation({200: TableAnswer, 304: None}, query=Versioned, headers=("If-None-Match",), refuses=("not-found",))
async def read(service: Service, request: Request) -> Reply:
    """`GET /api/v1/routing/tables/{name}`: the version that `?version=` begins, else the promoted, else the last."""
    wanted = read_query(request, Versioned).version
    pointer = await _versions(service).pointer(request.tenant, request.param("name"))
    known = None if wanted or not pointer.versions else unchanged(request, _tag(pointer))
    return known or await _told(service, request, wanted, 200)


@operation(
    {200: TableAnswer},
    takes=PromoteRequest,
    headers=("If-Match",),
    refuses=("invalid-state", "not-found", "precondition-failed", "conflict"),
)
async def promote(service: Service, request: Request) -> Reply:
    """`POST /api/v1/routing/tables/{name}/promote`: flows that are deployed from now on go by this version."""
    versions, name = _versions(service), request.param("name")
    body = await read_json(request, PromoteRequest)
    before = await versions.pointer(request.tenant, name)
    expected = before.document if _check(request, before) else None
    try:
        digest = await versions.promote(
            request.tenant, name, body.version, by=request.caller.by, expected=expected
        )
    except Conflict as error:
        raise overtaken(error) from error
    return await _told(service, request, digest, 200)


def _summary(one: Listed) -> TableSummary:
    return TableSummary(one.name, one.pointer.promoted or None, one.pointer.versions)


def _versions(service: Service) -> Versions:
    routers = service.runtime.routers
    if routers is None:
        raise Refused("not-supported", "this server routes by what agents are about alone")
    return routers.tables


def _tag(pointer: Pointer) -> str:
    return str(pointer.document)


def _check(request: Request, before: Pointer) -> bool:
    """Hold the caller's conditions against the table as it is; whether there were any. Raises `Refused`."""
    check_conditions(request, _tag(before) if before.versions else None, "it is there")
    return conditional(request)


async def _told(
    service: Service, request: Request, version: str, status: int, *more: tuple[bytes, bytes]
) -> Reply:
    versions, name = _versions(service), request.param("name")
    router = await versions.named(request.tenant, name, version)
    pointer = await versions.pointer(request.tenant, name)
    answer = TableAnswer(
        name,
        router.digest,
        pointer.promoted or None,
        pointer.versions,
        router.encoder,
        router.report,
        router.table.routes,
        router.table.none,
    )
    return Reply(answer, status, (tagged(_tag(pointer)), *more))
