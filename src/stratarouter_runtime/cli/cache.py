"""`strata cache`: what is kept for reuse, forgotten on demand, and why two texts are the same question or not.

Must never know: where answers are kept, or how a gate decides.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from cyclopts import App

from stratarouter_runtime import settings
from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.cache.explain import Explanation, explain
from stratarouter_runtime.cli.arguments import Json, Store
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.office import duration, table
from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.ids import LOCAL, Tenant
from stratarouter_runtime.wiring import Application, application

if TYPE_CHECKING:
    from stratarouter_runtime.reuse import Reuse

T = TypeVar("T")

cache = App(name="cache")

SECOND = 1_000_000
"""In microseconds."""


@cache.command
def stats(*, tenant: str = LOCAL, store: Store = None, json: Json = False) -> int:
    """Tell what is kept, by workflow and agent.

    Parameters
    ----------
    tenant
        Whose.
    """

    async def look(app: Application) -> str:
        held = await _reuse(app).cache.holdings(Tenant(tenant))
        if json:
            return msgspec.json.encode(held).decode()
        rows = [(each.space, f"{each.entries:,}", f"{each.bytes:,}") for each in held]
        return table(("SPACE", "ANSWERS", "BYTES"), rows)

    return _print(_with(store, look, readonly=True))


@cache.command
def invalidate(
    workflow: str,
    /,
    *,
    tag: str | None = None,
    older: str | None = None,
    dry_run: bool = False,
    tenant: str = LOCAL,
    store: Store = None,
    json: Json = False,
) -> int:
    """Forget answers of a workflow, or of an agent.

    Parameters
    ----------
    workflow
        The name of a workflow, or agent:NAME.
    tag
        Only those with this tag.
    older
        Only those older than this: 90d, 12h.
    dry_run
        Only say how many there are.
    tenant
        Whose.
    """
    seconds = None if older is None else duration(older, "--older") // SECOND

    async def forget(app: Application) -> str:
        gone = await _reuse(app).invalidate(Tenant(tenant), workflow, tag, seconds, dry_run=dry_run)
        if json:
            return msgspec.json.encode({"entries": gone, "dry_run": dry_run}).decode()
        return f"{gone:,} answers of {workflow} {'would be ' if dry_run else ''}forgotten"

    return _print(_with(store, forget))


@cache.command(name="explain")
def explain_(left: str, right: str, /, *, json: Json = False) -> int:
    """Say whether the answer to one text may stand for another, and which gates refuse.

    Parameters
    ----------
    left
        A text, as it was asked before.
    right
        Another, as it is asked now.
    """
    threshold = settings.load().cache_threshold

    async def look(app: Application) -> Explanation:
        return await explain(app.embedder, left, right, threshold)

    told = _with(Path(":memory:"), look)
    return _print(msgspec.json.encode(told).decode() if json else _explained(told))


def _explained(told: Explanation) -> str:
    verdict = f"reused, as {told.kind}" if told.reused else "not reused"
    lines = [f"{verdict}: cosine {told.cosine:.3f}, threshold {told.threshold:g}, {told.encoder}"]
    lines += [
        f"  {'refuses' if each.why else 'passes':<8}{each.gate:<14}{each.why}".rstrip()
        for each in told.opinions
    ]
    return "\n".join(lines)


def _with(store: Path | None, work: Callable[[Application], Awaitable[T]], *, readonly: bool = False) -> T:
    async def working() -> T:
        place = ":memory:" if store == Path(":memory:") else store
        async with application(settings.load(), Registry(), store=place, readonly=readonly) as app:
            return await work(app)

    return asyncio.run(working())


def _reuse(app: Application) -> Reuse:
    if app.runtime.reuse is None:
        raise InvalidSetting("answers are not reused here", hint="set cache.enabled")
    return app.runtime.reuse


def _print(text: str) -> int:
    sys.stdout.write(text + "\n")
    return Exit.OK
