"""One provision of a Consent, element by element: what it is about, and what could not be read.

http://hl7.org/fhir/R4/consent-definitions.html#Consent.provision
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from coordhub.access.reach import ALWAYS, Actors, Code, Reach, Space
from coordhub.errors import Issue
from coordhub.r4 import sensitivity, types
from coordhub.r4.interval import parse_period

Element: TypeAlias = Mapping[str, Any]

ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
REASONS = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
TYPES = "http://hl7.org/fhir/resource-types"
PROFILE = "http://hl7.org/fhir/StructureDefinition/"

_SHOWING = frozenset({"access", "use", "disclose"})
_OTHER_ACTIONS = frozenset({"collect", "correct"})

_SOURCES = frozenset({"AUT", "INF", "ENT", "CST", "performer", "author", "informant", "source"})
"""Roles of who discloses, or holds, and not of who receives."""
_ALSO_RECEIVES = frozenset({"CST"})
"""BSeR names the recipient as custodian, R4's own examples the one whose record it is: both are heard."""

_CLASSES: Mapping[str, int] = {
    "SUD": sensitivity.SUD, "ETH": sensitivity.SUD, "ETHUD": sensitivity.SUD,
    "42CFRPart2": sensitivity.SUD, "HIV": sensitivity.HIV, "PSY": sensitivity.PSY,
    "MH": sensitivity.PSY, "BH": sensitivity.PSY | sensitivity.SUD, "SEX": sensitivity.SEX,
    "SDV": sensitivity.SDV, "R": sensitivity.RESTRICTED, "V": sensitivity.RESTRICTED,
}  # fmt: skip
"""Labels that name a class as a whole; what names a part of one opens nothing, and closes all of it."""

_PART_OF_TREATMENT = ("TREAT", "CLINTRCH", "COC", "ETREAT", "BTG", "ERTREAT", "POPHLTH", "CAREMGT")
_BROADER: Mapping[str, tuple[str, ...]] = {
    "TREAT": _PART_OF_TREATMENT,
    "ETREAT": ("ETREAT", "BTG", "ERTREAT"),
}
"""Purposes that a denial of this one denies with it. A permit gives what it names, and in an emergency
no less."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the hub knows of what a Consent refers to.

    actors: whom a Reference element means, None: nobody the hub knows. instance: rid of what one means.
    """

    actors: Callable[[Element], Actors | None]
    instance: Callable[[Element], int | None]


_Read: TypeAlias = tuple[Any, Any]
"""What is surely meant (NOTHING where nothing is) and what is possibly meant."""
NOTHING = object()


@dataclass(slots=True)
class Reader:
    """Reads provisions; issues: warnings that name each element which could not be followed."""

    known: Known
    issues: list[Issue] = field(default_factory=list)

    def reach(self, provision: Element, at: str) -> Reach:
        """What this provision alone is about."""
        if "action" in provision and not self._shows(provision["action"], at):
            return Reach(None, None)
        inner: dict[str, Any] = {}
        outer: dict[str, Any] = {}
        void = bool(provision.get("modifierExtension"))
        if void:
            self.warn(
                f"{at}.modifierExtension", "An extension that changes the meaning is not known here"
            )
        for name, dimension, read in (
            ("actor", "actors", self._actors),
            ("securityLabel", "labels", self._labels),
            ("purpose", "purposes", self._purposes),
            ("class", "types", self._types),
            ("code", "codes", self._codes),
            ("data", "rids", self._instances),
        ):
            if provision.get(name):
                surely, possibly = read(provision[name], f"{at}.{name}")
                void = void or surely is NOTHING
                inner[dimension], outer[dimension] = surely, possibly
        for name, dimension in (("period", "when"), ("dataPeriod", "dates")):
            if name in provision:
                span = parse_period(provision[name])
                if span is None:
                    void = True
                    self.warn(f"{at}.{name}", "Neither start nor end can be read")
                elif span.low >= span.high:
                    return Reach(None, None)
                inner[dimension] = outer[dimension] = span or ALWAYS
        named = 0
        for coding in provision.get("securityLabel") or ():
            named |= _CLASSES.get(str(coding.get("code")), 0) if _is_known_label(coding) else 0
        return Reach(None if void else Space(**inner), Space(**outer), named)

    def warn(self, at: str, what: str, todo: str = "") -> None:
        self.issues.append(
            Issue(
                "not-supported",
                f"{what}: a permit gives nothing by it, a denial counts as if it were not there."
                f"{' ' + todo if todo else ''}",
                at,
                "warning",
            )
        )

    def _shows(self, actions: Iterable[Element], at: str) -> bool:
        """Whether it is about seeing: access, use or disclosure."""
        codes = {code for action in actions for _, code in _codings(action)}
        if codes - _SHOWING - _OTHER_ACTIONS or not codes:
            self.warn(
                f"{at}.action", "The action is none of consentaction", f"Use a code of {ACTIONS}."
            )
        return not codes or bool(codes - _OTHER_ACTIONS)

    def _actors(self, actors: list[Element], at: str) -> _Read:
        surely: set[int] = set()
        everyone = False
        for number, actor in enumerate(actors):
            roles = {code for _, code in _codings(actor.get("role") or {})}
            if roles & _SOURCES:
                self.warn(
                    f"{at}[{number}].role",
                    "Whose record it is about cannot be told apart from the rest",
                    "Name those who receive (role IRCP).",
                )
                everyone = True
                if not roles & _ALSO_RECEIVES:
                    # A permit for one source only would be given for all.
                    return NOTHING, None
            found = self.known.actors(actor.get("reference") or {})
            if found is None or not found.complete:
                everyone = True
                self.warn(
                    f"{at}[{number}].reference",
                    "This leads to no organization of the hub's directory",
                    "Refer to an Organization or PractitionerRole of the directory, or to a CareTeam of such.",
                )
            surely |= found.rids if found is not None else set()
        return frozenset(surely) if surely else NOTHING, None if everyone else frozenset(surely)

    def _labels(self, labels: list[Element], at: str) -> _Read:
        surely, possibly = 0, 0
        normal = everything = False
        for number, label in enumerate(labels):
            bits = sensitivity.bits_of_coding(label)
            if _is_known_label(label) and label["code"] in _CLASSES:
                surely |= _CLASSES[label["code"]]
                possibly |= sensitivity.ALL if label["code"] in ("R", "V") else bits
            elif _is_normal(label):
                normal = everything = True
            else:
                self.warn(
                    f"{at}[{number}]",
                    "This label is not one that the hub tells apart",
                    "Name SUD, HIV, PSY, SEX, SDV, or R.",
                )
                everything = everything or bits in (0, sensitivity.RESTRICTED)
                possibly |= bits
        inner = None if normal else surely or NOTHING
        return inner, None if everything else possibly

    def _purposes(self, purposes: list[Element], at: str) -> _Read:
        surely: set[str] = set()
        possibly: set[str] = set()
        unknown = False
        for number, coding in enumerate(purposes):
            code = coding.get("code")
            if coding.get("system") != REASONS or not isinstance(code, str):
                unknown = True
                self.warn(
                    f"{at}[{number}]", "This purpose is not known here", f"Use a code of {REASONS}."
                )
                continue
            surely |= {code, "ETREAT"} if code == "TREAT" else {code}
            possibly.update(_BROADER.get(code, (code,)))
        return frozenset(surely) if surely else NOTHING, None if unknown else frozenset(possibly)

    def _types(self, classes: list[Element], at: str) -> _Read:
        surely: set[int] = set()
        unknown = False
        for number, coding in enumerate(classes):
            name = str(coding.get("code", ""))
            if coding.get("system") != TYPES:
                name = name.removeprefix(PROFILE)
            if name in types.NUMBER:
                surely.add(types.NUMBER[name])
            else:
                unknown = True
                self.warn(
                    f"{at}[{number}]", "This class is no resource type", f"Use a code of {TYPES}."
                )
        return frozenset(surely) if surely else NOTHING, None if unknown else frozenset(surely)

    def _codes(self, concepts: list[Element], at: str) -> _Read:
        surely: set[Code] = set()
        unknown = False
        for number, concept in enumerate(concepts):
            found = {(system, code) for system, code in _codings(concept) if system and code}
            surely |= found
            if not found:
                unknown = True
                self.warn(
                    f"{at}[{number}]", "There is no code with its system", "Give system and code."
                )
        return frozenset(surely) if surely else NOTHING, None if unknown else frozenset(surely)

    def _instances(self, data: list[Element], at: str) -> _Read:
        surely: set[int] = set()
        wider = False
        for number, one in enumerate(data):
            rid = self.known.instance(one.get("reference") or {})
            if one.get("meaning") != "instance":
                wider = True
                self.warn(
                    f"{at}[{number}].meaning",
                    "What is related to, depends on or was written by something is not followed",
                    "Name each resource with meaning instance.",
                )
                if one.get("meaning") == "authoredby":
                    continue
            elif rid is None:
                wider = True
                self.warn(
                    f"{at}[{number}].reference",
                    "This is not known here",
                    "Refer to a resource here.",
                )
            if rid is not None:
                surely.add(rid)
        return frozenset(surely) if surely else NOTHING, None if wider else frozenset(surely)


def _codings(concept: Element) -> list[Code]:
    return [
        (str(coding.get("system") or ""), str(coding.get("code") or ""))
        for coding in concept.get("coding") or ()
        if isinstance(coding, Mapping)
    ]


_LABEL_SYSTEMS = frozenset(
    {
        sensitivity.ACT_CODE,
        sensitivity.CONFIDENTIALITY,
        "http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw",
    }
)


def _is_known_label(label: Element) -> bool:
    is_level = label.get("code") in ("R", "V")
    system = label.get("system")
    return system in _LABEL_SYSTEMS and is_level == (system == sensitivity.CONFIDENTIALITY)


def _is_normal(label: Element) -> bool:
    return label.get("system") == sensitivity.CONFIDENTIALITY and label.get("code") in (
        "U",
        "L",
        "M",
        "N",
    )
