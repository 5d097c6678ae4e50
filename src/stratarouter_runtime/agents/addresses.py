"""The address that a document declares for calls that go out: read with its mistakes, shown without secrets.

Must never know: what is called.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from stratarouter_runtime.agents.kinds import Declaration
from stratarouter_runtime.agents.reach import host_of
from stratarouter_runtime.tcfp.ir import Signature

_SECRET_WORDS: Final = ("key", "token", "secret", "sig", "pass", "auth", "code", "credential")


def read_url(declaration: Declaration) -> str | None:
    """The entry `url:`, an address of http whose host is among what the agent says that it needs."""
    fields = declaration.fields
    node = fields.need("url", "write url: https://host/path")
    url = fields.text("url")
    if node is None or url is None:
        return None
    if not shown(url):
        fields.diagnostics.add("E134", node.at, "not an address of http or https", "write https://host/path")
        return None
    if declaration.guest and _secretive(url):
        hint = "send it as a header: headers: { authorization: Bearer secret://env/NAME }"
        fields.diagnostics.add("E134", node.at, "a secret does not stand in an address others may read", hint)
        return None
    needs = declaration.signature.needs.hosts
    if needs and host_of(url) not in needs:
        hint = "add it to needs.hosts, or leave needs.hosts out"
        fields.diagnostics.add("E134", node.at, f"needs.hosts does not name {host_of(url)}", hint)
        return None
    return url


def _secretive(url: str) -> bool:
    """Whether an address has a user, a password, or a parameter that is named like a secret."""
    parts = urlsplit(url)
    names = (pair.partition("=")[0].lower() for pair in parts.query.split("&"))
    return "@" in parts.netloc or any(word in name for name in names for word in _SECRET_WORDS)


def needing(signature: Signature, url: str) -> Signature:
    """The signature with the host among what the agent needs, so that limits of hosts are held against it."""
    if signature.needs.hosts:
        return signature
    return replace(signature, needs=replace(signature.needs, hosts=(host_of(url),)))


def shown(url: str) -> str:
    """The address without what may be secret (user, password, query); empty where it is none of http."""
    try:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return ""
    return f"{parts.scheme}://{place}{parts.path}" if usable else ""
