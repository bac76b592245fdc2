"""Small secrets that the hub has to know again, sealed under a key that is not in the database.

AES-256-GCM under a key made of the hub's own (COORDHUB_TOKEN_KEY): who has a dump or a backup has none of them. A
secret is bound to the row it is of, and tells under which key it is; what is under a former one is opened as long
as that is named, and sealed anew when it is next used.

https://csrc.nist.gov/pubs/sp/800/38/d/final
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MARK: Final = b"sealed1."
_NAME: Final = 4
_NONCE: Final = 12


class UnreadableError(Exception):
    """No key that is at hand opens it: the one it is under is neither in use nor named as a former one."""


class Opened(NamedTuple):
    """is_current: it is under the key that seals now."""

    secret: bytes
    is_current: bool


class Box:
    """keys: of the hub; the first seals, all open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        derived = [hmac.digest(key, b"coordhub sealed secrets 1", "sha256") for key in keys]
        self._keys = {hashlib.sha256(one).digest()[:_NAME]: AESGCM(one) for one in derived}
        self._first = next(iter(self._keys), None)

    def seal(self, row: str, secret: bytes) -> bytes:
        """row: what it is of."""
        if self._first is None:
            raise UnreadableError
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._keys[self._first].encrypt(nonce, secret, row.encode())
        return _MARK + self._first + nonce + sealed

    def open(self, row: str, stored: bytes) -> Opened:
        """What was stored before secrets were sealed is taken as it is."""
        if not stored.startswith(_MARK):
            return Opened(stored, is_current=False)
        rest = stored.removeprefix(_MARK)
        name, rest = rest[:_NAME], rest[_NAME:]
        key = self._keys.get(name)
        if key is None:
            raise UnreadableError
        try:
            secret = key.decrypt(rest[:_NONCE], rest[_NONCE:], row.encode())
        except InvalidTag:
            raise UnreadableError from None
        return Opened(secret, name == self._first)


_in_use: list[Box] = [Box(())]


def in_use() -> Box:
    """Of this process."""
    return _in_use[0]


def use(box: Box) -> None:
    """Have the whole process work with these keys; called once, before anything is read."""
    _in_use[:] = [box]
