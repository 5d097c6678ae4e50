"""`strata mcp` as clients meet it: a process that speaks over its standard streams."""

from __future__ import annotations

import sys
from pathlib import Path

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

AGENTS = """\
from stratarouter_runtime.builder import agent

@agent(effect="pure")
def shout(text: str) -> str:
    print("this goes to standard error")
    return text.upper()
"""
FLOW = """\
tcfp: "1.0"
flow: say.loud
about: says something loudly
agents: [shout]
in: { text: string }
out: { said: string }
do:
  - id: s
    call: shout
    with: { text: =text }
return: { said: =s }
"""


async def test_a_client_finds_the_flows_of_a_project_and_calls_them(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(AGENTS)
    (tmp_path / "flow.yaml").write_text(FLOW)
    command = ["-m", "stratarouter_runtime", "mcp", str(tmp_path), "--store", str(tmp_path / "strata.db")]
    process = StdioServerParameters(command=sys.executable, args=command)
    with (tmp_path / "errors").open("w") as errors:
        async with Client(stdio_client(process, errlog=errors)) as client:
            (tool,) = (await client.list_tools()).tools
            assert (tool.name, tool.description) == ("say_loud", "says something loudly")
            assert tool.input_schema["properties"] == {"text": {"type": "string"}}
            assert tool.output_schema is not None
            answer = await client.call_tool("say_loud", {"text": "hello"})
            assert (answer.is_error, answer.structured_content) == (False, {"said": "HELLO"})
            wrong = await client.call_tool("say_loud", {"txt": "hello"})
            assert wrong.is_error
            assert "text" in str(wrong.content)
            assert (await client.call_tool("nothing", {})).is_error
    assert "this goes to standard error" in (tmp_path / "errors").read_text()
