"""`strata serve`: the flows and agents of a project behind HTTP, until a signal comes.

Puts the parts together and prints where they answer. Must never know: routes, or how an
execution is driven.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter
from msgspec.structs import replace

from stratarouter_runtime import settings
from stratarouter_runtime.api.app import create_app
from stratarouter_runtime.api.exchange import Service
from stratarouter_runtime.api.server import bind, is_loopback, url
from stratarouter_runtime.api.server import serve as serve_http
from stratarouter_runtime.cli.arguments import Store
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.projects import deploy_project
from stratarouter_runtime.errors import InvalidSetting, NotFound
from stratarouter_runtime.host import installed_version, open_files, settle_memory
from stratarouter_runtime.ids import LOCAL, Tenant
from stratarouter_runtime.limits.keyring import check_tenant
from stratarouter_runtime.observability.logs import Log, capture, open_log
from stratarouter_runtime.sandbox.governor.affinity import bind_cpus
from stratarouter_runtime.services.retention import Retention, policy_of
from stratarouter_runtime.system import SystemClock, SystemEntropy
from stratarouter_runtime.wiring import PATIENCE, Application, application
from stratarouter_runtime.workshops import open_project

if TYPE_CHECKING:
    import socket

    from stratarouter_runtime.ports import Door


OTHER_FILES: Final = 256
"""Descriptors for all that is no connection of a client: the store, agents and their processes."""


def serve(
    project: Path = Path(),
    /,
    *,
    port: Annotated[
        int | None, Parameter(help="By default what the settings say; 0 is any free one.")
    ] = None,
    host: Annotated[str | None, Parameter(help="By default what the settings say.")] = None,
    tenant: str = LOCAL,
    dev: bool = False,
    store: Store = None,
) -> int:
    """Serve the flows and agents of a project over HTTP.

    Parameters
    ----------
    project
        The folder with agents.py or agents.yaml, and flow.yaml or flows/*.yaml.
    tenant
        Whose the flows of the project are.
    dev
        Ask nobody for a key, and listen on this machine alone.
    """
    if not project.is_dir():
        raise NotFound(f"no folder {project}", hint="name the folder that holds agents.py and the flows")
    configured = settings.load()
    chosen = replace(
        configured,
        port=configured.port if port is None else port,
        host=configured.host if host is None else host,
    )
    log = _open_log(chosen)
    owner = Tenant(tenant)
    check_tenant(owner)
    bind_cpus()
    with bind(chosen.host, chosen.port, asking=not dev) as listener:
        _run(_session(chosen, project, listener, store, log, owner, dev=dev))
    return Exit.OK


async def _session(
    chosen: settings.Settings,
    project: Path,
    listener: socket.socket,
    store: str | None,
    log: Log,
    tenant: Tenant,
    *,
    dev: bool,
) -> None:
    registry = open_project(project, chosen)
    async with application(chosen, registry, store=store, claiming=True) as app:
        door = None if dev else await _door(app, listener)
        app.observatory.write_lines(log, steps=chosen.log_level == "debug")
        flows = await deploy_project(app.runtime, project, tenant)
        recovered = await app.runtime.recover()
        for execution, error in recovered.left:
            log.warning("execution left", execution=execution, code=error.code, detail=error.message)
        line = (
            f"serving on {url(listener)}: flows: {', '.join(flows) or 'none in flow.yaml or flows/'}; agents: {len(registry)}; "
            f"store: {app.place}; taken up again: {len(recovered.resumed)}\n"
        )
        retention = Retention(app.store.keeping, policy_of(chosen), SystemClock())
        app.observatory.metrics.add("retention", retention.stats)
        forgetting = asyncio.create_task(retention.run(), name="retention")
        await _serve(app, listener, line, door, _connections(chosen, log))
        forgetting.cancel()


def _connections(chosen: settings.Settings, log: Log) -> int:
    """How many connections there may be: each takes a descriptor, and some are needed for all else."""
    allowed = open_files(chosen.connections + OTHER_FILES) - OTHER_FILES
    if allowed < chosen.connections:
        log.warning("fewer connections", wanted=chosen.connections, allowed=allowed, detail="see ulimit -Hn")
    return max(1, min(allowed, chosen.connections))


async def _door(app: Application, listener: socket.socket) -> Door | None:
    """Who asks callers for keys. Raises `InvalidSetting` where nobody does, and others can reach us."""
    door = await app.tenancy.door()
    address = str(listener.getsockname()[0])
    if door is None and not is_loopback(address):
        raise InvalidSetting(
            f"the server does not bind to {address}: nobody has a key, and it would ask nobody for one",
            hint="make one: strata keys create TENANT --scope execute --scope read",
        )
    return door


async def _serve(
    app: Application, listener: socket.socket, line: str, door: Door | None, connections: int
) -> None:
    log = app.observatory.log
    service = Service(
        app.runtime,
        app.observatory,
        SystemEntropy(),
        installed_version(),
        app.place,
        isolation=app.registry.isolation(),
        door=door,
        gate=app.tenancy.gate,
    )

    def ready() -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    async def drain() -> None:
        log.info("stopping", detail="calls under way may finish; a second signal ends the process at once")
        service.draining = True
        await app.runtime.batches.close()  # what has begun goes on, and no more begins
        await app.driver.drain(PATIENCE)

    settle_memory()
    watching = asyncio.create_task(app.observatory.loop.watch())
    await serve_http(create_app(service), listener, ready=ready, drain=drain, connections=connections)
    watching.cancel()


def _run(session: Coroutine[Any, Any, None]) -> None:
    import uvloop  # noqa: PLC0415 - start-up: only the server wants another loop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(session)


def _open_log(chosen: settings.Settings) -> Log:
    """The server's log on standard error: columns for a person at a terminal, else JSON."""
    terminal = sys.stderr.isatty()
    form = chosen.log_format
    if form == "auto":
        form = "text" if terminal else "json"
    log = open_log(sys.stderr.buffer, SystemClock(), chosen.log_level, form, colours=terminal)
    capture(log, chosen.log_level)
    return log
