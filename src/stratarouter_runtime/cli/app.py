"""The command line as one visible list, and the one place where errors become exit codes.

A command's module is imported when it is called, so that help costs nothing that only
a command needs. Must never know: what a command does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from errno import EBADF, EIO, ENOSPC
from io import TextIOWrapper
from typing import Final

from cyclopts import App, CycloptsError, Parameter
from msgspec import Struct

from stratarouter_runtime.cli import render
from stratarouter_runtime.cli.arguments import STDIN
from stratarouter_runtime.cli.exits import BY_CODE, Exit
from stratarouter_runtime.errors import StrataError


class Command(Struct, frozen=True):
    """A command: its name, which is that of its function too; the module that lives in; one line of help."""

    name: str
    module: str
    help: str

    @property
    def target(self) -> str:
        """Where its function is, to be imported when it is called."""
        return f"stratarouter_runtime.cli.{self.module}:{self.name}"


_UNWRITABLE: Final = frozenset({EBADF, EIO, ENOSPC})
"""What a write to standard output fails with; files and stores have errors of their own."""

COMMANDS: Final = (
    Command("demo", "demo", "Answer a support inbox, and kill the worker half way."),
    Command("validate", "validate", "Check flows and report every mistake with its place."),
    Command("graph", "graph", "Draw a flow with its types and its worst-case cost."),
    Command("run", "run", "Execute a flow durably and print its output."),
    Command("resume", "run", "Go on with an execution that was interrupted."),
    Command("answer", "run", "Answer the question of a waiting execution, and go on with it."),
    Command("cancel", "controls", "End an execution, undoing what it completed."),
    Command("migrate", "controls", "Let an execution go on with another version of its flow."),
    Command("fork", "controls", "Begin an execution another way, from where it is different."),
    Command("diff", "controls", "Show where two executions came to something else."),
    Command("show", "executions", "Tell what happened in an execution, fact by fact."),
    Command("logs", "executions", "Print the facts of an execution as they come."),
    Command("replay", "executions", "Derive every decision of an execution again, and compare."),
    Command("ps", "executions", "List executions, newest first."),
    Command("agents", "agents", "List the agents of a project, or call one alone."),
    Command("mcp", "mcp", "Offer the flows of a project as tools of MCP."),
    Command("route", "routing", "Say for whom a text is, and why."),
    Command("routing", "routing", "Make the next version of a routing table."),
    Command("serve", "serve", "Serve the flows and agents of a project over HTTP."),
    Command("openapi", "openapi", "Print the OpenAPI document of the HTTP API."),
    Command("cache", "cache", "Tell of answers kept for reuse, forget them, and explain gates."),
    Command("keys", "keys", "Make, list, rotate and revoke the keys of tenants."),
    Command("tier", "tenants", "Show or set what a tenant may use."),
    Command("policy", "policy", "Show or set what the agents of a tenant may be."),
    Command("usage", "tenants", "Show what a tenant has used, and what is left."),
    Command("audit", "audit", "List who changed what, or prove that no line was changed."),
    Command("db", "db", "Look after the store: its size, soundness, age and copies."),
    Command("config", "config", "Show each setting in force, and where it came from."),
    Command("bench", "bench", "Measure the runtime on this machine."),
    Command("doctor", "doctor", "Say what this machine offers: versions, disk, encoder."),
)
"""In the order in which help lists them."""


def build() -> App:
    """The command line, every command still unimported."""
    app = App(
        name="strata",
        help="Typed microagent workflows, executed durably and reproducibly.",
        version=version,
        help_format="plaintext",
        default_parameter=Parameter(negative=(), show_default=_worth_showing),
        suppress_keyboard_interrupt=False,
    )
    for order, command in enumerate(COMMANDS):
        app.command(command.target, name=command.name, help=command.help, sort_key=order)
    return app


def _worth_showing(default: object) -> str | None:
    """Defaults that help shows: not that a switch is off, or a list empty."""
    return None if default in (False, None, ()) else str(default)


def version() -> str:
    """The version of the installed distribution."""
    from stratarouter_runtime.host import installed_version  # noqa: PLC0415 - start-up: only --version needs it

    return installed_version()


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. Says what went wrong on standard error, never a traceback."""
    _prepare_streams()
    try:
        result = build()(
            [STDIN if each == "-" else each for each in arguments],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except StrataError as error:
        return complain(render.error(error), BY_CODE[error.code])
    except CycloptsError as error:
        return complain(usage(error), Exit.BAD_INPUT)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return hushed()
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            return complain(render.internal(error), Exit.UNAVAILABLE)
        hushed()
        return complain(f"error: the output cannot be written: {error.strerror}", Exit.UNAVAILABLE)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a user
        return complain(render.internal(error), Exit.UNAVAILABLE)
    return result if isinstance(result, int) else Exit.OK


def _prepare_streams() -> None:
    """Write UTF-8 whatever the locale, since JSON has no other; and to nowhere, where a stream is closed."""
    if sys.stdout is None or sys.stderr is None:
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - until the process ends
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def hushed() -> Exit:
    """Whoever reads our output has seen enough: what is still buffered, and what follows, goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.OK


def complain(text: str, code: Exit) -> Exit:
    """Print `text` on standard error; `code`."""
    sys.stderr.write(text + "\n")
    return code


def usage(error: CycloptsError) -> str:
    """What is wrong with the command line itself."""
    chain = " ".join(error.command_chain or ())
    hint = f"strata {chain} --help".replace("  ", " ")
    return f"error: {' '.join(str(error).split())}\n  hint: {hint}"
