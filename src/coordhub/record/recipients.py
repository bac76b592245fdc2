"""The data set of a recipient: what it is shown of what a referral shares.

Who treats is shown the whole. Any other is shown what its kind of service needs, by the codes of the
service that is asked and of what it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from coordhub.r4 import datasets, reference
from coordhub.record import parties
from coordhub.store import parties as store
from coordhub.store import resources
from coordhub.store.engine import Connection
from coordhub.store.visibility import EVERYONE

_SERVICE = ("category", "type")


async def dataset_of(
    conn: Connection, organization: int, recipient: str, request: dict[str, Any], base: str
) -> int:
    """Number of the data set; recipient: as addressed (`HealthcareService/x`), request: what is asked."""
    kind = await store.kind_of(conn, organization)
    if kind == "vsp":
        return datasets.VSP
    if kind in ("treatment", "person"):
        return datasets.WHOLE
    codes = list(_codes(request.get("category")))
    found = reference.parse(recipient, base=base)
    if found.type == "HealthcareService" and found.id is not None:
        service = await resources.read(conn, EVERYONE, found.type, found.id)
        if service is not None and service.body is not None:
            document = parties.document(service)
            codes = [
                *codes,
                *(code for name in _SERVICE for code in _codes(document.get(name))),
            ]
    return datasets.in_use().fitting(codes)


def _codes(concepts: Any) -> Iterator[tuple[str | None, str]]:
    for concept in _objects(concepts):
        for coding in _objects(concept.get("coding")):
            if isinstance(coding.get("code"), str):
                yield coding.get("system"), coding["code"]


def _objects(value: Any) -> Iterable[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
