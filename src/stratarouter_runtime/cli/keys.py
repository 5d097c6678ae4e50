"""`strata keys`: made, listed, rotated, revoked.

Must never know: how a key is kept, or asked for.
"""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET, Struct, UnsetType

from stratarouter_runtime.cli.arguments import Json, Store, duration
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.office import BY, attend
from stratarouter_runtime.cli.output import table, write
from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.limits.credentials import Key, valid
from stratarouter_runtime.ports import Scope
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.tcfp.times import time_text
from stratarouter_runtime.wiring import Office

keys = App(name="keys")


class KeyAnswer(Struct, frozen=True):
    """A key as it is shown: never its secret, but for the one time when it is made."""

    id: str
    tenant: str
    scopes: tuple[str, ...]
    label: str
    created: str
    expires: str | None
    revoked: str | None
    valid: bool
    key: str | UnsetType = UNSET


@keys.command
def create(
    tenant: str,
    /,
    *,
    scope: Annotated[tuple[Scope, ...], Parameter(negative=())] = ("execute", "read"),
    expires: str | None = None,
    label: str = "",
    store: Store = None,
    json: Json = False,
) -> int:
    """Make a key of a tenant, and print it: this once.

    Parameters
    ----------
    tenant
        Whose key it is: a-z, 0-9, '.', '_' and '-'.
    scope
        What it allows; may be given several times.
    expires
        After how long it ends, such as 90d; by default never.
    label
        What it is for.
    """
    now = SystemClock().now()
    end = None if expires is None else now + duration(expires, "--expires")

    async def make(office: Office) -> tuple[Key, str]:
        return await office.tenancy.keys.create(Tenant(tenant), scope, label=label, expires=end, by=BY)

    return _made(*attend(store, make), json=json)


@keys.command(name="list")
def list_(*, tenant: str | None = None, store: Store = None, json: Json = False) -> int:
    """List every key ever made, without its secret.

    Parameters
    ----------
    tenant
        Only those of this tenant.
    """

    async def look(office: Office) -> list[Key]:
        return await office.tenancy.keys.all(None if tenant is None else Tenant(tenant))

    found = [_answer(key) for key in attend(store, look)]
    titles = ("key", "tenant", "scopes", "state", "expires", "label")
    rows = [
        (each.id, each.tenant, ",".join(each.scopes), _state(each), each.expires or "never", each.label)
        for each in found
    ]
    write(found if json else table(titles, rows))
    return Exit.OK


@keys.command
def rotate(key: str, /, *, grace: str = "1d", store: Store = None, json: Json = False) -> int:
    """Make another key like this one, which goes on for a while.

    Parameters
    ----------
    key
        The name of a key, as `list` shows it.
    grace
        How long the old one goes on.
    """
    left = duration(grace, "--grace")

    async def replace(office: Office) -> tuple[Key, str]:
        return await office.tenancy.keys.rotate(key, grace=left, by=BY)

    return _made(*attend(store, replace), json=json)


@keys.command
def revoke(key: str, /, *, store: Store = None, json: Json = False) -> int:
    """End a key at once, for every server on its store.

    Parameters
    ----------
    key
        The name of a key, as `list` shows it.
    """

    async def end(office: Office) -> Key:
        return await office.tenancy.keys.revoke(key, by=BY)

    ended = _answer(attend(store, end))
    write(ended if json else f"revoked {ended.id} of {ended.tenant}")
    return Exit.OK


def _made(key: Key, shown: str, *, json: bool) -> int:
    """What is secret goes to standard output alone, so that it can be handed on."""
    if json:
        write(_answer(key, shown))
        return Exit.OK
    sys.stderr.write(f"key {key.id} of {key.tenant}, for {', '.join(key.scopes)}; it is shown this once\n")
    write(shown)
    return Exit.OK


def _answer(key: Key, shown: str | UnsetType = UNSET) -> KeyAnswer:
    return KeyAnswer(
        id=key.id,
        tenant=key.tenant,
        scopes=key.scopes,
        label=key.label,
        created=time_text(key.created),
        expires=None if key.expires is None else time_text(key.expires),
        revoked=None if key.revoked is None else time_text(key.revoked),
        valid=valid(key, SystemClock().now()),
        key=shown,
    )


def _state(key: KeyAnswer) -> str:
    if key.revoked is not None:
        return "revoked"
    return "valid" if key.valid else "expired"
