"""The keys of victim service providers, and what is sealed with them.

A record of such a provider is stored encrypted (AES-256-GCM), so that a dump or a backup of the
database is not readable without that provider's key; codes by which it is found stand in the index
as keyed digests (HMAC-SHA-256). Keys are files in a folder outside of the database, one for each
organization; who holds the database does not hold the folder.

Sealing happens where a row is made (store.transact), opening where a row becomes a Version
(store.resources.version_of), and nowhere else.

https://csrc.nist.gov/pubs/sp/800/38/d/final
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coordhub.errors import FhirError, unavailable

_MARK: Final = "vsp1."
_NONCE: Final = 12
_RETRY_SECONDS: Final = 60


class KeyExistsError(Exception):
    """There is a key of this organization; another in its place would make its records unreadable."""


def is_sealed(stored: str | None) -> bool:
    return stored is not None and stored.startswith(_MARK)


class Opened(NamedTuple):
    """keeper: rid of the organization whose key it is under; None: it was not sealed."""

    body: str
    keeper: int | None


@dataclass(frozen=True, slots=True)
class _Keys:
    sealing: AESGCM
    blinding: bytes


@dataclass(frozen=True, slots=True)
class Vault:
    """folder: of the key files, `<rid>.key`; None: there are no keys."""

    folder: Path | None = None
    _known: dict[int, _Keys] = field(default_factory=dict)

    def has(self, organization: int) -> bool:
        """Whether its key is here now; a key whose file was taken away is not."""
        return self.folder is not None and self._path(organization).is_file()

    def new(self, organization: int) -> Path:
        """Make a key of this organization; returns its file, for its own eyes and the hub's only."""
        if self.folder is None:
            raise FileNotFoundError("no folder of keys is set")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(organization)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise KeyExistsError from None
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)))
        return path

    def seal(self, organization: int, rid: int, body: str) -> str:
        """The text to store. 503 without the key: what cannot be sealed is not stored."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._keys(organization).sealing.encrypt(nonce, body.encode(), _bound(rid))
        return f"{_MARK}{organization}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, rid: int, stored: str) -> Opened:
        """A stored text as it was written. 503 without the key of whoever it was sealed for."""
        if not is_sealed(stored):
            return Opened(stored, None)
        _, organization, text = stored.split(".", 2)
        data = base64.b64decode(text)
        keys = self._keys(int(organization))
        try:
            plain = keys.sealing.decrypt(data[:_NONCE], data[_NONCE:], _bound(rid))
        except InvalidTag:
            raise _away() from None
        return Opened(plain.decode(), int(organization))

    def blind(self, organization: int, code: str) -> str:
        """What stands in the index in the place of a code."""
        key = self._keys(organization).blinding
        return base64.b64encode(hmac.digest(key, code.encode(), "sha256")).decode()

    def _path(self, organization: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{organization}.key"

    def _keys(self, organization: int) -> _Keys:
        if not self.has(organization):
            raise _away()
        known = self._known.get(organization)
        if known is None:
            key = base64.b64decode(self._path(organization).read_bytes())
            known = self._known[organization] = _Keys(
                AESGCM(_derived(key, b"seal")), _derived(key, b"index")
            )
        return known


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"coordhub " + purpose, hashlib.sha256)


def _bound(rid: int) -> bytes:
    """What the seal is bound to: a sealed text in another's row does not open."""
    return str(rid).encode()


def _away() -> FhirError:
    return unavailable(
        "A key that this needs is not at hand. Ask whoever runs the hub; then send it again.",
        _RETRY_SECONDS,
    )


_in_use: list[Vault] = [Vault()]


def in_use() -> Vault:
    """The keys of this process."""
    return _in_use[0]


def use(vault: Vault) -> None:
    """Have the whole process work with these keys; called once, before anything is read."""
    _in_use[:] = [vault]
