"""`strata mcp`: every flow of a project as a tool of MCP, over standard input and output.

A call of a tool is an execution like any other: durable, listed, replayable. Must never know: how
an execution is driven.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stratarouter_runtime import settings
from stratarouter_runtime.cli.arguments import Store
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.projects import deploy_project
from stratarouter_runtime.errors import InvalidSetting, NotFound, StrataError
from stratarouter_runtime.host import installed_version
from stratarouter_runtime.ids import LOCAL, FlowId
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.tcfp.json_schema import to_schema
from stratarouter_runtime.tcfp.types import RecordType
from stratarouter_runtime.wiring import Application, application
from stratarouter_runtime.workshops import open_project

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server
    from mcp_types import CallToolResult, Tool

    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.tcfp.plan import Plan

_UNUSABLE: Final = re.compile(r"[^A-Za-z0-9_-]")


def mcp(project: Path = Path(), /, *, store: Store = None) -> int:
    """Offer the flows of a project as tools of MCP.

    Parameters
    ----------
    project
        The folder with agents.py or agents.yaml, and flow.yaml or flows/*.yaml.
    """
    if not project.is_dir():
        raise NotFound(f"no folder {project}", hint="name the folder that holds agents.py and the flows")
    if find_spec("mcp") is None:
        hint = "install it: pip install 'stratarouter-runtime[mcp]'"
        raise InvalidSetting("the extra [mcp] is not installed", hint=hint)
    asyncio.run(_session(project, store))
    return Exit.OK


async def _session(project: Path, store: str | None) -> None:
    from mcp.server.stdio import stdio_server  # noqa: PLC0415 - start-up cost, and an extra

    async with stdio_server() as (reading, writing):
        # What agents print must not get between the messages.
        with redirect_stdout(sys.stderr):
            chosen = settings.load()
            registry = open_project(project, chosen)
            async with application(chosen, registry, store=store, claiming=True) as app:
                flows = await deploy_project(app.runtime, project)
                tools = {tool_name(flow): flow for flow in flows}
                sys.stderr.write(f"offering {len(tools)} flows as tools; store: {app.place}\n")
                server = _server(app, tools)
                await server.run(reading, writing, server.create_initialization_options())


def tool_name(flow: str) -> str:
    """The name of a flow as clients accept it: `support.triage` is `support_triage`."""
    return _UNUSABLE.sub("_", flow)


def _server(app: Application, tools: Mapping[str, FlowId]) -> Server[Any]:
    from mcp.server.lowlevel.server import Server  # noqa: PLC0415 - start-up cost
    from mcp_types import ListToolsResult  # noqa: PLC0415 - start-up cost

    async def list_tools(_context: Any, _parameters: Any) -> Any:
        plans = {name: (await app.runtime.flows.deployed(LOCAL, flow))[1] for name, flow in tools.items()}
        return ListToolsResult(tools=[_tool(name, plan) for name, plan in plans.items()])

    async def call_tool(_context: Any, parameters: Any) -> Any:
        flow = tools.get(parameters.name)
        if flow is None:
            return _refusal(f"there is no tool {parameters.name}")
        try:
            return await _call(app, flow, parameters.arguments or {})
        except StrataError as error:
            return _refusal(error.message, error.hint)

    return Server(
        "stratarouter-runtime", version=installed_version(), on_list_tools=list_tools, on_call_tool=call_tool
    )


def _tool(name: str, plan: Plan) -> Tool:
    from mcp_types import Tool  # noqa: PLC0415 - start-up cost

    output = to_schema(plan.output.type) if isinstance(plan.output.type, RecordType) else None
    return Tool(
        name=name,
        description=plan.signature.about or plan.name,
        input_schema=_object(to_schema(plan.input.type, closed=False)),
        output_schema=None if output is None else _object(output),
    )


def _object(schema: object) -> dict[str, Any]:
    return schema if isinstance(schema, dict) else {"type": "object"}


async def _call(app: Application, flow: FlowId, given: Mapping[str, Any]) -> CallToolResult:
    _, plan = await app.runtime.flows.deployed(LOCAL, flow)
    row = await app.runtime.execute(StartExecution(plan=plan, input=dict(given), flow=flow))
    if row.status == "completed":
        return _answer(row, structured=isinstance(plan.output.type, RecordType))
    if row.failure is not None:
        return _refusal(f"{row.id}: {row.failure.kind}: {row.failure.message}")
    return _refusal(f"{row.id} is {row.status}", f"strata show {row.id}")


def _answer(row: Execution, *, structured: bool) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent  # noqa: PLC0415 - start-up cost

    output = msgspec.to_builtins(row.output)
    text = output if isinstance(output, str) else msgspec.json.encode(output).decode()
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=output if structured else None
    )


def _refusal(message: str, hint: str | None = None) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent  # noqa: PLC0415 - start-up cost

    told = f"{message}\nhint: {hint}" if hint else message
    return CallToolResult(content=[TextContent(type="text", text=told)], is_error=True)
