"""A server process as its users start it, for the tests of the service."""

from __future__ import annotations

import re
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Final

from tests.acceptance.commandline import WAIT, command, environment

AGENTS: Final = '''"""An agent that leaves a trace of each call, and one that waits for the file `go`."""

import asyncio
from pathlib import Path

from stratarouter_runtime.builder import agent

FOLDER = Path(__file__).parent


@agent(effect="pure")
async def note(text: str) -> str:
    with (FOLDER / "noted").open("a") as file:
        file.write(text + "\\n")
    return text.upper()


@agent(effect="pure")
async def hold(text: str) -> str:
    with (FOLDER / "noted").open("a") as file:
        file.write(text + "\\n")
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)
    return text + "!"
'''

FLOW: Final = """tcfp: "1.0"
flow: my-workflow
agents: [note]
in: {query: string}
out: {answer: string}
do:
  - {id: a, call: note, with: {text: =query}}
return: {answer: =a}
"""


class Service:
    """A server process and where it answers."""

    def __init__(self, process: Popen[str], line: str) -> None:
        found = re.search(r"(http://127\.0\.0\.1):(\d+)", line)
        assert found is not None, line
        self.process = process
        self.line = line
        self.url = found[0]
        self.port = int(found[2])

    def terminate(self) -> int:
        """End it in good order; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=WAIT)
        return self.process.returncode


@contextmanager
def serving(project: Path, *arguments: str) -> Iterator[Service]:
    """A server of this project, on the store in it; killed at the end where it still runs."""
    log = project / "log"
    with log.open("ab") as said:  # a pipe that nobody reads would hold it up
        process = Popen(  # noqa: S603 - our own interpreter
            command("serve", project, "--store", project / "s.db", *arguments),
            cwd=project,
            env=environment(),
            stdout=PIPE,
            stderr=said,
            text=True,
        )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], WAIT)[0], "it says nothing"
        line = process.stdout.readline()
        assert line, log.read_text()
        yield Service(process, line)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=WAIT)


def furnish(folder: Path) -> Path:
    """Put the flow and its agents into a folder, which is then a project."""
    (folder / "agents.py").write_text(AGENTS)
    (folder / "flow.yaml").write_text(FLOW)
    return folder
