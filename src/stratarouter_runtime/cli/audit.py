"""`strata audit`: who changed what, and whether every line still follows from those before it.

Must never know: how lines are linked, or where they are kept.
"""

from __future__ import annotations

from cyclopts import App
from msgspec import Struct

from stratarouter_runtime.audit import Line
from stratarouter_runtime.cli.arguments import Json, Store
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.office import attend
from stratarouter_runtime.cli.output import table, write
from stratarouter_runtime.services.verification import Audited, check_audit
from stratarouter_runtime.tcfp.times import time_text
from stratarouter_runtime.wiring import Office

audit = App(name="audit")

PAGE = 1_000
"""Lines that are read at once."""


class Told(Struct, frozen=True):
    """A line as it is shown."""

    number: int
    at: str
    tenant: str
    by: str
    what: str
    name: str
    version: int
    digest: str
    link: str


@audit.command(name="list")
def list_(
    *, tenant: str | None = None, after: int = 0, limit: int = 100, store: Store = None, json: Json = False
) -> int:
    """List who changed what, oldest first.

    Parameters
    ----------
    tenant
        Only what concerns this tenant.
    after
        Only lines behind this number.
    limit
        At most so many.
    """

    async def look(office: Office) -> list[Line]:
        found: list[Line] = []
        behind = after
        while len(found) < limit and (page := await office.store.audit.lines(behind, PAGE)):
            found += [line for line in page if tenant in (None, line.tenant)]
            behind = page[-1].number
        return found[:limit]

    lines = [_told(line) for line in attend(store, look)]
    titles = ("line", "at", "tenant", "by", "what", "name", "version")
    rows = [
        (str(each.number), each.at, each.tenant, each.by, each.what, each.name, str(each.version))
        for each in lines
    ]
    write(lines if json else table(titles, rows))
    return Exit.OK


@audit.command
def verify(*, head: str | None = None, store: Store = None, json: Json = False) -> int:
    """Follow every link; exit code 1 where a line was changed, dropped or moved.

    Parameters
    ----------
    head
        A link that was printed before: it has to stand in the audit still.
    """

    async def follow(office: Office) -> Audited:
        return await check_audit(office.store.audit, head)

    verdict = attend(store, follow)
    if json:
        write(verdict)
    elif verdict.fault:
        write(f"NOT intact: {verdict.fault}")
    else:
        write(f"intact: {verdict.lines} line{'s' if verdict.lines != 1 else ''}, link {verdict.link}")
    return Exit.FAILED if verdict.fault else Exit.OK


def _told(line: Line) -> Told:
    return Told(
        line.number,
        time_text(line.at),
        line.tenant,
        line.by,
        line.what,
        line.name,
        line.version,
        line.digest,
        line.link.hex(),
    )
