"""An execution that this process drives: watched to its end, told on standard error, its output returned.

Must never know: which command drives it, or where executions are kept.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from stratarouter_runtime import settings
from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.cli import live
from stratarouter_runtime.cli.exits import Exit, of_failure
from stratarouter_runtime.cli.render import printable
from stratarouter_runtime.cli.signals import Stopped, heeding
from stratarouter_runtime.cli.words import Names, question, reason, summary
from stratarouter_runtime.errors import LinkError, NotFound, StrataError
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.state.questions import open_questions
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.wiring import Application, application
from stratarouter_runtime.workshops import open_module, open_project


class Ended(Struct, frozen=True):
    """How a session ended: the exit code, and what belongs on standard output."""

    code: int
    output: str = ""


Work: TypeAlias = Callable[[Application], Awaitable[Ended]]


class Session(Struct):
    """Where executions are kept and their agents are found, as the command line says it.

    `agents` is a folder or the name of a module; `home` is the folder that stands for neither.
    """

    store: str | None
    agents: str | None
    home: Path = Path()
    json: bool = False
    driven: ExecutionId | None = None
    """The execution that is being driven, as soon as it has an id."""
    place: str = ""
    """The store as people may see it, as soon as it is open: without the password of a database."""

    def run(self, work: Work) -> int:
        """Do `work` with an application around it; the exit code of the process.

        A signal drains it first, then ends the process. What agents print goes to standard
        error: standard output holds the result and nothing else.
        """
        with redirect_stdout(sys.stderr):
            ended = asyncio.run(self._work(work))
        sys.stdout.write(ended.output)
        return ended.code

    async def _work(self, work: Work) -> Ended:
        chosen = settings.load()
        async with application(chosen, self.registry(chosen), store=self.store) as app:
            self.place = app.place
            try:
                return await heeding(work(app))
            except Stopped as stopped:
                told = f"stopping on {stopped}: calls under way may finish; once more to exit now\n"
                later = f"  hint: {self.command('resume', self.driven)}\n" if self.driven else ""
                sys.stderr.write(told + later)
                return Ended(stopped.code)
            except StrataError:
                if self.driven:
                    sys.stderr.write(f"interrupted; go on with: {self.command('resume', self.driven)}\n")
                raise

    def registry(self, chosen: settings.Settings) -> Registry:
        """The agents, wherever they are, built as the settings say. Raises `NotFound`, `LinkError`."""
        if self.agents is None or Path(self.agents).is_dir():
            return open_project(self.home if self.agents is None else Path(self.agents), chosen)
        if "/" in self.agents or self.agents.endswith(".py"):
            hint = "--agents names the folder that agents.py is in, or a module"
            raise NotFound(f"no folder {self.agents}", hint=hint)
        return open_module(self.agents, chosen)

    async def drive(self, app: Application, plan: Plan, begin: Awaitable[ExecutionId]) -> Ended:
        """Set an execution to work and watch it to its end, or until it waits for an answer."""
        with ExitStack() as watching:
            if not self.json:
                watcher = live.observer(plan, sys.stderr)
                app.observers.add(watcher)
                watching.callback(app.observers.remove, watcher)
                if isinstance(watcher, live.Growing):
                    watching.enter_context(watcher)
            self.driven = await begin
            row = await app.runtime.wait(self.driven)
        if self.json:
            return Ended(_code(row), f"{msgspec.json.encode(row).decode()}\n")
        return await self._tell(app, plan, row)

    async def _tell(self, app: Application, plan: Plan, row: Execution) -> Ended:
        sys.stderr.write(f"{summary(row)}\n")
        if row.failure is not None:
            where, hint = Names(plan).of(row.failure.step), self.command("show", row.id)
            sys.stderr.write(f"error: {reason(row.failure)}\n  at {where}\n  hint: {hint}\n")
        elif row.status == "completed":
            text = msgspec.json.format(msgspec.json.encode(row.output), indent=2)
            return Ended(_code(row), f"{text.decode()}\n")
        elif row.status == "waiting":
            sys.stderr.writelines(await self._questions(app, plan, row))
        return Ended(_code(row))

    async def _questions(self, app: Application, plan: Plan, row: Execution) -> list[str]:
        """What the execution waits for, what was shown for it, and how to answer."""
        events = (await app.runtime.history.journal(row.id)).events
        names = Names(plan)
        told: list[str] = []
        for asked in open_questions(events):
            shown = msgspec.json.encode(asked.show).decode()
            told += [
                f"{names.of(asked.step)} {question(asked)}\n",
                f"  shown: {printable(shown)}\n" if asked.show is not None else "",
                f"  hint: {self.command('answer', row.id, names.call(asked.step), 'VALUE')}\n",
            ]
        return told

    def command(self, name: str, *arguments: str) -> str:
        """A command line that goes on with this session: the same store, the same agents."""
        words = ["strata", name, *map(shlex.quote, arguments)]
        agents = self.agents or (str(self.home) if self.home != Path() else "")
        if agents and name != "show":
            words += ["--agents", shlex.quote(agents)]
        if self.store is not None:
            words += ["--store", shlex.quote(self.place)]
        return " ".join(words)


async def runnable(app: Application, execution: ExecutionId) -> Plan:
    """The plan of an execution. Raises `LinkError` unless all that it calls is at hand, unchanged.

    Without this the execution would go on, and fail at the first agent that is missing.
    """
    row = await app.runtime.history.find(execution)
    plan = await app.runtime.flows.plan(row.plan)
    wrong = []
    for agent in plan.agents:
        found = app.registry.get(agent.name)
        if found is not None and found.digest == agent.digest:
            continue
        if await app.runtime.flow_agent(agent.name, agent.digest, row.tenant) is None:
            what = "is not at hand" if found is None else "has changed since the execution began"
            wrong.append(f"agent '{agent.name}' {what}")
    if wrong:
        raise LinkError("; ".join(wrong), hint="name the folder with its agents: --agents FOLDER")
    return plan


def _code(row: Execution) -> int:
    if row.failure is not None:
        return of_failure(row.failure.kind)
    return Exit.FAILED if row.status in {"failed", "cancelled", "timed_out"} else Exit.OK
