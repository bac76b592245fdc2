"""The accounting of disclosures of a patient in words: when, to whom, what kind, for what, and why it was shown.

https://www.ecfr.gov/current/title-45/section-164.528

It is what `$accounting-of-disclosures` says, of a Patient that the organization itself has written, and of
no other. Whom the organization does not see in the directory has no name here either.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from coordhub.access import viewer
from coordhub.portal import leave, listed
from coordhub.portal.language import Words
from coordhub.portal.leave import Choice
from coordhub.portal.sheets import name_of
from coordhub.record import accounting, parties
from coordhub.record.hub import Hub, instant
from coordhub.store import disclosures
from coordhub.store.disclosures import SIX_YEARS, Disclosure
from coordhub.store.resources import Version

MOST: Final = 1_000
"""Disclosures that a page or a table tells; who has more asks for less time."""

PURPOSES: Final = {"COC": "coordination of care", "BTG": "an emergency"}

WHY: Final = {
    "party": "it asked for this, or was asked",
    "referral": "a referral to it named this",
    "result": "it is a result of what it had ordered, or was to be told of",
    "release": "somebody here released it to it",
    "team": "it is of the care team",
    "deputy": "it stands in for who was asked",
    "break-glass": "it opened the record in an emergency",
}
"""Rule of a grant -> why it let somebody see."""

OTHERWISE: Final = "no referral says so: by a Consent, or by what the record itself shows"

HEAD: Final = ("When", "To whom", "How", "What", "For what", "Why", "References")


@dataclass(frozen=True, slots=True)
class Span:
    """since, until: [since, until). start, end: the days, as they were asked for; empty: as far as it goes."""

    since: datetime
    until: datetime
    start: str
    end: str

    @property
    def first(self) -> str:
        return self.since.date().isoformat()

    @property
    def last(self) -> str:
        return (self.until - timedelta(seconds=1)).date().isoformat()


@dataclass(frozen=True, slots=True)
class Line:
    """One disclosure. seq: its number in the audit. what: kinds, each with how many; why: by which rules, in words."""

    seq: int
    at: datetime
    to: str
    how: str
    what: tuple[str, ...]
    purpose: str
    why: tuple[str, ...]
    references: tuple[str, ...]
    emergency: bool


async def own(hub: Hub, organization: int, words: str) -> list[Choice]:
    """Patients that it has written itself, of a name like these words."""
    found = await leave.choices(hub, organization, words, hub.clock())
    return [leave.choice(one) for one in found if one.source == organization]


async def patient(hub: Hub, organization: int, fhir_id: str) -> Version | None:
    """The one with this id, if it has written it itself."""
    found = await leave.chosen(hub, organization, fhir_id)
    return found if found is not None and found.source == organization else None


def span(hub: Hub, start: str, end: str) -> Span:
    """From the first of these days (`2026-01-31`) to the last; without, or where they are none, six years back."""
    zone = hub.zone or UTC
    first, last = _day(start), _day(end)
    until = hub.clock().astimezone(zone) + timedelta(seconds=1)
    if last is not None:
        until = datetime(last.year, last.month, last.day, tzinfo=zone) + timedelta(days=1)
    since = until - SIX_YEARS
    if first is not None:
        since = datetime(first.year, first.month, first.day, tzinfo=zone)
    return Span(since, until, first.isoformat() if first else "", last.isoformat() if last else "")


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1900 < found.year < 2200 else None


async def lines(
    hub: Hub, organization: int, found: Version, asked: Span, t: Words
) -> list[Line] | None:
    """Newest first; None: there are more than MOST."""
    view = viewer.as_organization(organization)
    async with hub.engine.searches.acquire() as conn:
        told = await disclosures.of_patient(conn, view, found.rid, asked.since, asked.until, MOST)
        if len(told) > MOST:
            return None
        known = await listed.shown(conn, view, {one.recipient for one in told if one.recipient})
    return [line(one, known, t) for one in reversed(told)]


def line(one: Disclosure, known: Mapping[str, Version], t: Words) -> Line:
    purpose = accounting.purpose_of(one)
    return Line(
        one.seq,
        one.at,
        _name(one.recipient, known, t),
        t("sent to it") if one.delivery is not None else t("it looked"),
        kinds_of(one.what, t),
        t(PURPOSES[purpose["code"]]) if purpose is not None else "",
        tuple(t(WHY[rule]) for rule in one.rules if rule in WHY) or (t(OTHERWISE),),
        one.what,
        "break-glass" in one.rules,
    )


def kinds_of(references: Sequence[str], t: Words) -> tuple[str, ...]:
    """Of `Type/id` of each: kinds in words, with how many of it there are."""
    kinds = Counter(reference.partition("/")[0] for reference in references)
    return tuple(
        t(leave.KINDS.get(kind, kind)) + (f" ({n})" if n > 1 else "") for kind, n in kinds.items()
    )


def _name(recipient: str | None, known: Mapping[str, Version], t: Words) -> str:
    found = known.get(recipient or "")
    if found is None:
        return t("somebody who is not in the directory any more")
    name = parties.document(found).get("name")
    said = name_of(name[0]) if isinstance(name, list) and name else str(name or "")
    return said or found.reference


def table(told: Sequence[Line], t: Words) -> bytes:
    """As CSV; what a spreadsheet would take for a formula begins with an apostrophe."""
    kept = io.StringIO()
    writer = csv.writer(kept)
    writer.writerow([t(title) for title in HEAD])
    for one in told:
        row = (
            instant(one.at), one.to, one.how, "; ".join(one.what), one.purpose, "; ".join(one.why),
            " ".join(one.references),
        )  # fmt: skip
        writer.writerow([f"'{text}" if text[:1] in "=+-@\t\r" and text else text for text in row])
    return kept.getvalue().encode()
