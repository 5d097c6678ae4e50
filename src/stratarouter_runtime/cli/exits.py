"""The one table from an error's code to the exit code of the process.

Must never know: where errors come from. A code that is missing here fails a test.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """What a shell script can tell apart. Documented in docs/cli.md."""

    OK = 0
    FAILED = 1
    """The execution failed, or a replay found a divergence."""
    BAD_INPUT = 2
    """The caller has to change something: a flow, an input, an argument, a setting."""
    LIMIT = 3
    """A limit refused; the same request may succeed later."""
    UNAVAILABLE = 4
    """The store, the machine or the runtime could not do its work."""
    INTERRUPTED = 130
    """Ended by SIGINT."""


BY_CODE: Final = {
    "conflict": Exit.BAD_INPUT,
    "internal": Exit.UNAVAILABLE,
    "invalid-agent": Exit.BAD_INPUT,
    "invalid-flow": Exit.BAD_INPUT,
    "invalid-input": Exit.BAD_INPUT,
    "invalid-setting": Exit.BAD_INPUT,
    "invalid-state": Exit.BAD_INPUT,
    "journal-mismatch": Exit.FAILED,
    "limit-exceeded": Exit.LIMIT,
    "encoder-failed": Exit.UNAVAILABLE,
    "interrupted": Exit.UNAVAILABLE,
    "exceeds-tier": Exit.LIMIT,
    "quota-exceeded": Exit.LIMIT,
    "workflow-quota": Exit.LIMIT,
    "agent-quota": Exit.LIMIT,
    "policy-refused": Exit.LIMIT,
    "link-error": Exit.BAD_INPUT,
    "not-found": Exit.BAD_INPUT,
    "store-error": Exit.UNAVAILABLE,
    "store-full": Exit.UNAVAILABLE,
    "lease-lost": Exit.UNAVAILABLE,
    "store-locked": Exit.UNAVAILABLE,
    "store-read-only": Exit.UNAVAILABLE,
    "store-unavailable": Exit.UNAVAILABLE,
    "store-version": Exit.UNAVAILABLE,
}


def of_failure(kind: str) -> Exit:
    """The exit code of an execution that failed with an error of this kind."""
    return Exit.LIMIT if kind == "limit" or kind.startswith("limit.") else Exit.FAILED
