"""An MCP server with a few tools, over standard streams or HTTP: what the tests speak to."""

from __future__ import annotations

import os
import sys
from typing import Literal

from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

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


@server.tool()
async def wait(seconds: float) -> str:
    """Answer in a while; below zero there is none, which the protocol has an error for."""
    import asyncio  # noqa: PLC0415 - of this tool alone

    if seconds < 0:
        raise MCPError(INVALID_PARAMS, "no such time")
    await asyncio.sleep(seconds)
    return "done"


@server.tool()
def words(text: str) -> list[str]:
    """Take it apart."""
    return text.split()


@server.tool()
def side(number: int) -> Literal["even", "odd"]:
    """Of which kind it is."""
    return "odd" if number % 2 else "even"


@server.tool()
def counts(text: str) -> dict[str, int]:
    """How often each word is in it, and one that is called as what servers wrap values into."""
    return {"result": len(text.split())}


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
