"""HTTP requests to other machines, with every way they can go wrong as a value.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx2

from coordhub import tracing
from coordhub.outbound.addresses import Blocked, Network, PermittedBackend, Unresolved

Kind = Literal["refused", "timeout", "tls", "dns", "reset", "blocked", "too_large", "protocol"]


# httpcore2 and h11 tell a connection closed too early from other bad HTTP by words only.
_CLOSED = re.compile("disconnected|closed connection")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait: for a connection, for each piece read or written, and for all of it."""

    connect: timedelta = timedelta(seconds=5)
    read: timedelta = timedelta(seconds=15)
    total: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response of any status, redirects included.

    headers: names in lower case; a repeated header is joined by commas. elapsed: seconds. certificate_ends:
    until when the server's is valid, where that was asked for and there is one.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed: float
    certificate_ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No complete answer came.

    before_sent: True when not one byte of the request has left, so that it cannot have had an
    effect; False when it may have had one.
    detail: names of exceptions, nothing of what was sent or received.
    """

    kind: Kind
    before_sent: bool
    detail: str
    elapsed: float = 0.0


def trusting(authorities: Path) -> ssl.SSLContext:
    """The public authorities and those of a PEM file. Raises OSError where it holds none."""
    context = httpx2.create_ssl_context(trust_env=False)
    context.load_verify_locations(authorities)
    return context


@cache
def _public_authorities() -> ssl.SSLContext:
    """Read once, which takes 25 ms: clients share it, and none changes it."""
    return httpx2.create_ssl_context(trust_env=False)


class _TooLarge(Exception):
    pass


class Outbound:
    """The client; open it with `async with` and share it.

    allowed_networks: networks that may be connected to although they are not public, and without
    TLS: peers on the premises, loopback in development.
    largest_answer: bytes of a response body after decoding; reading stops beyond it.
    tls: a context with further trusted authorities; certificate and name are always verified.
    """

    def __init__(
        self,
        *,
        allowed_networks: Sequence[Network] = (),
        timeouts: Timeouts | None = None,
        largest_answer: int = 1024 * 1024,
        connections: int = 100,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if tls is not None and (tls.verify_mode != ssl.CERT_REQUIRED or not tls.check_hostname):
            raise ValueError("the TLS context must verify certificates and host names")
        self._timeouts = timeouts or Timeouts()
        self._largest_answer = largest_answer
        verify = tls or _public_authorities()
        # Without TLS nobody proves who answers: that is for the named networks only.
        self._transports = {
            "https": _transport(verify, connections, allowed_networks, public=True),
            "http": _transport(verify, connections, allowed_networks, public=False),
        }

    async def __aenter__(self) -> Self:
        for transport in self._transports.values():
            await transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for transport in self._transports.values():
            await transport.aclose()

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        look_at_certificate: bool = False,
    ) -> Answer | Unreachable:
        """One request, one answer: no redirects, no cookies, no proxies, no retries."""
        with tracing.span(method, kind="client", http_request_method=method) as span:
            answer = await self._send(
                method, url, {**headers, **span.onward()}, body, looks=look_at_certificate
            )
            if isinstance(answer, Answer):
                span.set(http_response_status_code=answer.status)
            else:
                span.set(error_type=answer.kind)
            return answer

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, looks: bool
    ) -> Answer | Unreachable:
        clock = asyncio.get_running_loop().time
        start = clock()
        sent = False

        async def note(event: str, _: Mapping[str, Any]) -> None:
            nonlocal sent
            sent = sent or event == "http11.send_request_headers.started"

        try:
            request = self._request(method, url, headers, body, note)
        except (httpx2.InvalidURL, ValueError, TypeError) as error:
            return Unreachable("blocked", True, f"address not usable: {type(error).__name__}")
        try:
            async with asyncio.timeout(self._timeouts.total.total_seconds()):
                return await self._exchange(request, clock, start, looks=looks)
        except Exception as error:
            kind = _kind(error)
            if kind is None:
                raise
            names = " < ".join(type(cause).__name__ for cause in _causes(error))
            return Unreachable(kind, not sent, names, clock() - start)

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, note: Any
    ) -> httpx2.Request:
        parsed = _parsed(url)
        waits = httpx2.Timeout(
            self._timeouts.read.total_seconds(), connect=self._timeouts.connect.total_seconds()
        )
        fixed = {"User-Agent": "coordhub", "Accept-Encoding": "identity"}
        return httpx2.Request(
            method,
            parsed,
            headers={**fixed, **headers},
            content=body,
            extensions={"timeout": waits.as_dict(), "trace": note},
        )

    async def _exchange(
        self, request: httpx2.Request, clock: Any, start: float, *, looks: bool
    ) -> Answer:
        # The transport, not httpx2.AsyncClient: the client keeps cookies and reads credentials out
        # of addresses and the environment.
        response = await self._transports[request.url.scheme].handle_async_request(request)
        ends = _certificate_ends(response) if looks else None
        try:
            parts: list[bytes] = []
            length = 0
            async for part in response.aiter_bytes():
                length += len(part)
                if length > self._largest_answer:
                    raise _TooLarge
                parts.append(part)
        finally:
            await response.aclose()
        return Answer(
            response.status_code, dict(response.headers), b"".join(parts), clock() - start, ends
        )


def _certificate_ends(response: httpx2.Response) -> datetime | None:
    stream = response.extensions.get("network_stream")
    spoken = stream.get_extra_info("ssl_object") if stream is not None else None
    certificate = spoken.getpeercert() if spoken is not None else None
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)


@lru_cache(maxsize=1024)
def _parsed(url: str) -> httpx2.URL:
    """Partners have few addresses, and reading one costs as much as writing its request."""
    parsed = httpx2.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise ValueError("only http and https, with a host and without credentials")
    if not 0 < (parsed.port or 80) < 65536:
        raise ValueError("there is no such port")
    return parsed


def _transport(
    verify: ssl.SSLContext, connections: int, allowed: Sequence[Network], *, public: bool
) -> httpx2.AsyncHTTPTransport:
    transport = httpx2.AsyncHTTPTransport(
        verify=verify,
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=20),
    )
    # httpx2 has no public way to choose the network backend. Reading the attribute first makes a
    # version without it fail at start, not fall back to unchecked connections.
    pool: Any = transport._pool
    if not hasattr(pool, "_network_backend"):
        raise RuntimeError("this httpx2 has no network backend to replace; see outbound/client.py")
    pool._network_backend = PermittedBackend(allowed, public=public)
    return transport


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def _kind(error: Exception) -> Kind | None:
    """The kind of a foreign exception, None for one that is a bug of ours."""
    causes = list(_causes(error))

    def among(*types: type[BaseException]) -> bool:
        return any(isinstance(cause, types) for cause in causes)

    if isinstance(error, _TooLarge):
        return "too_large"
    if among(Blocked):
        return "blocked"
    if among(Unresolved, socket.gaierror):
        return "dns"
    if among(ssl.SSLError, ssl.CertificateError):
        return "tls"
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return "timeout"
    if isinstance(error, httpx2.ConnectError):
        return "reset" if among(ConnectionResetError) else "refused"
    if isinstance(error, httpx2.NetworkError):
        return "reset"
    if isinstance(error, httpx2.RemoteProtocolError) and _CLOSED.search(str(error)):
        return "reset"
    if isinstance(error, httpx2.RequestError | httpx2.StreamError):
        return "protocol"
    return None
