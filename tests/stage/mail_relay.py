"""A mail relay of this machine: a real SMTP server that keeps what it is given, and can be told to be difficult."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


@dataclass
class MailRelay:
    """answers: for a step (MAIL, RCPT, DATA) what it is answered instead of being taken. silent: a step at
    which it says nothing more. accounts: who may hand in mail, with their passwords; anybody where none is.
    """

    answers: Mapping[str, str] = field(default_factory=dict)
    silent: str = ""
    accounts: Mapping[str, str] = field(default_factory=dict)
    taken: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    port: int = 0
    over_tls: list[bool] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def open(
        self, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None
    ) -> AsyncIterator[MailRelay]:
        loop = asyncio.get_running_loop()
        connections: list[SMTP] = []

        def accept() -> SMTP:
            one = SMTP(
                self,
                hostname="relay.example.org",
                tls_context=starttls,
                require_starttls=starttls is not None,
                authenticator=self._knows if self.accounts else None,
                auth_require_tls=tls is None,
                loop=loop,
            )
            connections.append(one)
            return one

        server = await loop.create_server(accept, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for one in connections:
                if one.transport is not None:
                    one.transport.abort()
                if one._handler_coroutine is not None:
                    one._handler_coroutine.cancel()
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await one._handler_coroutine

    def mails(self) -> list[EmailMessage]:
        """What was taken, read again."""
        return [message_from_bytes(raw, policy=default) for _, _, raw in self.taken]  # type: ignore[misc]

    def _knows(
        self, server: Any, session: Session, envelope: Any, kind: str, data: Any
    ) -> AuthResult:
        name, word = data.login.decode(), data.password.decode()
        return AuthResult(success=self.accounts.get(name) == word, handled=False)

    async def _said(self, step: str) -> str | None:
        if self.silent == step:
            await asyncio.Event().wait()
        return self.answers.get(step)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if said := await self._said("MAIL"):
            return said
        if self.accounts and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if said := await self._said("RCPT"):
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if said := await self._said("DATA"):
            return said
        assert isinstance(envelope.content, bytes)
        self.over_tls.append(
            session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None
        )
        self.taken.append((str(envelope.mail_from), list(envelope.rcpt_tos), envelope.content))
        return "250 OK"
