"""Structure of a resource, checked against HL7's definitions of R4 (4.0.1).

http://hl7.org/fhir/R4/validation.html, http://hl7.org/fhir/R4/json.html

Checked are: the type; elements that do not exist; cardinality; JSON types and the formats of all
primitives; choices of type; required codes, as far as HL7's package lists them; null, empty
strings, arrays and objects; the siblings of primitives (`_birthDate`); ids; ext-1 and ele-1; of
contained resources dom-2, dom-3, dom-4 and dom-5; the invariants (`invariants` lists those that are
not); the types that references lead to; and the XHTML of narratives.

Two passes for structure. msgspec structs look at every document and say yes to what is plainly
right; the walk in Python takes ten times as long. Whatever the structs do not take is walked, for
every fault and its place, or for the rare right thing they do not know. Then a third, planned one
for the rest (`structure_visit`). `check` of an Observation of 1.4 kB takes about 50 µs of CPU on
a busy machine, of which the visit has 15 and the narrative 3.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from coordhub.errors import Issue
from coordhub.r4 import definitions
from coordhub.r4 import document as documents
from coordhub.r4.structure_structs import accepts
from coordhub.r4.structure_visit import Surroundings, visit
from coordhub.r4.structure_walk import nearest, shown, walk

MOST_ISSUES: Final = 200
"""More are not listed: a body of 50 MB can hold a fault every few bytes."""


_JUDGED_BY_ENTRY: Final = ("bdl-3:", "bdl-5:", "bdl-7:", "bdl-8:")
"""What is said of an entry by who looks at the entries of a Bundle one by one."""


_ESCAPED: Final = re.compile(rb"\\[bfu]")
"""A control character, as it is written (tab and line ends aside), or a string that looks so."""


def check(
    document: dict[str, Any],
    *,
    expected_type: str | None = None,
    at: str | None = None,
    entries: bool = True,
    named: Mapping[str, str] | None = None,
) -> list[Issue]:
    """All that is wrong with a resource; an empty list if it is valid.

    `at` replaces the name of the type at the start of expressions: `Bundle.entry[3].resource`.
    `entries=False` leaves the entries of a Bundle, one by one, to the caller; what the Bundle holds
    besides them is checked.
    `named`: type by fullUrl of the resources that are sent together with this one.
    """
    kind = document.get("resourceType")
    root = at or (shown(kind) or "Resource")
    if expected_type not in (None, kind) and shown(kind) in definitions.resources():
        return [Issue("invalid", f"A {expected_type} is expected here; this is a {kind}.", root)]
    faults = _faults(document, root, _signs(document), entries, named or {}, document)
    found = list(itertools.islice(faults, MOST_ISSUES + 1))
    if len(found) > MOST_ISSUES:
        found[MOST_ISSUES:] = [
            Issue("too-costly", f"More than {MOST_ISSUES} faults; the rest is not listed.")
        ]
    return found


def _signs(document: dict[str, Any]) -> tuple[bool, bool]:
    """What the text of a document shows before it is looked into: suspicious, extended.

    Suspicious: there is an empty object or a control character, or a string that looks so.
    Extended: there is an extension, or a string that looks so.
    """
    text = documents.encode(document)
    is_suspicious = b"{}" in text or (b"\\" in text and _ESCAPED.search(text) is not None)
    return is_suspicious, b"xtension" in text


def _faults(
    resource: dict[str, Any],
    path: str,
    signs: tuple[bool, bool],
    entries: bool,
    named: Mapping[str, str],
    root: dict[str, Any],
) -> Iterator[Issue]:
    """`root`: the resource that this one is contained in, else itself."""
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or kind not in definitions.resources():
        yield _no_such_type(resource, path)
        return
    broken = False
    is_suspicious, is_extended = signs
    if is_suspicious or not accepts(resource, kind):
        for fault in walk(resource, kind, path):
            broken = True
            yield fault
    surroundings = Surroundings(root, named, broken=broken)
    for fault in visit(resource, kind, path, surroundings, extended=is_extended):
        if entries or not fault.diagnostics.startswith(_JUDGED_BY_ENTRY):
            yield fault
    if kind == "Bundle" and entries:
        named = {**named, **types_by_full_url(resource)}
    for inner_path, inner in _resources_inside(resource, kind, path, entries):
        inner_signs = _signs(inner) if is_suspicious else signs
        outer = root if "contained" in resource else inner
        yield from _faults(inner, inner_path, inner_signs, True, named, outer)
    if "contained" in resource:
        yield from _faults_of_containment(resource, path)


def types_by_full_url(bundle: Mapping[str, Any]) -> dict[str, str]:
    """Type of the resource of each entry that has a fullUrl."""
    found: dict[str, str] = {}
    for _, entry in _objects(bundle, "entry", ""):
        full_url, resource = entry.get("fullUrl"), entry.get("resource")
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if isinstance(full_url, str) and isinstance(kind, str):
            found[full_url] = kind
    return found


def _no_such_type(resource: dict[str, Any], path: str) -> Issue:
    kind = resource.get("resourceType")
    if kind is None:
        return Issue("required", "resourceType is required, and names the type.", path)
    name = shown(kind)
    if name is None:
        return Issue("structure", "resourceType names no type of R4.", path)
    hint = nearest(name, definitions.resources())
    return Issue("structure", f"{name} is no resource type of R4 (4.0.1){hint}", path)


def _resources_inside(
    resource: dict[str, Any], kind: str, path: str, entries: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Resources directly inside, wherever the definitions have an element of type Resource.

    Their parents may be of any shape here; who walks over them has said so.
    """
    if kind == "Bundle":
        for entry_path, entry in _objects(resource, "entry", path):
            if entries and isinstance(inner := entry.get("resource"), dict):
                yield f"{entry_path}.resource", inner
            response = entry.get("response")
            if isinstance(response, dict) and isinstance(inner := response.get("outcome"), dict):
                yield f"{entry_path}.response.outcome", inner
    elif kind == "Parameters":
        waiting = list(_objects(resource, "parameter", path))
        for parameter_path, parameter in waiting:
            if isinstance(inner := parameter.get("resource"), dict):
                yield f"{parameter_path}.resource", inner
            waiting.extend(_objects(parameter, "part", parameter_path))
    elif "contained" in resource:
        yield from _objects(resource, "contained", path)


def _objects(
    parent: Mapping[str, Any], name: str, path: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    items = parent.get(name)
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield f"{path}.{name}[{index}]", item


def _faults_of_containment(resource: dict[str, Any], path: str) -> Iterator[Issue]:
    """dom-2 to dom-5, and that no two have one id. That something says `"#id"` is taken for a reference to it (dom-3).

    http://hl7.org/fhir/R4/references.html#contained
    """
    text = documents.encode(resource)
    known: set[str] = set()
    for inner_path, inner in _objects(resource, "contained", path):
        meta = inner.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        if "contained" in inner:
            yield Issue(
                "invariant",
                "dom-2: a contained resource contains no others; move them up beside it.",
                f"{inner_path}.contained",
            )
        if isinstance(named := inner.get("id"), str):
            if named in known:
                yield Issue(
                    "duplicate",
                    "Another contained resource has this id; each needs its own, to be referred to.",
                    f"{inner_path}.id",
                )
            known.add(named)
        reference = documents.encode(f"#{inner.get('id', '')}")
        if "id" not in inner or (reference not in text and b'"#"' not in documents.encode(inner)):
            yield Issue(
                "invariant",
                "dom-3: a contained resource has an id and is referenced from the resource around "
                "it, or references that one.",
                inner_path,
            )
        for rule, name in (("dom-4", "versionId"), ("dom-4", "lastUpdated"), ("dom-5", "security")):
            if name in meta:
                yield Issue(
                    "invariant",
                    f"{rule}: a contained resource has no meta.{name}.",
                    f"{inner_path}.meta.{name}",
                )
