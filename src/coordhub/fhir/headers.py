"""Headers of FHIR's RESTful API: conditions, preferences, formats, and what an answer carries.

http://hl7.org/fhir/R4/http.html#versioning, #Http-Headers, #ops

Pure: strings in, values out. A header that cannot be understood is refused, not skipped: an
If-Match that is not read would be an overwrite.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Literal

from coordhub import errors
from coordhub.errors import FhirError, Issue

Return = Literal["minimal", "representation", "OperationOutcome"]

_ETAG = re.compile(r'\s*(?:W/)?"([0-9]{1,10})"\s*', re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_HIGHEST_VERSION = 2**31 - 1
_MOST_WARNINGS = 10
_JSON_TYPES = frozenset({"application/fhir+json", "application/json", "text/json"})
_RANGES = frozenset({"*/*", "application/*"})


@dataclass(frozen=True, slots=True)
class Conditions:
    """if_match: version an update or delete is based on.

    if_none_match: ETags or `*` as sent; if_none_exist: criteria, without `?`.
    """

    if_match: int | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_none_exist: str | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """The `Prefer` header as far as it is understood; the rest is ignored, as RFC 7240 has it."""

    returns: Return = "representation"
    lenient: bool = False


def etag(version: int) -> str:
    return f'W/"{version}"'


def last_modified(updated: datetime) -> str:
    """IMF-fixdate, in whole seconds."""
    return format_datetime(updated.astimezone(UTC), usegmt=True)


def if_match(text: str | None, *, at: str = "") -> int | None:
    """The version in `W/"3"` or `"3"`; one that cannot exist becomes one that never does."""
    if text is None:
        return None
    match = _ETAG.fullmatch(text)
    if match is None:
        raise errors.bad_request(
            'If-Match is one ETag of this hub, as in W/"3": send back the ETag of what you read.',
            at,
        )
    return min(int(match[1]), _HIGHEST_VERSION)


def conditions(
    *,
    match: str | None = None,
    none_match: str | None = None,
    modified_since: str | None = None,
    none_exist: str | None = None,
    at: str = "",
) -> Conditions:
    """Read the four headers, or the four elements of Bundle.entry.request; `at` is its path.

    An If-Modified-Since that is no date is ignored (RFC 9110, 13.1.3).
    """
    element = "{}.request.{}".format
    return Conditions(
        if_match(match, at=element(at, "ifMatch") if at else ""),
        none_match,
        _date(modified_since),
        _criteria(none_exist, element(at, "ifNoneExist") if at else ""),
    )


def unchanged(conditions: Conditions, version: int, updated: datetime) -> bool:
    """Whether a read is answered by 304; If-None-Match decides alone where it is sent."""
    if conditions.if_none_match is not None:
        sent = conditions.if_none_match.strip()
        return sent == "*" or str(version) in re.findall(r'(?:W/)?"([^"]*)"', sent)
    if conditions.if_modified_since is not None:
        return updated.replace(microsecond=0) <= conditions.if_modified_since
    return False


def preference(text: str | None) -> Preference:
    returns: Return = "representation"
    lenient = False
    for part in re.split(r"[,;]", text or ""):
        name, _, value = part.strip().partition("=")
        value = value.strip().strip('"')
        if name.strip().lower() == "return":
            known: dict[str, Return] = {
                "minimal": "minimal",
                "representation": "representation",
                "operationoutcome": "OperationOutcome",
            }
            returns = known.get(value.lower(), returns)
        elif name.strip().lower() == "handling":
            lenient = value.lower() == "lenient"
    return Preference(returns, lenient)


def warning(issues: Sequence[Issue]) -> str:
    """A Warning header (code 199) that names the elements; the whole is an OperationOutcome.

    https://www.rfc-editor.org/rfc/rfc7234#section-5.5
    """
    shown = [f'199 coordhub "{_quoted(issue)}"' for issue in issues[:_MOST_WARNINGS]]
    if len(issues) > _MOST_WARNINGS:
        more = len(issues) - _MOST_WARNINGS
        shown.append(f'199 coordhub "and {more} more: Prefer: return=OperationOutcome lists them"')
    return ", ".join(shown)


def _quoted(issue: Issue) -> str:
    text = f"{issue.expression}: {issue.diagnostics}"
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)


def idempotency_key(text: str | None) -> str | None:
    if text is None:
        return None
    if not _KEY.fullmatch(text):
        raise errors.bad_request("An Idempotency-Key is 1 to 255 visible ASCII characters.")
    return text


def request_id(text: str | None, fresh: Callable[[], uuid.UUID]) -> str:
    """The sender's X-Request-Id where it is a plain word, else a new one."""
    return text if text is not None and _REQUEST_ID.fullmatch(text) else str(fresh())


def require_json_body(content_type: str | None) -> None:
    """415 unless the body says that it is JSON, or says nothing."""
    if content_type is None or not content_type.strip():
        return
    media, _, parameters = content_type.partition(";")
    if media.strip().lower() in _JSON_TYPES - {"text/json"} and _is_this_version(parameters):
        charset = re.search(r"charset\s*=\s*\"?([\w-]+)", parameters, re.IGNORECASE)
        if charset is None or charset[1].lower() in ("utf-8", "utf8"):
            return
    raise _unsupported("A body is sent as application/fhir+json (or application/json), in UTF-8.")


def is_json_patch(content_type: str | None) -> bool:
    """Whether a patch is sent as JSON Patch; else it is FHIR."""
    media = (content_type or "").partition(";")[0].strip().lower()
    if media.endswith("xml") or "xml-patch" in media:
        raise _unsupported(
            "A patch is sent as application/json-patch+json, or as a Parameters in "
            "application/fhir+json."
        )
    return media == "application/json-patch+json"


def require_form_body(content_type: str | None) -> None:
    """415 unless a _search is sent as a form; without a body nothing need be said."""
    media = (content_type or "").partition(";")[0].strip().lower()
    if media not in ("", "application/x-www-form-urlencoded"):
        raise _unsupported("A _search is sent as application/x-www-form-urlencoded.")


def require_json_answer(accept: str | None, formats: list[str]) -> None:
    """406 if the sender takes no JSON; `formats`: what `_format` says, which wins over Accept."""
    for asked in formats[:1]:
        if asked.replace(" ", "+").strip().lower().partition(";")[0] not in _JSON_TYPES | {"json"}:
            raise _not_acceptable()
        return
    if accept is not None and accept.strip() and not _takes_json(accept):
        raise _not_acceptable()


@lru_cache(256)
def _takes_json(accept: str) -> bool:
    for alternative in accept.split(","):
        media, _, parameters = alternative.partition(";")
        wanted = re.search(r"(?:^|;)\s*q\s*=\s*([0-9.]+)", parameters)
        if wanted is not None and re.fullmatch(r"0(\.0*)?", wanted[1]):
            continue
        if media.strip().lower() in _JSON_TYPES | _RANGES and _is_this_version(parameters):
            return True
    return False


def _is_this_version(parameters: str) -> bool:
    version = re.search(r"fhirversion\s*=\s*\"?([\w.]+)", parameters, re.IGNORECASE)
    return version is None or version[1] in ("4.0", "4.0.1")


def _not_acceptable() -> FhirError:
    return FhirError(406, Issue("not-supported", "Answers are application/fhir+json, FHIR 4.0."))


def _unsupported(diagnostics: str) -> FhirError:
    return FhirError(415, Issue("not-supported", diagnostics))


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        try:  # in a Bundle it is an instant
            parsed = datetime.fromisoformat(text)
        except ValueError:
            return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def _criteria(text: str | None, at: str) -> str | None:
    if text is None:
        return None
    criteria = text.strip().rpartition("?")[2] if text.strip().startswith(("?", "http")) else text
    criteria = criteria.strip()
    if not criteria:
        raise errors.bad_request(
            "If-None-Exist holds search criteria, as in identifier=system|value; it is empty.", at
        )
    return criteria
