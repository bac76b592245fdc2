"""Read and search of AuditEvents: those that the hub renders from its audit.

http://hl7.org/fhir/R4/auditevent.html, https://profiles.ihe.net/ITI/BALP/

They are stored nowhere as resources: ids of the form `audit-...` are theirs alone, and a search of
AuditEvent asks for them unless it names another `source`. What partners store themselves is a
resource like any other and found by naming its source.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

import msgspec

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir import audit_event
from coordhub.fhir.audit_ids import is_reserved
from coordhub.fhir.bundle import Entry, address, bundle
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.dispatch import OPERATIONS
from coordhub.fhir.headers import unchanged
from coordhub.fhir.paging import CURSOR
from coordhub.fhir.searching import plan
from coordhub.r4 import types
from coordhub.r4.document import encode
from coordhub.r4.search import Criterion, DateValue, Query, ReferenceValue, TokenValue
from coordhub.store import resources
from coordhub.store.audit_trail import Entity, Row, Wish, trail
from coordhub.store.engine import Connection
from coordhub.store.visibility import HUB

USUAL_COUNT: Final = 50

_PAGING: Final = ("_count", "_cursor", "_format", "_pretty")

_WRITES: Final = frozenset({"create", "update", "patch", "delete"})
_INTERACTIONS: Final = (*audit_event.PATTERNS, *(f"${name}" for name in OPERATIONS))


def is_meant(context: Context, asked: Asked) -> bool:
    """Whether the hub's own AuditEvents are asked for, and not those that partners stored."""
    target = asked.target
    if target.type != "AuditEvent":
        return False
    if target.interaction != "search-type":
        return target.interaction not in _WRITES and is_reserved(target.id)
    if target.compartment is not None and target.compartment[0] != "Patient":
        return False
    sources = [value for name, value in asked.query if name.partition(":")[0] == "source"]
    ids = [one for name, value in asked.query if name == "_id" for one in value.split(",")]
    if ids:
        return all(is_reserved(one) for one in ids)
    return all(value in context.hub.itself for value in sources) and not any(
        name.startswith("source:") for name, _ in asked.query
    )


async def answer(context: Context, asked: Asked) -> Answer:
    """One AuditEvent, or a page of them, newest first, of what this caller's organization may see."""
    if asked.target.interaction == "search-type":
        return await _search(context, asked)
    seq = context.audit_ids.seq(asked.target.id or "")
    found: list[Row] = []
    if seq is not None and asked.target.version in (None, 1):
        async with context.hub.engine.pool.acquire() as conn:
            view = viewer.as_organization(asked.caller.organization)
            found, _ = await trail(conn, view, Wish(seqs=(seq,)), 1)
    if not found or asked.target.interaction not in ("read", "vread"):
        raise errors.not_found(asked.target.reference)
    row = found[0]
    same = unchanged(asked.conditions, 1, row.at)
    return Answer(
        304 if same else 200,
        b"" if same else encode(_rendered(context, row)),
        reference=asked.target.reference,
        version=1,
        updated=row.at,
    )


async def _search(context: Context, asked: Asked) -> Answer:
    hub, caller = context.hub, asked.caller
    _require_served(name for name, _ in asked.query)
    planned = plan(asked, base=hub.base, now=hub.clock())
    if planned.shape.count_only:
        raise errors.not_supported(
            "The hub's own AuditEvents are not counted; ask for a page of them.", "http._count"
        )
    query = planned.queries[0]
    before = None
    if planned.cursor is not None:
        opened = context.paging.open(planned.cursor, caller, planned.path, planned.pairs)
        before = int(opened[0])
    view = viewer.as_organization(caller.organization)
    async with hub.engine.searches.acquire() as conn:
        wish = await _wish(context, conn, asked, query, before)
        rows, following = await trail(conn, view, wish, planned.count or USUAL_COUNT)
    here = planned.pairs
    if planned.cursor is not None:
        here = [*here, (CURSOR, planned.cursor)]
    links = [("self", address(hub.base, planned.path, here))]
    if following is not None:
        cursor = context.paging.seal([following], caller, planned.path, planned.pairs)
        pairs = [*planned.pairs, (CURSOR, cursor)]
        links.append(("next", address(hub.base, planned.path, pairs)))
    return Answer(
        200,
        bundle("searchset", [_entry(context, row) for row in rows], links),
        searched=urlencode(planned.pairs),
    )


def _require_served(names: Iterable[str]) -> None:
    refused = [name for name in names if name not in (*audit_event.SEARCHED, *_PAGING)]
    if refused:
        raise FhirError(
            400,
            *(
                Issue(
                    "not-supported",
                    f"The hub's own AuditEvents are searched by {', '.join(audit_event.SEARCHED)} without "
                    "modifiers. Those that partners stored are found by naming their source.",
                    f"http.{''.join(c for c in name[:64] if c.isalnum() or c in '_:-.')}",
                )
                for name in refused
            ),
        )


async def _wish(
    context: Context, conn: Connection, asked: Asked, query: Query, before: int | None
) -> Wish:
    tokens: dict[str, list[tuple[TokenValue, ...]]] = {}
    named: dict[str, list[tuple[tuple[str, str], ...]]] = {}
    dates = list(query.last_updated)
    if asked.target.compartment is not None:
        named["patient"] = [(asked.target.compartment,)]
    for criterion in query.criteria:
        assert isinstance(criterion, Criterion)  # names with a dot or _has are not served
        code = criterion.parameter.code
        values = criterion.values
        if criterion.parameter.kind == "date":
            dates.append(tuple(one for one in values if isinstance(one, DateValue)))
        elif criterion.parameter.kind == "token":
            tokens.setdefault(code, []).append(
                tuple(one for one in values if isinstance(one, TokenValue))
            )
        elif code != "source":
            known = (name for one in values for name in _names(one, code))
            named.setdefault(code, []).append(tuple(known))
    rids = {
        code: tuple([await _rids(conn, asked, names) for names in groups])
        for code, groups in named.items()
    }
    seqs = None
    if query.ids is not None:
        seqs = tuple(seq for one in query.ids if (seq := context.audit_ids.seq(one)) is not None)
    return Wish(
        seqs,
        tuple(dates),
        tuple(
            tuple(name for name in _INTERACTIONS if any(_is(name, code, one) for one in group))
            for code in ("action", "type", "subtype")
            for group in tokens.get(code, ())
        ),
        tuple(
            tuple(one for one in ("0", "4", "8") if any(_fits(value, "", one) for value in group))
            for group in tokens.get("outcome", ())
        ),
        # the hub has its part in each of them
        tuple(group for group in rids.get("agent", ()) if HUB not in group),
        rids.get("patient", ()),
        tuple(
            Entity(group, names)
            for group, names in zip(rids.get("entity", ()), named.get("entity", ()), strict=True)
        ),
        before,
    )


def _is(interaction: str, code: str, value: TokenValue) -> bool:
    pattern = audit_event.pattern_of(interaction)
    if code == "action":
        return _fits(value, "", pattern.action)
    codes = [pattern.type] if code == "type" else pattern.subtypes
    return any(_fits(value, system, known) for system, known, _ in codes)


def _fits(value: TokenValue, system: str, code: str) -> bool:
    """system: empty for an element of type code, whose system R4 knows."""
    if value.code is not None and value.code != code:
        return False
    return value.any_system or not system or value.system == system


def _names(value: object, code: str) -> list[tuple[str, str]]:
    """Type and id that a reference may mean; none for what is not here."""
    if not isinstance(value, ReferenceValue) or value.id is None:
        return []
    possible = value.types or (("Patient",) if code == "patient" else ("Organization",))
    if code == "entity" and not value.types:
        possible = types.NAMES
    return [(name, value.id) for name in possible]


async def _rids(
    conn: Connection, asked: Asked, names: tuple[tuple[str, str], ...]
) -> tuple[int, ...]:
    """What the caller's organization sees of these; what is hidden names nothing."""
    view = viewer.as_organization(asked.caller.organization)
    found = await resources.locate(conn, view, names)
    return tuple(one.rid for one in found.values() if one.visible)


def _rendered(context: Context, row: Row) -> audit_event.Element:
    return audit_event.render(row, context.audit_ids.of(row.seq), context.hub.organization)


def _entry(context: Context, row: Row) -> Entry:
    document = _rendered(context, row)
    return {
        "fullUrl": f"{context.hub.base}/AuditEvent/{document['id']}",
        "resource": msgspec.Raw(encode(document)),
        "search": {"mode": "match"},
    }
