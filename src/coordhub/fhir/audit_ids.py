"""Ids of the AuditEvents that are rendered from the audit: opaque, the same for ever, and ours.

A row's number under a key derived from the hub's token key, so that ids tell neither how much
happens here nor what was before; made without a table, and read back the same way.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final

_ID: Final = re.compile(r"audit-([0-9a-f]{16})([0-9a-f]{16})", re.ASCII)


class AuditIds:
    def __init__(self, token_key: bytes, former: Sequence[bytes] = ()) -> None:
        """former: what the key was before; ids made under it are still known."""
        self._keys = [
            hmac.digest(key, b"coordhub audit ids 1", "sha256") for key in (token_key, *former)
        ]

    def of(self, seq: int) -> str:
        number = seq.to_bytes(8, "big")
        mark = _half(self._keys[0], b"mark" + number)
        return f"audit-{mark.hex()}{_masked(self._keys[0], number, mark).hex()}"

    def seq(self, fhir_id: str) -> int | None:
        """The row's number; None for an id that was not made here."""
        match = _ID.fullmatch(fhir_id)
        if match is None:
            return None
        mark, masked = bytes.fromhex(match[1]), bytes.fromhex(match[2])
        for key in self._keys:
            number = _masked(key, masked, mark)
            if hmac.compare_digest(mark, _half(key, b"mark" + number)):
                return int.from_bytes(number, "big")
        return None


def _masked(key: bytes, number: bytes, mark: bytes) -> bytes:
    mask = _half(key, b"mask" + mark)
    return bytes(one ^ other for one, other in zip(number, mask, strict=True))


def _half(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")[:8]


def is_reserved(fhir_id: str | None) -> bool:
    """Whether an id has the form of ours, so that nobody's AuditEvent may take it."""
    return fhir_id is not None and _ID.fullmatch(fhir_id) is not None
