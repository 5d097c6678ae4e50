"""`strata validate`: every mistake of every flow named, with its place; nothing is run.

Must never know: how a flow is checked.
"""

from __future__ import annotations

from msgspec import Struct

from stratarouter_runtime.cli import render
from stratarouter_runtime.cli.arguments import Json
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.flows import Examined, examine, read
from stratarouter_runtime.cli.outline import cost
from stratarouter_runtime.cli.output import write
from stratarouter_runtime.errors import InvalidInput, InvalidSetting, NotFound
from stratarouter_runtime.tcfp.canonical_form import flow_digest
from stratarouter_runtime.tcfp.diagnostics import Diagnostic


class Verdict(Struct, frozen=True, omit_defaults=True):
    """What is found about one document. `error` says why it could not be read at all."""

    file: str
    ok: bool
    flow: str = ""
    digest: str = ""
    error: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()


def validate(*flow: str, json: Json = False) -> int:
    """Check flows and report every mistake with its place; nothing is run.

    Parameters
    ----------
    flow
        Flows in YAML or JSON; - reads standard input.
    """
    if not flow:
        raise InvalidSetting("no flow is named", hint="strata validate FLOW…; - reads standard input")
    verdicts = []
    for name in flow:
        verdict, said = _judge(name)
        verdicts.append(verdict)
        if not json:
            write(said)
    if json:
        write(verdicts)
    return Exit.OK if all(verdict.ok for verdict in verdicts) else Exit.BAD_INPUT


def _judge(name: str) -> tuple[Verdict, str]:
    """The verdict about one document, as a record and in words."""
    try:
        examined = examine(read(name))
    except (NotFound, InvalidInput) as error:
        return Verdict(name, ok=False, error=error.message), render.error(error)
    return _verdict(examined), _words(examined)


def _verdict(examined: Examined) -> Verdict:
    checked = examined.checked
    return Verdict(
        file=examined.document.name,
        ok=examined.ok,
        flow=checked.flow.name if checked else "",
        digest=flow_digest(checked.flow) if checked and examined.ok else "",
        diagnostics=examined.diagnostics,
    )


def _words(examined: Examined) -> str:
    document, checked = examined.document, examined.checked
    lines = []
    if examined.diagnostics:
        lines.append(render.diagnostics(examined.diagnostics, document.text, document.name))
    counts = render.verdict(examined.diagnostics)
    if checked is None or not examined.ok:
        return "\n".join([*lines, f"{document.name}: {counts}"])
    worst = f"worst case {cost(checked.worst.bound())}"
    summary = f"{document.name}: ok, {checked.flow.name}, {checked.effect}, {worst}"
    return "\n".join([*lines, f"{summary}; {counts}" if counts else summary])
