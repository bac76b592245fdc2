"""What of a person's record a kit finds to go with a referral, for each who is asked.

Never more than its sender may see, whole; and for each recipient only what it would be shown, so that what is
attached does not name what it may not see. What is sensitive for domestic violence is not looked for. Of a
record that is linked to the one referred from goes along what the recipient sees already, since nothing that
the sender says opens another's record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from coordhub.insight import prior_results, priors
from coordhub.insight.kits import Kit, Search
from coordhub.insight.same_question import Code
from coordhub.r4 import datasets
from coordhub.r4 import document as fhir_json
from coordhub.r4.search import parse_query
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.store import consents, people, resources, search
from coordhub.store import priors as stored
from coordhub.store.engine import Connection, Engine
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer

MOST: Final = 60
"""Resources that go with one referral."""


async def enclosed(
    conn: Connection,
    engine: Engine,
    kit: Kit,
    recipients: Mapping[int, int],
    *,
    view: Viewer,
    patient: int,
    base: str,
    now: datetime,
    zone: tzinfo = UTC,
) -> dict[int, list[str]]:
    """`Type/id` for each organization that is asked, in the order of the kit.

    recipients: with the data set of each (r4.datasets). view: of who refers. patient: rid of whom.
    """
    asked = {
        organization: dataset
        for organization, dataset in recipients.items()
        if dataset == datasets.WHOLE or (kit.community and dataset != datasets.VSP)
    }
    if not asked:
        return {}
    view = replace(view, datasets=frozenset({datasets.WHOLE}))
    whose = await people.same(conn, view, patient)
    found = await _answers(conn, view, kit, whose, base=base, now=now, zone=zone)
    for each in kit.searches:
        found += await _found(conn, engine, view, each, whose)
    versions = {one.rid: one for one in found if not one.labels & (SDV | VSP)}
    here = [rid for rid, one in versions.items() if one.patient == patient]
    linked = [rid for rid, one in versions.items() if one.patient != patient]
    shown = await consents.would_be_shown(conn, sorted(asked), here)
    if linked:
        shown |= await consents.are_shown(conn, sorted(asked), linked)
    return {
        organization: [
            one.reference
            for rid, one in versions.items()
            if (organization, rid) in shown and _admitted(dataset, one)
        ][:MOST]
        for organization, dataset in asked.items()
    }


async def _answers(
    conn: Connection,
    view: Viewer,
    kit: Kit,
    whose: Sequence[int],
    *,
    base: str,
    now: datetime,
    zone: tzinfo,
) -> list[Version]:
    if not kit.answers:
        return []
    codes = frozenset[Code]().union(*(one.question.answers for one in kit.answers))
    candidates = await stored.candidates(conn, view, whose, codes)
    rejected = await prior_results.rejected(conn, view, candidates, base)
    found: list[Version] = []
    for each in kit.answers:
        results = priors.results(
            each.question, candidates, patients=whose, now=now, zone=zone, base=base,
            rejected=rejected,
        )  # fmt: skip
        newest = [
            one.version for one in results if each.within is None or one.taken >= now - each.within
        ]
        found += newest[: each.most]
    return found


async def _found(
    conn: Connection, engine: Engine, view: Viewer, wanted: Search, whose: Collection[int]
) -> list[Version]:
    named = await resources.read_rids(conn, view, sorted(whose))
    found: list[Version] = []
    for one in named.values():
        query = parse_query(wanted.type, [*wanted.pairs, (wanted.parameter, one.reference)])
        page = await search.search(conn, engine, view, query, limit=wanted.most)
        found += page.versions
    return sorted(found, key=lambda one: one.rid, reverse=True)[: wanted.most]


def _admitted(dataset: int, version: Version) -> bool:
    if dataset == datasets.WHOLE:
        return True
    assert version.body is not None
    return datasets.in_use().admits(dataset, fhir_json.parse(version.body.encode()))
