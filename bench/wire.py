"""An HTTP client that costs little: one connection, one request at a time, kept alive.

https://www.rfc-editor.org/rfc/rfc9112

What measures should not weigh more than what it measures; a client for applications does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    """A FHIR server. base: its FHIR base; token: sent as bearer token where there is one."""

    base: str
    token: str | None = None

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The bytes of a request. path: below the base, with its query."""
        parts = urlsplit(self.base)
        lines = [
            f"{method} {parts.path.rstrip('/')}{path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Accept: application/fhir+json",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        if self.token is not None:
            lines.append(f"Authorization: Bearer {self.token}")
        if body:
            lines += ["Content-Type: application/fhir+json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def connect(self) -> Wire:
        parts = urlsplit(self.base)
        secure = parts.scheme == "https"
        _, wire = await asyncio.get_running_loop().create_connection(
            Wire,
            parts.hostname or "localhost",
            parts.port or (443 if secure else 80),
            ssl=ssl.create_default_context() if secure else None,
        )
        return wire


class Lost(Exception):
    """The connection ended before the answer did."""


class Wire(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    async def ask(self, request: bytes) -> Answer:
        """Send it and wait for the whole answer. Raises Lost, TimeoutError."""
        if self._transport is None or self.closed:
            raise Lost
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self._answer

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Lost())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        answer = Answer(self._parser.get_status_code(), self._headers, b"".join(self._body))
        waiting = self._answer
        self._begin()
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
