"""Primitive types of FHIR R4: which JSON values they accept, and what to say of the others.

http://hl7.org/fhir/R4/datatypes.html#primitive

Each type is stated twice. `ANNOTATIONS` are for the structs that look at every document: cheap, and
narrower than the truth where the truth is dear (a 29th of February, base64 with line breaks).
`fault` is the truth, with words, and is asked only about documents that the structs did not take.
The patterns are those of the specification, save that a string of whitespace only, which they
allow, and an empty uri, which they allow too and the text forbids, are told apart.
"""

from __future__ import annotations

import binascii
import calendar
import re
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from coordhub.r4 import definitions

LONGEST_STRING: Final = 1024 * 1024

_YEAR = r"(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DAY = r"(?:0[1-9]|[12][0-9]|3[01])"
_SURE_DAY_OF_MONTH = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_MONTH = r"(?:0[1-9]|1[0-2])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"


def _texts(day_of_month: str) -> dict[str, str]:
    """Patterns of the types written as text; `day_of_month` is the pattern of `MM-DD`."""
    return {
        "code": r"\S+(?:\s\S+)*",
        "uri": r"\S+",
        "url": r"\S+",
        "canonical": r"\S+",
        "oid": r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+",
        "uuid": r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "id": r"[A-Za-z0-9\-.]{1,64}",
        "date": rf"{_YEAR}(?:-(?:{_MONTH}|{day_of_month}))?",
        "dateTime": rf"{_YEAR}(?:-(?:{_MONTH}|{day_of_month}(?:T{_TIME}{_ZONE})?))?",
        "instant": rf"{_YEAR}-{day_of_month}T{_TIME}{_ZONE}",
        "time": _TIME,
    }


_EXACT: Final = {
    name: re.compile(pattern) for name, pattern in _texts(f"{_MONTH}-{_DAY}").items()
} | {
    "string": re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]+"),
    "markdown": re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]+"),
    "xhtml": re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]+"),
}

_SAYS: Final = {
    "string": "a string that is not empty and has no control characters but tab and line ends",
    "markdown": "markdown that is not empty and has no control characters but tab and line ends",
    "xhtml": "a <div> of XHTML without control characters",
    "code": "a code: not empty, no whitespace at either end, single spaces inside",
    "uri": "a uri: not empty and without whitespace",
    "url": "a url: not empty and without whitespace",
    "canonical": "a canonical url: not empty and without whitespace",
    "oid": "an oid such as urn:oid:1.2.3",
    "uuid": "a uuid in lower case, such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "id": "an id: 1 to 64 letters, digits, hyphens and points",
    "date": "a date that exists, as YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": (
        "a date that exists, as YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with seconds and "
        "a time zone (Z or +hh:mm)"
    ),
    "instant": "a moment as YYYY-MM-DDThh:mm:ss with seconds and a time zone (Z or +hh:mm)",
    "time": "a time of day as hh:mm:ss",
    "base64Binary": "base64, padded, at least one byte",
}

_RANGES: Final = {
    "integer": (-(2**31), 2**31 - 1),
    "unsignedInt": (0, 2**31 - 1),
    "positiveInt": (1, 2**31 - 1),
}

ANNOTATIONS: Final[dict[str, Any]] = (
    {
        name: Annotated[str, Meta(pattern=rf"\A{pattern}\Z", max_length=LONGEST_STRING)]
        for name, pattern in _texts(_SURE_DAY_OF_MONTH).items()
    }
    | {name: Annotated[int, Meta(ge=low, le=high)] for name, (low, high) in _RANGES.items()}
    | {
        # Control characters are looked for once in the whole document.
        "string": Annotated[str, Meta(min_length=1, max_length=LONGEST_STRING)],
        "markdown": Annotated[str, Meta(min_length=1, max_length=LONGEST_STRING)],
        "xhtml": Annotated[str, Meta(min_length=1)],
        "boolean": bool,
        "decimal": Decimal | int,
        "base64Binary": Annotated[bytes, Meta(min_length=1)],
    }
)
"""What the structs take for each primitive type: never more than the type allows."""


def bound(value_set: str) -> Any:
    """The annotation of a code that must be of this value set."""
    return Literal[tuple(sorted(definitions.codes(value_set)))]


def fault(value: Any, primitive: str) -> tuple[str, str] | None:
    """What is wrong with a JSON value as a primitive: issue code and words that do not repeat it.

    The code is `structure` for the wrong kind of JSON value and `value` for the wrong content.
    """
    if primitive == "boolean":
        if isinstance(value, bool):
            return None
        return "structure", "A boolean is expected: true or false, without quotes."
    if primitive == "decimal":
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return None
        return "structure", "A decimal is expected, written as a JSON number without quotes."
    if primitive in _RANGES:
        low, high = _RANGES[primitive]
        if type(value) is int and low <= value <= high:
            return None
        return (
            "value" if type(value) is int else "structure",
            f"A whole number from {low} to {high} is expected, without quotes, point and exponent.",
        )
    if not isinstance(value, str):
        return "structure", f"A JSON string is expected: {_SAYS[primitive]}."
    if value == "":
        return "value", "A string must not be empty; leave the element out."
    if len(value) > LONGEST_STRING and primitive not in {"xhtml", "base64Binary"}:
        return "too-long", f"A text may have at most {LONGEST_STRING} characters."
    return None if _is_right(value, primitive) else ("value", f"Not {_SAYS[primitive]}.")


def _is_right(value: str, primitive: str) -> bool:
    if primitive == "base64Binary":
        return _is_base64(value)
    if not _EXACT[primitive].fullmatch(value):
        return False
    return primitive not in {"date", "dateTime", "instant"} or _has_day(value)


def _has_day(value: str) -> bool:
    """Whether the day that the text names is one of its month."""
    if len(value) < len("2026-01-01"):
        return True
    year, month, day = int(value[:4]), int(value[5:7]), int(value[8:10])
    return day <= calendar.monthrange(year, month)[1]


def _is_base64(value: str) -> bool:
    try:
        return binascii.a2b_base64("".join(value.split()), strict_mode=True) != b""
    except ValueError:
        return False
