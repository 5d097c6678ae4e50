"""One program, started once with a list of arguments; what it prints is the answer.

Must never know: which walls stand around, or that it is started behind them.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
from typing import TYPE_CHECKING, Any, Final

import orjson

from stratarouter_runtime.builder.agents import AgentError

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Answer, Ask

_SAID: Final = 300
_C: Final = ctypes.CDLL(None)
_ON_DEATH: Final = 1  # PR_SET_PDEATHSIG
_ENDED: Final = {
    -signal.SIGSYS: ("sandbox", "it was ended for a system call that nothing which computes needs"),
    -signal.SIGXCPU: ("limit.cpu", "it used up the CPU time it was given"),
    -signal.SIGKILL: ("limit.cpu", "it used up the CPU time it was given, and did not stop"),
    -signal.SIGXFSZ: ("limit.disk", "it wrote a file larger than it may"),
}


def load() -> None:
    """Nothing takes long."""


def start(setup: Any) -> Answer:
    """Make ready to start `setup.program` with `setup.arguments`."""

    def answer(ask: Ask) -> Any:
        done = _run(setup["program"], [_filled(each, ask.input) for each in setup["arguments"]], ask)
        if len(done.stdout) > setup["output"]:
            raise AgentError("limit.output", f"it printed {len(done.stdout):,} bytes")
        if done.returncode in _ENDED:
            raise AgentError(*_ENDED[done.returncode])
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[-_SAID:]
            raise AgentError("agent.unavailable", f"it ended with code {done.returncode}: {said}")
        if setup["prints"] == "text":
            return done.stdout.decode(errors="replace")
        try:
            return orjson.loads(done.stdout)
        except orjson.JSONDecodeError as error:
            raise AgentError("agent.invalid_output", f"what it printed is no JSON: {error}") from None

    return answer


def _run(program: str, arguments: list[str], ask: Ask) -> subprocess.CompletedProcess[bytes]:
    with open("stdout", "w+b") as out, open("stderr", "w+b") as err:  # noqa: PTH123 - in the folder it has
        with open("stdin", "w+b") as given:  # noqa: PTH123 - likewise
            given.write(orjson.dumps(ask.input))
            given.seek(0)
            # Its own environment is empty, and where it works is in memory and goes with it.
            done = subprocess.run(  # noqa: S603 - the operator lists it
                arguments,
                executable=program,
                stdin=given,
                stdout=out,
                stderr=err,
                env={"LANG": "C.UTF-8"},
                check=False,
                preexec_fn=_end_with_worker,
            )
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, done.returncode, out.read(), err.read(65_536))


def _end_with_worker() -> None:
    """Nobody may be left to end it by its group: not the server, and not who forks workers."""
    _C.prctl(_ON_DEATH, int(signal.SIGKILL), 0, 0, 0)


def _filled(argument: str, given: Any) -> str:
    """The argument; where it is `{field}` as a whole, that field of the input as text."""
    if not (argument.startswith("{") and argument.endswith("}")):
        return argument
    value = given.get(argument[1:-1])
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if "\0" in text:
        raise AgentError("agent.refused", f"the value of {argument} has a zero byte, which no argument can")
    if text.startswith("-"):
        raise AgentError("agent.refused", f"the value of {argument} begins with '-' and would be an option")
    return text
