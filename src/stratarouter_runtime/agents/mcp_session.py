"""A tool of an MCP server as an agent: its answers, behind the port `Agent`.

Must never know: how a connection begins and ends, documents, flows, plans or the journal.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from typing_extensions import override

from stratarouter_runtime.agents.answers import is_text
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
from stratarouter_runtime.agents.mcp_connection import Session
from stratarouter_runtime.agents.mcp_servers import Server
from stratarouter_runtime.agents.reach import Barred, host_of
from stratarouter_runtime.agents.secrets import SecretMissing
from stratarouter_runtime.agents.web import TooLarge
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Operation
from stratarouter_runtime.state.events import Usage
from stratarouter_runtime.tcfp.digests import agent_digest
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.types import MapType, RecordType
from stratarouter_runtime.tcfp.values import to_json

if TYPE_CHECKING:
    from mcp_types import CallToolResult, RequestParamsMeta

_CLOSED: Final = -32000
"""The code with which the library says that a connection has ended."""


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
        web = workshop.web.allowing(server.hosts).only(hosts)
        self._session = Session(server, secrets, web, _answered)
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
            async with asyncio.timeout(patience), self._session.client() as client:
                result = await client.call_tool(self._tool, given, meta=meta)
            return self._read(result)
        except TimeoutError:
            return failed(TIMEOUT, f"the tool {self._tool} did not answer within {patience:.3f} s")
        except (SecretMissing, Barred) as refused:
            return failed(REFUSED, f"{self.name} cannot be called: {refused}")
        except TooLarge:
            return too_large("a line without an end", self._cap)
        except Exception as error:  # noqa: BLE001 - whatever a server does is a failure of the agent
            return self._broken(_innermost(error))

    def _broken(self, error: BaseException) -> AgentReply:
        """The failure that an exception of the protocol stands for."""
        from stratarouter_runtime.agents.guarded import Overrun  # noqa: PLC0415 - start-up cost

        if isinstance(error, Overrun):
            return too_large(f"more than {MAX_OUTPUT:,} bytes", self._cap)
        if isinstance(error, Barred):
            return failed(REFUSED, f"the tool {self._tool} cannot be called: {error}")
        kind = REFUSED if _code(error) in {-32601, -32602} else UNAVAILABLE
        return failed(kind, f"the server of the tool {self._tool} failed: {type(error).__name__}: {error}")

    def _read(self, result: CallToolResult) -> AgentReply:
        text = "\n".join(part.text for part in result.content if part.type == "text")
        size = max(len(text.encode()), len(orjson.dumps(result.structured_content)))
        if size > self._cap:
            return too_large(f"{size:,} bytes", self._cap)
        if result.is_error:
            return failed(REFUSED, f"the tool {self._tool} refused: {text}")
        if result.structured_content is not None:
            return AgentReply(self._unwrapped(result.structured_content))
        if is_text(self.signature.output):
            return AgentReply(text)
        try:
            return AgentReply(orjson.loads(text))
        except orjson.JSONDecodeError as error:
            return failed(INVALID_OUTPUT, f"the tool {self._tool} did not answer with JSON: {error}")

    def _unwrapped(self, content: Any) -> Any:
        """The value: what is no object, servers wrap into one as `result`."""
        if (
            isinstance(self.signature.output, RecordType | MapType)
            or not isinstance(content, dict)
            or set(content) != {"result"}
        ):
            return content
        return content["result"]


def _code(error: BaseException) -> int | None:
    """The code of an error of the protocol."""
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else None


def _answered(error: BaseException) -> bool:
    """Whether the server said no to this call: then the connection is sound, and others go on with it."""
    return _code(error) not in (None, _CLOSED)


def _innermost(error: BaseException) -> BaseException:
    """What was raised first, which tells most."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
