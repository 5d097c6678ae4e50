"""An MCP server whose tool does as it is told: what the conformance of kinds of agent speaks to."""

from __future__ import annotations

import asyncio
import os

from mcp.server.mcpserver import MCPServer

server = MCPServer("acting")


@server.tool(structured_output=False)
async def act(do: str) -> str:
    """Answer, hang, leave, or say much."""
    match do:
        case "hang":
            await asyncio.sleep(3_600)
        case "fail":
            os._exit(3)
        case "large":
            return "x" * 5_000
        case "secret":
            return "it is hush-hush"
        case _:
            pass
    return "fine"


if __name__ == "__main__":
    server.run("stdio")
