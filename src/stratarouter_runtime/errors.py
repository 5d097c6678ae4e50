"""The tree of errors: what a caller can be told, and whose fault it is.

    StrataError
    ├── InvalidFlow          a flow document has diagnostics
    │   └── InvalidAgent         a document that declares an agent has
    ├── InvalidInput         a value does not fit the type it is given for
    ├── InvalidSetting       a setting, flag or option cannot be used
    ├── InvalidState         what was asked does not fit what the execution is doing
    ├── NotFound             no such flow, execution, agent, file
    ├── Conflict             the same key with another body, or twice the same fact
    ├── LimitExceeded        a hard limit refused the request
    │   ├── QuotaExceeded        the tenant has used up what its tier allows for now
    │   ├── ExceedsTier          it asks for more than the tenant's tier ever allows
    │   ├── WorkflowQuota        the tenant has as many workflows as its tier allows
    │   └── AgentQuota           the tenant has as many agents as its tier allows
    ├── PolicyRefused        an agent is none that the tenant may use
    ├── LinkError            the agents at hand do not fit what the flow requires
    ├── EncoderFailed        the encoder gave no vectors: nothing can be compared now
    ├── Interrupted          work that several callers shared was given up before it had begun
    ├── JournalMismatch      a journal does not belong to this plan, or was changed
    └── StoreError           the store cannot do its work
        ├── StoreUnavailable     it cannot be opened or reached now
        ├── StoreReadOnly        it may not be written
        ├── StoreFull            no room is left
        ├── StoreLocked          another process owns it
        ├── LeaseLost            this process was given up for lost; another one goes on with its work
        └── StoreVersion         it was written by a newer runtime

A failure of a *step* is no exception but a value (`state.events.Failure`): it is
journaled, and a flow may catch it. Must never know: HTTP, exit codes, or any
back-end; those map `code` and `fault` in one table at their own edge.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Fault(StrEnum):
    """Whose fault an error is: who has to do something about it."""

    CALLER = "caller"
    OPERATOR = "operator"
    AGENT = "agent"
    RUNTIME = "runtime"


class StrataError(Exception):
    """An error with a stable code, a culprit, and advice.

    `code` never changes once released; `message` says what happened and where;
    `hint` says what to do about it; `retryable` says whether the same request
    may succeed later without a change.
    """

    code: ClassVar[str] = "internal"
    fault: ClassVar[Fault] = Fault.RUNTIME
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidFlow(StrataError):
    """A flow document has at least one diagnostic of severity error."""

    code = "invalid-flow"
    fault = Fault.CALLER

    def __init__(
        self, message: str, *, diagnostics: tuple[object, ...] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.diagnostics = diagnostics


class InvalidAgent(InvalidFlow):
    """A document that declares an agent has at least one diagnostic of severity error."""

    code = "invalid-agent"


class InvalidInput(StrataError):
    """A value does not fit its declared type; `pointer` is the JSON Pointer of the misfit."""

    code = "invalid-input"
    fault = Fault.CALLER

    def __init__(self, message: str, *, pointer: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.pointer = pointer


class InvalidSetting(StrataError):
    """A setting, environment variable or option cannot be used as given."""

    code = "invalid-setting"
    fault = Fault.OPERATOR


class InvalidState(StrataError):
    """The execution is not in a state in which this can be done."""

    code = "invalid-state"
    fault = Fault.CALLER


class NotFound(StrataError):
    """Nothing of that name exists, or not for this tenant."""

    code = "not-found"
    fault = Fault.CALLER


class Conflict(StrataError):
    """The request contradicts something that has been accepted before."""

    code = "conflict"
    fault = Fault.CALLER


class LimitExceeded(StrataError):
    """A hard limit refused the request before anything was spent."""

    code = "limit-exceeded"
    fault = Fault.CALLER
    retryable = True


class QuotaExceeded(LimitExceeded):
    """A tenant has used up what its tier allows: `policy` names the limit, `retry_after` is in seconds."""

    code = "quota-exceeded"

    def __init__(self, message: str, *, policy: str, retry_after: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.policy = policy
        self.retry_after = retry_after


class ExceedsTier(LimitExceeded):
    """What is asked for is more than the tenant's tier allows at any time; waiting does not help."""

    code = "exceeds-tier"
    retryable = False


class WorkflowQuota(LimitExceeded):
    """A tenant has as many workflows deployed as its tier allows; waiting does not help."""

    code = "workflow-quota"
    retryable = False


class AgentQuota(LimitExceeded):
    """A tenant has as many agents registered as its tier allows; waiting does not help."""

    code = "agent-quota"
    retryable = False


class PolicyRefused(StrataError):
    """An agent is none that the policy of the tenant allows."""

    code = "policy-refused"
    fault = Fault.CALLER


class LinkError(StrataError):
    """The agents at hand do not fit what the flow requires."""

    code = "link-error"
    fault = Fault.OPERATOR


class EncoderFailed(StrataError):
    """The encoder gave no vectors; nothing is compared by other means in its place."""

    code = "encoder-failed"
    fault = Fault.OPERATOR
    retryable = True


class Interrupted(StrataError):
    """Work that several callers shared was given up again and again; nothing is known of what it would have given."""

    code = "interrupted"
    fault = Fault.RUNTIME
    retryable = True


class JournalMismatch(StrataError):
    """A journal does not follow from its plan: another plan, or changed records."""

    code = "journal-mismatch"
    fault = Fault.OPERATOR


class StoreError(StrataError):
    """The store cannot do its work."""

    code = "store-error"
    fault = Fault.OPERATOR


class StoreUnavailable(StoreError):
    """The store cannot be opened or reached now."""

    code = "store-unavailable"
    retryable = True


class StoreReadOnly(StoreError):
    """The store may be read but not written."""

    code = "store-read-only"


class StoreFull(StoreError):
    """The disk, or the quota of the store, has no room left."""

    code = "store-full"
    retryable = True


class StoreLocked(StoreError):
    """Another process owns the store."""

    code = "store-locked"
    retryable = True


class LeaseLost(StoreError):
    """The lease under which something was to be written was taken: nothing was written."""

    code = "lease-lost"
    retryable = True

    def __init__(
        self,
        message: str = "this process was given up for lost, and another one goes on with its work",
        *,
        hint: str | None = "ask again: what was acknowledged is kept, and goes on",
    ) -> None:
        super().__init__(message, hint=hint)


class StoreVersion(StoreError):
    """The store was written by a newer runtime than this one."""

    code = "store-version"
