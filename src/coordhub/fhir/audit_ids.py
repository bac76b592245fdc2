"""Ids of the AuditEvents that are rendered from the audit: opaque, the same for ever, and ours.

A row's number under a key derived from the hub's token key, so that ids tell neither how much
happens here nor what was before; made without a table, and read back the same way.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

_ID: Final = re.compile(r"audit-([0-9a-f]{16})([0-9a-f]{16})", re.ASCII)


class AuditIds:
    def __init__(self, token_key: bytes) -> None:
        self._key = hmac.digest(token_key, b"coordhub audit ids 1", "sha256")

    def of(self, seq: int) -> str:
        number = seq.to_bytes(8, "big")
        mark = self._half(b"mark" + number)
        return f"audit-{mark.hex()}{self._masked(number, mark).hex()}"

    def seq(self, fhir_id: str) -> int | None:
        """The row's number; None for an id that was not made here."""
        match = _ID.fullmatch(fhir_id)
        if match is None:
            return None
        mark = bytes.fromhex(match[1])
        number = self._masked(bytes.fromhex(match[2]), mark)
        if not hmac.compare_digest(mark, self._half(b"mark" + number)):
            return None
        return int.from_bytes(number, "big")

    def _masked(self, number: bytes, mark: bytes) -> bytes:
        mask = self._half(b"mask" + mark)
        return bytes(one ^ other for one, other in zip(number, mask, strict=True))

    def _half(self, text: bytes) -> bytes:
        return hmac.digest(self._key, text, "sha256")[:8]


def is_reserved(fhir_id: str | None) -> bool:
    """Whether an id has the form of ours, so that nobody's AuditEvent may take it."""
    return fhir_id is not None and _ID.fullmatch(fhir_id) is not None
