"""`strata route` and `strata routing fit`: ask a table, and make the next version of one.

Must never know: how anything is weighed or learnt.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter
from msgspec import Struct

from stratarouter_runtime import settings
from stratarouter_runtime.cli.arguments import Json, Store
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.office import BY, MEMORY, ask
from stratarouter_runtime.cli.output import write
from stratarouter_runtime.errors import InvalidInput, InvalidSetting, NotFound
from stratarouter_runtime.ids import LOCAL, Tenant
from stratarouter_runtime.routing.explained import Candidate, Decision
from stratarouter_runtime.routing.rules import Question
from stratarouter_runtime.routing.tables import Table, read_table
from stratarouter_runtime.services.feedback import learn
from stratarouter_runtime.tcfp.text import Broken, Mapping, Node, Scalar, Sequence, read_text
from stratarouter_runtime.wiring import Application

if TYPE_CHECKING:
    from stratarouter_runtime.routing.report import Report
    from stratarouter_runtime.services.feedback import Remark
    from stratarouter_runtime.services.routers import Routers

Tables = Annotated[
    str, Parameter(help="The name of a table that has a promoted version, or a YAML or JSON file.")
]

Owner = Annotated[str, Parameter(help="Whose table it is.")]

_SUFFIXES: Final = (".yaml", ".yml", ".json")
"""What shows that a file is meant: no table is called so."""


class Measured(Struct, frozen=True):
    """A version of a table: what examples it had not seen came to, and the share of feedback held out."""

    version: str
    examples: Report
    feedback: float | None


class Fit(Struct, frozen=True):
    """What `routing fit --json` prints; `before` is the version promoted until now."""

    table: str
    before: Measured | None
    after: Measured
    remarks: int
    held_out: int
    promoted: bool


def route(
    text: str,
    /,
    *,
    table: Tables = "agents",
    tenant: Owner = LOCAL,
    store: Store = None,
    json: Json = False,
) -> int:
    """Say for whom a text is, and why; nothing is run.

    A table in a file is fitted first, and kept nowhere. The exit code says whether a route was found.

    Parameters
    ----------
    text
        What has to be routed.
    """
    file = Path(table)
    if file.is_file():
        decision = ask(MEMORY, lambda app: _ask_file(app, text, _read(file)), readonly=False)
    else:
        if file.suffix in _SUFFIXES:
            raise NotFound(
                f"no file {file}",
                hint="a table is a file in YAML or JSON, or the name of one that is promoted",
            )
        asked = Question(text)
        decision = ask(_kept(store), lambda app: _routers(app).decide(Tenant(tenant), table, asked))
    write(decision if json else _told(decision))
    return Exit.OK if decision.route is not None else Exit.FAILED


def routing(
    action: Literal["fit"],  # noqa: ARG001 - the word is all that it says
    /,
    *,
    table: Tables = "agents",
    promote: Annotated[bool, Parameter(help="Have flows that are deployed from now on go by it.")] = False,
    tenant: Owner = LOCAL,
    store: Store = None,
    json: Json = False,
) -> int:
    """Make a new version of a routing table, from its utterances and from feedback.

    Prints how well the version before and the new one do on examples that they have not seen. Nothing
    goes by the new one until it is promoted.

    Parameters
    ----------
    action
        `fit`.
    """
    file = Path(table)
    written = _read(file) if file.is_file() else None
    made = ask(store, lambda app: _fit(app, Tenant(tenant), table, written, promote=promote), readonly=False)
    write(made if json else _fitted(made))
    return Exit.OK


def _kept(store: str | None) -> str | None:
    """The store to read; where there is no file yet, an empty one: asking makes none."""
    place = settings.place_of(settings.load(), store)
    return MEMORY if isinstance(place, Path) and not place.exists() else store


async def _ask_file(app: Application, text: str, table: Table) -> Decision:
    routers = _routers(app)
    await routers.tables.add(LOCAL, await routers.tables.fit(table), promote=True)
    return await routers.decide(LOCAL, table.name, Question(text))


async def _fit(app: Application, tenant: Tenant, name: str, written: Table | None, *, promote: bool) -> Fit:
    routers = _routers(app)
    name = name if written is None else written.name
    pointer = await routers.tables.pointer(tenant, name)
    if written is None and not pointer.promoted:
        raise NotFound(
            f"no version of a routing table '{name}' is promoted, and there is no such file",
            hint="begin with a file: strata routing fit --table FILE --promote",
        )
    base = written or (await routers.tables.router(tenant, name, pointer.promoted)).table
    remarks = await app.runtime.feedback.all(tenant)
    table, held = learn(base, remarks)
    digest = await routers.tables.add(tenant, await routers.tables.fit(table), promote=promote, by=BY)
    before = await _measured(routers, tenant, name, pointer.promoted, held) if pointer.promoted else None
    return Fit(
        name, before, await _measured(routers, tenant, name, digest, held), len(remarks), len(held), promote
    )


async def _measured(
    routers: Routers, tenant: Tenant, name: str, version: str, held: list[Remark]
) -> Measured:
    router = await routers.tables.router(tenant, name, version)
    right = [
        (decision.route or "none") == remark.belongs
        for remark in held
        for decision in [await routers.ask(router, remark.query)]
    ]
    return Measured(version, router.report, sum(right) / len(right) if right else None)


def _routers(app: Application) -> Routers:
    routers = app.runtime.routers
    assert routers is not None
    return routers


def _read(file: Path) -> Table:
    """The table in a file. Raises `InvalidInput` that names its faults."""
    try:
        document = read_text(file.read_bytes(), max_bytes=64 * 1024 * 1024)
    except OSError as error:
        raise InvalidSetting(f"{file} cannot be read: {error.strerror}") from None
    if document.root is None or document.diagnostics:
        told = "; ".join(str(each) for each in document.diagnostics[:5])
        raise InvalidInput(f"{file} cannot be read: {told}")
    return read_table(_data(document.root))


def _data(node: Node) -> Any:
    match node:
        case Scalar():
            return node.data
        case Sequence():
            return [_data(item) for item in node.items]
        case Mapping():
            return {entry.key: _data(entry.value) for entry in node.entries}
        case Broken():
            return None


def _told(decision: Decision) -> str:
    if decision.by == "rule":
        return f"{decision.route}  by rule {decision.rule}"
    lines = [f"{decision.route or 'none'}  {_why(decision)}"]
    lines += [f"  {each.route:<32} score {each.score:.6f}{_near(each)}" for each in decision.candidates]
    return "\n".join([*lines, *([f"  {decision.note}"] if decision.note else [])])


def _near(each: Candidate) -> str:
    nearest = "" if each.nearest is None else f"  nearest {each.nearest:.3f}"
    return f"  words {each.lexical:.3f}{nearest}"


def _why(decision: Decision) -> str:
    if decision.method == "anything":
        return f"is nearest, at {decision.confidence:g}"
    verb = "reaches" if decision.route is not None else f"(nearest: {decision.best}) is below"
    return f"{decision.confidence:g} {verb} the threshold {decision.threshold:g} ({decision.method})"


def _fitted(made: Fit) -> str:
    head = (
        f"{made.table}: version {made.after.version[:12]}, {made.remarks} remarks, {made.held_out} held out"
    )
    rows = [("before", made.before), ("after", made.after)]
    lines = [f"  {name:<7} {_figures(found)}" for name, found in rows if found is not None]
    done = "promoted" if made.promoted else "not promoted: strata routing fit --promote does"
    return "\n".join([head, *lines, f"  {done}"])


def _figures(found: Measured) -> str:
    seen = found.examples
    told = f"right {seen.right:.1%} of {seen.queries}, right and accepted {seen.accepted:.1%}"
    refused = f", none refused {seen.refused:.1%} of {seen.none}" if seen.none else ""
    feedback = f", feedback right {found.feedback:.1%}" if found.feedback is not None else ""
    return told + refused + feedback
