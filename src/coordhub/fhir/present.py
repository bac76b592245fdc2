"""How an answer is laid out on the page: `_pretty`.

http://hl7.org/fhir/R4/http.html#pretty
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from coordhub.errors import FhirError, Issue


def is_asked_pretty(query: Sequence[tuple[str, str]]) -> bool:
    """Whether the query asks for line breaks; 400 if it says neither yes nor no."""
    asked = [value for name, value in query if name == "_pretty"]
    if set(asked) <= {"true", "false"}:
        return asked[-1:] == ["true"]
    raise FhirError(400, Issue("value", "_pretty is true or false.", "http._pretty"))


def pretty(content: bytes) -> bytes:
    """The same JSON with line breaks and indents; numbers and strings stay as they are spelled."""
    return msgspec.json.format(content, indent=2) + b"\n"
