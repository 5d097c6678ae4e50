"""`strata audit`: who changed what, and whether every line still follows from those before it.

Must never know: how lines are linked, or where they are kept.
"""

from __future__ import annotations

from cyclopts import App
from msgspec import Struct

from stratarouter_runtime.audit import START, Head, Line, fault, head_of
from stratarouter_runtime.cli.arguments import Json, Store
from stratarouter_runtime.cli.executions import write
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.office import attend, table
from stratarouter_runtime.ports import Audit
from stratarouter_runtime.tcfp.times import time_text
from stratarouter_runtime.wiring import Office

audit = App(name="audit")

PAGE = 1_000
"""Lines that are read at once."""


class Verdict(Struct, frozen=True):
    """What following the links came to: the last line and its link, and what is wrong, if anything."""

    lines: int
    link: str
    fault: str


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

    async def follow(office: Office) -> Verdict:
        return await _verify(office.store.audit, head)

    verdict = attend(store, follow)
    if json:
        write(verdict)
    elif verdict.fault:
        write(f"NOT intact: {verdict.fault}")
    else:
        write(f"intact: {verdict.lines} line{'s' if verdict.lines != 1 else ''}, link {verdict.link}")
    return Exit.FAILED if verdict.fault else Exit.OK


async def _verify(lines: Audit, wanted: str | None) -> Verdict:
    noted = await lines.head()
    head, seen = START, wanted in (None, START.link.hex())
    while page := await lines.lines(head.number, PAGE):
        for line in page:
            if found := fault(head, line):
                return _verdict(head, found)
            head = head_of(line)
            seen = seen or line.link.hex() == wanted
    if head.number < noted.number:
        return _verdict(head, f"lines {head.number + 1} to {noted.number} are missing at the end")
    if head.number == noted.number and head != noted:
        return _verdict(head, "the last line is not the one that was noted beside it")
    return _verdict(head, "" if seen else "no line has the link that --head names: the audit was rewritten")


def _verdict(head: Head, found: str) -> Verdict:
    return Verdict(head.number, head.link.hex(), found)


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
