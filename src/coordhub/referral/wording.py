"""What a Task says, in the words of the hub and in those of a partner's profile.

http://hl7.org/fhir/R4/task-definitions.html#Task.businessStatus

What is stored is the writer's. It is read here in whichever vocabulary it was written, and put into the
recipient's when it is sent. Where a profile has a word of its own, the hub's stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coordhub.referral.episode import BUSINESS_STATUS_SYSTEM, BUSINESS_STATUSES
from coordhub.referral.profiles import Profile, Tells, vocabularies
from coordhub.referral.task_machine import REASON_SYSTEM, REASONS
from coordhub.referral.transitions import State

Document = Mapping[str, Any]


def business_of(document: Document) -> str:
    """The hub's code for what a Task's businessStatus says, in whichever known vocabulary; "" if in none.

    A partner's word counts before one of the hub's beside it, which may be left from what it was told.
    """
    codings = _codings(document.get("businessStatus"))
    for system, code in codings:
        known = vocabularies().get(system, {}).get(code)
        if known is not None:
            return known.hub
    for system, code in codings:
        if system == BUSINESS_STATUS_SYSTEM and code in BUSINESS_STATUSES:
            return code
    return ""


def without_stale_word(
    profile: Profile, document: dict[str, Any], stored: Document
) -> dict[str, Any]:
    """Without the businessStatus that its sender was told with the status before, and left in its copy."""
    before, after = state_of(profile, stored), state_of(profile, document)
    said = profile.codes.get(after.code)
    stale = (
        said is not None
        and before.code == after.code
        and before.status != after.status
        and after.status not in said.statuses
        and _speaks(profile, document, after.code)
    )
    if not stale:
        return document
    return {name: value for name, value in document.items() if name != "businessStatus"}


def with_reason(document: dict[str, Any]) -> dict[str, Any]:
    """With a code of the hub's where who ends a Task says why in words only, or in codes of its own.

    The code of which these are the words, or `other`; what it said stays beside it.
    """
    said = document.get("statusReason")
    status = document.get("status")
    if status not in ("rejected", "failed") or not isinstance(said, Mapping):
        return document
    codings = _codings(said)
    if any(system == REASON_SYSTEM for system, _ in codings):
        return document
    text = str(said.get("text") or "").strip()
    if not text and not codings:
        return document
    meant = _IN_WORDS.get(text.casefold(), "other")
    reason = REASONS[meant if status in REASONS[meant].statuses else "other"]
    own = {"system": REASON_SYSTEM, "code": reason.code, "display": reason.text}
    changed = {**said, "coding": [*(said.get("coding") or []), own]}
    return {**document, "statusReason": changed}


_IN_WORDS = {
    REASONS[code].text: code
    for code in (
        "no-capacity", "not-eligible", "out-of-area", "wrong-service", "insufficient-resources",
        "missing-documents", "needs-exceed-capability", "cannot-contact", "client-declined",
    )
}  # fmt: skip
"""Why an owner ends its Task, in the words of the code."""


def state_of(profile: Profile, document: Document, *, taken: bool = False) -> State:
    """Where a Task stands, as a partner of this profile would say it."""
    status = str(document.get("status"))
    for system, code in _codings(document.get("businessStatus")):
        if system == profile.system and code in profile.codes:
            return State(status, code, taken)
    row = _row(profile, status, business_of(document))
    return State(status, row.code if row is not None else "", taken)


def told(profile: Profile, document: dict[str, Any], base: str) -> dict[str, Any]:
    """A Task as a partner of this profile is told it; the same object where that changes nothing.

    base: of the hub, for a Task that needs its address as identifier.
    """
    changes: dict[str, Any] = {}
    status = str(document.get("status"))
    row = _row(profile, status, business_of(document))
    if row is not None:
        changes["status"] = row.status or status
        if row.code and not _speaks(profile, document, row.code):
            changes["businessStatus"] = _with_code(profile, row.code, document)
    reason = document.get("statusReason")
    if isinstance(reason, Mapping) and not reason.get("text"):
        changes["statusReason"] = {**reason, "text": _text(reason)}
    identifiers = _identifiers(profile, document, base)
    if identifiers is not None:
        changes["identifier"] = identifiers
    changed = {**document, **changes}
    return document if changed == document else changed


def is_echo(profile: Profile, document: Document, stored: dict[str, Any], base: str) -> bool:
    """Whether what a partner sends says no more of the state than what it was told."""
    said = told(profile, stored, base)
    names = ("status", "businessStatus", "statusReason")
    return all(document.get(name) == said.get(name) for name in names)


def _row(profile: Profile, status: str, business: str) -> Tells | None:
    for row in profile.tells:
        if status in row.statuses and (not row.business or business in row.business):
            return row
    return None


def _speaks(profile: Profile, document: Document, code: str) -> bool:
    return (profile.system, code) in _codings(document.get("businessStatus"))


def _with_code(profile: Profile, code: str, document: Document) -> dict[str, Any]:
    """The profile's word first, and beside it what stands there of the hub's own."""
    said = profile.codes[code]
    coding = {"system": profile.system, "code": code}
    if said.display:
        coding["display"] = said.display
    before = document.get("businessStatus")
    kept = [
        one
        for one in (before.get("coding") or [] if isinstance(before, Mapping) else [])
        if isinstance(one, Mapping) and one.get("system") != profile.system
    ]
    concept: dict[str, Any] = {"coding": [coding, *kept]}
    text = before.get("text") if isinstance(before, Mapping) else None
    if text or said.display:
        concept["text"] = text or said.display
    return concept


def _text(concept: Mapping[str, Any]) -> str:
    for coding in concept.get("coding") or []:
        if isinstance(coding, Mapping) and (coding.get("display") or coding.get("code")):
            return str(coding.get("display") or coding.get("code"))
    return "no reason given"


def _identifiers(profile: Profile, document: Document, base: str) -> list[Any] | None:
    """The identifiers that the profile asks for, None where they are there."""
    present = list(document.get("identifier") or [])
    group = document.get("groupIdentifier")
    if profile.identifier == "placer" and isinstance(group, Mapping) and group.get("value"):
        placer = {"type": {"coding": [_PLACER]}, **group}
        return None if placer in present else [placer, *(one for one in present if one != group)]
    if profile.identifier == "address" and not present and document.get("id"):
        return [{"system": "urn:ietf:rfc:3986", "value": f"{base}/Task/{document['id']}"}]
    return None


_PLACER = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}


def _codings(concept: object) -> list[tuple[str, str]]:
    if not isinstance(concept, Mapping):
        return []
    return [
        (str(coding.get("system")), str(coding.get("code")))
        for coding in concept.get("coding") or []
        if isinstance(coding, Mapping)
    ]
