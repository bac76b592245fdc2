"""Passwords of people: made the first time, chosen then, kept as scrypt.

https://www.rfc-editor.org/rfc/rfc7914 (scrypt), https://pages.nist.gov/800-63-4/sp800-63b.html

No rule but length: what is long is not guessed, within the tries that there are.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from typing import Final

from coordhub.access import codes

SHORTEST: Final = 12
LONGEST: Final = 256

NOBODYS_SALT: Final = secrets.token_bytes(16)
"""With what a password is compared that is tried for an account that is not there: as long, in vain."""


def first_password() -> str:
    """To be handed over, and changed when it is used."""
    return codes.new_code()


def hashed(password: str, salt: bytes) -> bytes:
    """Takes some 50 ms, on purpose; not for the event loop."""
    meant = unicodedata.normalize("NFKC", password[:LONGEST]).encode("utf-8", "replace")
    return hashlib.scrypt(meant, salt=salt, n=2**15, r=8, p=1, maxmem=2**26, dklen=32)


def is_right(password: str, salt: bytes, known: bytes) -> bool:
    return hmac.compare_digest(hashed(password, salt), known)
