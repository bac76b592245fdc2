"""Answers made smaller on the way: gzip, for those who take it.

https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3, http://hl7.org/fhir/R4/http.html#compression
"""

from __future__ import annotations

import asyncio
import gzip
import re
from typing import Final

SMALL: Final = 1400
"""Bytes below which an answer fits into one packet anyway."""

LARGE: Final = 128 * 1024
"""Bytes from which it is done in a thread, so that others are answered meanwhile."""

_LEVEL: Final = 4  # most of what level 9 gains, at a third of its time


def is_taken(accept_encoding: str | None) -> bool:
    """Whether the asker takes gzip."""
    for alternative in (accept_encoding or "").split(","):
        coding, _, parameters = alternative.partition(";")
        if coding.strip().lower() in ("gzip", "x-gzip", "*"):
            weight = re.search(r"q\s*=\s*([0-9.]+)", parameters)
            return weight is None or re.fullmatch(r"0(\.0*)?", weight[1]) is None
    return False


async def compressed(content: bytes) -> bytes:
    """The same as gzip."""
    if len(content) > LARGE:
        return await asyncio.to_thread(_compress, content)
    return _compress(content)


def _compress(content: bytes) -> bytes:
    return gzip.compress(content, _LEVEL, mtime=0)
