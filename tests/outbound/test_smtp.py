"""Mail handed to a real SMTP server of this machine."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import certificate
from mail_relay import MailRelay

from coordhub.outbound.client import Timeouts, Unreachable
from coordhub.outbound.relay import Relay, is_address
from coordhub.outbound.smtp import Accepted, Attachment, Mail, Post, Rejected

AT = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
SENDER = "hub@hub.example.org"
QUICK = Timeouts(timedelta(seconds=5), timedelta(seconds=0.3), timedelta(seconds=5))


def _mail(**changed: Any) -> Mail:
    given = {
        "key": "0192-abc",
        "to": "desk@food.example.org",
        "subject": "A notice",
        "text": "Hi.\n",
    }
    return Mail(**{**given, "at": AT, **changed})


def _plain(box: MailRelay, timeouts: Timeouts | None = None, **more: Any) -> Post:
    return Post(Relay(f"smtp+plain://127.0.0.1:{box.port}", SENDER), timeouts=timeouts, **more)


@pytest.fixture(scope="module")
def _identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("relay"), "127.0.0.1", valid=timedelta(days=1))


@pytest.fixture
def trusted(_identity: tuple[Path, Path]) -> Path:
    return _identity[0]


@pytest.fixture
def server_tls(_identity: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_identity)
    return context


async def test_given_a_mail_when_sent_then_the_relay_has_it_with_a_message_id_of_its_key() -> None:
    notice = Attachment("status.json", "application/fhir+json", b'{"resourceType":"Bundle"}')
    async with MailRelay().open() as box:
        post = _plain(box)
        assert isinstance(await post.send(_mail(text="Grüße\n", attachments=(notice,))), Accepted)
        assert isinstance(await post.send(_mail()), Accepted)
    first, again = box.mails()
    assert box.taken[0][:2] == (SENDER, ["desk@food.example.org"])
    assert first["Message-ID"] == again["Message-ID"] == "<0192-abc@hub.example.org>"
    assert first["Auto-Submitted"] == "auto-generated"
    assert (first["From"], first["To"], first["Subject"]) == (
        SENDER,
        "desk@food.example.org",
        "A notice",
    )
    assert first["Date"].datetime == AT
    body = first.get_body()
    assert body is not None
    assert body.get_content().strip() == "Grüße"
    (part,) = first.iter_attachments()
    assert part.get_content_type() == "application/fhir+json"
    assert part.get_content() == notice.content


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_given_tls_of_an_authority_of_ones_own_when_sent_then_with_name_and_password(
    scheme: str, trusted: Path, server_tls: ssl.SSLContext
) -> None:
    ways = {"tls": server_tls} if scheme == "smtps" else {"starttls": server_tls}
    async with MailRelay(accounts={"hub": "open sesame"}).open(**ways) as box:
        url = f"{scheme}://127.0.0.1:{box.port}"
        post = Post(Relay(url, SENDER, "hub", "open sesame"), authorities=trusted)
        assert isinstance(await post.send(_mail()), Accepted)
        wrong = Post(Relay(url, SENDER, "hub", "guess"), authorities=trusted)
        refused = await wrong.send(_mail())
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.permanence) == (535, "auth")
        wrong.go_by(Relay(url, SENDER, "hub", "open sesame"))
        assert isinstance(await wrong.send(_mail()), Accepted)
        stranger = await Post(Relay(url, SENDER, "hub", "open sesame")).send(_mail())
        assert isinstance(stranger, Unreachable)
        assert (stranger.kind, stranger.before_sent) == ("tls", True)
    assert box.over_tls == [True, True]


async def test_given_a_relay_without_tls_when_it_is_required_then_nothing_is_sent() -> None:
    async with MailRelay().open() as box:
        post = Post(Relay(f"smtp://127.0.0.1:{box.port}", SENDER))
        refused = await post.send(_mail())
    assert isinstance(refused, Rejected)
    assert refused.permanence == "config"
    assert box.taken == []


@pytest.mark.parametrize(
    ("step", "answer", "permanence"),
    [
        ("MAIL", "452 insufficient storage", "transient"),
        ("MAIL", "550 not from you", "config"),
        ("MAIL", "530 authentication required", "auth"),
        ("RCPT", "450 greylisted", "transient"),
        ("RCPT", "550 no such user Ada Lovelace", "permanent"),
        ("DATA", "451 try later", "transient"),
        ("DATA", "554 spam", "permanent"),
    ],
)
async def test_given_a_relay_that_refuses_when_sent_then_its_class_is_told_and_none_of_its_words(
    step: str, answer: str, permanence: str
) -> None:
    async with MailRelay(answers={step: answer}).open() as box:
        refused = await _plain(box).send(_mail())
    assert isinstance(refused, Rejected)
    assert (refused.permanence, refused.reason) == (permanence, f"{step} answered {answer[:3]}")


@pytest.mark.parametrize(("step", "before_sent"), [("RCPT", True), ("DATA", False)])
async def test_given_a_relay_that_falls_silent_when_sent_then_it_is_known_whether_it_may_have_the_mail(
    step: str, before_sent: bool
) -> None:
    async with MailRelay(silent=step).open() as box:
        lost = await _plain(box, QUICK).send(_mail())
    assert isinstance(lost, Unreachable)
    assert (lost.kind, lost.before_sent) == ("timeout", before_sent)


async def test_given_nobody_at_the_address_when_sent_then_refused_before_anything_was() -> None:
    async with MailRelay().open() as box:
        post = _plain(box)
    lost = await post.send(_mail())
    assert isinstance(lost, Unreachable)
    assert (lost.kind, lost.before_sent) == ("refused", True)


async def test_given_a_server_that_speaks_something_else_when_sent_then_a_value_comes_back() -> (
    None
):
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        lost = await Post(Relay(f"smtp+plain://127.0.0.1:{port}", SENDER)).send(_mail())
    assert isinstance(lost, Unreachable)
    assert lost.before_sent


@pytest.mark.parametrize(
    "changed",
    [
        {"to": "desk@food.example.org\r\nBcc: all@example.org"},
        {"to": "desk@food.example.org>\r\nDATA"},
        {"to": "Desk <desk@food.example.org>"},
        {"to": "a@b.example, c@d.example"},
        {"subject": "A notice\r\nBcc: all@example.org"},
        {"subject": "A notice\nX: y"},
        {"key": "a>\r\nBcc: all@example.org"},
        {"text": "x" * 300_000},
    ],
)
async def test_given_what_would_break_out_or_is_too_large_when_sent_then_no_connection_is_made(
    changed: dict[str, str],
) -> None:
    async with MailRelay().open() as box:
        refused = await _plain(box).send(_mail(**changed))
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.permanence) == (0, "permanent")
    assert box.taken == []


async def test_given_lines_that_end_a_mail_when_sent_then_they_are_only_text() -> None:
    text = "one\n.\nMAIL FROM:<x@y.example>\n..\n"
    async with MailRelay().open() as box:
        await _plain(box).send(_mail(text=text))
    (mail,) = box.mails()
    assert mail.get_content().replace("\r\n", "\n") == text


@pytest.mark.parametrize(
    ("url", "more", "why"),
    [
        ("mail.example.org:25", {}, "begins with"),
        ("smtp+plain://mail.example.org:25", {}, "this machine only"),
        ("smtp+plain://localhost", {"user": "hub", "password": "x"}, "without TLS"),
        ("smtps://hub:secret@mail.example.org", {}, "host and port only"),
        ("smtps://mail.example.org", {"user": "hub"}, "come together"),
    ],
)
def test_given_a_relay_that_is_not_safe_when_named_then_it_is_refused(
    url: str, more: dict[str, str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Relay(url, SENDER, **more)


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("desk@food.example.org", True),
        ("first.last+ref@a-b.example", True),
        ("desk", False),
        ("@food.example.org", False),
        ("a@b@c.example", False),
        ("a b@c.example", False),
        ("a@-b.example", False),
        ("a..b@c.example", False),
        ("ü@c.example", False),
        ("a@" + "b" * 260, False),
        ("a" * 65 + "@c.example", False),
    ],
)
def test_given_a_text_when_judged_then_it_is_an_address_or_none(text: str, usable: bool) -> None:
    assert is_address(text) is usable
