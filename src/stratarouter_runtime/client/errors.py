"""What goes wrong between a client and a server.

Must never know: how requests are sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stratarouter_runtime.api.models import Problem


class ClientError(Exception):
    """Any of these."""


class Unreachable(ClientError):
    """No answer came, however often the request was sent. Whether it arrived is not known."""


class Refused(ClientError):
    """The server refused a request; `problem` says why, what to do about it, and where it points to."""

    def __init__(self, problem: Problem) -> None:
        advice = f" [hint: {problem.hint}]" if problem.hint else ""
        super().__init__(f"{problem.status} {problem.code}: {problem.detail}{advice}")
        self.problem = problem

    @property
    def code(self) -> str:
        """The stable code, as docs/api.md lists it."""
        return self.problem.code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status
