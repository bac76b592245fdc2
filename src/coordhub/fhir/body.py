"""The bytes of a request, read within a bound, and opened if they came compressed.

https://www.rfc-editor.org/rfc/rfc9110#section-8.4, http://hl7.org/fhir/R4/http.html#compression

The bound holds for what was sent and for what it opens to; reading ends with the first byte beyond.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from coordhub import errors
from coordhub.errors import FhirError, Issue

_GZIP = 31  # zlib's number for "a gzip header, the largest window"


async def read(
    chunks: AsyncIterator[bytes], *, length: str | None, encoding: str | None, limit: int
) -> bytes:
    """The body, opened. 413 beyond `limit` bytes, 415 for an encoding other than gzip.

    length, encoding: the headers Content-Length and Content-Encoding; a length that is too large is
    refused before anything is read.
    """
    if length is not None and length.isascii() and length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    match (encoding or "identity").strip().lower():
        case "identity" | "":
            return await _plain(chunks, limit)
        case "gzip" | "x-gzip":
            return await _opened(chunks, limit)
        case _:
            raise FhirError(
                415,
                Issue("not-supported", "Content-Encoding may be gzip, or be left out."),
                headers={"Accept-Encoding": "gzip"},
            )


async def _plain(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        parts.append(chunk)
    return b"".join(parts)


async def _opened(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    opener = zlib.decompressobj(_GZIP)
    parts: list[bytes] = []
    sent = opened = 0
    async for chunk in chunks:
        sent += len(chunk)
        if sent > limit:
            raise _too_large(limit)
        waiting = chunk
        while waiting:
            if opener.eof:  # gzip files may follow each other
                opener = zlib.decompressobj(_GZIP)
            try:
                part = opener.decompress(waiting, limit - opened + 1)
            except zlib.error:
                raise _not_gzip() from None
            opened += len(part)
            if opened > limit:
                raise _too_large(limit)
            parts.append(part)
            waiting = opener.unused_data if opener.eof else opener.unconsumed_tail
    if sent and not opener.eof:
        raise _not_gzip()
    return b"".join(parts)


def _too_large(limit: int) -> FhirError:
    return errors.too_large(
        f"A body may have {limit} bytes, as sent and as opened. Send it in smaller parts."
    )


def _not_gzip() -> FhirError:
    return errors.malformed("The body is not the gzip that Content-Encoding announces.")
