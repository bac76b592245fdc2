"""How an answer is laid out on the page: `_pretty`.

http://hl7.org/fhir/R4/http.html#pretty
"""

from __future__ import annotations

import msgspec


def pretty(content: bytes) -> bytes:
    """The same JSON with line breaks and indents; numbers and strings stay as they are spelled."""
    return msgspec.json.format(content, indent=2) + b"\n"
