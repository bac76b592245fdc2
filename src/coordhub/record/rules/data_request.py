"""What follows when somebody asks another organization for data that a person there releases, and when it answers.

http://hl7.org/fhir/us/davinci-hrex (Task for data request)

One Task, of who asks; its owner, who holds the data, answers on it. What it releases are resources of its own,
named in `output`; they are shown to who asked by that answer and not before, for a time (HELD), until it takes one
out again. What is of a sensitive class a Consent has to show. Whether there is anything is said by
the answer alone.

A victim service provider is asked nothing and tells nothing: such a request stays as it is, as one that nobody
answers.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.errors import Issue, business_rule, unprocessable
from coordhub.r4.sensitivity import ALL
from coordhub.record import lapsing, parties, recipients, transitions
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.referral.data_request import HELD, KIND, SYSTEM
from coordhub.referral.results import PARTS
from coordhub.store import consents, grants, people, resources
from coordhub.store.episodes import Errand
from coordhub.store.transact import ErrandRow, Grant, ResultEnd

_ASKS_BY: Final = frozenset({"data-query", "data-code"})

_STANDS: Final = ("for", "owner", "code", "intent", "input", "requester", "reasonCode")
"""What has been asked is not altered."""

_SAID_BY_THE_HOLDER: Final = ("businessStatus", "output", "statusReason")

_TO: Final = frozenset(
    {"received", "accepted", "in-progress", "on-hold", "completed", "rejected", "failed"}
)

Document = dict[str, Any]


async def opens(work: Work, draft: Draft) -> None:
    """422 for a request that says nobody to ask, nothing to ask for, or of whom."""
    me = work.caller.organization
    if work.caller.is_hub or me in work.apart:
        return
    document = draft.document or {}
    _refuse_what_asks_nothing(draft, document)
    assert draft.patient is not None
    owner = parties.local(document.get("owner"), work.hub.base)
    found = await services.recipient(work.conn, owner, work.hub.base) if owner else None
    if found is None or owner is None:
        raise _lacks(
            draft,
            "owner",
            "Name who holds the data: an Organization or a service of the directory.",
        )
    holder = found.organization.rid
    if holder == me:
        raise _lacks(
            draft, "owner", "This is your own organization. Ask who holds what you do not."
        )
    if holder not in await consents.may_be_asked(work.conn, draft.patient, [holder]):
        raise business_rule(
            "No Consent of the patient lets this organization be told of it. Record one, and ask again.",
            transitions.at(draft, "owner"),
        )
    if holder in work.apart:
        return
    dataset = await recipients.dataset_of(work.conn, holder, owner, {}, work.hub.base)
    shared = await grants.shareable(work.conn, me, [draft.patient])
    work.batch.errands.append(ErrandRow(draft.rid, None, KIND, holder, draft.patient))
    work.batch.grants.append(Grant(holder, draft.rid, draft.rid, "party", ALL))
    work.batch.grants += [
        Grant(holder, rid, draft.rid, "referral", dataset=theirs or dataset)
        for rid, theirs in shared.items()
    ]
    draft.episode = draft.patient


def _refuse_what_asks_nothing(draft: Draft, document: Document) -> None:
    if draft.patient is None:
        raise _lacks(draft, "for", "Whose data? Refer to a Patient that you see here.")
    stated = {
        coding.get("code")
        for one in document.get("input") or ()
        for coding in (one.get("type") or {}).get("coding") or ()
        if coding.get("system") == SYSTEM
        and ("valueString" in one or "valueCodeableConcept" in one)
    }
    if not stated & _ASKS_BY:
        raise _lacks(
            draft, "input", "Say what is asked for: an input of type data-query (valueString: a FHIR search) or "
            f"data-code (valueCodeableConcept: a kind of document), of {SYSTEM}.",
        )  # fmt: skip


def _lacks(draft: Draft, element: str, text: str) -> Exception:
    return unprocessable(Issue("required", text, transitions.at(draft, element)))


async def changed(work: Work, draft: Draft, errand: Errand) -> None:
    """By who asked, who may only cancel it; by who holds the data; by the hub, where nobody answered in time."""
    before, after = draft.before() or {}, draft.document or {}
    draft.episode = draft.patient
    if work.caller.organization == errand.owner:
        await _answered(work, draft, before, after)
    elif not work.caller.is_hub:
        _by_who_asked(draft, before, after)
    if (draft.document or {}).get("status") in machine.TERMINAL:
        work.batch.errands_closed.append(draft.rid)


def refuse_to_delete(draft: Draft) -> None:
    raise business_rule(
        f"{draft.reference} asks another organization for data, which was told of it. Set its status to cancelled.",
        draft.at,
    )


def _by_who_asked(draft: Draft, before: Document, after: Document) -> None:
    old, new = str(before["status"]), str(after["status"])
    altered = [name for name in _STANDS if before.get(name) != after.get(name)]
    if altered:
        raise business_rule(
            "This was asked and stands. Set status to cancelled, and ask anew.",
            transitions.at(draft, altered[0]),
        )
    if new != old and (old in machine.TERMINAL or new != "cancelled"):
        raise business_rule(
            "How far it is says who holds the data. You may set status to cancelled until it has answered.",
            transitions.at(draft, "status"),
        )
    kept: Document = {name: before[name] for name in _SAID_BY_THE_HOLDER if name in before}
    mine = {name: value for name, value in after.items() if name not in _SAID_BY_THE_HOLDER}
    if new == "cancelled" and "statusReason" in after:
        kept["statusReason"] = after["statusReason"]
    draft.document = {**mine, **kept}


async def _answered(work: Work, draft: Draft, before: Document, after: Document) -> None:
    transitions.only_the_answer(draft, before, after)
    old, new = str(before["status"]), str(after["status"])
    if old != new and (old in machine.TERMINAL or new not in _TO):
        raise business_rule(
            f"It is {old}. "
            + (
                "That stands; of what you have released you may take something out of output."
                if old == "completed"
                else "That stands."
                if old in machine.TERMINAL
                else f"You may set status to: {', '.join(sorted(_TO))}."
            ),
            transitions.at(draft, "status"),
        )
    if new in ("rejected", "failed"):
        if not after.get("statusReason"):
            raise _lacks(draft, "statusReason", "Say why, in code or text: who asked is told.")
        if after.get("output"):
            raise business_rule(
                "Nothing is released by a refusal. Leave output out.",
                transitions.at(draft, "output"),
            )
    elif new == "completed":
        await _release(work, draft, before, after)
    elif after.get("output"):
        raise business_rule(
            "What is released is released by status completed. Leave output out until then.",
            transitions.at(draft, "output"),
        )


async def _release(work: Work, draft: Draft, before: Document, after: Document) -> None:
    """Show who asked what is named; of what was released before, no more what is not named any more."""
    named = _named(work, after)
    own, patients = await _own(work, named)
    if before["status"] == "completed":
        shown = await grants.released(work.conn, draft.rid)
        if not named <= shown:
            raise business_rule(
                "This was answered. More is released when it is asked for again.",
                transitions.at(draft, "output"),
            )
        gone = shown - own - patients
        work.batch.results_ended += [ResultEnd(rid, draft.rid) for rid in sorted(gone)]
        return
    if not named:
        raise _lacks(
            draft, "output", "Name what you release: an output of type data-value with valueReference for each "
            "resource. If there is nothing or nothing is released, set status to rejected.",
        )  # fmt: skip
    await _refuse_others(work, draft, after, own, patients)
    dataset = await recipients.dataset_of(work.conn, draft.source, "", {}, work.hub.base)
    until = min(lapsing.until(work), work.now + HELD)
    work.batch.grants += [
        Grant(draft.source, rid, draft.rid, "result", 0, dataset, until)
        for rid in sorted(own | patients)
    ]


async def _refuse_others(
    work: Work, draft: Draft, after: Document, own: set[int], patients: set[int]
) -> None:
    """422 for each output that is not the holder's, or not of the person that is asked about.

    Whose a record is says the holder; but where the hub knows which of its Patients is the same person as the one
    that is asked about, it is that one.
    """
    assert draft.patient is not None
    holder = viewer.as_organization(work.caller.organization)
    same = (await people.same_of_each(work.conn, holder, [draft.patient]))[draft.patient]
    theirs = patients & set(same) or (
        set() if await _knows(work, same) else patients if len(patients) == 1 else set()
    )
    stored = await resources.read_rids(work.conn, viewer.deciding(), sorted(own))
    of = {rid: one.patient for rid, one in stored.items()}
    of |= {one.rid: one.patient for one in work.drafts if one.rid in own}
    faults = [
        Issue(
            "value",
            "Released can be what your organization wrote here, of the record of one patient, who is the one that is "
            "asked about: name each resource by a reference to this hub, and leave this one out.",
            transitions.at(draft, f"output[{place}].valueReference"),
        )
        for place, one in enumerate(after.get("output") or ())
        if (rid := next(iter(_named(work, {"output": [one]})))) not in own
        or of.get(rid) not in theirs
    ]
    if faults:
        raise unprocessable(*faults)


async def _knows(work: Work, same: Collection[int]) -> bool:
    """Whether the holder wrote a record of this person itself."""
    return bool(await grants.written_by(work.conn, work.caller.organization, set(same)))


def _named(work: Work, document: Document) -> set[int]:
    """rids of the outputs; 0 for what is not here."""
    return {
        (work.rid_of(text) if text else None) or 0
        for one in document.get("output") or ()
        for text in [parties.local(one.get("valueReference"), work.hub.base)]
    }


async def _own(work: Work, rids: Collection[int]) -> tuple[set[int], set[int]]:
    """Of these and what they consist of what the holder wrote itself, of patients; and whose that is."""
    if not rids:
        return set(), set()
    holder = work.caller.organization
    written = {one.rid: one for one in work.drafts if one.source == holder and one.document}
    parts = {
        rid
        for one in (written[rid] for rid in written.keys() & rids)
        for name in PARTS
        for text in parties.locals_of((one.document or {}).get(name), work.hub.base)
        if (rid := work.rid_of(text)) is not None
    }
    wanted = set(rids) | parts
    own = await grants.written_by(work.conn, holder, wanted)
    stored = await resources.read_rids(work.conn, viewer.deciding(), sorted(own))
    of = {rid: one.patient for rid, one in stored.items()}
    of |= {rid: written[rid].patient for rid in written.keys() & wanted}
    own = {rid for rid, patient in of.items() if patient is not None}
    return own, {patient for patient in of.values() if patient is not None}
