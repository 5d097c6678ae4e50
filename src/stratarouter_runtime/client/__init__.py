"""The Python client of the HTTP API, for one thread or for asyncio.

    with Client("http://127.0.0.1:8080") as client:
        greeting = client.execute("greet", {"name": "Ada"}).result()
        batch = client.submit(("greet", {"name": name}) for name in ("Ada", "Alan"))
        for told in client.progress(batch.id):
            print(told.counts)

Every request that begins something carries a key, so that a request sent again after a lost
connection begins nothing twice. Must never know: the runtime; it speaks HTTP alone.
"""

from stratarouter_runtime.client.answers import Execution, ExecutionFailed, Fact
from stratarouter_runtime.client.asynchronous import AsyncClient
from stratarouter_runtime.client.errors import ClientError, Refused, Unreachable
from stratarouter_runtime.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Execution",
    "ExecutionFailed",
    "Fact",
    "Refused",
    "Unreachable",
]
