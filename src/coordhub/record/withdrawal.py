"""What follows when a Consent takes away what a recipient of a referral may see.

A recipient to whom the patient's record could be shown before the Consent was written, and cannot after,
is to do no more: who has not taken it on is no longer asked, who has is asked to stop (a Task of code
abort), the sender's Task says "withdrawn by patient", and what was not sent yet is not sent. What was
disclosed before stays in the audit. Who was asked for data of the patient's, and may not be told of it any
more, is no longer asked; what was released is hidden by the same rules.

All in the writer's transaction. The patient's open referrals are locked before the Consent is, as by
everyone who changes something about them; the rules are written; what is then seen is compared.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from coordhub.access import caller, viewer
from coordhub.access.caller import Caller
from coordhub.r4 import reference
from coordhub.record import errands, parent, parties
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Delete, Operation, Settled, Update
from coordhub.record.work import Work
from coordhub.referral import episode as pure
from coordhub.referral import task_machine as machine
from coordhub.referral.needs import Child
from coordhub.store import consents, deliveries, resources
from coordhub.store.engine import Connection
from coordhub.store.episodes import Candidate, Episode
from coordhub.store.resources import Version

REASON = machine.REASONS["consent-withdrawn"]

Apply: TypeAlias = Callable[[Hub, Connection, Caller, Sequence[Operation]], Awaitable[object]]
"""`record.commit.apply`, for a write of the hub's own."""


async def referrals_touched(
    work: Work, operations: Iterable[Settled], mapping: Mapping[str, str]
) -> set[int]:
    """The open referrals of the patients whose Consents are written: to be locked first of all.

    mapping: what references are rewritten to.
    """
    patients: set[int] = set()
    for operation in operations:
        if operation.type != "Consent":
            continue
        if not isinstance(operation, Create):
            found = work.located.get(("Consent", operation.id))
            if found is not None and found.visible and found.patient is not None:
                patients.add(found.patient)
        if not isinstance(operation, Delete):
            for text in work.patients_in(reference.rewrite(operation.document, mapping.get)):
                rid = work.rid_of(text)
                patients |= {rid} if rid is not None else set()
    if not patients:
        return set()
    await work.hold()
    work.consenting = frozenset(patients)
    return set(await consents.open_referrals(work.conn, sorted(patients)))


async def look_before(work: Work) -> None:
    """Note which recipients are permitted to see their patient, under the lock of their referrals."""
    if work.consenting:
        work.permitted = await consents.permitted(work.conn, sorted(work.episodes))
        work.permitted |= await consents.requests_told(work.conn, sorted(work.consenting))


async def follow(work: Work, apply: Apply) -> bool:
    """After the rules are written: stop what may not go on. Whether somebody is to be told."""
    if not work.consenting:
        return False
    permitted = await consents.permitted(work.conn, sorted(work.episodes))
    permitted |= await consents.requests_told(work.conn, sorted(work.consenting))
    lost = work.permitted - permitted
    for episode in work.episodes.values():
        for candidate in episode.candidates:
            if candidate.task in lost:
                await _stop(work, episode, candidate, apply)
    await _end_requests(work, lost, apply)
    await deliveries.suppress_hidden(
        work.conn, sorted(work.consenting), sorted(lost), work.now, REASON.text
    )
    return bool(lost)


async def _end_requests(work: Work, lost: frozenset[int], apply: Apply) -> None:
    """Nobody is asked any more by these of the Tasks that ask for data."""
    ended = await consents.lock_requests(work.conn, sorted(lost))
    stored = await resources.read_rids(work.conn, viewer.deciding(), ended)
    if stored:
        updates = [_told(work, stored[rid], {"status": "cancelled"}, REASON) for rid in ended]
        await apply(work.hub, work.conn, caller.hub(work.hub.organization), updates)


async def _stop(work: Work, episode: Episode, candidate: Candidate, apply: Apply) -> None:
    await consents.end_party(work.conn, candidate.task, candidate.request, work.now)
    stored = await resources.read_rids(work.conn, viewer.deciding(), [candidate.task, episode.id])
    task = stored[candidate.task]
    me = caller.hub(work.hub.organization)
    status = candidate.status
    if candidate.organization in work.apart:  # which the ledger is not told of
        status = str(parties.document(task)["status"])
    need = episode.need_of(candidate)
    child = Child(
        task.reference,
        status,
        reason=parent.code_of(parties.document(task).get("statusReason"), machine.REASON_SYSTEM),
        apart=candidate.organization in work.apart,
        offered=status == "accepted" and need.strategy == parent.CHOSEN and need.state != "won",
    )
    withdrawal = pure.permission_withdrawn([child])
    operations: list[Operation] = [
        _told(work, task, {"status": cancel.status}, cancel.reason) for cancel in withdrawal.cancels
    ]
    for asked in withdrawal.ask:
        state = pure.business_status("cancellation-requested")
        operations += [
            _told(work, task, {"businessStatus": state}, REASON),
            Create(
                "Task",
                errands.document(
                    kind="abort",
                    owner=candidate.recipient,
                    subject=asked,
                    reason=REASON,
                    requester=work.hub.organization,
                    now=work.now,
                    referral=stored[episode.id].reference,
                ),
            ),
        ]
    await apply(work.hub, work.conn, me, operations)


def _told(work: Work, task: Version, state: dict[str, object], reason: machine.Reason) -> Update:
    document = {
        **parties.document(task),
        **state,
        "statusReason": machine.concept(reason),
        "lastModified": instant(work.now),
    }
    return Update("Task", task.id, document)
