"""Headers that a document declares for calls that go out: read with their mistakes, filled when sent.

Must never know: what is called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.agents.reach import host_of
from stratarouter_runtime.agents.secrets import REFERENCE, SecretMissing, Secrets
from stratarouter_runtime.tcfp.loading.fields import text_of

if TYPE_CHECKING:
    from stratarouter_runtime.agents.kinds import Declaration
    from stratarouter_runtime.tcfp.loading.fields import Fields
    from stratarouter_runtime.tcfp.text import Entry

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HARMLESS: Final = frozenset({"accept", "accept-language", "content-language", "user-agent"})
_REFERRING: Final = re.compile(rf"([A-Za-z]{{1,16}} )?(?:{REFERENCE.pattern})")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")


def read_headers(declaration: Declaration) -> dict[str, str]:
    """The entries of `headers:`, each with its references unresolved; mistakes are reported.

    What a caller registers is shown to whoever may read it, so that nothing secret may stand there.
    """
    fields = declaration.fields
    node = fields.mapping("headers")
    found = {}
    for entry in () if node is None else node.entries:
        value = text_of(entry.value, fields.diagnostics)
        if value is not None and _fits(entry, value, fields) and _shows(entry, value, declaration):
            found[entry.key] = check_secrets(entry, value, declaration)
    return found


def check_secrets(entry: Entry, value: str, declaration: Declaration) -> str:
    """The text as it is; a reference in it that cannot be resolved is reported."""
    fields, secrets = declaration.fields, declaration.secrets
    if secrets is not None:
        host = host_of(fields.text("url") or "") if "url" in fields.entries else ""
        problem = secrets.towards(host).problem(value)
        if problem:
            fields.diagnostics.add("E111", entry.value.at, problem, "set it where the runtime is started")
    return value


async def filled(headers: Mapping[str, str], secrets: Secrets) -> dict[str, str]:
    """The headers as sent. Raises `SecretMissing`, also for a secret that no header can carry."""
    sent = await secrets.fill_all(headers)
    for name, value in sent.items():
        if not _VALUE.fullmatch(value):
            raise SecretMissing(f"the secret of the header '{name}' has what no header can carry")
    return sent


def _shows(entry: Entry, value: str, declaration: Declaration) -> bool:
    """Whether the value may be shown: an operator's is not, and a guest's is a reference, or known to be harmless."""
    if not declaration.guest or entry.key.lower() in _HARMLESS or _REFERRING.fullmatch(value):
        return True
    hint = "write a reference: secret://env/NAME, or Bearer secret://env/NAME"
    told = f"the value of the header '{entry.key}' does not stand in a document that others may read"
    declaration.fields.diagnostics.add("E134", entry.value.at, told, hint)
    return False


def _fits(entry: Entry, value: str, fields: Fields) -> bool:
    if value.startswith("$"):
        hint = f"write secret://env/{value[1:]}"
        fields.diagnostics.add("E134", entry.value.at, "variables are not written with $ here", hint)
        return False
    if not _NAME.fullmatch(entry.key) or not _VALUE.fullmatch(value):
        fields.diagnostics.add("E134", entry.at, "this cannot be sent as a header of HTTP")
        return False
    return True
