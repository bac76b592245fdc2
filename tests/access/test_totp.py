"""Codes of a second factor: those of RFC 6238, each good once, near its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coordhub.access import totp

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_given_the_examples_of_the_rfc_when_computed_then_they_are_its_codes(
    second: int, code: str
) -> None:
    """Appendix B, the last six digits of its eight."""
    assert totp.code_at(SECRET, totp.step_at(datetime.fromtimestamp(second, UTC))) == code


def test_given_a_code_when_tried_then_it_is_good_near_its_time_and_after_none_later() -> None:
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    step = totp.step_at(now)
    code = totp.code_at(SECRET, step)
    off = timedelta(seconds=totp.STEP)
    for moment, good in ((now - off, True), (now + off, True), (now + 2 * off, False)):
        assert (totp.step_of(code, [SECRET], moment) == step) is good
    assert totp.step_of(f" {code[:3]}-{code[3:]} ", [b"other", SECRET], now) == step
    assert totp.step_of(code, [SECRET], now, after=step) is None
    for wrong in ("", "12345", "1234567", "٣٤٥٦٧٨", "abcdef"):
        assert totp.step_of(wrong, [SECRET], now) is None


def test_given_another_key_of_the_hub_when_made_then_the_secret_is_another() -> None:
    factor = totp.new_factor()
    assert totp.secret_of(factor, b"one") != totp.secret_of(factor, b"two")
    uri = totp.uri_of(SECRET, "a b@example.org", "co hub")
    assert uri == (
        "otpauth://totp/co%20hub:a%20b%40example.org?"
        "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=co%20hub"
    )
