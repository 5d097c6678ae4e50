"""`strata policy`: what the agents of a tenant may be.

Must never know: where a policy is held against anything.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter
from msgspec.structs import replace

from stratarouter_runtime.cli.arguments import Json, Store
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.office import BY, attend
from stratarouter_runtime.cli.output import table, write
from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.tenancy.policies import EVERYTHING, Policy
from stratarouter_runtime.wiring import Office

Names = Annotated[str | None, Parameter(show_default=False)]


def policy(
    tenant: str,
    /,
    *,
    isolation: Literal["inline", "process", "sandbox"] | None = None,
    kinds: Names = None,
    hosts: Names = None,
    models: Names = None,
    clear: bool = False,
    store: Store = None,
    json: Json = False,
) -> int:
    """Show what the agents of a tenant may be, or change it.

    What is not named stays as it is.

    Parameters
    ----------
    tenant
        The name of a tenant; `*` for all who have no policy of their own.
    isolation
        The lowest level of agents whose code runs on this machine.
    kinds
        The kinds of agents, separated by commas: python, http, llm, mcp, sandbox, wasm, command.
    hosts
        The hosts that agents may connect to, separated by commas; "" for none.
    models
        The models that agents may ask, separated by commas.
    clear
        Take the policy away.
    """

    async def settle(office: Office) -> Policy:
        policies, name = office.tenancy.policies, Tenant(tenant)
        if clear:
            await policies.clear(name, by=BY)
            return EVERYTHING
        before = await policies.policy(name)
        given = {"isolation": isolation, "kinds": _names(kinds), "hosts": _names(hosts)}
        given["models"] = _names(models)
        changes = {key: value for key, value in given.items() if value is not None}
        after = replace(before, **changes)
        if changes:
            await policies.set(name, after, by=BY)
        return after

    found = attend(store, settle)
    rows = [(key, _shown(value)) for key, value in msgspec.structs.asdict(found).items()]
    write(found if json else f"{tenant}\n{table(('constraint', 'allowed'), rows)}")
    return Exit.OK


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(each.strip() for each in text.split(",") if each.strip())


def _shown(value: str | tuple[str, ...] | None) -> str:
    if value is None:
        return "anything"
    return value if isinstance(value, str) else ", ".join(value) or "none"
