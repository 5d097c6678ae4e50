"""What PostgreSQL's errors mean to whoever runs the store, and what can be done about them here.

Must never know: what was being done when they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import asyncpg

from stratarouter_runtime.errors import StoreError, StoreFull, StoreReadOnly, StoreUnavailable

if TYPE_CHECKING:
    from stratarouter_runtime.storage.postgres.address import Address

RACES: Final = (
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
"""Another process was faster or in the way: look again, and repeat."""

FAILED: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""All that the driver raises; a time that ran out is an `OSError` too."""

_LOST: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
_DATA: Final = ("22", "54")
"""Classes of errors that are about a value: it does not fit, or is too large for an index."""


def lost(error: BaseException) -> bool:
    """Whether the connection is gone or never came about, so that another one may help."""
    return isinstance(error, _LOST) and not isinstance(error, asyncpg.DataError)


def concerns_one(error: BaseException) -> bool:
    """Whether one value is to blame: whatever else was in the same statement may go well without."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] in _DATA
    return isinstance(error, ValueError | OverflowError) and not lost(error)


def translated(error: BaseException, address: Address) -> StoreError:
    """The store's own error for one of the driver's."""
    if isinstance(error, StoreError):
        return error
    known = _refused(error, address) or _unable(error, address)
    if known is not None:
        return known
    if lost(error):
        return unreachable(address, error)
    return StoreError(
        f"the database at {address.place} failed: {_said(error)}",
        hint="see the log of the server; what was acknowledged is kept",
    )


def _refused(error: BaseException, address: Address) -> StoreError | None:
    """The server does not let us in, or not do what we must."""
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return StoreError(
                f"the database at {address.place} refused the user {address.user or 'of this process'}",
                hint="check user and password in the URL, and that the server lets this host in (pg_hba.conf)",
            )
        case asyncpg.InvalidCatalogNameError():
            return StoreError(
                f"there is no database {address.database}: {address.place}",
                hint=f"make it (createdb {address.database}), or name another one in the URL",
            )
        case asyncpg.InsufficientPrivilegeError():
            return StoreError(
                f"the user of {address.place} lacks rights: {_said(error)}",
                hint="let this user own the database, or grant it CREATE there for the first start",
            )
        case _:
            return None


def _unable(error: BaseException, address: Address) -> StoreError | None:
    """The server cannot do it now."""
    match error:
        case asyncpg.DiskFullError():
            return StoreFull(
                f"no room is left for the database at {address.place}",
                hint="free some space on its disk; what was acknowledged is kept",
            )
        case asyncpg.ReadOnlySQLTransactionError():
            return StoreReadOnly(
                f"the database at {address.place} may be read but not written",
                hint="name the primary server, not a standby; check default_transaction_read_only",
            )
        case asyncpg.TooManyConnectionsError():
            return StoreUnavailable(
                f"the database at {address.place} takes no more connections",
                hint="lower [database] max_connections here, or raise max_connections of the server",
            )
        case _:
            return None


def unreachable(address: Address, error: BaseException) -> StoreUnavailable:
    """The database does not answer now."""
    return StoreUnavailable(
        f"the database at {address.place} cannot be reached: {_said(error)}",
        hint="check that the server runs and may be reached from here; what was acknowledged is kept",
    )


def closed() -> StoreUnavailable:
    """The store was closed by its owner."""
    return StoreUnavailable("the store is closed", hint="open it again")


def _said(error: BaseException) -> str:
    """The first line: those behind it quote rows."""
    lines = str(error.args[0] if error.args else error).splitlines()
    if isinstance(error, OSError):
        return error.strerror or (lines[0] if lines else "no answer in time")
    return lines[0] if lines else type(error).__name__
