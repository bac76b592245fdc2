"""References between resources: reading them, finding them in a document, rewriting them.

A reference is read into a `Reference` value that says which of R4's forms it has; what the form
means (look it up, resolve it in the transaction, keep it as it is) is the reader's decision.
Walking and rewriting know reference elements by their shape: a JSON object with a string member
`reference` and no member that a Reference cannot have. In R4 that is exact but for
`Immunization.education`, which is told apart by name.

Links in the narrative (`<a href>`, `<img src>`) are not rewritten.

http://hl7.org/fhir/R4/references.html, http://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

Kind = Literal["local", "absolute", "urn", "contained", "conditional", "logical", "unreadable"]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a Reference element points to.

    kind: `local` is `Type/id` on this server (relative, or absolute below the given base);
        `absolute` another server's http(s) address; `urn` a `urn:uuid:` or `urn:oid:`; `contained`
        `#id` (id empty: the container itself); `conditional` `Type?query`; `logical` an identifier
        without a reference; `unreadable` none of these.
    text: the reference as it was stated; empty when `logical`.
    type: the target's type: from the address, else from `Reference.type`, else None.
    id: logical id of the target where the form tells it (`local`, `absolute`, `contained`).
    version: version id, when the reference names one.
    query: the search part of a `conditional` reference.
    """

    kind: Kind
    text: str
    type: str | None = None
    id: str | None = None
    version: str | None = None
    query: str | None = None
    identifier_system: str | None = None
    identifier_value: str | None = None

    @property
    def local(self) -> str | None:
        """`Type/id` without version when the target is on this server."""
        return f"{self.type}/{self.id}" if self.kind == "local" else None


_RESTFUL = re.compile(
    r"(?P<base>https?://[^\s?#]+/)?"
    r"(?P<type>[A-Z][A-Za-z]{2,})/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?(?P<fragment>#\S*)?",
    re.ASCII,
)
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]{2,})\?(\S.*)", re.ASCII | re.DOTALL)


@lru_cache(maxsize=4096)
def parse(text: str, *, base: str | None = None, target: str | None = None) -> Reference:
    """Read a reference string.

    base: this server's FHIR base; an absolute reference below it is `local`.
    target: `Reference.type`, used where the string itself does not tell the type.
    """
    match = _RESTFUL.fullmatch(text)
    if match is not None:
        address, type_, id_, version, _ = match.groups()
        if address is None or (base is not None and address.rstrip("/") == base.rstrip("/")):
            return Reference("local", text, type_, id_, version)
        return Reference("absolute", text, type_, id_, version)
    if text.startswith("#"):
        return Reference("contained", text, target, text[1:])
    if text.startswith(("urn:uuid:", "urn:oid:")):
        return Reference("urn", text, target)
    if text.startswith(("http://", "https://")):
        return Reference("absolute", text, target)
    match = _CONDITIONAL.fullmatch(text)
    if match is not None:
        return Reference("conditional", text, match[1], query=match[2])
    return Reference("unreadable", text, target)


def parse_element(element: Mapping[str, Any], *, base: str | None = None) -> Reference | None:
    """Read a Reference element; None when it is only a display."""
    type_ = element.get("type")
    target = type_.rsplit("/", 1)[-1] if isinstance(type_, str) else None
    identifier = element.get("identifier")
    system = value = None
    if isinstance(identifier, dict):
        system = _text(identifier.get("system"))
        value = _text(identifier.get("value"))
    text = element.get("reference")
    if isinstance(text, str):
        found = parse(text, base=base, target=target)
        if value is None:
            return found
        return Reference(
            found.kind, text, found.type, found.id, found.version, found.query, system, value
        )
    if value is None:
        return None
    return Reference("logical", "", target, identifier_system=system, identifier_value=value)


# The way to a node: (way to its parent, name, index in an array or None). Rendered on a hit only.
Place = tuple[Any, str, int | None]


@dataclass(frozen=True, slots=True)
class Found:
    """Where a document refers to something, of one walk.

    references: every Reference element that holds a reference string, in document order, also
        inside contained resources, extensions and the entries of a Bundle; not those that are only
        an identifier or a display. `expression` renders a place.
    uris: the objects with a `urn:uuid:` or `urn:oid:` in an element of type uri, url, oid or uuid: a
        transaction rewrites these too; canonicals and strings (`Identifier.value`) it leaves alone.
    """

    references: list[tuple[Place, dict[str, Any]]]
    uris: list[tuple[Place, dict[str, Any]]]


def find(document: Mapping[str, Any]) -> Found:
    found = Found([], [])
    for place, node in _objects(document):
        if "reference" in node and _is_reference(node, place):
            found.references.append((place, node))
        for name, value in node.items():
            may_be = type(value) is list or (type(value) is str and value[:4] == "urn:")
            if may_be and next(_uris_in(name, value, node, place), None):
                found.uris.append((place, node))
                break
    return found


def walk(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The references of `find`, each with its FHIRPath expression."""
    for place, node in find(document).references:
        yield expression(place), node


def walk_uris(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The uris of `find`, each with its FHIRPath expression and value."""
    for place, node in find(document).uris:
        for name, value in node.items():
            for index, uri in _uris_in(name, value, node, place):
                at = "" if index is None else f"[{index}]"
                yield f"{expression(place)}.{name}{at}", uri


def rewrite(document: dict[str, Any], mapping: Callable[[str], str | None]) -> dict[str, Any]:
    """The document with every reference, and every urn in a uri, put through mapping.

    Where mapping returns None the string stays. What does not change is shared with the input,
    which is never modified; the order of members is kept. Reference.type stays as it is.
    """
    return rewrite_found(document, find(document), mapping)[0]


def rewrite_found(
    document: dict[str, Any], found: Found, mapping: Callable[[str], str | None]
) -> tuple[dict[str, Any], Found]:
    """The same of a document that was walked, and what a walk of the outcome would find."""
    copies = _Copies(document)
    for place, node in found.references:
        new = mapping(node["reference"])
        if new is not None:
            copies.of(place)["reference"] = new
    for place, node in found.uris:
        for name, value in node.items():
            for index, uri in _uris_in(name, value, node, place):
                new = mapping(uri)
                if new is None:
                    continue
                if index is None:
                    copies.of(place)[name] = new
                else:
                    copies.array(place, name)[index] = new
    return copies.root, copies.found(found)


class _Copies:
    """The objects of a document that are changed, copied with what leads to them."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.root = document
        self._objects: dict[int, dict[str, Any]] = {}
        self._arrays: dict[tuple[int, str], list[Any]] = {}

    def of(self, place: Place) -> dict[str, Any]:
        known = self._objects.get(id(place))
        if known is not None:
            return known
        above, name, index = place
        if above is None:
            copy = self.root = dict(self.root)
        elif index is None:
            parent = self.of(above)
            copy = parent[name] = dict(parent[name])
        else:
            array = self.array(above, name)
            copy = array[index] = dict(array[index])
        self._objects[id(place)] = copy
        return copy

    def array(self, place: Place, name: str) -> list[Any]:
        known = self._arrays.get((id(place), name))
        if known is None:
            parent = self.of(place)
            known = self._arrays[id(place), name] = parent[name] = list(parent[name])
        return known

    def found(self, before: Found) -> Found:
        """The same places in the outcome. What was a urn may be none now; looking again is harmless."""
        if not self._objects:
            return before
        copies = self._objects
        return Found(
            [(place, copies.get(id(place), node)) for place, node in before.references],
            [(place, copies.get(id(place), node)) for place, node in before.uris],
        )


_REFERENCE_MEMBERS = frozenset(
    ("id", "extension", "reference", "_reference", "type", "_type", "identifier", "display",
     "_display")
)  # fmt: skip

# Elements named [x] in R4 that may be a Reference: `valueReference` is `value` in FHIRPath.
_CHOICES = frozenset(
    f"{name}Reference"
    for name in """
    additive answer author chargeItem code content defaultValue definingSubstance definition
    diagnosis entity fixed indication item legallyBinding location manufacturer medication name
    pattern procedure product reported source statusReason subject substance target timing topic
    value
    """.split()  # noqa: SIM905 - a table of names
)

# Elements of type uri, url, oid or uuid by name. Names that R4 also gives to a string, a code or a
# canonical are in only where such a value is never a urn of an entry of the same transaction;
# `reference` is a uri in DetectedIssue, Expression and Immunization.education.
_URNS = ("urn:uuid:", "urn:oid:")

_URI_ELEMENTS = frozenset(
    """
    address authority authorizationUrl defaultValueOid defaultValueUri defaultValueUrl
    defaultValueUuid definitionUri derivedFromUri endpoint eventUri fixedOid fixedUri fixedUrl
    fixedUuid fullUrl instantiates instantiatesUri issuer jurisdiction link location moduleUri
    nameUrl onlineInformation patternOid patternUri patternUrl patternUuid policy protocol
    reference relativePath rendering source sourceUri system target targetUri uri url valueOid
    valueUri valueUrl valueUuid
    """.split()  # noqa: SIM905 - a table of names
)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _is_reference(node: dict[str, Any], path: Place) -> bool:
    return (
        isinstance(node.get("reference"), str)
        and path[1] != "education"
        and node.keys() <= _REFERENCE_MEMBERS
    )


def _uris_in(
    name: str, value: Any, node: dict[str, Any], place: Place
) -> Iterator[tuple[int | None, str]]:
    """What is rewritten of a member that is no reference, with its index in an array."""
    if name not in _URI_ELEMENTS:
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, str) and item.startswith(_URNS):
                yield index, item
    elif (
        isinstance(value, str)
        and value.startswith(_URNS)
        and not (name == "reference" and _is_reference(node, place))
    ):
        yield None, value


def _objects(document: Mapping[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every JSON object of the document with the way to it, in document order."""
    waiting: list[tuple[Place, Any]] = [
        ((None, str(document.get("resourceType", "")), None), document)
    ]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        below: list[tuple[Place, Any]] = []
        for name, value in node.items():
            if isinstance(value, dict):
                below.append(((path, name, None), value))
            elif isinstance(value, list):
                below.extend(
                    ((path, name, index), item)
                    for index, item in enumerate(value)
                    if isinstance(item, dict)
                )
        below.reverse()
        waiting += below


def expression(path: Place) -> str:
    """The FHIRPath of a place."""
    steps: list[str] = []
    here: Place | None = path
    while here is not None:
        above, name, index = here
        if name in _CHOICES and not _is_plain(name, above):
            name = name[: -len("Reference")]
        elif name.startswith("_"):
            name = name[1:]
        steps.append(name if index is None else f"{name}[{index}]")
        here = above
    steps.reverse()
    return ".".join(steps)


def _is_plain(name: str, above: Place | None) -> bool:
    """The three elements whose own name ends like a choice: ImagingStudy.procedureReference,
    ServiceRequest.locationReference, ClinicalImpression.finding.itemReference."""
    if name == "itemReference":
        return above is not None and above[1] == "finding"
    if name in ("procedureReference", "locationReference"):
        return above is None or above[0] is None or above[1] in ("contained", "resource")
    return False
