"""FHIR JSON text <-> document: plain dict, list, str, bool, int and Decimal, lossless.

http://hl7.org/fhir/R4/json.html, http://hl7.org/fhir/R4/datatypes.html#decimal

A document holds what was sent and nothing else. Element order is the order of the dicts. Numbers
come back character for character: an integer is an `int`; anything with a point or an exponent is
a `Decimal`, and where `str()` of that Decimal would spell it differently (`1e3`, `0.0000001`) or a
sign would be lost (`-0`), a `SpelledDecimal`, which compares and calculates like any Decimal and
remembers its spelling.

What JSON allows and FHIR or Postgres cannot keep is refused here, before anything else looks at it:
duplicate keys, NUL, lone surrogates, nesting beyond a limit, numbers of absurd size.

The cost of the checks is kept off the ordinary document by counting: a decoder that met a duplicate
key has dropped one, so the text it writes back has fewer colons than the text that came in; a `-0`
that became `0` leaves fewer hyphens. Only when the counts differ (or could be made to agree, by
writing a colon or a hyphen as an escape) is the text read again, slowly, by the standard library.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final

import msgspec

from coordhub.errors import FhirError, Issue, malformed

DEEPEST: Final = 64
"""Levels of objects and arrays, the resource itself being the first. The deepest of HL7's own
examples has fewer than thirty."""

_LONGEST_NUMBER: Final = 256
"""Characters of one number."""

_LARGEST_EXPONENT: Final = 1000

_ESCAPED_COLON_OR_HYPHEN: Final = re.compile(rb"\\u00(?:3[aA]|2[dD])")
_BRACKETS: Final = bytes.maketrans(b"[]", b"{}")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


class SpelledDecimal(Decimal):
    """A decimal whose text is not the one that `str(Decimal)` gives; `spelling` is that text."""

    __slots__ = ("spelling",)
    spelling: str

    def __new__(cls, spelling: str) -> SpelledDecimal:
        self = super().__new__(cls, spelling)
        self.spelling = spelling
        return self

    def __reduce__(self) -> tuple[type[SpelledDecimal], tuple[str]]:
        return SpelledDecimal, (self.spelling,)

    def __copy__(self) -> SpelledDecimal:
        return self

    def __deepcopy__(self, memo: Any, /) -> SpelledDecimal:
        return self


def _number(text: str) -> Decimal:
    if len(text) > _LONGEST_NUMBER:
        raise malformed(
            f"A number has {len(text)} characters; at most {_LONGEST_NUMBER} are accepted."
        )
    _, exponential, exponent = text.lower().partition("e")
    if exponential and abs(int(exponent)) > _LARGEST_EXPONENT:
        raise malformed(
            f"A number has an exponent beyond {_LARGEST_EXPONENT}; write a decimal that is "
            "within reach."
        )
    value = Decimal(text)
    return value if str(value) == text else SpelledDecimal(text)


def _integer(text: str) -> int | Decimal:
    return SpelledDecimal(text) if text == "-0" else int(text)


def _spell(value: Any) -> msgspec.Raw:
    if isinstance(value, SpelledDecimal):
        return msgspec.Raw(value.spelling.encode("ascii"))
    raise TypeError(f"{type(value).__name__} has no place in a FHIR document")


_decoder: Final = msgspec.json.Decoder(float_hook=_number)
_encoder: Final = msgspec.json.Encoder(enc_hook=_spell, decimal_format="number")
_ordering: Final = msgspec.json.Encoder(
    enc_hook=_spell, decimal_format="number", order="deterministic"
)


def parse(data: bytes, *, deepest: int = DEEPEST) -> dict[str, Any]:
    """Read one JSON object.

    Raises FhirError 400 for everything that is not one UTF-8 JSON object this hub can keep.
    """
    if data.count(b"{") + data.count(b"[") > deepest and _is_deeper(data, deepest):
        raise _too_deep(deepest)
    try:
        document: dict[str, Any] = _decoder.decode(data)
    except RecursionError:
        raise _too_deep(deepest) from None
    except UnicodeDecodeError as error:
        raise malformed(f"The body is not UTF-8: {error.reason}.") from None
    except msgspec.ValidationError:
        raise malformed(
            f"A number has more than {_LONGEST_NUMBER} characters; write one that is within reach."
        ) from None
    except msgspec.DecodeError as error:
        raise malformed(f"The body is not JSON: {_why_not_json(data, str(error))}.") from None
    if type(document) is not dict:
        raise malformed("The body is not a JSON object; a FHIR resource is one.")
    written = _encoder.encode(document)
    if (
        data.count(b":") != written.count(b":")
        or data.count(b"-") != written.count(b"-")
        or (b"\\u00" in data and _ESCAPED_COLON_OR_HYPHEN.search(data))
    ):
        document = _read_again(data)
    if b"\\u0000" in written and (nuls := _paths_of_nul(document)):
        raise FhirError(
            400,
            *(
                Issue("structure", "The character U+0000 cannot be kept; leave it out.", path)
                for path in nuls
            ),
        )
    return document


def encode(document: Any) -> bytes:
    """Write compact JSON, keys in their order, numbers as they were spelled.

    A `msgspec.Raw` anywhere in the document is written as it is.
    """
    return _encoder.encode(document)


def in_order(document: Any) -> bytes:
    """The same for all documents that say the same: the keys of an object have no order in JSON."""
    return _ordering.encode(document)


def with_meta(
    document: dict[str, Any],
    *,
    id: str,  # noqa: A002 - the element's own name
    version: int,
    updated: str,
) -> dict[str, Any]:
    """The same resource as a stored version; `updated` is an instant.

    The given document and its `meta` are left as they are; everything below is shared with the
    result. Elements keep their places; a missing `id` goes right behind `resourceType`, a missing
    `meta` right behind `id`.
    """
    meta = document.get("meta")
    meta = dict(meta) if isinstance(meta, dict) else {}
    meta["versionId"] = str(version)
    meta["lastUpdated"] = updated
    if "id" in document and "meta" in document:
        return {**document, "id": id, "meta": meta}
    new_id = {} if "id" in document else {"id": id}
    new_meta = {} if "meta" in document else {"meta": meta}
    stored: dict[str, Any] = {}
    for name, value in document.items():
        if name == "id":
            stored |= {"id": id, **new_meta}
        elif name == "meta":
            stored["meta"] = meta
        elif name == "resourceType" and new_id:
            stored |= {name: value, **new_id, **new_meta}
        else:
            stored[name] = value
    return {**stored, "id": id, "meta": meta}


def _too_deep(deepest: int) -> FhirError:
    return malformed(f"The body is nested deeper than {deepest} levels.")


def _is_deeper(data: bytes, deepest: int) -> bool:
    """Whether a JSON text nests deeper, found without recursion; exact if the text is JSON at all.

    Every second piece between quotes is outside of strings; of those the brackets are kept, and
    each round takes the innermost pairs away.
    """
    if b'\\"' in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    skeleton = b"".join(data.split(b'"')[::2]).translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(deepest):
        if b"{}" not in skeleton:
            return False
        skeleton = skeleton.replace(b"{}", b"")
    return b"{}" in skeleton


def _why_not_json(data: bytes, reason: str) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        return "it starts with a byte order mark; send UTF-8 without one"
    if not data.strip():
        return "it is empty"
    if reason == "Input data was truncated" and b"\\u" not in data[-12:]:
        return "it ends too early"
    if "surrogate" in reason or "truncated" in reason:
        return "it ends too early, or holds half of a surrogate pair"
    return reason.removeprefix("JSON is malformed: ")


class _Repeating(dict[str, Any]):
    """An object that came with the same key twice, as `json` shows it to us."""

    repeated: list[str]


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(members)
    if len(plain) == len(members):
        return plain
    repeating = _Repeating(plain)
    names = [name for name, _ in members]
    repeating.repeated = [name for name in plain if names.count(name) > 1]
    return repeating


def _read_again(data: bytes) -> dict[str, Any]:
    """Read text that is known to be JSON once more, keeping `-0` and refusing duplicate keys."""
    document: dict[str, Any] = json.loads(
        data.decode(), object_pairs_hook=_object, parse_int=_integer, parse_float=_number
    )
    issues = [
        Issue(
            "structure",
            f"The key {name[:64]!r} is there more than once; say each element once.",
            f"{path}.{name[:64]}",
        )
        for path, node in _nodes(document)
        if isinstance(node, _Repeating)
        for name in node.repeated
    ]
    if issues:
        raise FhirError(400, *issues)
    return document


def _paths_of_nul(document: dict[str, Any]) -> list[str]:
    """Where a string or a key holds U+0000; a path with such a key in it stops before that key."""
    return list(
        dict.fromkeys(
            path.split(".\0", 1)[0]
            for path, node in _nodes(document)
            if isinstance(node, str) and "\0" in node
        )
    )


def _nodes(document: dict[str, Any]) -> list[tuple[str, Any]]:
    """Every value of the tree with its FHIRPath, and each key with NUL as a value of its object."""
    kind = document.get("resourceType")
    root = kind if isinstance(kind, str) and kind.isalnum() and len(kind) <= 64 else "Resource"
    found: list[tuple[str, Any]] = []
    waiting: list[tuple[str, Any]] = [(root, document)]
    while waiting:
        path, node = waiting.pop()
        found.append((path, node))
        if isinstance(node, dict):
            for name, value in node.items():
                if "\0" in name:
                    found.append((path, name))
                    waiting.append((path, value))
                else:
                    waiting.append((f"{path}.{name[:64]}", value))
        elif isinstance(node, list):
            waiting.extend((f"{path}[{index}]", value) for index, value in enumerate(node))
    return found
