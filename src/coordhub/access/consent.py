"""From a Consent to rules: who may see what of a patient's record, and who may not.

http://hl7.org/fhir/R4/consent.html

A Consent is a tree of provisions, each an exception to the one it stands in. Flattened, each provision
is one rule that lies within all provisions above it, and the deeper one is of the higher precedence:
of the rules that match a look the highest decides, of equals the denial. Of two Consents the one with
the later dateTime does.

A permit opens sensitive classes only as far as labels on the way to it name them, or, for 42 CFR Part
2, as the Consent's policy or category does. What cannot be expressed errs on the side of showing less
(`reach`), and its author is warned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from coordhub.access.provision import Element, Known, Reader
from coordhub.access.reach import Reach, Space
from coordhub.errors import Issue
from coordhub.r4 import sensitivity
from coordhub.r4.interval import Interval, parse_instant

SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"

DEEPEST = 63
"""Provisions nested deeper than this are of one precedence, so that of those the denial decides."""

_POLICIES: Mapping[str, bool] = {
    "OPTIN": True, "OPTINR": True, "OPTOUT": False, "OPTOUTE": False, "NOCONSENT": False,
}  # fmt: skip
"""What a policyRule says of all that no provision speaks of: permit or deny."""
_WITH_RESTRICTIONS = frozenset({"OPTINR"})

_PART2 = re.compile(r"42[\s_-]*cfr[\s_-]*part[\s_-]*2\b|title-42/.*part-2\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One provision. precedence: higher decides. covers: sensitivity classes that a permit opens."""

    permit: bool
    precedence: int
    space: Space
    covers: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """rules: what follows from a Consent. issues: warnings for its author."""

    rules: tuple[Rule, ...] = ()
    issues: tuple[Issue, ...] = ()


def in_force(document: Element) -> bool:
    """Whether it is about the privacy of a patient, and active."""
    scopes = (document.get("scope") or {}).get("coding") or ()
    return document.get("status") == "active" and any(
        coding.get("system") == SCOPES and coding.get("code") == "patient-privacy"
        for coding in scopes
    )


def rules_of(document: Element, known: Known, now: datetime) -> Reading:
    """The rules of a valid Consent as they stand, whoever wrote it; none if it is not in force.

    now: takes the place of a missing dateTime, of which no permit comes.
    """
    if not in_force(document):
        return Reading()
    reader = Reader(known)
    base = effect(document, reader)
    provision = document.get("provision")
    if provision is None and base is not False and not _speaks_without_provision(document):
        reader.issues.append(
            Issue(
                "incomplete",
                "This Consent needs classification: its terms stand in a document or policy that the hub "
                "cannot follow, so nothing is permitted by it. State them in provision.",
                "Consent.provision",
                "warning",
            )
        )
        return Reading((), tuple(reader.issues))
    dated = _dated(document, reader)
    root = provision if provision is not None else {}
    void = dated is None or _means_something_else(document, reader)
    flat = _Flat(reader, void, _part2(document))
    found = list(flat.rules(root, "Consent.provision", base, Reach(), 0))
    denies = not any(rule.permit for rule in found)
    first = _moment(dated, now, late=denies) * (DEEPEST + 1)
    rules = tuple(replace(rule, precedence=first + rule.precedence) for rule in found)
    return Reading(rules, tuple(reader.issues))


def _moment(dated: Interval | None, now: datetime, *, late: bool) -> int:
    """Since when it counts, in seconds since 1970; never in the future, which no one could overrule.

    Of two Consents of one day, of which no more is said than the day, the one that only denies counts
    as the later.
    """
    if dated is None:
        return int(now.timestamp())
    last = max(dated.low, dated.high - timedelta(seconds=1))
    return int(min(last if late else dated.low, now).timestamp())


@dataclass(frozen=True, slots=True)
class _Flat:
    """void: permits give nothing. part2: it is a consent under 42 CFR Part 2."""

    reader: Reader
    void: bool
    part2: bool

    def rules(
        self, provision: Element, at: str, permit: bool | None, above: Reach, depth: int
    ) -> Iterator[Rule]:
        reach = self.reader.reach(provision, at).within(above)
        precedence = min(depth, DEEPEST)
        if permit is False and reach.outer is not None:
            yield Rule(False, precedence, reach.outer)
        elif permit and reach.inner is not None and not self.void:
            yield Rule(True, precedence, reach.inner, self._covers(reach, reach.inner, at))
        for number, nested in enumerate(provision.get("provision") or ()):
            below = f"{at}.provision[{number}]"
            kind = nested.get("type")
            if kind not in ("permit", "deny"):
                self.reader.warn(f"{below}.type", "Nested provisions say permit or deny")
            yield from self.rules(nested, below, kind == "permit", reach, depth + 1)

    def _covers(self, reach: Reach, space: Space, at: str) -> int:
        """The classes that this permit opens; those of Part 2 to named recipients or for named purposes."""
        covers = reach.named & ~sensitivity.VSP
        if self.part2:
            covers |= sensitivity.SUD
        if covers & sensitivity.SUD and space.actors is None and space.purposes is None:
            self.reader.issues.append(
                Issue(
                    "incomplete",
                    "Records under 42 CFR Part 2 are disclosed to named recipients or for named purposes "
                    "only, so this permit does not cover them. Name actor or purpose.",
                    at,
                    "warning",
                )
            )
            covers &= ~sensitivity.SUD
        return covers


def effect(document: Element, reader: Reader) -> bool | None:
    """What the root says: permit, deny, or nothing that can be followed. Of two that differ: deny."""
    codes = [
        str(coding.get("code")) for coding in (document.get("policyRule") or {}).get("coding") or ()
    ]
    said = {_POLICIES[code] for code in codes if code in _POLICIES}
    kind = (document.get("provision") or {}).get("type")
    if kind in ("permit", "deny"):
        said.add(kind == "permit")
    if len(said) > 1:
        reader.issues.append(
            Issue(
                "conflict",
                "policyRule and provision.type say different things; the denial counts.",
                "Consent.policyRule",
                "warning",
            )
        )
    if not said and document.get("provision") is not None:
        reader.issues.append(
            Issue(
                "incomplete",
                "Neither provision.type nor policyRule (OPTIN, OPTOUT) says what applies where no nested "
                "provision does, so nothing is permitted there.",
                "Consent.policyRule",
                "warning",
            )
        )
    return min(said) if said else None


def _speaks_without_provision(document: Element) -> bool:
    """An opt-in of which nothing more is written anywhere."""
    codings = (document.get("policyRule") or {}).get("coding") or ()
    codes = {coding.get("code") for coding in codings}
    sourced = "sourceAttachment" in document or "sourceReference" in document
    return "OPTIN" in codes and not codes & _WITH_RESTRICTIONS and not sourced


def _dated(document: Element, reader: Reader) -> Interval | None:
    text = document.get("dateTime")
    span = parse_instant(text) if isinstance(text, str) else None
    if span is None:
        reader.issues.append(
            Issue(
                "incomplete",
                "Without dateTime it cannot be told which of two Consents counts, so nothing is permitted "
                "by this one, and what it denies counts from now. State dateTime.",
                "Consent.dateTime",
                "warning",
            )
        )
    return span


def _means_something_else(document: Element, reader: Reader) -> bool:
    if not document.get("modifierExtension"):
        return False
    reader.warn(
        "Consent.modifierExtension", "An extension that changes the meaning is not known here"
    )
    return True


def _part2(document: Element) -> bool:
    """Whether its policy or category says that it is a consent under 42 CFR Part 2."""
    concepts: list[Any] = [document.get("policyRule"), *(document.get("category") or ())]
    words = [
        str(coding.get("code", ""))
        for concept in concepts
        if concept
        for coding in concept.get("coding") or ()
    ]
    for policy in document.get("policy") or ():
        words += [str(policy.get("uri", "")), str(policy.get("authority", ""))]
    return any(_PART2.search(word) for word in words)
