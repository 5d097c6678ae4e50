"""Server-sent events: the facts of one execution, and what happens to executions at all.

`id:` is the number of the record, so a client that was cut off says with `Last-Event-ID`
where to go on. A comment keeps the connection alive. Must never know: where facts come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from stratarouter_runtime.api.contract import EVENTS, operation
from stratarouter_runtime.api.errors import Refused
from stratarouter_runtime.api.exchange import Request, Service, Streamed
from stratarouter_runtime.api.models import ChangeEvent
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.observability.news import Change
from stratarouter_runtime.observability.partials import PartialTexts
from stratarouter_runtime.state.codec import decode, encode
from stratarouter_runtime.state.events import Event, Record
from stratarouter_runtime.state.redaction import Redaction
from stratarouter_runtime.tcfp.times import time_text

_HEADERS: Final = ((b"content-type", EVENTS.encode()), (b"cache-control", b"no-store"))

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent."""


@operation({200: EVENTS}, headers=("Last-Event-ID",))
async def events(service: Service, request: Request) -> Streamed:
    """`GET /api/v1/executions/{id}/events`: all facts from the start, or after `Last-Event-ID`, to the end."""
    row = await service.runtime.history.find(ExecutionId(request.param("id")), request.tenant)
    redaction = Redaction(await service.runtime.flows.plan(row.plan))
    facts = service.runtime.history.watch(row.id, _after(request))
    return Streamed(_frames(facts, redaction, service.runtime.partials, row.id), _HEADERS)


@operation({200: EVENTS}, headers=("Last-Event-ID",))
async def news(service: Service, request: Request) -> Streamed:
    """`GET /api/v1/events`: executions of the tenant that begin, stand still or end here, as it happens.

    `id:` counts the changes of this process. Who asks with a `Last-Event-ID` that is remembered no
    more is told how many were missed, as `event: lagged`; without one it begins with what comes next.
    """
    told = service.runtime.news
    given = _after(request)
    after = told.last if given < 0 or given > told.last else given
    return Streamed(_changes(told.read(request.tenant, after, HEARTBEAT)), _HEADERS)


def _after(request: Request) -> int:
    given = request.header(b"last-event-id")
    if given is None:
        return -1
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise Refused(
            "malformed-request",
            "the Last-Event-ID is no number of a record",
            hint="send the id of the last event you have seen, or no such header",
        )
    return int(given)


async def _frames(
    facts: AsyncIterator[Record], redaction: Redaction, partials: PartialTexts, execution: ExecutionId
) -> AsyncIterator[bytes]:
    """One frame a fact, text that agents say in between, a comment whenever nothing has come for a while."""
    with partials.listening(execution) as hearing:
        waiting = asyncio.ensure_future(anext(facts, None))
        said = asyncio.ensure_future(hearing.take())
        try:
            while True:
                done, _ = await asyncio.wait(
                    {waiting, said}, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    yield b": still here\n\n"
                if said in done:
                    for piece in said.result():
                        yield b"event: partial\ndata: %b\n\n" % msgspec.json.encode(piece)
                    said = asyncio.ensure_future(hearing.take())
                if waiting in done:
                    record = waiting.result()
                    if record is None:
                        return
                    yield _frame(record.seq, redaction.show(decode(record.body)))
                    waiting = asyncio.ensure_future(anext(facts, None))
        finally:
            waiting.cancel()
            said.cancel()


def _frame(seq: int, event: Event) -> bytes:
    name = str(event.__struct_config__.tag)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, name.encode(), encode(event))


async def _changes(changes: AsyncIterator[Change | int | None]) -> AsyncIterator[bytes]:
    async for change in changes:
        match change:
            case None:
                yield b": still here\n\n"
            case int():
                yield b'event: lagged\ndata: {"missed":%d}\n\n' % change
            case Change():
                told = ChangeEvent(change.execution, change.flow, change.status, time_text(change.at))
                yield b"id: %d\nevent: execution\ndata: %s\n\n" % (change.number, msgspec.json.encode(told))
