"""`strata cache`: what is kept for reuse, forgotten on demand, and why two texts are the same question or not.

Must never know: where answers are kept, or how a gate decides.
"""

from __future__ import annotations

import msgspec
from cyclopts import App

from stratarouter_runtime import settings
from stratarouter_runtime.cache.book import TermsBook
from stratarouter_runtime.cache.explain import Explanation, explain
from stratarouter_runtime.cache.questions import space_of
from stratarouter_runtime.cache.terms import USUAL, Terms, read_terms
from stratarouter_runtime.cli.arguments import Json, Store, duration
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.office import BY, MEMORY, ask, attend
from stratarouter_runtime.cli.output import table, write
from stratarouter_runtime.cli.values import strict_json
from stratarouter_runtime.ids import LOCAL, Tenant
from stratarouter_runtime.ports import Holding, Selection
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.wiring import Application, Office

cache = App(name="cache")


@cache.command
def stats(*, tenant: str = LOCAL, store: Store = None, json: Json = False) -> int:
    """Tell what is kept, by workflow and agent.

    Parameters
    ----------
    tenant
        Whose.
    """

    async def look(office: Office) -> list[Holding]:
        return await office.store.cache.holdings(Tenant(tenant))

    held = attend(store, look)
    rows = [(each.space, f"{each.entries:,}", f"{each.bytes:,}") for each in held]
    write(held if json else table(("space", "answers", "bytes"), rows))
    return Exit.OK


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
    """Forget answers of a workflow, or of an agent; a server on the same store lets go within about a second.

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
    before = None if older is None else SystemClock().now() - duration(older, "--older")
    selection = Selection(Tenant(tenant), space_of(workflow), tag, before)

    async def forget(office: Office) -> int:
        kept = office.store.cache
        return await kept.count(selection) if dry_run else len(await kept.forget(selection))

    gone = attend(store, forget)
    told = f"{gone:,} answers of {workflow} {'would be ' if dry_run else ''}forgotten"
    write({"entries": gone, "dry_run": dry_run} if json else told)
    return Exit.OK


@cache.command
def policy(
    workflow: str,
    terms: str | None = None,
    /,
    *,
    remove: bool = False,
    tenant: str = LOCAL,
    store: Store = None,
    json: Json = False,
) -> int:
    """Show on what terms answers of a workflow, or of an agent, are reused, or write them.

    Parameters
    ----------
    workflow
        The name of a workflow, or agent:NAME.
    terms
        All of them as JSON: {"threshold": 0.9, "ttl_seconds": 3600, "scope": "user"}.
    remove
        Take them away: what the settings say holds again.
    tenant
        Whose.
    """
    space, whose = space_of(workflow), Tenant(tenant)
    written = None if terms is None else read_terms(strict_json(terms, "the terms"))

    async def settle(office: Office) -> Terms:
        book = TermsBook(office.store.shelf, SystemClock())
        if written is not None:
            await book.put(whose, space, written, by=BY)
        elif remove:
            await book.remove(whose, space, by=BY)
        return await book.of(whose, space)

    found = attend(store, settle)
    rows = [(name, _told(value)) for name, value in msgspec.structs.asdict(found).items()]
    told = (
        f"{workflow} is reused on the terms of the settings"
        if found == USUAL
        else table(("term", "value"), rows)
    )
    write(found if json else told)
    return Exit.OK


def _told(value: object) -> str:
    if value is None:
        return "as in the settings"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) or "-" if isinstance(value, tuple) else str(value)


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

    told = ask(MEMORY, look, readonly=False)
    write(told if json else _explained(told))
    return Exit.OK


def _explained(told: Explanation) -> str:
    verdict = f"reused, as {told.kind}" if told.reused else "not reused"
    lines = [f"{verdict}: cosine {told.cosine:.3f}, threshold {told.threshold:g}, {told.encoder}"]
    lines += [
        f"  {'refuses' if each.why else 'passes':<8}{each.gate:<14}{each.why}".rstrip()
        for each in told.opinions
    ]
    return "\n".join(lines)
