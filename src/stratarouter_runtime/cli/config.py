"""`strata config`: each setting in force, and where it came from.

Must never know: who uses a setting.
"""

from __future__ import annotations

from stratarouter_runtime import settings
from stratarouter_runtime.cli.arguments import Json
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.output import table, write


def config(*, json: Json = False) -> int:
    """Show each setting in force and where it came from; secrets are not shown."""
    found = settings.explain()
    rows = [(each.key, each.value or "-", each.origin, each.variable) for each in found]
    write(found if json else table(("setting", "value", "from", "variable"), rows))
    return Exit.OK
