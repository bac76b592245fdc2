"""What happened to a person, as lines of one time line: from what stands in the record to what is read; pure.

http://hl7.org/fhir/R4/lifecycle.html#timeline
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from coordhub.portal import asking, moments
from coordhub.portal.language import Words
from coordhub.portal.sheets import name_of, value_of, words
from coordhub.r4 import interval
from coordhub.record import parties
from coordhub.referral.calendar import Calendar
from coordhub.store.resources import Version

KINDS: Final = {
    "Appointment": "Appointment",
    "Condition": "Need or problem",
    "DiagnosticReport": "Result",
    "DocumentReference": "Note",
    "Encounter": "Visit",
    "ImagingStudy": "Imaging",
    "Observation": "Result",
    "Procedure": "Done",
    "QuestionnaireResponse": "Screening",
    "ServiceRequest": "Asked for",
    "Task": "Referral",
}
"""Type of what it comes from -> how it is called."""

STATES: Final = {
    "preliminary": "not final yet",
    "registered": "not final yet",
    "partial": "not final yet",
    "corrected": "corrected",
    "amended": "corrected",
    "pending": "not confirmed yet",
    "proposed": "not confirmed yet",
    "waitlist": "On the waiting list",
    "noshow": "did not come",
    "planned": "planned",
    "in-progress": "under way",
    "not-done": "not done",
    "on-hold": "On hold",
}
"""Status that a reader has to know of."""

_NOT: Final = frozenset({"entered-in-error", "cancelled", "superseded", "revoked", "draft"})
"""What never was, or is no more."""

_WHEN: Final[Mapping[str, tuple[str, ...]]] = {
    "Appointment": ("start", "created"),
    "Condition": ("recordedDate", "onsetDateTime"),
    "DiagnosticReport": ("effectiveDateTime", "effectivePeriod", "issued"),
    "DocumentReference": ("date",),
    "Encounter": ("period",),
    "ImagingStudy": ("started",),
    "Observation": ("effectiveDateTime", "effectiveInstant", "effectivePeriod", "issued"),
    "Procedure": ("performedDateTime", "performedPeriod"),
    "QuestionnaireResponse": ("authored",),
    "ServiceRequest": ("authoredOn",),
    "Task": ("authoredOn",),
}

MOST_PARTS: Final = 8
"""Values that a line says of one report."""


@dataclass(frozen=True, slots=True)
class Entry:
    """at: by which it is ordered. month, when: as they are read. who: who says so, or takes part. text: of a note."""

    at: datetime
    month: str
    when: str
    kind: str
    title: str
    detail: str = ""
    who: str = ""
    href: str = ""
    text: str = ""
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class Paper:
    """Something of the record."""

    version: Version
    document: dict[str, Any]

    @classmethod
    def of(cls, version: Version) -> Paper:
        return cls(version, parties.document(version))

    @property
    def stands(self) -> bool:
        """Whether it is so, and not withdrawn."""
        verified = self.document.get("verificationStatus") or {}
        codes = {one.get("code") for one in verified.get("coding") or []}
        return self.document.get("status") not in _NOT and not codes & {
            "refuted", "entered-in-error",
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wall:
    """By which times are told. now: what is later is ahead."""

    calendar: Calendar
    now: datetime
    t: Words

    def said(self, text: object) -> tuple[datetime, str, str] | None:
        """(by which it is ordered, month, when) of a date, dateTime or instant; a day is a day wherever it is read."""
        found = interval.parse_instant(text) if isinstance(text, str) else None
        if found is None or not isinstance(text, str):
            return None
        if len(text) == 4:
            return found.low, text, text
        if len(text) < 10:
            month = moments.month(date.fromisoformat(f"{text}-01"), self.t)
            return found.low, month, month
        if len(text) == 10:
            there = date.fromisoformat(text)
            return found.low, moments.month(there, self.t), moments.day(there, self.t)
        return self.instant(found.low)

    def instant(self, at: datetime) -> tuple[datetime, str, str]:
        there = self.calendar.local(at)
        return at, moments.month(there, self.t), moments.moment(at, self.calendar, self.t)

    def dated(self, at: datetime, text: str = "") -> str:
        """A day with its year. text: as it was said; a day is a day wherever it is read."""
        if len(text) in (4, 7):
            return text
        there = date.fromisoformat(text) if len(text) == 10 else self.calendar.local(at)
        return f"{there.day} {moments.month(there, self.t)}"

    def of(self, paper: Paper) -> tuple[datetime, str, str]:
        """When it was, as it says; else since when it is here."""
        for name in _WHEN[paper.version.type]:
            stated = paper.document.get(name)
            if isinstance(stated, Mapping):
                stated = stated.get("start") or stated.get("end")
            if (found := self.said(stated)) is not None:
                return found
        return self.instant(paper.version.updated)


def entries(
    papers: Iterable[Paper],
    *,
    makers: Mapping[int, str],
    texts: Mapping[int, str],
    wall: Wall,
) -> list[Entry]:
    """One for each that stands; values of a report are told with it. makers: who says so, by rid. texts: of notes."""
    standing = [one for one in papers if one.stands]
    by_name = {one.version.reference: one for one in standing}
    within = {
        text
        for one in standing
        if one.version.type in ("DiagnosticReport", "Observation")
        for name in ("result", "hasMember")
        for part in one.document.get(name) or []
        if isinstance(part, dict) and (text := str(part.get("reference"))) in by_name
    }
    return [
        _entry(one, by_name, makers, texts, wall)
        for one in standing
        if one.version.reference not in within
    ]


def _entry(
    paper: Paper,
    by_name: Mapping[str, Paper],
    makers: Mapping[int, str],
    texts: Mapping[int, str],
    wall: Wall,
) -> Entry:
    kind, t = paper.version.type, wall.t
    at, month, when = wall.of(paper)
    said = [*_details(paper, by_name), STATES.get(str(paper.document.get("status")), "")]
    said[-1] = t(said[-1]) if said[-1] else ""
    return Entry(
        at, month, when, kind, title(paper) or t(KINDS[kind]),
        " · ".join(one for one in said if one), makers.get(paper.version.rid, ""),
        text=texts.get(paper.version.rid, ""), ahead=at > wall.now,
    )  # fmt: skip


def title(paper: Paper) -> str:
    document = paper.document
    match paper.version.type:
        case "Appointment":
            names: tuple[str, ...] = ("serviceType", "appointmentType", "reasonCode")
        case "Encounter":
            names = ("type", "serviceType", "reasonCode")
        case "DocumentReference":
            names = ("type", "category")
        case "ImagingStudy":
            names = ("procedureCode", "modality")
        case "QuestionnaireResponse":
            return asking.called(document)
        case _:
            names = ("code",)
    for name in names:
        stated = document.get(name)
        for one in stated if isinstance(stated, list) else [stated]:
            if text := words(one):
                return text
    if paper.version.type == "Encounter":
        return str((document.get("class") or {}).get("display") or "")
    return str(document.get("description") or "") if paper.version.type != "Condition" else ""


def _details(paper: Paper, by_name: Mapping[str, Paper]) -> Iterator[str]:
    document = paper.document
    if said := told(document):
        yield said
    parts = [
        by_name[text]
        for name in ("result", "hasMember")
        for part in document.get(name) or []
        if isinstance(part, dict) and (text := str(part.get("reference"))) in by_name
    ]
    if parts:
        yield ", ".join(f"{title(one)} {told(one.document)}".strip() for one in parts[:MOST_PARTS])
    for name in ("conclusion", "patientInstruction"):
        if document.get(name):
            yield str(document[name])
    if paper.version.type in ("Appointment", "DocumentReference") and (
        said := str(document.get("description") or "")
    ):
        yield said
    if paper.version.type == "Appointment":
        yield ", ".join(
            str(actor["display"])
            for one in document.get("participant") or []
            if (actor := one.get("actor") or {}).get("display")
            and not str(actor.get("reference", "")).startswith("Patient/")
        )


def told(document: Mapping[str, Any]) -> str:
    """The value of an Observation, with how the laboratory reads it; of one in parts, each."""
    parts = [document, *(document.get("component") or [])]
    found = []
    for part in parts:
        value = next(
            (text for name, one in part.items() if name.startswith("value") and (text := value_of(one))),
            "",
        )  # fmt: skip
        if value:
            name = f"{words(part.get('code'))} " if part is not document else ""
            found.append(f"{name}{value}")
    read = [text for one in document.get("interpretation") or [] if (text := words(one))]
    return ", ".join(found) + (f" ({read[0]})" if read and found else "")


def name_in(version: Version) -> str:
    """What an Organization, a service or a person is called."""
    name = parties.document(version).get("name")
    return name_of(name[0]) if isinstance(name, list) and name else str(name or "")
