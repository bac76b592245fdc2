"""The certificate that a client has shown to the proxy before the hub, as the proxy passes it on.

https://www.rfc-editor.org/rfc/rfc8705#section-3, https://www.rfc-editor.org/rfc/rfc9440

Read only from the header that the operator names, which the proxy must take off what clients send themselves.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

_LONGEST: Final = 32 * 1024
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


def thumbprint(headers: Iterable[tuple[bytes, bytes]], name: str | None) -> bytes | None:
    """SHA-256 of the certificate (DER); None where none was passed on, or what cannot be read.

    As `:base64:` (RFC 9440), or as PEM, percent-encoded (nginx) or with blanks for ends of lines.
    """
    if name is None:
        return None
    wanted = name.lower().encode("latin-1")
    found = [value for key, value in headers if key.lower() == wanted]
    if len(found) != 1 or not 0 < len(found[0]) <= _LONGEST:
        return None
    text = found[0].decode("latin-1").strip()
    if text.startswith(":"):
        coded = text.strip(":")
    else:
        pem = _PEM.search(unquote(text))
        if pem is None:
            return None
        coded = re.sub(r"\s", "", pem[1])
    try:
        certificate = b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return hashlib.sha256(certificate).digest() if certificate else None


def confirmation(digest: bytes) -> dict[str, str]:
    """`cnf` of a token that is bound to it."""
    return {"x5t#S256": urlsafe_b64encode(digest).decode().rstrip("=")}
