"""What the killed processes call: services in another process, which remember every call they got.

Must never know: journals, or who is killed when.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random  # noqa: TID251 - seeded by the caller: the same draws every time
from typing import Any, Final, Self

import orjson
from typing_extensions import override

from stratarouter_runtime.ids import LOCAL, AgentName, Digest, ExecutionId
from stratarouter_runtime.ports import AgentCall
from stratarouter_runtime.testing.world import Called

SLOW: Final = 0.02
"""Seconds that a call takes at most."""

EVERYTHING: Final = 1_000_000
"""More records than any journal has: what was durable at a call is not known out here."""


class Outside:
    """Services that answer `n` with `n + 1`, and a book of references: `calls` and `dropped` tell of all.

    Nothing of a process that is killed takes back what has been noted here.
    """

    def __init__(self, seed: int) -> None:
        self.calls: list[Called] = []
        self.dropped: Counter[str] = Counter()
        self._chance = Random(seed)  # noqa: S311 - a simulation
        self._lock = threading.Lock()
        self._server = _server(self)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, agent: str, headers: Any, given: Any) -> Any:
        """Note a call, and answer it after a while."""
        key = headers["idempotency-key"]
        call = AgentCall(
            execution=ExecutionId(headers["strata-execution"]),
            tenant=LOCAL,
            key=Digest(key),
            seed=headers["strata-seed"],
            attempt=int(headers["strata-attempt"]),
            input=given,
        )
        with self._lock:
            at = time.monotonic_ns() // 1_000
            self.calls.append(Called(AgentName(agent), 0, call, EVERYTHING, at))
            pause = self._chance.random() * SLOW
            if agent == "drop":
                self.dropped[given["ref"]] += 1
        time.sleep(pause)
        match agent:
            case "drop":
                return {"done": True}
            case "book":
                return {"ref": key[:16]}
            case _:
                return {"n": given["n"] + 1}


class _Listener(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who called was killed."""


def _server(outside: Outside) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            given = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            body = orjson.dumps(outside.answer(self.path.strip("/"), self.headers, given))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    return _Listener(("127.0.0.1", 0), Handler)
