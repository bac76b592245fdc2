"""Binary in its own content type: what is sent and answered as bytes, not as a resource.

http://hl7.org/fhir/R4/binary.html#rest

Stored is the resource with its data in base64, like any other; the bytes are made of it piece by
piece while they are sent. `application/fhir+json` and `application/json` always mean the resource.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from coordhub.errors import FhirError, Issue
from coordhub.fhir.dispatch import Target

_RESOURCE: Final = frozenset({"application/fhir+json", "application/json", "text/json"})
_FOREIGN: Final = frozenset({"application/fhir+xml", "application/xml+fhir"})
_PLAIN: Final = re.compile(r"[A-Za-z0-9.+*-]+/[A-Za-z0-9.+*-]+(\s*;[\x20-\x7e]*)?", re.ASCII)
_UNKNOWN: Final = "application/octet-stream"
_GROUPS: Final = re.compile(rb"[A-Za-z0-9+/=]*")

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "attachment",
}
"""What somebody stored must not run in this hub's name."""


PIECE: Final = 256 * 1024
"""Characters of base64 that are decoded at a time; whole groups of four."""


class _Stored(msgspec.Struct):
    """Of a stored Binary what its bytes need; the data as it is written, quotes included."""

    content_type: str = msgspec.field(default=_UNKNOWN, name="contentType")
    data: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b'""'))


@dataclass(frozen=True, slots=True)
class Native:
    """The bytes of a Binary: their content type, how many there are, and their base64."""

    media: str
    size: int
    _data: memoryview

    def pieces(self) -> Iterator[bytes]:
        """The bytes, in order."""
        for start in range(0, len(self._data), PIECE):
            yield binascii.a2b_base64(self._data[start : start + PIECE])


def is_sent_as_bytes(target: Target, content_type: str | None) -> bool:
    """Whether the body of a create or update of a Binary is its data."""
    if target.type != "Binary" or target.interaction not in ("create", "update"):
        return False
    media = (content_type or "").partition(";")[0].strip().lower()
    return media != "" and media not in _RESOURCE | _FOREIGN


def document(
    target: Target, content_type: str | None, data: bytes, security_context: str | None
) -> dict[str, Any]:
    """The resource of a body that is bytes. security_context: header X-Security-Context."""
    made: dict[str, Any] = {"resourceType": "Binary"}
    if target.id is not None:
        made["id"] = target.id
    made["contentType"] = " ".join((content_type or _UNKNOWN).split())
    if security_context:
        made["securityContext"] = {"reference": security_context.strip()}
    if data:
        made["data"] = base64.b64encode(data).decode("ascii")
    return made


def is_asked_as_bytes(
    target: Target, accept: str | None, query: tuple[tuple[str, str], ...]
) -> bool:
    """Whether a read of a Binary names neither a format nor the resource's own content types."""
    if target.type != "Binary" or target.interaction not in ("read", "vread"):
        return False
    if any(name in ("_format", "_summary", "_elements") for name, _ in query):
        return False
    return not any(media in _RESOURCE for media in _accepted(accept))


def native(body: bytes, accept: str | None) -> Native:
    """The bytes of a stored Binary; 406 if the asker takes other content types only."""
    stored = msgspec.json.decode(body, type=_Stored)
    media = stored.content_type
    if not _PLAIN.fullmatch(media):
        media = _UNKNOWN
    own = media.partition(";")[0].strip().lower()
    wanted = _accepted(accept) or ["*/*"]
    if not {own, f"{own.partition('/')[0]}/*", "*/*"} & set(wanted):
        raise FhirError(
            406,
            Issue("not-supported", "This Binary has another content type than Accept allows."),
        )
    data = memoryview(stored.data)[1:-1]
    if not _GROUPS.fullmatch(data):  # with line breaks
        data = memoryview("".join(msgspec.json.decode(stored.data).split()).encode())
    padding = bytes(data[-2:]).count(b"=")
    return Native(media, len(data) // 4 * 3 - padding, data)


def _accepted(accept: str | None) -> list[str]:
    found = []
    for alternative in (accept or "").split(","):
        media, _, parameters = alternative.partition(";")
        refused = re.search(r"(?:^|;)\s*q\s*=\s*0(\.0*)?\s*(?:;|$)", parameters)
        if media.strip() and refused is None:
            found.append(media.strip().lower())
    return found
