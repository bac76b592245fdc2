"""The keys by which a Patient is found as somebody who is known already: rows of the index.

What a victim service provider keeps, and what tells where one is, has none (`record.veil`).
"""

from __future__ import annotations

from typing import Any

from coordhub.identity import normalise
from coordhub.store.index import PersonRow


def rows(document: dict[str, Any], rid: int, source: int) -> set[PersonRow]:
    """Of what is no Patient, none."""
    if document.get("resourceType") != "Patient":
        return set()
    keys = normalise.keys(normalise.traits(document))
    return {PersonRow(kind, key, rid, source, rid) for kind, key in keys}
