"""`python -m stratarouter_runtime.testing.killing`: kill the real server so many times, and judge.

Must never know: how it is done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from stratarouter_runtime.testing.killing.loop import Report, kill_again_and_again
from stratarouter_runtime.testing.killing.strikes import STRIKES


def main(arguments: Sequence[str]) -> int:
    """0 where no promise was broken, else 1."""
    parser = argparse.ArgumentParser(prog="stratarouter_runtime.testing.killing", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--store", help="the URL of an empty database; a file where none is given")
    parser.add_argument("--servers", type=int, default=1, help="on a database only")
    parser.add_argument("--strike", choices=list(STRIKES), default="killed")
    given = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="strata-kills-") as name:
        folder = Path(name)
        report = kill_again_and_again(
            folder,
            given.store or str(folder / "s.db"),
            kills=given.kills,
            seed=given.seed,
            servers=given.servers,
            clients=given.clients,
            strike=STRIKES[given.strike],
        )
    sys.stdout.write(told(report) + "\n")
    return 1 if report.wrong else 0


def told(report: Report) -> str:
    """What came of it, for people."""
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(report.statuses.items()))
    return "\n".join(
        [
            f"seed {report.seed}: {report.kills} times, {report.servers} servers",
            f"executions: {report.executions} ({statuses}); facts: {report.facts}; calls: {report.calls}",
            f"acknowledged: {report.acknowledged}; taken up again: {report.taken_up}",
            *_times(sorted(report.starts)),
            f"WRONG: {report.wrong}" if report.wrong else "no promise was broken",
        ]
    )


def _times(starts: Sequence[float]) -> list[str]:
    """How long starts took; nothing where no server had to start again."""
    if not starts:
        return []
    half, most = starts[len(starts) // 2], starts[int(len(starts) * 0.99)]
    return [f"from start to all taken up: p50 {half:.2f} s, p99 {most:.2f} s"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
