"""A tool of an MCP server as an agent: the protocol, behind the port `Agent`.

The connection, or the process, begins with the first call and lives until `close`; one that breaks
is begun again by the next call. Must never know: documents, flows, plans or the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from typing_extensions import override

from stratarouter_runtime.agents.failures import (
    INVALID_OUTPUT,
    MAX_OUTPUT,
    REFUSED,
    TIMEOUT,
    UNAVAILABLE,
    failed,
    patience_of,
    too_large,
)
from stratarouter_runtime.agents.headers import filled
from stratarouter_runtime.agents.mcp_servers import Server
from stratarouter_runtime.agents.reach import Barred, host_of
from stratarouter_runtime.agents.secrets import SecretMissing, Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Operation
from stratarouter_runtime.state.events import Usage
from stratarouter_runtime.tcfp.digests import agent_digest
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.types import Primitive
from stratarouter_runtime.tcfp.values import to_json

if TYPE_CHECKING:
    from mcp.client.client import Client
    from mcp_types import CallToolResult, RequestParamsMeta

_BEGIN: Final = 30.0
"""Seconds in which a server has to be there."""


class ToolAgent(Agent):
    """Belongs to one event loop."""

    kind = "mcp"

    def __init__(
        self,
        name: AgentName,
        signature: Signature,
        server: Server,
        tool: str,
        version: str,
        workshop: Workshop,
    ) -> None:
        self.name = name
        self.signature = signature
        self.digest = agent_digest(name, "mcp", f"{tool}\0{version}", signature)
        self.operation = Operation("execute_tool", tool=tool)
        self.remote = not server.command
        self._tool = tool
        hosts = (host_of(server.url), *signature.needs.hosts)
        secrets = workshop.secrets.towards(host_of(server.url))
        self._session = Session(server, secrets, workshop.web.allowing(server.hosts).only(hosts))
        self._clock = workshop.clock
        self._cap = workshop.max_output

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        started = self._clock.now()
        reply = await self._reply(call, patience_of(call, self.signature, started) / 1e6)
        cost = self.signature.cost  # a server does not say what a call has cost: its bound counts
        usage = Usage(cost.usd, cost.tokens, ms=(self._clock.now() - started) / 1000)
        return AgentReply(reply.output, reply.failure, usage)

    async def close(self) -> None:
        """End the connection, or the process; a later call begins another."""
        await self._session.close()

    async def _reply(self, call: AgentCall, patience: float) -> AgentReply:
        given = to_json(self.signature.input, call.input)
        meta = cast("RequestParamsMeta", {"idempotency-key": call.key, "strata-execution": call.execution})
        try:
            async with asyncio.timeout(patience):
                client = await self._session.client()
                return self._read(await client.call_tool(self._tool, given, meta=meta))
        except TimeoutError:
            return failed(TIMEOUT, f"the tool {self._tool} did not answer within {patience:.3f} s")
        except (SecretMissing, Barred) as refused:
            return failed(REFUSED, f"{self.name} cannot be called: {refused}")
        except Exception as error:  # noqa: BLE001 - whatever a server does is a failure of the agent
            await self._session.drop()
            return _broken(self._tool, error)

    def _read(self, result: CallToolResult) -> AgentReply:
        text = "\n".join(part.text for part in result.content if part.type == "text")
        size = max(len(text.encode()), len(orjson.dumps(result.structured_content)))
        if size > self._cap:
            return too_large(f"{size:,} bytes", self._cap)
        if result.is_error:
            return failed(REFUSED, f"the tool {self._tool} refused: {text}")
        if result.structured_content is not None:
            return AgentReply(self._unwrapped(result.structured_content))
        if _is_text(self.signature):
            return AgentReply(text)
        try:
            return AgentReply(orjson.loads(text))
        except orjson.JSONDecodeError as error:
            return failed(INVALID_OUTPUT, f"the tool {self._tool} did not answer with JSON: {error}")

    def _unwrapped(self, content: Any) -> Any:
        """The value: what is no object, servers wrap into one as `result`."""
        if _is_record(self.signature) or not isinstance(content, dict) or set(content) != {"result"}:
            return content
        return content["result"]


def _broken(tool: str, error: BaseException) -> AgentReply:
    """The failure that an exception of the protocol stands for; the innermost one tells most."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, Barred):
        return failed(REFUSED, f"the tool {tool} cannot be called: {error}")
    code = getattr(error, "code", None) or getattr(getattr(error, "error", None), "code", None)
    kind = REFUSED if code in {-32601, -32602} else UNAVAILABLE
    return failed(kind, f"the server of the tool {tool} failed: {type(error).__name__}: {error}")


def _is_text(signature: Signature) -> bool:
    return isinstance(signature.output, Primitive) and signature.output.name == "string"


def _is_record(signature: Signature) -> bool:
    return not isinstance(signature.output, Primitive)


class Session:
    """One connection to a server, held by a task of its own: the library wants both ends in one task."""

    def __init__(self, server: Server, secrets: Secrets, web: Web) -> None:
        self._server = server
        self._secrets = secrets
        self._web = web
        self._ready: asyncio.Future[Client] | None = None
        self._task: asyncio.Task[None] | None = None

    async def client(self) -> Client:
        """The connection, begun where there is none. Raises whatever keeps it from beginning."""
        if self._ready is None or (self._task is not None and self._task.done()):
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._hold(self._ready))
        return await asyncio.shield(self._ready)

    async def close(self) -> None:
        """End it."""
        task, self._task, self._ready = self._task, None, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(BaseException):
                await task

    async def drop(self) -> None:
        """Let a connection go that may be broken: the next call begins another."""
        await self.close()

    async def _hold(self, ready: asyncio.Future[Client]) -> None:
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(_BEGIN):
                    client = await self._begin(stack)
                ready.set_result(client)
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            ready.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - who waits for the connection is told
            if not ready.done():
                ready.set_exception(error)
                ready.exception()  # nobody may be waiting any more

    async def _begin(self, stack: contextlib.AsyncExitStack) -> Client:
        # Most of a second, which nobody else should wait for.
        await asyncio.to_thread(import_module, "mcp.client.client")
        from mcp.client.client import Client  # noqa: PLC0415 - start-up cost, and an extra
        from mcp.client.stdio import StdioServerParameters, stdio_client  # noqa: PLC0415 - likewise
        from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415 - likewise

        if self._server.command:
            program, *arguments = self._server.command
            env = await self._secrets.fill_all(self._server.env)
            silent = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, ASYNC230, PTH123 - a device, closed by the stack
            parameters = StdioServerParameters(command=program, args=arguments, env=env)
            transport = stdio_client(parameters, errlog=silent)
        else:
            http = await stack.enter_async_context(await self._web.open(cap=MAX_OUTPUT))
            http.headers.update(await filled(self._server.headers, self._secrets))
            transport = streamable_http_client(self._server.url, http_client=http)
        return await stack.enter_async_context(Client(transport))
