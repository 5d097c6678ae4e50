"""The kind `mcp`: a tool of an MCP server, a process of this machine or an address of http.

This module reads what a document declares of one; the protocol is in `mcp_session`. Must never
know: how a server is spoken to.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from stratarouter_runtime.agents.addresses import needing, read_url
from stratarouter_runtime.agents.headers import check_secrets, read_headers
from stratarouter_runtime.agents.kinds import Declaration
from stratarouter_runtime.agents.mcp_servers import Server
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.loading.fields import text_of

if TYPE_CHECKING:
    from stratarouter_runtime.agents.mcp_session import ToolAgent
    from stratarouter_runtime.agents.workshop import Workshop
    from stratarouter_runtime.tcfp.loading.fields import Fields

FIELDS: Final = ("url", "command", "env", "headers", "tool")


class ToolSpec(Struct, frozen=True):
    """An agent of this kind as declared."""

    name: AgentName
    signature: Signature
    server: Server
    tool: str
    version: str = ""

    def build(self, workshop: Workshop) -> ToolAgent:
        """The agent; the server is started, or connected to, with the first call."""
        from stratarouter_runtime.agents.mcp_session import ToolAgent  # noqa: PLC0415 - start-up cost

        return ToolAgent(self.name, self.signature, self.server, self.tool, self.version, workshop)


def read(declaration: Declaration) -> ToolSpec | None:
    """Reads the keys of this kind; None after a diagnostic."""
    fields = declaration.fields
    if find_spec("mcp") is None:
        hint = "install it: pip install 'stratarouter-runtime[mcp]'"
        fields.diagnostics.add("E134", fields.at, "the extra [mcp] is not installed", hint)
        return None
    tool = fields.text("tool") or declaration.name
    command = fields.texts("command")
    if command is None:
        url = read_url(declaration)
        headers = read_headers(declaration)
        if url is None:
            return None
        server = Server(url=url, headers=headers, hosts=declaration.hosts)
        signature = needing(declaration.signature, url)
        return ToolSpec(declaration.name, signature, server, tool, declaration.version)
    for key in ("url", "headers"):
        if key in fields.entries:
            fields.diagnostics.add("E134", fields.entries[key].at, f"'{key}' does not go with 'command'")
    if not command:
        fields.diagnostics.add("E134", fields.entries["command"].at, "no program is named")
        return None
    server = Server(command=command, env=_environment(fields, declaration))
    return ToolSpec(declaration.name, declaration.signature, server, tool, declaration.version)


def _environment(fields: Fields, declaration: Declaration) -> dict[str, str]:
    node = fields.mapping("env")
    found = {}
    for entry in () if node is None else node.entries:
        value = text_of(entry.value, fields.diagnostics)
        if value is not None:
            found[entry.key] = check_secrets(entry, value, declaration)
    return found
