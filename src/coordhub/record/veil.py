"""Index rows of what is stored under a provider's key: they must not say what the text does not.

Of a provider's own records, and of what asks it, there are keyed digests of codes and links to what is
its own or of the referral, nothing else: it finds them by code and identifier, not by text, date,
number or address. Of another's record that tells where a provider is, words, addresses and places are
left out.
"""

from __future__ import annotations

from coordhub.r4.extract import Extracted
from coordhub.record.confidential import Terms
from coordhub.record.work import Draft, Work
from coordhub.store import vault
from coordhub.store.index import IndexRows
from coordhub.store.visibility import HUB

_CHARTS = frozenset({"Patient", "Person", "RelatedPerson"})


def is_theirs(draft: Draft) -> bool:
    """Whether it is a provider's own, or the hub's for it; else another's, that tells of it."""
    return draft.keeper is not None and (
        draft.keeper in (draft.source, draft.author) or draft.source == HUB
    )


def rows(
    work: Work, draft: Draft, plain: IndexRows, extracted: Extracted, terms: Terms
) -> IndexRows:
    """What of these rows may stand."""
    if draft.keeper is None:
        return plain
    if not is_theirs(draft):
        return IndexRows(
            tokens={row for row in plain.tokens if not terms.tells(row.code)},
            references=plain.references,
            dates=plain.dates,
            numbers=plain.numbers,
            quantities=plain.quantities,
        )
    vaulted, keeper = vault.in_use(), draft.keeper
    charts = _others_charts(work, extracted, keeper)
    return IndexRows(
        tokens={row._replace(code=vaulted.blind(keeper, row.code)) for row in plain.tokens},
        references={
            row for row in plain.references if row.target is not None and row.target not in charts
        },
    )


def _others_charts(work: Work, extracted: Extracted, keeper: int) -> set[int]:
    """rids of the persons of other organizations that it refers to."""
    found = set()
    for each in extracted.references:
        local = each.reference.local or ""
        kind, _, fhir_id = local.partition("/")
        if kind not in _CHARTS:
            continue
        draft = work.draft_of(local)
        known = work.located.get((kind, fhir_id))
        source = draft.source if draft else known.source if known else None
        rid = work.rid_of(local)
        if rid is not None and source != keeper:
            found.add(rid)
    return found
