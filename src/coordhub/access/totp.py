"""The second factor: a code of six digits that a telephone shows for half a minute.

https://www.rfc-editor.org/rfc/rfc6238, https://www.rfc-editor.org/rfc/rfc4226,
https://github.com/google/google-authenticator/wiki/Key-Uri-Format

The secret is made of the hub's key and something that is kept with the account, so that whoever reads
the database alone has no second factor of anybody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

STEP: Final = 30
"""Seconds that a code is shown."""

DIGITS: Final = 6
SLACK: Final = 1
"""Steps by which the telephone's clock may be off."""


def new_factor() -> bytes:
    """What is kept with the account."""
    return secrets.token_bytes(20)


def secret_of(factor: bytes, key: bytes) -> bytes:
    return hmac.new(key, b"coordhub second factor " + factor, hashlib.sha256).digest()[:20]


def code_at(secret: bytes, step: int) -> str:
    digest = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_at(now: datetime) -> int:
    return int(now.timestamp()) // STEP


def step_of(code: str, secrets_: Sequence[bytes], now: datetime, after: int = 0) -> int | None:
    """The step of which this is the code, of those near now and behind `after`; None: of none.

    secrets_: by the key of the hub, and by those that it had before.
    """
    meant = re.sub(r"[\s-]", "", code)
    if not (meant.isascii() and meant.isdigit() and len(meant) == DIGITS):
        return None
    middle, found = step_at(now), None
    for step in range(middle - SLACK, middle + SLACK + 1):
        for secret in secrets_:
            if hmac.compare_digest(code_at(secret, step), meant) and step > after:
                found = step
    return found


def text_of(secret: bytes) -> str:
    """As it is typed into a telephone."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri_of(secret: bytes, account: str, issuer: str) -> str:
    """As it is opened or scanned by one."""
    asked = urlencode({"secret": text_of(secret), "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?{asked}"
