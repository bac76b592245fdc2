"""Access codes: what an organization has to know besides holding a link.

https://www.rfc-editor.org/rfc/rfc7914 (scrypt), https://www.crockford.com/base32.html

The hub makes them, so that none is guessed; an operator hands it over by another way than mail.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 12
"""60 bits, in three groups of four."""

_READ_AS: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})
_LONGEST: Final = 64


def new_code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return "-".join(letters[at : at + 4] for at in range(0, _LENGTH, 4))


def new_salt() -> bytes:
    return secrets.token_bytes(16)


def hashed(code: str, salt: bytes) -> bytes:
    """Takes some 30 ms, on purpose; not for the event loop."""
    meant = code[:_LONGEST].upper().translate(_READ_AS).encode()
    return hashlib.scrypt(meant, salt=salt, n=2**14, r=8, p=1, dklen=32)


def is_right(code: str, salt: bytes, known: bytes) -> bool:
    return hmac.compare_digest(hashed(code, salt), known)
