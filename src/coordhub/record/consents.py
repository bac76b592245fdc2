"""What a written Consent changes: its rules begin with it, and those of the version before end.

http://hl7.org/fhir/R4/consent.html

In the transaction of the write, so that the next look already goes by it. What a Consent means is
`access.consent`'s to say; here it is told what the hub knows of whom the Consent names.

Whoever sees the patient may write down what the patient denies. What it permits is believed of the
organization that holds the patient's record only: else whoever sees a name could open the chart to
itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from coordhub.access import consent, viewer
from coordhub.access.provision import Element, Known
from coordhub.access.reach import Actors
from coordhub.directory import services
from coordhub.errors import Issue, unprocessable
from coordhub.r4.interval import BEGINNING, END, parse_instant
from coordhub.record import parties
from coordhub.record.work import Draft, Work
from coordhub.store import resources
from coordhub.store.transact import Rule, RuleEnd
from coordhub.store.visibility import ANYONE

MOST = 1000
"""Rules of one Consent."""

AHEAD = timedelta(days=1)
"""What a dateTime may be ahead of the hub's clock: somewhere it is tomorrow already."""

_PERSONS = frozenset({"Patient", "RelatedPerson"})


async def decide(work: Work) -> None:
    """Give the batch the rules of the Consents that it writes."""
    for draft in work.drafts:
        if draft.type != "Consent" or draft.unchanged or draft.source in work.apart:
            continue  # a victim service provider's says nothing outside of its own records
        if draft.previous is not None:
            work.batch.rules_ended.append(RuleEnd(draft.rid))
        if draft.document is not None and consent.in_force(draft.document):
            await _begin(work, draft, draft.document)


async def _begin(work: Work, draft: Draft, document: Element) -> None:
    _require(work, draft, document)
    if draft.patient is None:
        _warn(
            draft, "patient", "The patient is not known to this hub, so the hub can follow nothing of this. "
            "Refer to a Patient here.",
        )  # fmt: skip
        return
    found = {
        str(one): await _actors(work, one) for one in _named(document.get("provision"), "actor")
    }
    known = Known(lambda one: found.get(str(one)), lambda one: _instance(work, one))
    reading = consent.rules_of(document, known, work.now)
    for issue in reading.issues:
        place = issue.expression.removeprefix("Consent.")
        _warn(draft, place, issue.diagnostics, issue.code)
    rules = reading.rules
    if any(rule.permit for rule in rules) and not parties.holds(work, draft.source, draft.patient):
        rules = tuple(rule for rule in rules if not rule.permit)
        _warn(
            draft, "provision", "Another organization holds this patient's record: of what you write down for "
            "the patient, what is denied counts, what is permitted does not. Ask that organization to "
            "send the Consent.", "business-rule",
        )  # fmt: skip
    systems = await work.hub.engine.systems(
        {system for rule in rules for system, _ in rule.space.codes or ()}
    )
    rows = [row for rule in rules for row in _rows(rule, draft, draft.patient, systems)]
    if len(rows) > MOST:
        raise unprocessable(
            Issue(
                "too-costly",
                f"This Consent comes to {len(rows)} rules (provisions times actors); {MOST} are followed. "
                "Send it in several Consents, or name a CareTeam.",
                _at(draft, "provision"),
            )
        )
    work.batch.rules.extend(rows)


def _require(work: Work, draft: Draft, document: Element) -> None:
    """What an active privacy Consent of R4 may lack and the hub needs."""
    issues = []
    if "patient" not in document:
        issues.append(
            Issue(
                "required",
                "Whose Consent is it? Refer to a Patient that you see here.",
                _at(draft, "patient"),
            )
        )
    stated = document.get("dateTime")
    span = parse_instant(stated) if isinstance(stated, str) else None
    if span is not None and span.low > work.now + AHEAD:
        issues.append(
            Issue(
                "value",
                "This lies in the future, and would outlast every later Consent. State when it was given; "
                "what begins later goes into provision.period.",
                _at(draft, "dateTime"),
            )
        )
    if issues:
        raise unprocessable(*issues)


def _rows(
    rule: consent.Rule, draft: Draft, patient: int, systems: Mapping[str, int]
) -> Iterator[Rule]:
    space = rule.space
    codes = sorted(space.codes) if space.codes is not None else None
    for actor in sorted(space.actors) if space.actors is not None else (ANYONE,):
        yield Rule(
            actor, patient, rule.permit, rule.precedence, space.when.low, draft.rid, "consent",
            until=None if space.when.high == END else space.when.high,
            types=_sorted(space.types), rids=_sorted(space.rids), only_labels=space.labels,
            covers=rule.covers,
            systems=None if codes is None else [systems[system] for system, _ in codes],
            codes=None if codes is None else [code for _, code in codes],
            data_from=None if space.dates.low == BEGINNING else space.dates.low,
            data_to=None if space.dates.high == END else space.dates.high,
            purposes=None if space.purposes is None else sorted(space.purposes),
        )  # fmt: skip


def _sorted(values: frozenset[int] | None) -> list[int] | None:
    return None if values is None else sorted(values)


def _named(provision: Any, element: str) -> Iterator[Element]:
    """The Reference elements of `element` in a tree of provisions."""
    waiting = [provision] if isinstance(provision, Mapping) else []
    while waiting:
        node = waiting.pop()
        for one in node.get(element) or ():
            if isinstance(one.get("reference"), Mapping):
                yield one["reference"]
        waiting += node.get("provision") or ()


def _instance(work: Work, element: Element) -> int | None:
    text = parties.local(element, work.hub.base)
    return None if text is None else work.rid_of(text)


async def _actors(work: Work, element: Element) -> Actors | None:
    """Whom a reference means: organizations of the directory, or the person itself."""
    text = parties.local(element, work.hub.base)
    if text is None:
        return None
    kind = text.partition("/")[0]
    if kind in _PERSONS:
        rid = work.rid_of(text)
        return None if rid is None else Actors({rid})
    if kind == "CareTeam":
        return await _members(work, text)
    found = await services.recipient(work.conn, text, work.hub.base)
    return None if found is None else Actors({found.organization.rid})


async def _members(work: Work, text: str) -> Actors | None:
    """The organizations of a CareTeam's participants, and the persons among them, as it stands now."""
    draft = work.draft_of(text)
    if draft is not None:
        document = draft.document
    else:
        rid = work.rid_of(text)
        stored = await resources.read_rids(work.conn, viewer.of(work.caller), [rid] if rid else [])
        version = next(iter(stored.values()), None)
        document = parties.document(version) if version is not None and version.body else None
    rids: set[int] = set()
    complete = True
    for participant in (document or {}).get("participant") or ():
        for name in ("member", "onBehalfOf"):
            one = parties.local(participant.get(name), work.hub.base)
            if one is None or one.startswith("CareTeam/"):
                complete = complete and name == "onBehalfOf" and one is None
                continue
            found = await _member(work, one)
            complete = complete and found is not None
            rids |= {found} if found is not None else set()
    return Actors(rids, complete) if rids else None


async def _member(work: Work, text: str) -> int | None:
    if text.partition("/")[0] in _PERSONS:
        return work.rid_of(text)
    found = await services.recipient(work.conn, text, work.hub.base)
    return None if found is None else found.organization.rid


def _warn(draft: Draft, element: str, text: str, code: str = "not-supported") -> None:
    draft.warnings.append(Issue(code, text, _at(draft, element), "warning"))


def _at(draft: Draft, element: str) -> str:
    return f"{draft.at}.{element}" if draft.at else f"Consent.{element}"
