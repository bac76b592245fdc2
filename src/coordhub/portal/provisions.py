"""What a Consent says, in words: who may see what of whose record, for what, until when, and what stands otherwise.

http://hl7.org/fhir/R4/consent-definitions.html#Consent.provision

The words tell what was written. Whether it is followed is the hub's to say, which has made rules of it
(`store.consents.followed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordhub.access import consent
from coordhub.access.provision import PROFILE, Known, Reader
from coordhub.portal import disclosed, leave
from coordhub.portal.language import Words

Document = Mapping[str, Any]

DEEPEST: Final = 10
"""Provisions nested deeper are not told one by one."""

PURPOSES: Final = {
    **disclosed.PURPOSES,
    "CAREMGT": "management of care",
    "CLINTRCH": "a clinical trial",
    "ETREAT": "treatment in an emergency",
    "FAMRQT": "what the family asks for",
    "HMARKT": "marketing",
    "HOPERAT": "running the organization",
    "HPAYMT": "payment",
    "HRESCH": "research",
    "PATRQT": "what the patient asks for",
    "POPHLTH": "the health of a population",
    "PUBHLTH": "public health",
    "SUPNWK": "support by those around the patient",
    "TREAT": "treatment",
}
"""v3-ActReason."""

CLASSES: Final = {
    "42CFRPart2": "treatment of substance use (42 CFR Part 2)",
    "BH": "mental health and substance use",
    "ETH": "substance use",
    "ETHUD": "alcohol use",
    "HIV": "HIV",
    "MH": "mental health",
    "N": "what is not sensitive",
    "PSY": "mental health",
    "R": "whatever is restricted",
    "SDV": "abuse and domestic violence",
    "SEX": "reproductive and sexual health",
    "SUD": "treatment of substance use",
    "V": "whatever is restricted",
}
"""Labels of sensitive content."""

ACTIONS: Final = {
    "access": "look at it",
    "collect": "collect it",
    "correct": "correct it",
    "disclose": "pass it on",
    "use": "use it",
}

MEANINGS: Final = {
    "authoredby": "what it has written",
    "dependents": "with what depends on it",
    "instance": "",
    "related": "with what is related to it",
}

SOURCES: Final = frozenset({"AUT", "INF", "ENT", "performer", "author", "informant", "source"})
"""Roles of those whose record it is about, and not of who looks."""

ROWS: Final = (
    "Who", "From whom", "What kinds", "What it is about", "These entries", "What is sensitive", "For what",
    "To do what", "When they look", "From what time",
)  # fmt: skip

SAID: Final = (
    "anyone",
    "somebody who is not in the directory",
    "something that is named by a code only",
    "from {start} on",
    "until {end}",
    "from {start} until {end}",
)


@dataclass(frozen=True, slots=True)
class Clause:
    """One provision. permit: None: it is not said. rows: title and words. but: what stands otherwise within it.

    cut: more is nested than is told.
    """

    permit: bool | None
    rows: tuple[tuple[str, str], ...]
    but: tuple[Clause, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Telling:
    """name: of a Reference element, "" where it is not shown. title: of a resource of the record. day: a dateTime as
    it is said."""

    t: Words
    name: Callable[[Document], str]
    day: Callable[[str], str]

    def clause(self, document: Document) -> Clause:
        """The root of a Consent, and all in it."""
        reader = Reader(Known(lambda _: None, lambda _: None))
        return self._clause(
            document.get("provision") or {}, consent.effect(document, reader), 0, is_root=True
        )

    def _clause(
        self, provision: Document, permit: bool | None, depth: int, *, is_root: bool = False
    ) -> Clause:
        nested = [one for one in provision.get("provision") or () if isinstance(one, Mapping)]
        rows = tuple((self.t(title), said) for title, said in self._rows(provision, is_root))
        if depth >= DEEPEST:
            return Clause(permit, rows, cut=bool(nested))
        but = (self._clause(one, _effect(one), depth + 1) for one in nested)
        return Clause(permit, rows, tuple(but))

    def _rows(self, provision: Document, is_root: bool) -> Iterator[tuple[str, str]]:
        actors = [one for one in provision.get("actor") or () if isinstance(one, Mapping)]
        sources = [one for one in actors if _roles(one) & SOURCES]
        who = self._names([one for one in actors if one not in sources])
        if who or is_root:
            yield "Who", ", ".join(who) or self.t("anyone")
        listed = (
            ("From whom", self._names(sources)),
            ("What kinds", [self._kind(one) for one in provision.get("class") or ()]),
            ("What it is about", [self._concept(one) for one in provision.get("code") or ()]),
            ("These entries", [self._entry(one) for one in provision.get("data") or ()]),
            (
                "What is sensitive",
                [self._coded(one, CLASSES) for one in provision.get("securityLabel") or ()],
            ),
            ("For what", [self._coded(one, PURPOSES) for one in provision.get("purpose") or ()]),
            ("To do what", [self._coded(one, ACTIONS) for one in _actions(provision)]),
        )
        yield from ((title, ", ".join(dict.fromkeys(words))) for title, words in listed if words)
        for title, element in (("When they look", "period"), ("From what time", "dataPeriod")):
            if said := self._span(provision.get(element)):
                yield title, said

    def _names(self, actors: list[Document]) -> list[str]:
        unknown = self.t("somebody who is not in the directory")
        return [self.name(one.get("reference") or {}) or unknown for one in actors]

    def _kind(self, coding: Document) -> str:
        name = str(coding.get("code", "")).removeprefix(PROFILE)
        known = leave.KINDS.get(name)
        return self.t(known) if known else str(coding.get("display") or name)

    def _concept(self, concept: Document) -> str:
        displays = (one.get("display") for one in concept.get("coding") or ())
        said = next((str(one) for one in (concept.get("text"), *displays) if one), "")
        return said or self.t("something that is named by a code only")

    def _coded(self, coding: Document, words: Mapping[str, str]) -> str:
        known = words.get(str(coding.get("code")))
        if known is not None:
            return self.t(known)
        return str(coding.get("display") or self.t("something that is named by a code only"))

    def _entry(self, data: Document) -> str:
        element = data.get("reference") or {}
        how = MEANINGS.get(str(data.get("meaning")), "")
        name = self.name(element)
        if not name:
            kind = str(element.get("reference", "")).rpartition("/")[0].rpartition("/")[2]
            known = leave.KINDS.get(kind)
            name = self.t(known) if known else self.t("something that is named by a code only")
        return f"{name} ({self.t(how)})" if how else name

    def _span(self, period: object) -> str:
        if not isinstance(period, Mapping):
            return ""
        start, end = (str(period.get(name) or "") for name in ("start", "end"))
        if start and end:
            return self.t("from {start} until {end}", start=self.day(start), end=self.day(end))
        if start:
            return self.t("from {start} on", start=self.day(start))
        return self.t("until {end}", end=self.day(end)) if end else ""


def _effect(provision: Document) -> bool | None:
    """Of a nested one, whose type is all that speaks."""
    return {"permit": True, "deny": False}.get(str(provision.get("type")))


def _actions(provision: Document) -> Iterator[Document]:
    for one in provision.get("action") or ():
        yield from one.get("coding") or ({},)


def _roles(actor: Document) -> set[str]:
    return {str(one.get("code")) for one in (actor.get("role") or {}).get("coding") or ()}


def texts() -> Iterator[str]:
    """All that is said here."""
    for words in (PURPOSES, CLASSES, ACTIONS, MEANINGS):
        yield from (one for one in words.values() if one)
    yield from (*ROWS, *SAID)
