"""The HTTP server with nothing behind it: the same protocol, one decode, one encode.

Must never know: the runtime.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec
import uvloop
from msgspec import UNSET

from stratarouter_runtime.api.exchange import App, Receive, Reply, Request, Scope, Send, respond
from stratarouter_runtime.api.models import Cache, Cost, ExecuteRequest, ExecutionAnswer, Latency
from stratarouter_runtime.api.server import bind, serve, url


def app() -> App:
    """Answers every request as if its execution had taken no time."""
    decoder = msgspec.json.Decoder(ExecuteRequest)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        asked = decoder.decode(await Request(scope, receive).body())
        done = ExecutionAnswer(
            execution_id="exec_" + "0" * 32,
            workflow_id=asked.workflow_id,
            plan="0" * 64,
            status="completed",
            cache=Cache(),
            coalesced=False,
            cost=Cost(),
            latency=Latency(0, 0, 0, 0),
            routing=(),
            trace_id="0" * 32,
            output=asked.input,
            error=UNSET,
        )
        await respond(Reply(done), receive, send)

    return answer


async def main() -> None:
    """Serve until a signal comes."""
    with bind("127.0.0.1", 0) as listener:
        line = f"serving on {url(listener)}: nothing\n"

        def ready() -> None:
            sys.stdout.write(line)
            sys.stdout.flush()

        async def drain() -> None:
            await asyncio.sleep(0)

        await serve(app(), listener, ready=ready, drain=drain)


if __name__ == "__main__":
    uvloop.run(main())
