"""Settings as the environment gives them."""

from __future__ import annotations

import os
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from coordhub.settings import Settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("COORDHUB_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)


def test_given_nothing_set_when_read_then_no_secret_has_a_default() -> None:
    settings = Settings()
    assert settings.token_key is None
    assert settings.database_url is None
    assert settings.base == "http://127.0.0.1:8000/fhir"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("5", timedelta(seconds=5)),
        ("0.5", timedelta(milliseconds=500)),
        ("PT2H", timedelta(hours=2)),
        ("00:01:30", timedelta(seconds=90)),
    ],
)
def test_given_a_duration_when_read_then_a_bare_number_is_seconds(
    monkeypatch: pytest.MonkeyPatch, text: str, wanted: timedelta
) -> None:
    monkeypatch.setenv("COORDHUB_RETRY_BASE", text)
    assert Settings().retry_base == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("COORDHUB_RETRY_BASE", "0"),
        ("COORDHUB_RETRY_BASE", "soon"),
        ("COORDHUB_PORT", "70000"),
        ("COORDHUB_MAX_NESTING", "0"),
        ("COORDHUB_TOKEN_KEY", "too-short-a-secret"),
        ("COORDHUB_OUTBOUND_NETWORKS", "10.0.0.1/8"),
        ("COORDHUB_OUTBOUND_AUTHORITIES", "no-such-file.pem"),
        ("COORDHUB_OUTBOUND_AUTHORITIES", "pyproject.toml"),
        ("COORDHUB_LOG_LEVEL", "loud"),
    ],
)
def test_given_an_unusable_value_when_read_then_refused_without_quoting_it(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert "input_value" not in str(refusal.value)


def test_given_networks_when_read_then_commas_part_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDHUB_OUTBOUND_NETWORKS", "10.0.0.0/8, ::1/128,")
    assert Settings().outbound_networks == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize("name", ["DATABASE_URL", "COORDHUB_DATABASE_URL"])
def test_given_a_database_when_printed_then_its_password_is_hidden(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "postgresql://hub:open-sesame@db/hub")
    settings = Settings()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value().endswith("@db/hub")
    assert "open-sesame" not in repr(settings)


def test_given_an_empty_variable_when_read_then_it_counts_as_not_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("COORDHUB_PORT", "")
    assert Settings().database_url is None
    assert Settings().port == 8000


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ({"host": "::1", "port": 9}, "http://[::1]:9/fhir"),
        ({"base_url": "https://hub.example.org/fhir/"}, "https://hub.example.org/fhir"),
    ],
)
def test_given_host_or_base_url_when_asked_then_the_base_has_no_slash_at_its_end(
    given: dict[str, object], base: str
) -> None:
    assert Settings.model_validate(given).base == base


def test_given_a_relay_when_read_then_its_password_may_stand_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text("open sesame\n")
    monkeypatch.setenv("COORDHUB_SMTP_URL", "smtps://mail.example.org")
    with pytest.raises(ValidationError, match="COORDHUB_MAIL_FROM"):
        Settings()
    monkeypatch.setenv("COORDHUB_MAIL_FROM", "hub@example.org")
    monkeypatch.setenv("COORDHUB_SMTP_USER", "hub")
    with pytest.raises(ValidationError, match="come together"):
        Settings()
    monkeypatch.setenv("COORDHUB_SMTP_PASSWORD_FILE", str(tmp_path / "word"))
    relay = Settings().relay()
    assert relay is not None
    assert (relay.host, relay.port, relay.password) == ("mail.example.org", 465, "open sesame")
