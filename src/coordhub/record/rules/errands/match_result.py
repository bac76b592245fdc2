"""What follows when whoever wrote a result says which order it answers.

http://hl7.org/fhir/R4/task.html

Completed with the Task (or ServiceRequest) of the order as output, the result goes the way of all results
of that referral. Rejected, it answers no order, and stays with who wrote it.
"""

from __future__ import annotations

from coordhub.access import viewer
from coordhub.errors import Issue, business_rule, unprocessable
from coordhub.record import orders, parties, results, transitions
from coordhub.record.work import Draft, Work
from coordhub.store import resources
from coordhub.store.episodes import Episode, Errand

KIND = orders.KIND


async def answered(work: Work, draft: Draft, errand: Errand) -> None:
    """422 unless it is completed with one order that its owner was asked with; 409 for another patient's."""
    document, before = draft.document or {}, draft.before() or {}
    if document.get("status") != "completed" or before.get("status") == "completed":
        return
    found = {
        episode.id: episode
        for output in document.get("output") or ()
        if (text := parties.local(output.get("valueReference"), work.hub.base))
        and (rid := work.rid_of(text)) is not None
        and (episode := work.episode_of(rid)) is not None
        and orders.was_asked(work, episode, errand.owner)
    }
    if len(found) != 1:
        raise unprocessable(
            Issue(
                "required",
                "Say which order it answers: one output whose valueReference is the Task by which you were asked. "
                "If it answers none of them, set the status to rejected.",
                transitions.at(draft, "output"),
            )
        )
    [episode] = found.values()
    await _same_patient(work, draft, errand, episode)
    draft.episode = episode.id
    work.batch.errands_of[draft.rid] = episode.id
    work.routed[errand.subject] = episode.id
    await results.share(work, {errand.subject}, errand.owner, episode, "person", draft)


async def _same_patient(work: Work, draft: Draft, errand: Errand, episode: Episode) -> None:
    stored = await resources.read_rids(work.conn, viewer.deciding(), [errand.subject])
    result = stored.get(errand.subject)
    if result is None or result.body is None:
        raise business_rule(
            "What this asks about was deleted. Set the status to rejected.",
            transitions.at(draft, "focus"),
        )
    if None in (result.patient, episode.patient) or result.patient == episode.patient:
        return
    assert result.patient is not None
    alike = await orders.of_patient(work, errand.owner, result.patient)
    patients = await resources.read_rids(work.conn, viewer.deciding(), [result.patient])
    patient = patients.get(result.patient)
    if episode.id not in alike and (patient is None or patient.source != errand.owner):
        raise business_rule(
            "That order is for another patient than this result is about. Correct the subject of the result, or name "
            "another order.",
            transitions.at(draft, "output"),
        )
