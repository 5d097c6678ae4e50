"""Where agents may connect to: the public internet, and what an operator allows beyond it.

An address is judged after the host was resolved, and as what it stands for: an IPv4 address
within an IPv6 one is judged as that. Must never know: sockets, names' resolution, or agents.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import urlsplit

Address: TypeAlias = IPv4Address | IPv6Address

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port -> the addresses of the host. Raises `OSError`."""

_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""How IPv4 is reached from networks without it (RFC 6052)."""
_COMPATIBLE: Final = IPv6Network("::/96")
_UNICAST: Final = IPv6Network("2000::/3")
"""All that IANA has given out for addresses of the public internet."""


class Barred(Exception):
    """The host is none that agents may connect to."""


def is_public(address: str) -> bool:
    """Whether this is a unicast address of the public internet, also as what it stands for."""
    return all(_is_public(meant) for meant in _meanings(ip_address(address)))


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def barred(host: str, port: int, addresses: Sequence[str], allowed: Sequence[str]) -> str:
    """Why nothing may connect to `host`, which has these addresses; empty where it may.

    One address that is not public bars all: which one is taken is nothing to rely on. `allowed`
    are hosts, addresses and networks, each with or without a port.
    """
    if not addresses:
        return f"{host} has no address"
    for address in addresses:
        if not is_public(address) and not any(_admits(entry, host, port, address) for entry in allowed):
            return f"{host} is {address}, which is not public" if host != address else f"{host} is not public"
    return ""


def entry_fault(entry: str) -> str:
    """Why this cannot stand in a list of what is allowed; empty where it can."""
    host, port = _split(entry)
    if not host or any(sign in host for sign in "*@?#,; ") or ("/" in host and _network(host) is None):
        return f"{entry!r} is no host, address or network, with or without a port"
    return "" if port is None or 0 < port < 65536 else f"{entry!r} has no such port"


def host_of(url: str) -> str:
    """The host of an address of http, in lower case; empty where there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _meanings(address: Address) -> Iterator[Address]:
    """The address without what wraps it; or itself, with what stands within."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    if address in _TRANSLATED:
        yield _last(address)
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _COMPATIBLE:
        yield _last(address)


def _last(address: IPv6Address) -> IPv4Address:
    """The last 32 bits."""
    return IPv4Address(int(address) & 0xFFFFFFFF)


def _admits(entry: str, host: str, port: int, address: str) -> bool:
    named, only = _split(entry)
    if only is not None and only != port:
        return False
    if named.lower() == host.lower().rstrip("."):
        return True
    network = _network(named)
    return network is not None and any(meant in network for meant in _meanings(ip_address(address)))


def _split(entry: str) -> tuple[str, int | None]:
    """Host and port: `a:80`, `[::1]:80`, `::1`, `10.0.0.0/8:80`."""
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        return host, int(port[1:]) if port[1:].isdecimal() else None if not port else -1
    host, colon, port = entry.rpartition(":")
    if not colon or ":" in host:
        return entry, None
    return host, int(port) if port.isascii() and port.isdecimal() else -1


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None
