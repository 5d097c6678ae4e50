"""A process that may not write large files; run as a script.

Appends until the store is full, then is allowed more, and goes on. Prints how many records
were acknowledged before, the kind of the error, and how many after.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from tests.conformance.backends import name, record, records, row

from stratarouter_runtime.errors import StoreError
from stratarouter_runtime.storage.sqlite import SqliteStore, open_store


async def fill(store: SqliteStore) -> tuple[int, str]:
    for seq in range(1, 10_000):
        try:
            await store.append(name(1), [record(seq, bytes(2_000))])
        except StoreError as error:
            return seq, error.code
    return 10_000, "never"


async def main(path: Path) -> None:
    store = open_store(path)
    await store.create(row(1), records(0))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    full, code = await fill(store)
    kept = len(await store.read(name(1)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await asyncio.gather(*[store.append(name(1), records(seq)) for seq in range(full, full + 100)])
    await store.close()
    print(full, code, kept)  # noqa: T201  this is how a script answers


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
