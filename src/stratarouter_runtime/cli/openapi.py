"""`strata openapi`: the HTTP API as the server of this version describes it.

Must never know: any route.
"""

from __future__ import annotations

import msgspec

from stratarouter_runtime.api.app import ROUTES
from stratarouter_runtime.api.openapi import document
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.output import write
from stratarouter_runtime.host import installed_version


def openapi() -> int:
    """Print the OpenAPI 3.1 document of the HTTP API, as docs/openapi.json holds it."""
    told = msgspec.json.encode(document(ROUTES, installed_version()))
    write(msgspec.json.format(told, indent=1).decode())
    return Exit.OK
