"""The entries of a delivery in the ids of the recipient's own server.

A server may know what it is sent under ids of its own: because it gives its own to all that is new to
it (agreed so), or because it has the original of which the hub has the copy. What it has is put there
and referred to as it has it. What is new to a server that gives ids is posted, on the condition that
nothing with the hub's identifier is there yet, so that a repeat makes no second one; references to
it are the entry's fullUrl, which such a server resolves.

http://hl7.org/fhir/R4/http.html#trules, http://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from coordhub.r4 import definitions, reference
from coordhub.r4 import document as fhir_json
from coordhub.store.resources import Version

SYSTEM = "urn:coordhub:id"
"""System of the identifier by which a server that gives ids finds what it was sent: `Type/id` of the hub."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tongue:
    """base: of the hub. theirs: `Type/id` of the hub -> of the server. own_ids: it gives its own.

    anew: `Type/id` of what it has no more and is to make anew, under an id of its own.
    """

    base: str
    theirs: Mapping[str, str]
    own_ids: bool = False
    anew: Collection[str] = ()

    def entry(self, version: Version, document: Document) -> Document:
        """The Bundle entry: what is written, and where. document: as the recipient is told it."""
        full = f"{self.base}/{version.reference}"
        known = self.theirs.get(version.reference)
        if known is None and (self.own_ids or version.reference in self.anew):
            return {"fullUrl": full, **self._posted(version, document)}
        target = known or version.reference
        document = self._said({**document, "id": target.partition("/")[2]})
        return {
            "fullUrl": full,
            "resource": _raw(self._marked(version, document) if self.own_ids else document),
            "request": {"method": "PUT", "url": target},
        }

    def _posted(self, version: Version, document: Document) -> Document:
        bare = {name: value for name, value in document.items() if name != "id"}
        marked = self._marked(version, self._said(bare))
        request: Document = {"method": "POST", "url": version.type}
        if _many(version.type):
            request["ifNoneExist"] = sought(version.type, version.reference).partition("?")[2]
        return {"resource": _raw(marked), "request": request}

    def _marked(self, version: Version, document: Document) -> Document:
        """With the identifier of the hub, where the type has any number of them."""
        if not _many(version.type):
            return document
        stated = document.get("identifier") or []
        others = [one for one in stated if one.get("system") != SYSTEM]
        return {
            **document,
            "identifier": [*others, {"system": SYSTEM, "value": version.reference}],
        }

    def _said(self, document: Document) -> Document:
        return reference.rewrite(document, self._named)

    def _named(self, text: str) -> str | None:
        found = reference.parse(text, base=self.base)
        if found.kind != "local" or found.local is None:
            return None
        if found.local in self.theirs:
            return self.theirs[found.local]
        own = self.own_ids or found.local in self.anew
        return f"{self.base}/{found.local}" if own else None


def sought(kind: str, reference: str) -> str:
    """Where a server that gives ids has what the hub knows as `reference`: a search by the hub's identifier."""
    value = quote(f"{SYSTEM}|{reference}", safe="")
    return f"{kind}?identifier={value}"


def _many(kind: str) -> bool:
    """Whether resources of this type have a list of identifiers."""
    return any(one.name == "identifier" and one.repeats for one in definitions.elements(kind))


def _raw(document: Document) -> msgspec.Raw:
    """Its JSON, decimals digit for digit."""
    return msgspec.Raw(fhir_json.encode(document))
