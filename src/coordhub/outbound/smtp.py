"""Mail handed to the relay that the operator names, with every way it can go wrong as a value.

https://www.rfc-editor.org/rfc/rfc5321, https://www.rfc-editor.org/rfc/rfc8314 (TLS),
https://www.rfc-editor.org/rfc/rfc3834 (Auto-Submitted)

The relay stands in a setting, no partner's data chooses it: so it may be a private address. Its certificate
is verified in either way of TLS; where it offers none, nothing is sent. Mail is text, and never holds what
may not stand on a postcard: whoever writes one answers for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final, Literal

import aiosmtplib

from coordhub.outbound.client import Timeouts, Unreachable
from coordhub.outbound.relay import Relay, is_address

Class = Literal["transient", "permanent", "auth", "config"]

_KEY = re.compile(r"[A-Za-z0-9.-]{1,128}")
_AUTH: Final = frozenset({530, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class Attachment:
    """media_type: `application/fhir+json`."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address.

    key: the same for every attempt at one thing to say; the Message-ID is made of it, so that who gets a
    repeat can tell. at: when it was written, the same for every attempt, too.
    """

    key: str
    to: str
    subject: str
    text: str
    at: datetime
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The relay has it and answers for it from here on; that somebody got it, it does not say."""

    elapsed: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """The relay answered, and does not have it.

    permanence: transient (4yz), permanent (5yz: this mail, or this address), auth (our credentials are not
    taken), config (it offers no TLS, or the mail cannot be sent by anybody).
    code: of RFC 5321, 0 where we refused ourselves. reason: a step and a number, nothing the relay wrote.
    """

    code: int
    permanence: Class
    reason: str
    elapsed: float = 0.0


Posted = Accepted | Rejected | Unreachable


class Post:
    """The client; share it. One connection for one mail, a few at once.

    largest: bytes of a mail as sent. authorities: a PEM file of further ones that the relay's certificate
    may be of.
    """

    def __init__(
        self,
        relay: Relay,
        *,
        timeouts: Timeouts | None = None,
        largest: int = 256 * 1024,
        connections: int = 4,
        authorities: Path | None = None,
    ) -> None:
        self._relay = relay
        self._timeouts = timeouts or Timeouts()
        self._largest = largest
        self._at_once = asyncio.Semaphore(connections)
        self._tls = None if relay.scheme == "smtp+plain" else _verifying(authorities)

    def go_by(self, relay: Relay) -> None:
        """From the next mail on; for a password that has changed."""
        self._relay = relay

    async def send(self, mail: Mail) -> Posted:
        """Hand it in once: no retries."""
        clock = asyncio.get_running_loop().time
        try:
            rendered = self._rendered(mail)
        except ValueError as error:
            return Rejected(0, "permanent", str(error))
        async with self._at_once:
            start = clock()
            step = "connect"
            client = self._client()
            try:
                async with asyncio.timeout(self._timeouts.total.total_seconds()):
                    await client.connect()
                    if self._relay.scheme == "smtp":
                        step = "STARTTLS"
                        await client.starttls()
                    if self._relay.user is not None and self._relay.password is not None:
                        step = "AUTH"
                        await client.login(self._relay.user, self._relay.password)
                    step = "MAIL"
                    await client.mail(self._relay.sender)
                    step = "RCPT"
                    await client.rcpt(mail.to)
                    step = "DATA"
                    await client.data(rendered)
            except Exception as error:
                client.close()
                went_wrong = _outcome(error, step, clock() - start)
                if went_wrong is None:
                    raise
                return went_wrong
            elapsed = clock() - start
            with contextlib.suppress(Exception):  # it has the mail, however it says good-bye
                async with asyncio.timeout(2):
                    await client.quit()
            client.close()
            return Accepted(elapsed)

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._relay.host,
            port=self._relay.port,
            use_tls=self._relay.scheme == "smtps",
            start_tls=False,  # said by ourselves, so that it is known which step failed
            tls_context=self._tls,
            timeout=self._timeouts.read.total_seconds(),
            local_hostname=self._relay.sender.partition("@")[2],
        )

    def _rendered(self, mail: Mail) -> bytes:
        """The mail as it goes over the wire; ValueError for one that cannot be sent by anybody."""
        if not is_address(mail.to):
            raise ValueError("the recipient is no e-mail address")
        if not _KEY.fullmatch(mail.key):
            raise ValueError("the key does not fit into a Message-ID")
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in mail.subject):
            raise ValueError("the subject holds control characters")
        domain = self._relay.sender.partition("@")[2]
        message = EmailMessage(policy=WIRE)
        message["From"] = Address(addr_spec=self._relay.sender)
        message["To"] = Address(addr_spec=mail.to)
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(mail.at)
        message["Message-ID"] = f"<{mail.key}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(mail.text, cte="quoted-printable")
        for one in mail.attachments:
            main, _, sub = one.media_type.partition("/")
            message.add_attachment(one.content, maintype=main, subtype=sub, filename=one.name)
        rendered = message.as_bytes()
        if len(rendered) > self._largest:
            raise ValueError("the mail is too large")
        return rendered


def _verifying(authorities: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities is not None:
        context.load_verify_locations(authorities)
    return context


def _outcome(error: Exception, step: str, elapsed: float) -> Rejected | Unreachable | None:
    """What a foreign exception means, None for one that is a bug of ours."""
    causes = list(_causes(error))

    def among(*types: type[BaseException]) -> bool:
        return any(isinstance(cause, types) for cause in causes)

    def unreachable(kind: Any) -> Unreachable:
        names = " < ".join(type(cause).__name__ for cause in causes)
        # Until DATA the relay has nothing that it could pass on.
        return Unreachable(kind, step != "DATA", f"{step}: {names}", elapsed)

    code = getattr(error, "code", None)
    if isinstance(error, aiosmtplib.SMTPResponseException) and isinstance(code, int):
        if not 400 <= code <= 599:
            return unreachable("protocol")
        permanence: Class = "transient" if code < 500 else "permanent"
        if permanence == "permanent" and (step == "AUTH" or code in _AUTH):
            permanence = "auth"
        elif permanence == "permanent" and step in ("connect", "STARTTLS", "MAIL"):
            permanence = "config"  # it is not about this mail: no other would go, either
        return Rejected(code, permanence, f"{step} answered {code}", elapsed)
    if among(ssl.SSLError, ssl.CertificateError):
        return unreachable("tls")
    if among(socket.gaierror):
        return unreachable("dns")
    if among(TimeoutError):
        return unreachable("timeout")
    if among(ConnectionRefusedError):
        return unreachable("refused")
    if among(aiosmtplib.SMTPServerDisconnected, ConnectionError):
        return unreachable("refused" if step == "connect" else "reset")
    if isinstance(error, aiosmtplib.SMTPException):
        # No STARTTLS, no AUTH, or none that we speak.
        return Rejected(0, "config", f"{step} is not offered", elapsed)
    return unreachable("reset") if isinstance(error, OSError) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
