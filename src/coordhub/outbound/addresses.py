"""Which network addresses the hub connects to, and the connection to exactly those.

https://www.iana.org/assignments/iana-ipv4-special-registry
https://www.iana.org/assignments/iana-ipv6-special-registry

A name is resolved once, every address it has is judged, and the connection goes to a judged
address: asking again when connecting would let the name answer differently (DNS rebinding). The
name stays in the Host header and in the TLS handshake.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore2

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NEVER_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        # Not global in the registry, and not known as such to every supported Python.
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "2001::/23",
        "3fff::/20",
        "5f00::/16",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


class Blocked(httpcore2.ConnectError):
    """Every address of the host is one that the hub does not connect to."""


class Unresolved(httpcore2.ConnectError):
    """The host has no address."""


def carried(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to (mapped, 6to4, NAT64), else the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether the address belongs to the internet at large."""
    target = carried(address)
    return (
        target.is_global
        and not target.is_multicast
        and not target.is_reserved
        and not any(target in network for network in _NEVER_PUBLIC)
    )


def is_permitted(address: Address, allowed: Sequence[Network], *, public: bool) -> bool:
    """Whether to connect: the address lies in `allowed`, or it is public and `public` says so."""
    target = carried(address)
    if any(target in network for network in allowed):
        return True
    return public and is_public(address)


class PermittedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to permitted addresses only; the place where every connection of the hub is made."""

    def __init__(self, allowed: Sequence[Network], *, public: bool) -> None:
        self._allowed = tuple(allowed)
        self._public = public
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve, judge, and connect to the first permitted address that answers.

        timeout: seconds for resolving and connecting together.
        """
        try:
            async with asyncio.timeout(timeout):
                permitted = await self._permitted(host, port)
                failure: Exception | None = None
                for address in permitted:
                    try:
                        return await self._sockets.connect_tcp(
                            str(address), port, None, local_address, socket_options
                        )
                    except httpcore2.ConnectError as error:
                        failure = error
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("no connection in time") from error
        raise failure or Unresolved("the host has no address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never: a socket file is no address of a partner."""
        raise Blocked("unix sockets are not connected to")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _permitted(self, host: str, port: int) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Unresolved("the host has no address") from error
        # The zone of a link-local address (%eth0) says nothing that matters here.
        addresses = dict.fromkeys(ip_address(str(row[4][0]).partition("%")[0]) for row in found)
        permitted = [
            address
            for address in addresses
            if is_permitted(address, self._allowed, public=self._public)
        ]
        if addresses and not permitted:
            raise Blocked("the host has no address that the hub connects to")
        return permitted
