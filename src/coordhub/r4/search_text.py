"""The text of a query: its escapes, and what can be wrong with it.

`\\` takes the meaning from `,` `|` `$` and itself.

http://hl7.org/fhir/R4/search.html#escaping
"""

from __future__ import annotations

import re

_PIECE = re.compile(r"\\([,|$\\])")


class Invalid(Exception):
    """The value or modifier is not what R4 allows here; the text says what would be."""


class NotServed(Exception):
    """R4 has it, this hub does not offer it; the text says why, or what to ask instead."""


class ModifierNotServed(NotServed):
    """It is a modifier, of which R4 has that it is refused whatever the search says it would forgive."""


class Unknown(Exception):
    """`resource_type` has no parameter `code`."""

    def __init__(self, resource_type: str, code: str) -> None:
        super().__init__(resource_type, code)
        self.resource_type = resource_type
        self.code = code


def split_values(text: str) -> list[str]:
    """The alternatives of a value, unescaped."""
    return [unescape(piece) for piece in split_escaped(text)]


def split_escaped(text: str, separator: str = ",") -> list[str]:
    """The parts between separators that are not escaped; escapes stay in them."""
    pieces = [""]
    escaped = False
    for character in text:
        if character == separator and not escaped:
            pieces.append("")
            continue
        pieces[-1] += character
        escaped = character == "\\" and not escaped
    return pieces


def unescape(text: str) -> str:
    return _PIECE.sub(r"\1", text)
