"""Clients of servers that are killed: they insist until they are told, and remember what they were told.

Must never know: who is killed when, or what must be true.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from random import Random  # noqa: TID251 - seeded by the caller: the same draws every time
from typing import Any, Final

import httpx2
from msgspec import Struct, field
from typing_extensions import override

from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.testing.evidence import Accepted
from stratarouter_runtime.testing.flows import Told
from stratarouter_runtime.testing.killing.project import TOLD

API: Final = "/api/v1"
GIVES_UP: Final = 120.0
"""Seconds after which a client says that it is never answered, or that its execution never ends."""

LATER: Final = frozenset({503, 507})
"""What a server answers that cannot do it now: whether it did is not known."""

BATCHED: Final = frozenset({"chain", "loop", "inner"})
"""Flows that are submitted many at once."""

_EXECUTION: Final = re.compile(r"exec_[0-9a-f]+")


class History(Struct):
    """What clients were told. `ends` has the status and the output of what they saw end."""

    accepted: list[Accepted] = field(default_factory=list)
    answers: list[tuple[ExecutionId, str]] = field(default_factory=list)
    cancels: list[tuple[ExecutionId, str]] = field(default_factory=list)
    ends: dict[ExecutionId, tuple[str, Any]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """Begins one execution after the other, until it is told to `rest`; then it sees its last one end."""

    def __init__(
        self, number: int, urls: Sequence[str], history: History, chance: Random, rest: threading.Event
    ) -> None:
        super().__init__(daemon=True, name=f"client {number}")
        self._urls = urls
        self._history = history
        self._draw = chance.random
        self._rest = rest
        self._begun = 0
        self._http = httpx2.Client(timeout=10.0)

    @override
    def run(self) -> None:
        """Until it is told to rest; a mistake ends it, and is told."""
        try:
            while not self._rest.is_set():
                self._begun += 1
                if self._draw() < 0.08:
                    self._submit()
                else:
                    self._execute()
        except Exception as wrong:  # noqa: BLE001 - whatever it is, it is no good sign
            self._history.wrong.append(f"{self.name}: {wrong!r}")
        finally:
            self._http.close()

    # What it wants.

    def _execute(self) -> None:
        told, n = TOLD[int(self._draw() * len(TOLD))], int(self._draw() * 10)
        key = f"{self.name} {self._begun}" if self._draw() < 0.8 else None
        execution = self._start(told, n, key)
        self._history.accepted.append(Accepted(execution, told, n))
        if key is not None and self._draw() < 0.2:
            again = self._start(told, n, key)
            self._history.accepted.append(Accepted(again, told, n, again=execution))
        self._stay(execution, told, n)
        if not told.books and self._draw() < 0.1:
            self._fork(execution, told, n)

    def _start(self, told: Told, n: int, key: str | None) -> ExecutionId:
        """The id under which it was acknowledged. Without a key, it may begin another that nobody knows of."""
        headers = {"prefer": "respond-async"} | ({} if key is None else {"idempotency-key": key})
        body = {"workflow_id": told.name, "input": {"n": n}, "options": {"enable_cache": False}}
        answer = self._insist("POST", "/workflows/execute", body, headers)
        if answer.status_code == 409:
            return ExecutionId(_EXECUTION.findall(answer.json()["detail"])[0])
        assert answer.status_code in {200, 202}, answer.text
        return ExecutionId(answer.json()["execution_id"])

    def _fork(self, execution: ExecutionId, told: Told, n: int) -> None:
        """Begin from what an execution did: the same again, or with another input."""
        body = {} if self._draw() < 0.5 else {"input": {"n": n + 1}}
        answer = self._insist("POST", f"/executions/{execution}/fork", body)
        assert answer.status_code == 202, answer.text
        fork = ExecutionId(answer.json()["execution_id"])
        n += len(body)
        self._history.accepted.append(Accepted(fork, told, n))
        self._stay(fork, told, n)

    def _submit(self) -> None:
        """Submit some at once, and see them all end."""
        among = [told for told in TOLD if told.name in BATCHED]
        items = tuple((among[int(self._draw() * 3)], int(self._draw() * 10)) for _ in range(5))
        body = {
            "items": [{"workflow_id": told.name, "input": {"n": n}} for told, n in items],
            "options": {"enable_cache": False},
        }
        answer = self._insist("POST", "/batch/submit", body)
        assert answer.status_code == 202, answer.text
        batch = answer.json()["id"]
        until = time.monotonic() + GIVES_UP
        while not answer.json()["ended"]:
            assert time.monotonic() < until, f"{batch} never ends: {answer.text}"
            time.sleep(0.05)
            answer = self._insist("GET", f"/batch/{batch}")
            assert answer.status_code == 200, f"{batch} was acknowledged, and is lost: {answer.text}"
        for (told, n), found in zip(items, answer.json()["items"], strict=True):
            if not found["shared"]:
                execution = ExecutionId(found["execution_id"])
                self._history.accepted.append(Accepted(execution, told, n))
                self._history.ends[execution] = found["status"], found.get("output")

    # How it stays with it.

    def _stay(self, execution: ExecutionId, told: Told, n: int) -> None:
        until = time.monotonic() + GIVES_UP
        while True:
            answer = self._insist("GET", f"/executions/{execution}", headers={"prefer": "wait=0.2"})
            assert answer.status_code in {200, 202}, f"{execution} was acknowledged, and is lost"
            found = answer.json()
            if found["status"] in ENDED:
                self._history.ends[execution] = found["status"], found.get("output")
                return
            assert time.monotonic() < until, f"{execution} never ends: {answer.text}"
            self._meddle(execution, told, n, found["status"])
            time.sleep(self._draw() * 0.05)

    def _meddle(self, execution: ExecutionId, told: Told, n: int, status: str) -> None:
        drawn, place = self._draw(), f"/executions/{execution}"
        if status == "paused":
            self._try("POST", f"{place}/resume")
        elif drawn < 0.05:
            if self._try("POST", f"{place}/cancel", {"by": self.name}):
                self._history.cancels.append((execution, self.name))
        elif told.asks is not None and drawn < 0.6:
            by = f"{self.name} {drawn}"
            value: Any = told.asks(n)
            if told.doubts:
                happened = self._draw() < 0.5
                value = {"happened": happened, "output": value if happened else None}
            if self._try("POST", f"{place}/answer", {"step": "q", "value": value, "by": by}):
                self._history.answers.append((execution, by))
        elif drawn < 0.65:
            self._try("POST", f"{place}/pause")

    # How it asks.

    def _try(self, method: str, path: str, body: object = None) -> bool:
        """Ask once; whether it was acknowledged. What is refused, or not answered, may have happened or not."""
        try:
            answer = self._ask(method, path, body, {})
        except httpx2.TransportError:
            return False
        assert answer.status_code < 500 or answer.status_code in LATER, answer.text
        return answer.status_code == 202

    def _insist(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """Ask until a server answers."""
        until = time.monotonic() + GIVES_UP
        while True:
            try:
                answer = self._ask(method, path, body, headers or {})
                if answer.status_code not in LATER:
                    assert answer.status_code < 500, answer.text
                    return answer
            except httpx2.TransportError:
                pass
            assert time.monotonic() < until, f"no server answers {method} {path}"
            time.sleep(0.02)

    def _ask(self, method: str, path: str, body: object, headers: dict[str, str]) -> httpx2.Response:
        url = self._urls[int(self._draw() * len(self._urls))]
        return self._http.request(method, f"{url}{API}{path}", json=body, headers=headers)
