"""`strata db`: what the store holds, whether it is sound, what may go, and a copy of it.

Must never know: how a store is kept, checked or copied.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from cyclopts import App

from stratarouter_runtime import custody, settings
from stratarouter_runtime.cli.arguments import Json, Store, duration
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.office import ask
from stratarouter_runtime.cli.output import table, write
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ports import Size
from stratarouter_runtime.services.retention import Policy, Pruned, policy_of, prune
from stratarouter_runtime.services.verification import Verdict, verify
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.wiring import Application

db = App(name="db")


@db.command(name="size")
def size_(*, store: Store = None, json: Json = False) -> int:
    """Say what the store holds, and what that takes on the disk."""

    async def look(app: Application) -> Size:
        return await app.store.keeping.size()

    size = ask(store, look)
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in msgspec.structs.asdict(size).items()]
    write(size if json else table(("what", "count or bytes"), rows))
    return Exit.OK


@db.command(name="verify")
def verify_(*, replay: bool = False, store: Store = None, json: Json = False) -> int:
    """Follow every chain, digest and reference; exit code 1 where something is wrong.

    Parameters
    ----------
    replay
        Derive every decision of every execution again, too.
    """

    async def look(app: Application) -> Verdict:
        history = app.runtime.history
        return await verify(app.store, app.runtime.flows.plan, history if replay else None)

    verdict = ask(store, look)
    write(verdict if json else _told(verdict))
    return Exit.FAILED if verdict.wrong else Exit.OK


@db.command(name="prune")
def prune_(
    *,
    older_than: str | None = None,
    keep: int | None = None,
    bytes: int | None = None,  # noqa: A002 - the name of the flag
    dry_run: bool = False,
    store: Store = None,
    json: Json = False,
) -> int:
    """Forget executions that have ended, the oldest first; never what an unfinished one needs.

    Parameters
    ----------
    older_than
        Those that ended so long ago, such as 30d.
    keep
        All but so many, the newest.
    bytes
        As many as it takes until journals have so many bytes.
    dry_run
        Only count them.
    """
    given = Policy(None if older_than is None else duration(older_than, "--older-than"), keep, bytes)
    policy = policy_of(settings.load()) if given.nothing else given
    if policy.nothing:
        hint = "strata db prune --older-than 30d, or set retention.days"
        raise InvalidInput("nothing says what may go", hint=hint)
    now = SystemClock().now()

    async def count(app: Application) -> Pruned:
        return await prune(app.store.keeping, policy, now, dry=True)

    async def work() -> Pruned:
        async with custody.owned(settings.load(), store) as opened:
            return await prune(opened.keeping, policy, now)

    pruned = ask(store, count) if dry_run else asyncio.run(work())
    what = "to forget" if dry_run else "forgotten"
    told = f"{what}: {pruned.executions:,} executions, {pruned.bytes:,} bytes; held by unfinished ones: {pruned.live:,}"
    write(pruned if json else told)
    return Exit.OK


@db.command
def backup(file: Path, /, *, store: Store = None) -> int:
    """Copy a store that is a file to a new one, also while a server works with it.

    Parameters
    ----------
    file
        Where the copy goes; nothing may be there yet.
    """
    size = asyncio.run(custody.backup(settings.load(), store, file))
    write(f"{file}: {size:,} bytes")
    return Exit.OK


@db.command
def migrate(*, store: Store = None, json: Json = False) -> int:
    """Bring the schema of a store up to date."""
    done = asyncio.run(custody.migrate(settings.load(), store))
    same = done.before == done.after
    told = f"schema {done.after}" + (", as before" if same else f", before {done.before}")
    write(done if json else f"{done.place}: {told}")
    return Exit.OK


def _told(verdict: Verdict) -> str:
    seen = (
        f"{verdict.executions:,} executions, {verdict.records:,} records, {verdict.plans:,} plans, "
        f"{verdict.blobs:,} blobs, {verdict.audit.lines:,} lines of the audit"
    )
    if verdict.replayed:
        seen += f"; {verdict.replayed:,} replayed"
    if not verdict.wrong:
        return f"sound: {seen}"
    lines = [f"NOT sound: {verdict.wrong:,} faults in {seen}"]
    lines += [f"  {each.where}: {each.what}" for each in verdict.faults]
    return "\n".join(lines)
