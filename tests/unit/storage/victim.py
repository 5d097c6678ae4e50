"""A process that owns a store and appends until it is killed; run as a script.

Prints `ready`, then a line `number seq` for each append that was acknowledged, as it comes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.conformance.backends import name, record, row

from stratarouter_runtime.storage.sqlite import SqliteStore, open_store


async def drive(store: SqliteStore, number: int) -> None:
    await store.create(row(number), [record(0)])
    os.write(1, f"{number} 0\n".encode())
    for seq in range(1, 1_000_000):
        await store.append(name(number), [record(seq, os.urandom(200))])
        os.write(1, f"{number} {seq}\n".encode())


async def main(path: Path, drivers: int) -> None:
    store = open_store(path)
    os.write(1, b"ready\n")
    await asyncio.gather(*[drive(store, number) for number in range(drivers)], asyncio.sleep(60))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
