"""What a form sends.

https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#url-encoded-form-data
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request

LARGEST: Final = 16 * 1024


async def fields(request: Request, most: int = 20) -> dict[str, str] | None:
    """Its fields, at most so many; None where it is none, or too large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            return None
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=most))
    except ValueError:
        return None


def version(text: str) -> int | None:
    """Of what the person looked at, as the form says."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None
