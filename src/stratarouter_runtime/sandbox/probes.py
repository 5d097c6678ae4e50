"""The attacks that walls have to stand: each does its worst and answers with what it got.

What is stopped raises, or dies; what answers has got through, but for the last few, which say that
ordinary work goes on. Runs as the program of a worker, and as a script of its own, so it imports
the standard library only. Must never know: what stops it.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from runpy import run_path
from typing import Any, Final

_NEW_USER: Final = 0x10000000
_IO_URING_SETUP: Final = 425
_PTRACE_SEIZE: Final = 0x4206
_MODULES: Final = ("json", "re", "decimal", "datetime", "hashlib", "statistics", "sqlite3", "zoneinfo", "csv")

Facts = Mapping[str, Any]


def _kernel(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _c() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def read_shadow(_: Facts) -> str:
    """The password hashes of the system."""
    return Path("/etc/shadow").read_text(encoding="utf-8")[:20]


def read_store(facts: Facts) -> str:
    """The database of the server, which belongs to the server's user."""
    return Path(facts["store"]).read_text(encoding="utf-8")


def write_outside(facts: Facts) -> int:
    """A folder that everybody may write."""
    return Path(facts["outside"], "written").write_text("x", encoding="utf-8")


def secret_in_environment(facts: Facts) -> str:
    """A variable of the server's environment."""
    return os.environ[facts["variable"]]  # noqa: TID251 - that is the attack


def server_environment(facts: Facts) -> bytes:
    """The server's environment, as the kernel shows it."""
    return Path(f"/proc/{facts['server']}/environ").read_bytes()


def server_memory(facts: Facts) -> int:
    """The server's memory, as the kernel shows it."""
    return os.open(f"/proc/{facts['server']}/mem", os.O_RDWR)


def tcp(facts: Facts) -> str:
    """A server on loopback."""
    with socket.create_connection(("127.0.0.1", facts["tcp"]), timeout=2):
        return "connected"


def udp(facts: Facts) -> int:
    """A datagram to loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        return out.sendto(b"x", ("127.0.0.1", facts["udp"]))


def abstract_socket(facts: Facts) -> str:
    """A socket that has a name and no file."""
    with socket.socket(socket.AF_UNIX) as out:
        out.connect("\0" + facts["abstract"])
        return "connected"


def ptrace(facts: Facts) -> int:
    """Trace the server, in the way that does not stop it where this succeeds."""
    return _kernel(_c().ptrace(_PTRACE_SEIZE, facts["server"], None, None))


def signal_server(facts: Facts) -> str:
    """A signal to the server, one that would do no harm."""
    os.kill(facts["server"], signal.SIGURG)
    return "sent"


def fork_bomb(_: Facts) -> int:
    """As many processes as there may be."""
    born = []
    try:
        for _count in range(200):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            born.append(pid)
    finally:
        for pid in born:
            with suppress(PermissionError):
                os.kill(pid, signal.SIGKILL)
    return len(born)


def memory_bomb(_: Facts) -> int:
    """Two gigabytes."""
    return len(bytearray(2 << 30))


def cpu_spin(_: Facts) -> None:
    """All the time there is."""
    while True:
        pass


def large_file(_: Facts) -> int:
    """Four hundred megabytes on a disk."""
    block, written = b"x" * (1 << 20), 0
    with Path("large").open("wb") as out:
        for _count in range(400):
            written += out.write(block)
    return written


def many_files(_: Facts) -> int:
    """Ten thousand files."""
    for number in range(10_000):
        Path(f"file{number}").touch()
    return 10_000


def shell(_: Facts) -> None:
    """A shell in place of this process."""
    os.execv("/bin/sh", ["/bin/sh", "-c", "echo '\"a shell\"'"])  # noqa: S606 - that is the attack


def namespaces(_: Facts) -> int:
    """New namespaces, in which this process would be root."""
    return _kernel(_c().unshare(_NEW_USER))


def io_uring(_: Facts) -> int:
    """A ring by which calls of the system pass a filter unseen."""
    return _kernel(_c().syscall(_IO_URING_SETUP, 8, ctypes.create_string_buffer(120)))


def threads(_: Facts) -> int:
    """Threads have to work."""
    done: list[int] = []
    made = [threading.Thread(target=done.append, args=(number,)) for number in range(4)]
    for each in made:
        each.start()
    for each in made:
        each.join()
    return len(done)


def work_folder(_: Facts) -> str:
    """Files in the working folder have to work."""
    Path("notes").write_text("kept", encoding="utf-8")
    return Path("notes").read_text(encoding="utf-8")


def imports(_: Facts) -> int:
    """The standard library has to work."""
    return len([importlib.import_module(name) for name in _MODULES])


def _beside() -> Mapping[str, Callable[[Facts], Any]]:
    """The probes of the file beside this one; a script has no package that it could import it from."""
    found: Mapping[str, Callable[[Facts], Any]] = run_path(str(Path(__file__).with_name("neighbours.py")))[
        "PROBES"
    ]
    return found


_HERE: Final[Mapping[str, Callable[[Facts], Any]]] = {
    probe.__name__: probe
    for probe in (
        read_shadow,
        read_store,
        write_outside,
        secret_in_environment,
        server_environment,
        server_memory,
        tcp,
        udp,
        abstract_socket,
        ptrace,
        signal_server,
        fork_bomb,
        memory_bomb,
        cpu_spin,
        large_file,
        many_files,
        shell,
        namespaces,
        io_uring,
        threads,
        work_folder,
        imports,
    )
}
PROBES: Final[Mapping[str, Callable[[Facts], Any]]] = {**_beside(), **_HERE}
WORKING: Final[Mapping[str, Any]] = {"threads": 4, "work_folder": "kept", "imports": len(_MODULES)}
"""What has to work, and what it answers with."""


def load() -> None:
    """Nothing takes long."""


def start(_: Any) -> Callable[[Any], Any]:
    """Answers with what the probe `input.probe` gets out of `input.facts`."""
    return lambda ask: repr(PROBES[ask.input["probe"]](ask.input["facts"]))


if __name__ == "__main__":
    given = json.load(sys.stdin)
    sys.stdout.write(json.dumps(repr(PROBES[given["probe"]](given["facts"]))))
