"""Signed cursors: where the next page starts, usable only by who got it, for the same search.

http://hl7.org/fhir/R4/http.html#paging

A cursor holds sort values, which are content: it is as secret as the page it came with. The
signature binds it to the organization, its token's scopes and the whole address, so that it cannot
be altered, lent, or moved to another search.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from coordhub import errors
from coordhub.access.caller import Caller
from coordhub.errors import FhirError
from coordhub.r4.search import LARGEST_COUNT

CURSOR: Final = "_cursor"
_NOT_ASKED: Final = frozenset({CURSOR, "_pretty", "_format"})
_LONGEST: Final = 4096


def applied(query: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a query asks for: without the cursor, and without how the answer is to be written.

    A `_count` beyond what a page may hold is that much.
    """
    return [
        (name, str(LARGEST_COUNT) if name == "_count" and _is_too_many(value) else value)
        for name, value in query
        if name not in _NOT_ASKED
    ]


def _is_too_many(count: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,9}", count, re.ASCII)) and int(count) > LARGEST_COUNT


class Paging:
    """Makes and opens cursors under a key of its own, derived from the hub's token key."""

    def __init__(self, token_key: bytes, former: Sequence[bytes] = ()) -> None:
        """former: what the key was before; cursors made under it still open."""
        self._key, *self._before = (
            hmac.digest(key, b"coordhub paging 1", "sha256") for key in (token_key, *former)
        )

    def seal(
        self, values: Sequence[Any], caller: Caller, address: str, query: Sequence[tuple[str, str]]
    ) -> str:
        """A cursor; `values` must be JSON, `address` the type (or more) below the base."""
        payload = msgspec.json.encode(list(values))
        bound = _bound(payload, caller, address, query)
        return _text(payload) + "." + _text(hmac.digest(self._key, bound, "sha256"))

    def open(
        self, cursor: str, caller: Caller, address: str, query: Sequence[tuple[str, str]]
    ) -> list[Any]:
        """The values; 400 if it was not made for this caller and exactly this query."""
        try:
            if len(cursor) > _LONGEST:
                raise _altered()
            body, _, signature = cursor.partition(".")
            payload, signed = _bytes(body), _bytes(signature)
            bound = _bound(payload, caller, address, query)
            if not any(
                hmac.compare_digest(signed, hmac.digest(key, bound, "sha256"))
                for key in (self._key, *self._before)
            ):
                raise _altered()
            values: list[Any] = msgspec.json.decode(payload, type=list[Any])
        except (ValueError, binascii.Error) as error:
            raise _altered() from error
        return values


def _bound(payload: bytes, caller: Caller, address: str, query: Sequence[tuple[str, str]]) -> bytes:
    """What the signature is over."""
    bound = [caller.organization, caller.scopes.text, address, applied(query)]
    return hashlib.sha256(msgspec.json.encode(bound)).digest() + payload


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    if not text.isascii():
        raise ValueError("not base64url")
    return base64.b64decode(
        text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
    )


def _altered() -> FhirError:
    return errors.bad_request(
        "_cursor was not made for this search and this caller; follow the link `next` as it is, "
        "or start again without _cursor."
    )
