"""Settings -> what agents are built with, and the agents of a project built with it.

One workshop for all agents of a process, whoever brought them: what they share is shared by all, so
that limits hold over all of it. Must never know: stores, tenants, or how anything in it works.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from stratarouter_runtime import host
from stratarouter_runtime.batch.grouping import Groups
from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.observability.partials import PartialTexts
from stratarouter_runtime.sandbox.lazy import LazyCells
from stratarouter_runtime.settings import load, variables
from stratarouter_runtime.system import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from stratarouter_runtime.agents.exchanges import Exchange
    from stratarouter_runtime.agents.registry import Registry
    from stratarouter_runtime.agents.workshop import Workshop
    from stratarouter_runtime.sandbox.cells import BoxedCells
    from stratarouter_runtime.settings import Settings


def open_project(folder: Path, settings: Settings | None = None) -> Registry:
    """The agents of the project in `folder`; the application that gets them closes them.

    Without `settings`, here as below, those in force are read.

    Raises `LinkError` for agents that cannot be used.
    """
    from stratarouter_runtime.agents.discovery import load_project  # noqa: PLC0415 - start-up cost

    return load_project(folder, workshop(settings))


def open_module(name: str, settings: Settings | None = None) -> Registry:
    """The agents of an importable module. Raises `NotFound`, `LinkError`."""
    from stratarouter_runtime.agents.discovery import load_module  # noqa: PLC0415 - start-up cost

    return load_module(name, workshop(settings))


def workshop(settings: Settings | None = None) -> Workshop:
    """What agents of a project need of this process. Raises `InvalidSetting`."""
    from stratarouter_runtime.agents.secrets import Secrets  # noqa: PLC0415 - start-up cost
    from stratarouter_runtime.agents.web import Web  # noqa: PLC0415 - start-up cost
    from stratarouter_runtime.agents.workshop import Workshop  # noqa: PLC0415 - start-up cost

    settings = settings or load()
    return Workshop(
        clock=SystemClock(),
        secrets=Secrets(variables()),
        web=Web(_hosts(settings)),
        cells=LazyCells(partial(open_cells, settings)),
        commands=_listed(settings.sandbox_commands),
        max_output=settings.agent_max_output,
        partials=PartialTexts(),
        listener=_note if settings.log_level == "debug" else None,
        groups=Groups(SystemClock()),
    )


def guests(settings: Settings, own: Workshop) -> Workshop:
    """What agents that callers register get: no program of this machine, and only secrets they may use.

    All else is the project's own, so that what one agent was given is kept out of what any other says,
    and what runs behind walls is governed together.
    """
    return replace(own, secrets=own.secrets.limited(_listed(settings.agent_secrets)), commands=())


def _note(exchange: Exchange) -> None:
    """Write an exchange with an agent down: one line."""
    logging.getLogger("stratarouter_runtime.exchanges").debug(msgspec.json.encode(exchange).decode())


def _hosts(settings: Settings) -> tuple[str, ...]:
    from stratarouter_runtime.agents.reach import entry_fault  # noqa: PLC0415 - start-up cost

    hosts = _listed(settings.agent_hosts)
    faults = [fault for fault in map(entry_fault, hosts) if fault]
    if faults:
        hint = "write e.g. 127.0.0.1, localhost:8000, 10.0.0.0/8"
        raise InvalidSetting(f"agents.hosts: {'; '.join(faults)}", hint=hint)
    return hosts


def _listed(text: str) -> tuple[str, ...]:
    """The entries of a list that is separated by commas."""
    return tuple(each.strip() for each in text.split(",") if each.strip())


def open_cells(settings: Settings | None = None) -> BoxedCells:
    """Where code runs behind walls, on some of the processors. Opened when an agent needs it.

    Raises `InvalidSetting` for features that are none.
    """
    from stratarouter_runtime.sandbox.cells import BoxedCells  # noqa: PLC0415 - start-up cost
    from stratarouter_runtime.sandbox.governor.affinity import bind_cpus  # noqa: PLC0415 - likewise
    from stratarouter_runtime.sandbox.governor.gate import room_here  # noqa: PLC0415 - likewise
    from stratarouter_runtime.sandbox.walls import waived  # noqa: PLC0415 - likewise

    bind_cpus()
    room = room_here(host.available())
    return BoxedCells(SystemClock(), room, waived=waived((settings or load()).sandbox_without))
