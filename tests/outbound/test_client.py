"""The client of the world against servers of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from certificates import certificate

from coordhub.outbound.client import Answer, Outbound, Timeouts, Unreachable

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
QUICK = Timeouts(timedelta(seconds=2), timedelta(seconds=0.2), timedelta(seconds=3))


class Listener:
    """A raw TCP server that answers every request head with fixed bytes, and counts."""

    def __init__(self, answer: bytes = b"", *, hold: bool = False, drip: bool = False) -> None:
        self.answer = answer
        self.drip = drip
        self.hold = hold
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if task := asyncio.current_task():
            self._serving.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            if self.hold:
                await reader.read()
            step = 1 if self.drip else len(self.answer) or 1
            for start in range(0, len(self.answer), step):
                writer.write(self.answer[start : start + step])
                await writer.drain()
                await asyncio.sleep(0.02 if self.drip else 0)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_given_an_allowed_network_when_sent_then_the_answer_is_complete() -> None:
    async with (
        Listener(reply(b"{}", "201 Created", "Location: /x", "Set-Cookie: a=b")).listening() as one,
        Outbound(allowed_networks=LOOPBACK) as outbound,
    ):
        url = f"http://127.0.0.1:{one.port}/fhir"
        answer = await outbound.send("POST", url, {"X-Request-Id": "r"}, b"{}")
        await outbound.send("GET", url, {})
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["location"], answer.body) == (201, "/x", b"{}")
    assert b"x-request-id: r" in one.requests[0].lower()
    assert b"cookie" not in one.requests[1].lower()


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "100.64.0.1",
        "[fd00::1]",
        "[fe80::1]",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_given_no_allowed_network_when_sent_inward_then_blocked_without_a_connection(
    scheme: str, host: str
) -> None:
    async with Listener(reply(b"secret")).listening() as inside, Outbound() as outbound:
        outcome = await outbound.send("GET", f"{scheme}://{host}:{inside.port}/", {})
    assert isinstance(outcome, Unreachable)
    assert outcome.kind in {"blocked", "dns"}, outcome
    assert outcome.before_sent
    assert inside.connections == 0


async def test_given_the_hook_is_in_place_when_allowed_then_the_same_request_does_connect() -> None:
    """The counterpart of the test above: what blocks is the judgement and not the machine."""
    async with (
        Listener(reply(b"")).listening() as inside,
        Outbound(allowed_networks=LOOPBACK) as outbound,
    ):
        for host in ("localhost", "127.1", "2130706433", "0x7f.1"):
            outcome = await outbound.send("GET", f"http://{host}:{inside.port}/", {})
            assert isinstance(outcome, Answer), (host, outcome)
    assert inside.connections == 4


async def test_given_plain_http_when_the_address_is_public_then_blocked() -> None:
    async with Outbound() as outbound:
        outcome = await outbound.send("GET", "http://8.8.8.8/", {})
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.before_sent) == ("blocked", True)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "unix:///run/x",
        "file:///etc/hosts",
        "/relative",
        "",
        "http://",
        "http://user:secret@127.0.0.1/",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "http://a\u0000b/",
        "http://127.0.0.1\r\nX: y/",
    ],
)
async def test_given_an_address_that_is_none_when_sent_then_blocked(url: str) -> None:
    async with Outbound(allowed_networks=LOOPBACK) as outbound:
        outcome = await outbound.send("GET", url, {})
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.before_sent) == ("blocked", True)
    assert "secret" not in outcome.detail


async def test_given_a_redirect_when_sent_then_it_is_the_answer() -> None:
    async with (
        Listener(reply(b"secret")).listening() as inside,
        Listener().listening() as outside,
        Outbound(allowed_networks=LOOPBACK) as outbound,
    ):
        outside.answer = reply(b"", "307 Moved", f"Location: http://127.0.0.1:{inside.port}/")
        answer = await outbound.send("POST", f"http://127.0.0.1:{outside.port}/", {}, b"{}")
    assert isinstance(answer, Answer)
    assert answer.status == 307
    assert inside.connections == 0


async def test_given_proxies_in_the_environment_when_sent_then_they_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Listener().listening() as proxy, Listener(reply(b"direct")).listening() as partner:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with Outbound(allowed_networks=LOOPBACK) as outbound:
            answer = await outbound.send("GET", f"http://127.0.0.1:{partner.port}/", {})
    assert isinstance(answer, Answer)
    assert answer.body == b"direct"
    assert proxy.connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"x" * 2000),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000,
        reply(gzip.compress(b"\0" * 3_000_000), "200 OK", "Content-Encoding: gzip"),
    ],
)
async def test_given_an_answer_beyond_the_limit_when_sent_then_reading_stops(answer: bytes) -> None:
    async with (
        Listener(answer).listening() as partner,
        Outbound(allowed_networks=LOOPBACK, largest_answer=1999) as outbound,
    ):
        outcome = await outbound.send("GET", f"http://127.0.0.1:{partner.port}/", {})
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.before_sent) == ("too_large", False)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "reset"),
        (b"no http at all\r\n\r\n", "protocol"),
        (reply(b"not gzip", "200 OK", "Content-Encoding: gzip"), "protocol"),
    ],
)
async def test_given_a_broken_answer_when_sent_then_its_effect_is_unknown(
    answer: bytes, kind: str
) -> None:
    async with (
        Listener(answer).listening() as partner,
        Outbound(allowed_networks=LOOPBACK) as outbound,
    ):
        outcome = await outbound.send("POST", f"http://127.0.0.1:{partner.port}/", {}, b"{}")
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.before_sent) == (kind, False)


async def test_given_no_answer_in_time_when_sent_then_timeout_after_sending() -> None:
    async with (
        Listener(hold=True).listening() as partner,
        Outbound(allowed_networks=LOOPBACK, timeouts=QUICK) as outbound,
    ):
        outcome = await outbound.send("POST", f"http://127.0.0.1:{partner.port}/", {}, b"{}")
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.before_sent) == ("timeout", False)
    assert outcome.elapsed < 15


async def test_given_an_answer_that_drips_when_sent_then_the_total_time_ends_it() -> None:
    short = Timeouts(read=timedelta(seconds=1), total=timedelta(seconds=0.5))
    async with (
        Listener(reply(b"x" * 1000), drip=True).listening() as partner,
        Outbound(allowed_networks=LOOPBACK, timeouts=short) as outbound,
    ):
        outcome = await outbound.send("GET", f"http://127.0.0.1:{partner.port}/", {})
    assert isinstance(outcome, Unreachable)
    assert outcome.kind == "timeout"
    assert outcome.elapsed < 1


async def test_given_nobody_listening_when_sent_then_refused_before_sending() -> None:
    async with Listener().listening() as partner:
        port = partner.port
    async with Outbound(allowed_networks=LOOPBACK) as outbound:
        outcome = await outbound.send("GET", f"http://127.0.0.1:{port}/", {})
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.before_sent) == ("refused", True)


async def test_given_a_name_without_address_when_sent_then_dns() -> None:
    async with Outbound() as outbound:
        outcome = await outbound.send("GET", "https://no-such-host.invalid/", {})
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.before_sent) == ("dns", True)


@pytest.mark.parametrize(
    ("name", "days", "trusted", "kind"),
    [
        ("127.0.0.1", 30, True, None),
        ("localhost", 30, True, "tls"),
        ("127.0.0.1", -1, True, "tls"),
        ("127.0.0.1", 30, False, "tls"),
    ],
)
async def test_given_a_certificate_when_it_proves_nothing_then_nothing_is_sent(
    tmp_path: Path, name: str, days: int, trusted: bool, kind: str | None
) -> None:
    certificate_file, key_file = certificate(tmp_path, name, valid=timedelta(days=days))
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate_file, key_file)
    client_side = ssl.create_default_context(cafile=certificate_file) if trusted else None
    async with (
        Listener(reply(b"{}")).listening(server_side) as partner,
        Outbound(allowed_networks=LOOPBACK, tls=client_side) as outbound,
    ):
        outcome = await outbound.send("POST", f"https://127.0.0.1:{partner.port}/", {}, b"{}")
    if kind is None:
        assert isinstance(outcome, Answer)
    else:
        assert isinstance(outcome, Unreachable)
        assert (outcome.kind, outcome.before_sent) == (kind, True)
        assert partner.requests == []


def test_given_a_context_that_verifies_nothing_when_opened_then_refused() -> None:
    careless = ssl.create_default_context()
    careless.check_hostname = False
    with pytest.raises(ValueError, match="verify"):
        Outbound(tls=careless)
