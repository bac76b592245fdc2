"""Why something was shown: of each thing of a disclosure which rule and grant stood at that moment, because of what.

http://hl7.org/fhir/R4/security.html

What stood then is asked of the store, which decides by the same text (`store.why.stood`, `store.visibility`); here it
is put in words. Of what made a decision only that is named which the organization sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordhub.access import viewer
from coordhub.portal import consented, disclosed, listed
from coordhub.portal.occurrences import Wall
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.store import disclosures, resources, why
from coordhub.store.disclosures import Disclosure
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer
from coordhub.store.why import Granted, Ruling, Stood

RULES: Final = {
    ("consent", True): "A Consent permitted it",
    ("consent", False): "A Consent denied it",
    ("treatment", True): "It had accepted a referral of the patient",
    ("team", True): "It was of the care team",
    ("break-glass", True): "It had opened the record in an emergency",
    ("proxy", True): "It is the person itself, or acts for it",
    ("proxy", False): "It is kept from those who act for the person",
}
"""Kind of the rule that decided, and what that said."""

UNRULED: Final = (
    "No rule of the patient's spoke of it: a referral then shows what it names, as this hub is set"
)
NOTHING: Final = "Nothing that stood then is on record any more"

MADE_BY: Final = {
    "CareTeam": "care team",
    "Communication": "notice of the emergency",
    "Consent": "Consent",
    "Patient": "the record itself",
    "ServiceRequest": "order",
    "Task": "request",
}
"""What a decision was made because of."""

_DATED: Final = ("authoredOn", "dateTime", "sent")


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a chain. said: which rule. because: what made it, in words; "" where it is not shown. to: a page of
    the portal that tells of it. reference: of what made it. decision: its number; None: a grant has none.
    """

    said: str
    because: str = ""
    to: str = ""
    reference: str = ""
    since: str = ""
    decision: int | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """what: kinds of the things to which it applies, with how many; references: of each."""

    what: tuple[str, ...]
    references: tuple[str, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """line: the disclosure, as the accounting tells it. rids: of what is named, for the audit."""

    line: disclosed.Line
    chains: tuple[Chain, ...]
    rids: tuple[int, ...]


async def told(hub: Hub, organization: int, patient: Version, seq: int, wall: Wall) -> Told | None:
    """Of the disclosure with this number, if it is of this patient's record."""
    view = viewer.as_organization(organization)
    span = disclosed.span(hub, "", "")
    async with hub.engine.searches.acquire() as conn:
        found = await disclosures.of_patient(
            conn, view, patient.rid, span.since, span.until, 1, only=seq
        )
        if not found:
            return None
        [one] = found
        names = await listed.shown(conn, view, {one.recipient} if one.recipient else set())
    async with hub.engine.pool.acquire() as conn:
        stood = await _stood(conn, view, patient.rid, one)
        rids = {each.because for links in stood.values() for each in _decided(links)}
        known = await resources.read_rids(conn, view, sorted(rids))
        seen = {rid: version for rid, version in known.items() if version.body is not None}
        abouts = await listed.named(hub, conn, view, map(parties.document, seen.values()))
    words = _Words(hub, patient, wall, seen, abouts)
    return Told(
        disclosed.line(one, names, wall.t), tuple(words.chains(one, stood)), tuple(sorted(seen))
    )


async def _stood(
    conn: Connection, view: Viewer, patient: int, one: Disclosure
) -> Mapping[str, Stood]:
    if one.actor is None:
        return {}
    pairs = [(kind, fhir_id) for kind, _, fhir_id in (text.partition("/") for text in one.what)]
    return await why.stood(conn, view, patient, pairs, one.actor, one.at)


def _decided(one: Stood) -> Iterator[Ruling | Granted]:
    if one.ruling is not None:
        yield one.ruling
    yield from one.grants


@dataclass(frozen=True, slots=True)
class _Words:
    """seen: what decisions were made because of, as far as it is shown, by rid. abouts: what these are about."""

    hub: Hub
    patient: Version
    wall: Wall
    seen: Mapping[int, Version]
    abouts: Mapping[str, Version]

    def chains(self, one: Disclosure, stood: Mapping[str, Stood]) -> Iterator[Chain]:
        """What has the same links, together."""
        alike: dict[tuple[Link, ...], list[str]] = {}
        for text in one.what:
            alike.setdefault(tuple(self._links(stood.get(text))), []).append(text)
        for links, texts in alike.items():
            yield Chain(disclosed.kinds_of(texts, self.wall.t), tuple(texts), links)

    def _links(self, one: Stood | None) -> Iterator[Link]:
        t = self.wall.t
        if one is None or (one.ruling is None and not one.grants):
            yield Link(t(NOTHING))
            return
        if one.ruling is None:
            yield Link(t(UNRULED))
        else:
            rule = RULES[one.ruling.rule, one.ruling.permit]
            yield self._link(t(rule), one.ruling, one.ruling.id)
        for grant in one.grants:
            said = t(disclosed.WHY[grant.rule])
            yield self._link(said[:1].upper() + said[1:], grant, None)

    def _link(self, said: str, decided: Ruling | Granted, number: int | None) -> Link:
        since = self.wall.dated(decided.since) if decided.since.year > 1 else ""
        found = self.seen.get(decided.because)
        if found is None:
            return Link(said, since=since, decision=number)
        document = parties.document(found)
        known = MADE_BY.get(found.type)
        parts = [
            self.wall.t(known) if known else found.type,
            self._title(found, document),
            self._date(document),
        ]
        to = ""
        if found.type == "Consent":
            to = f"/privacy/{self.patient.id}/consents/{found.id}"
        elif found.type == "Communication":
            to = f"/emergencies/{found.id}"
        return Link(said, ", ".join(filter(None, parts)), to, found.reference, since, number)

    def _title(self, found: Version, document: Mapping[str, Any]) -> str:
        if found.type == "Task":
            return listed.title(dict(document), self.abouts, self.hub.base)
        return (
            "" if found.type in ("Consent", "Communication", "Patient") else consented.title(found)
        )

    def _date(self, document: Mapping[str, Any]) -> str:
        for name in _DATED:
            if (when := self.wall.said(document.get(name))) is not None:
                return self.wall.dated(when[0], str(document[name])[:10])
        return ""
