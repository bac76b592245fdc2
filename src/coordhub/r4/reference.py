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


def walk(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every Reference element that holds a reference string, with its FHIRPath expression.

    In document order, also inside contained resources, extensions and the entries of a Bundle.
    Elements that are only an identifier or a display are not found.
    """
    for path, node in _objects(document):
        if _is_reference(node, path):
            yield _expression(path), node


def walk_uris(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every `urn:uuid:` or `urn:oid:` in an element of type uri, url, oid or uuid.

    A transaction rewrites these as well as references; canonicals and strings (`Identifier.value`)
    it leaves alone. Yields FHIRPath expression and value.
    """
    for path, node in _objects(document):
        for name, value in node.items():
            if _rewritten_uri(name, value, node, path):
                yield f"{_expression(path)}.{name}", value
            elif isinstance(value, list) and name in _URI_ELEMENTS:
                for index, item in enumerate(value):
                    if _rewritten_uri(name, item, node, path):
                        yield f"{_expression(path)}.{name}[{index}]", item


def rewrite(document: dict[str, Any], mapping: Callable[[str], str | None]) -> dict[str, Any]:
    """The document with every reference, and every urn in a uri, put through mapping.

    Where mapping returns None the string stays. What does not change is shared with the input,
    which is never modified; the order of members is kept. Reference.type stays as it is.
    """
    changed: dict[str, Any] = _rewrite(document, (None, "", None), mapping)
    return changed


# The way to a node: (way to its parent, name, index in an array or None). Rendered on a hit only.
_Path = tuple[Any, str, int | None]

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


def _is_reference(node: dict[str, Any], path: _Path) -> bool:
    return (
        isinstance(node.get("reference"), str)
        and path[1] != "education"
        and node.keys() <= _REFERENCE_MEMBERS
    )


def _rewritten_uri(name: str, value: Any, node: dict[str, Any], path: _Path) -> bool:
    return (
        isinstance(value, str)
        and value.startswith(("urn:uuid:", "urn:oid:"))
        and name in _URI_ELEMENTS
        and not (name == "reference" and _is_reference(node, path))
    )


def _objects(document: Mapping[str, Any]) -> Iterator[tuple[_Path, dict[str, Any]]]:
    """Every JSON object of the document with the way to it, in document order."""
    waiting: list[tuple[_Path, Any]] = [
        ((None, str(document.get("resourceType", "")), None), document)
    ]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        below: list[tuple[_Path, Any]] = []
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


def _expression(path: _Path) -> str:
    steps: list[str] = []
    here: _Path | None = path
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


def _is_plain(name: str, above: _Path | None) -> bool:
    """The three elements whose own name ends like a choice: ImagingStudy.procedureReference,
    ServiceRequest.locationReference, ClinicalImpression.finding.itemReference."""
    if name == "itemReference":
        return above is not None and above[1] == "finding"
    if name in ("procedureReference", "locationReference"):
        return above is None or above[0] is None or above[1] in ("contained", "resource")
    return False


def _rewrite(node: Any, path: _Path, mapping: Callable[[str], str | None]) -> Any:
    if isinstance(node, list):
        items = [_rewrite(item, path, mapping) for item in node]
        return node if all(a is b for a, b in zip(items, node, strict=True)) else items
    if isinstance(node, str):
        # Only reached for the strings of an array.
        name = path[1]
        if name in _URI_ELEMENTS and node.startswith(("urn:uuid:", "urn:oid:")):
            return mapping(node) or node
        return node
    if not isinstance(node, dict):
        return node
    reference = _is_reference(node, path)
    changed: dict[str, Any] | None = None
    for name, value in node.items():
        new: Any = value
        if isinstance(value, dict | list):
            new = _rewrite(value, (path, name, None), mapping)
        elif (reference and name == "reference") or _rewritten_uri(name, value, node, path):
            new = mapping(value) or value
        if new is not value:
            if changed is None:
                changed = dict(node)
            changed[name] = new
    return node if changed is None else changed
