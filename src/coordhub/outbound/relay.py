"""The relay that the operator names, and what an e-mail address is.

https://www.rfc-editor.org/rfc/rfc5321#section-4.1.2, https://www.rfc-editor.org/rfc/rfc8314
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

# What is plain in every relay: no quoted local parts, no letters beyond ASCII (RFC 6531 is rare).
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_PORTS: Final = {"smtps": 465, "smtp": 587, "smtp+plain": 25}


def is_address(text: str) -> bool:
    """Whether mail can be sent to it: `local@domain`, plain ASCII, of a length that relays take."""
    local, _, _ = text.partition("@")
    return len(text) <= 254 and len(local) <= 64 and _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mail is handed in.

    url: `smtps://host:465` (TLS at once), `smtp://host:587` (STARTTLS, required), or
    `smtp+plain://localhost:25` (no TLS: an address of this machine only, and no password).
    sender: what stands in From and in the envelope.
    """

    url: str
    sender: str
    user: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("the relay's address begins with smtps://, smtp:// or smtp+plain://")
        if parts.username or parts.password or parts.path.strip("/") or parts.query:
            raise ValueError("the relay's address holds host and port only")
        if parts.port == 0:
            raise ValueError("there is no such port")
        if not is_address(self.sender):
            raise ValueError("the sender is no e-mail address")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password come together")
        if parts.scheme == "smtp+plain":
            if not _of_this_machine(parts.hostname):
                raise ValueError("without TLS mail goes to this machine only")
            if self.user is not None:
                raise ValueError("a password is not sent without TLS")

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme


def _of_this_machine(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"
