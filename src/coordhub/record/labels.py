"""The sensitivity classes of what is written: from its codes, its labels, its source, its origins.

http://hl7.org/fhir/uv/security-label-ds4p, http://hl7.org/fhir/R4/security-labels.html

`label` is pure: code lists and a document in, bits out. The lists shipped are `label_codes.json`
(codes only, no wording of any terminology): a start, which each deployment reviews and changes with
`coordhub labels`.

A label may be raised by anyone who writes, and stays: a version that says less does not lower it,
only a privacy officer with a reason does (`lower`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import msgspec

from coordhub.r4 import reference, sensitivity
from coordhub.r4.parameters import patient_parameters
from coordhub.r4.sensitivity import NAMES, RESTRICTED
from coordhub.referral import findings

INLINE: Final = (
    "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
)

ALIASES: Final[Mapping[str, str]] = {
    "urn:oid:2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
    "urn:oid:2.16.840.1.113883.6.3": "http://hl7.org/fhir/sid/icd-10-cm",
    "http://hl7.org/fhir/sid/icd-10": "http://hl7.org/fhir/sid/icd-10-cm",
    "urn:oid:2.16.840.1.113883.6.4": "http://www.cms.gov/Medicare/Coding/ICD10",
    "urn:oid:2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "urn:oid:2.16.840.1.113883.6.1": "http://loinc.org",
    "urn:oid:2.16.840.1.113883.6.88": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "urn:oid:2.16.840.1.113883.6.12": "http://www.ama-assn.org/go/cpt",
    "urn:oid:2.16.840.1.113883.6.285": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
}
"""Other names of systems in the lists. ICD-10 counts as ICD-10-CM: the chapters are the same."""

_ALIASES: Final = {alias.casefold(): system.casefold() for alias, system in ALIASES.items()}

_NOT_IN_A_CHART: Final = frozenset({"Medication", "Bundle", "Composition", "Binary", "Parameters"})
"""Types that can be about a person though no search parameter says about whom."""


class Entry(NamedTuple):
    """One line of a list. code: ends in `*` where it stands for all that begins so."""

    name: str
    system: str
    code: str


@dataclass(frozen=True, slots=True)
class CodeLists:
    """By system the codes, and the beginnings of codes, with their classes."""

    exact: Mapping[str, Mapping[str, int]]
    beginnings: Mapping[str, Mapping[str, int]]
    lengths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def bits(self, system: str, code: str) -> int:
        system, code = _system(system), _canonical(code)
        found = self.exact.get(system, {}).get(code, 0)
        for length in self.lengths.get(system, ()):
            found |= self.beginnings[system].get(code[:length], 0)
        return found


def shipped() -> tuple[Entry, ...]:
    text = files("coordhub.record").joinpath("label_codes.json").read_bytes()
    lists = msgspec.json.decode(text, type=dict[str, dict[str, list[str]]])
    return tuple(
        Entry(name, system, code)
        for name, systems in lists.items()
        for system, codes in systems.items()
        for code in codes
    )


def compiled(entries: Iterable[Entry]) -> CodeLists:
    exact: dict[str, dict[str, int]] = {}
    beginnings: dict[str, dict[str, int]] = {}
    for name, system, code in entries:
        kept = beginnings if code.endswith("*") else exact
        codes = kept.setdefault(_system(system), {})
        key = _canonical(code.removesuffix("*"))
        codes[key] = codes.get(key, 0) | NAMES[name]
    lengths = {
        system: tuple(sorted({len(code) for code in codes})) for system, codes in beginnings.items()
    }
    return CodeLists(exact, beginnings, lengths)


@lru_cache(maxsize=1024)
def _system(uri: str) -> str:
    """The name by which a system is in the lists: whatever case, version, final slash or https it is sent with."""
    plain = uri.partition("|")[0].strip().rstrip("/").casefold()
    if plain.startswith("https://"):
        plain = f"http://{plain.removeprefix('https://')}"
    return _ALIASES.get(plain, plain)


def _canonical(code: str) -> str:
    """Codes are compared without the point of ICD, which senders leave out, and without case."""
    return code.replace(".", "").upper()


class Told(NamedTuple):
    """The classes of a document by itself. said: those of them that its author wrote as labels of it."""

    bits: int
    said: int


def label(document: Mapping[str, Any], lists: CodeLists) -> int:
    """The classes that a document says by itself, contained resources and Bundle entries included.

    Its codes count where it is about a person: what the directory offers is no one's secret. The
    labels its author wrote count everywhere.
    """
    return told(document, lists).bits


def told(document: Mapping[str, Any], lists: CodeLists) -> Told:
    """`label` and `said` of a document, of one walk: every write asks for both."""
    objects = _objects({name: value for name, value in document.items() if name != "meta"})
    meta = document.get("meta")
    bits = author = _stated(document) | _inline(objects) | _inline(_objects(meta))
    if is_about_a_person(document):
        bits |= _of_codes(objects, lists)
    for resource in objects[1:]:
        if isinstance(resource.get("resourceType"), str):
            bits |= _stated(resource)
            if is_about_a_person(resource):
                outer = {name: value for name, value in resource.items() if name != "meta"}
                bits |= _of_codes(_objects(outer), lists)
    return Told(bits, author)


def said(document: Mapping[str, Any]) -> int:
    """The classes that the author wrote as labels: meta.security, those of documents, inline ones."""
    return _stated(document) | _inline(_objects(document))


def _stated(resource: Mapping[str, Any]) -> int:
    """Those of the resource as a whole."""
    bits = sensitivity.bits_of_meta(resource)
    for concept in _list(resource.get("securityLabel")):
        for coding in _list(concept.get("coding")) if isinstance(concept, Mapping) else ():
            bits |= sensitivity.bits_of_coding(coding)
    if resource.get("resourceType") == "Composition" and resource.get("confidentiality") in (
        "R",
        "V",
    ):
        bits |= RESTRICTED
    return bits


def _inline(objects: Iterable[Mapping[str, Any]]) -> int:
    """Those of single elements."""
    bits = 0
    for node in objects:
        if "url" in node and node["url"] == INLINE:
            bits |= sensitivity.bits_of_coding(node.get("valueCoding"))
    return bits


def _of_codes(objects: Iterable[Mapping[str, Any]], lists: CodeLists) -> int:
    """Those of every system and code that stands there."""
    bits = 0
    for node in objects:
        if "system" in node and "code" in node:
            system, code = node["system"], node["code"]
            if isinstance(system, str) and isinstance(code, str):
                bits |= lists.bits(system, code)
    return bits


_ORIGINS: Final[Mapping[str, tuple[str, ...]]] = {
    "Binary": ("securityContext",),
    "Observation": ("derivedFrom", "hasMember"),
    "DiagnosticReport": ("result", "imagingStudy"),
    "DocumentReference": ("relatesTo", "context"),
    "DocumentManifest": ("content",),
    "Composition": ("section", "relatesTo"),
    "Provenance": ("target",),
    "Task": ("focus", "reasonReference"),
    "ServiceRequest": ("reasonReference",),
    "MedicationRequest": ("medicationReference", "reasonReference"),
    "MedicationStatement": ("medicationReference", "reasonReference", "derivedFrom"),
    "MedicationAdministration": ("medicationReference", "reasonReference"),
    "MedicationDispense": ("medicationReference",),
    "Procedure": ("reasonReference", "report"),
    "Condition": ("evidence",),
    "ClinicalImpression": ("problem", "finding"),
    "Encounter": ("reasonReference", "diagnosis"),
    "Appointment": ("reasonReference", "basedOn"),
    "QuestionnaireResponse": ("partOf",),
    "CarePlan": ("addresses",),
    "Goal": ("addresses",),
    "List": ("entry",),
}
"""Elements of each type that name what it is derived from, or is about. Not supportingInfo, whose
sharing is decided for each resource by itself."""

DERIVED: Final = frozenset(_ORIGINS)
"""The types that can be derived from something."""


def origins(document: Mapping[str, Any], base: str) -> Iterator[str]:
    """The local references (`Type/id`) to what this is derived from.

    Of the answer to one question of a screening (record.rules.screening) not the whole response: it is as
    sensitive as that question.
    """
    kind = str(document.get("resourceType"))
    part = {name: document[name] for name in _ORIGINS.get(kind, ()) if name in document}
    of_one_answer = findings.is_finding(document)
    for _, element in reference.walk({"resourceType": kind, **part}):
        found = reference.parse_element(element, base=base)
        if found is None or found.local is None:
            continue
        if not (of_one_answer and found.type == "QuestionnaireResponse"):
            yield found.local


def settled(*, before: int, computed: int, newly_said: int, lowered: int) -> int:
    """The classes of a new version.

    before: of the version it supersedes; computed: by codes, source and origins; newly_said: labels
    that this version's author wrote and the superseded one had not; lowered: what a privacy officer
    took away, which only new words bring back.
    """
    return before | (computed & ~lowered) | newly_said


def is_about_a_person(resource: Mapping[str, Any]) -> bool:
    """Whether its type is one of a patient's chart."""
    kind = str(resource.get("resourceType"))
    return kind in _NOT_IN_A_CHART or bool(patient_parameters(kind))


def _objects(document: object) -> list[Mapping[str, Any]]:
    """Every JSON object of it, itself first."""
    found: list[Mapping[str, Any]] = []
    waiting: list[Any] = [document] if isinstance(document, Mapping) else []
    while waiting:
        node = waiting.pop()
        if type(node) is list:
            waiting += [each for each in node if type(each) is dict or type(each) is list]
        else:
            found.append(node)
            values = node.values()
            waiting += [each for each in values if type(each) is dict or type(each) is list]
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
