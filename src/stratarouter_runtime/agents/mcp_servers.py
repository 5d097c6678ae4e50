"""Where an MCP server is, and what it is told of itself.

Must never know: how it is spoken to.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Server(Struct, frozen=True):
    """Where a server is: at `url`, or started by `command`. `headers` and `env` hold references to secrets."""

    url: str = ""
    command: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}
    env: Mapping[str, str] = {}
    hosts: tuple[str, ...] = ()
