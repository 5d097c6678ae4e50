"""An HTTP server for tests that says nothing where its caller has gone: it would speak into another test."""

from __future__ import annotations

from http.server import ThreadingHTTPServer
from typing import Any

from typing_extensions import override


class QuietServer(ThreadingHTTPServer):
    """Its callers hang up when they like."""

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """They have hung up."""
