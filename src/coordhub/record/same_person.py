"""What is asked about a Patient is asked about all records of the person that the asker sees.

A link opens nothing: who sees both records finds what is under either, by whichever it names. Who sees one
only is answered as if there were no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

from coordhub.r4.compartments import Compartment
from coordhub.r4.search import Criterion, Query, ReferenceValue
from coordhub.store import persons
from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer


def named(queries: Sequence[Query], within: Compartment | None = None) -> frozenset[str]:
    """The Patients (ids) that a search names, of whom others may be the same person."""
    found = {
        value.id
        for query in queries
        for criterion in query.criteria
        if isinstance(criterion, Criterion) and criterion.modifier is None
        for value in criterion.values
        if _is_patient(value) and value.id is not None
    }
    owner = {within.id} if within is not None and within.type == "Patient" else set()
    return frozenset(found | owner)


async def compartment_of(
    conn: Connection, view: Viewer, within: Compartment | None
) -> Compartment | None:
    """The same with the compartments of the person's other records."""
    if within is None or within.type != "Patient":
        return within
    beside = await persons.beside(conn, view, [within.id])
    return replace(within, beside=beside.get(within.id, ()))


async def asked_of(conn: Connection, view: Viewer, queries: Sequence[Query]) -> list[Query]:
    """The same, where they name Patients, with the person's other records named as well."""
    asked = named(queries)
    beside = await persons.beside(conn, view, asked) if asked else {}
    if not beside:
        return list(queries)
    return [
        replace(
            query,
            criteria=tuple(
                replace(
                    each,
                    values=(*each.values, *(
                        ReferenceValue(other, ("Patient",), None)
                        for value in each.values
                        if _is_patient(value) and value.id is not None
                        for other in beside.get(value.id, ())
                    )),
                )
                if isinstance(each, Criterion) and each.modifier is None
                else each
                for each in query.criteria
            ),
        )
        for query in queries
    ]  # fmt: skip


def _is_patient(value: object) -> TypeGuard[ReferenceValue]:
    """Whether it names a resource that may be a Patient of this hub."""
    return isinstance(value, ReferenceValue) and (not value.types or "Patient" in value.types)
