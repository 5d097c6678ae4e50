"""An MCP server with a few tools, over standard streams or HTTP: what the tests speak to."""

from __future__ import annotations

import os
import sys

from mcp.server.mcpserver import MCPServer

server = MCPServer("tools")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(structured_output=False)
def say(text: str) -> str:
    """Say it again."""
    return f"{text}!"


@server.tool(structured_output=False)
def secret() -> str:
    """Tell a secret of the environment."""
    return os.environ.get("TOKEN", "none")  # noqa: TID251 - a process of its own


@server.tool()
def fail() -> str:
    """Never succeed."""
    raise ValueError("will not")


@server.tool()
def leave() -> str:
    """End the process."""
    os._exit(3)


@server.tool(structured_output=False)
async def hang() -> str:
    """Answer much too late."""
    import asyncio  # noqa: PLC0415 - of this tool alone

    await asyncio.sleep(3600)
    return "late"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
