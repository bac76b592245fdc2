"""What the two sides of a referral say to each other, on the page of either: questions, answers, notes.

http://hl7.org/fhir/R4/communication.html, docs/integration.md (Talking about a referral)

What is said is a Communication as by the API, and heard by the same rules; here it names who is to hear it. Of a
victim service provider nothing is told, to it nothing is said here, and it has no place here to say something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fastapi import Request

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.errors import FhirError
from coordhub.portal import answering, guests, listed, occurrences
from coordhub.portal.guests import Guest
from coordhub.record import parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create
from coordhub.referral import conversation
from coordhub.referral import task_machine as machine
from coordhub.referral import timeline as pure
from coordhub.referral.needs import PLACE_KEPT
from coordhub.store import episodes, resources, said, timeline, vsp
from coordhub.store.engine import Connection
from coordhub.store.episodes import NOBODY, Candidate, Episode
from coordhub.store.resources import Version

NOBODY_HEARS: Final = (
    "Several are asked: until one of them has accepted, nobody reads what you write here."
)
NOBODY_LEFT: Final = "Nobody of this referral reads any more what you write here."

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that was said. by: rid of its author; who: its name, "" of one's own. waits: it is a question
    whose author still waits for the answer. more: something goes with it, that is not shown here. withdrawn: as said
    in error.
    """

    id: str
    at: datetime
    by: int
    who: str
    text: str
    asks: bool
    waits: bool
    more: bool
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Hearer:
    """Who hears what is said. reference: as it was addressed. waits: it has asked something and waits.

    organization: rid of whose it is.
    """

    reference: str
    name: str
    waits: bool
    organization: int


@dataclass(frozen=True, slots=True)
class Talk:
    """said: oldest first. about: the Task that what is said is about; subject: for whom it is. lacking: why nobody
    would hear it.

    hearers: of the side that refers, who is asked; of a recipient, who refers. rids: what is shown.
    """

    about: str
    subject: Document | None
    said: tuple[Said, ...]
    hearers: tuple[Hearer, ...]
    lacking: str
    rids: tuple[int, ...]

    @property
    def questions(self) -> tuple[Said, ...]:
        return tuple(one for one in self.said if one.waits)


async def talk(conn: Connection, organization: int, task: Version) -> Talk | None:
    """Of a referral that the organization has sent, by its Task, or of one that it is asked by this Task.

    None for all others, where a victim service provider looks, and where none but such are asked.
    """
    view = viewer.as_organization(organization)
    told = await timeline.told(conn, view, task.rid)
    if told is None or told.id != task.rid:
        return None
    episode = (await episodes.read(conn, [told.episode]))[told.episode]
    apart = await vsp.marked(conn)
    mine = [
        one
        for one in episode.candidates
        if (one.organization not in apart) and (told.whole or one.task == task.rid)
    ]
    if not mine or (not told.whole and organization in apart):
        return None
    found = await said.between(conn, view, episode.id, episode.requester)
    found = [one for one in found if one.source not in apart]
    stored = await resources.read_rids(
        conn, view,
        sorted({episode.requester, *(one.organization for one in mine), *(one.source for one in found)}),
    )  # fmt: skip
    expected = pure.expected(told, await timeline.moments(conn, view, told))
    asking = {one.ordinal for one in expected if one.what == "inform"}
    waiting = {one.organization for one in mine if one.ordinal in asking}
    if told.whole:
        addressed = await listed.shown(
            conn, view, {one.recipient for one in mine if "/" in one.recipient}
        )
        hearers = _recipients(episode, mine, waiting, addressed, apart)
        lacking = "" if hearers else NOBODY_HEARS if _is_open(mine) else NOBODY_LEFT
    else:
        whose = stored.get(episode.requester)
        name = occurrences.name_in(whose) if whose is not None else ""
        out = mine[-1].status in conversation.DECLINED
        hearers = () if whose is None or out else (Hearer(whose.reference, name, False, whose.rid),)
        lacking = NOBODY_LEFT
    return Talk(
        task.reference,
        parties.document(task).get("for"),
        tuple(_said(found, organization, waiting, stored)),
        tuple(hearers),
        "" if hearers else lacking,
        tuple(one.rid for one in found),
    )


def _is_open(asked: Sequence[Candidate]) -> bool:
    return any(one.status not in machine.TERMINAL for one in asked)


def _recipients(
    episode: Episode,
    asked: Sequence[Candidate],
    waiting: set[int],
    known: Mapping[str, Version],
    apart: frozenset[int],
) -> tuple[Hearer, ...]:
    """Who hears what the sender says to it: not one of several who compete, nor who is out of it."""
    found: dict[int, Hearer] = {}
    for one in asked:
        competing = [
            each
            for each in episode.candidates
            if each.need == one.need
            and each.organization not in apart
            and each.status not in (*machine.TERMINAL, "on-hold")
        ]
        if (
            one.organization == NOBODY
            or one.status in conversation.DECLINED
            or (one.reason == PLACE_KEPT and one.blind)
            or len(competing) > 1
            or any(each.organization == NOBODY for each in competing)
        ):
            continue
        named = known.get(one.recipient)
        name = occurrences.name_in(named) if named is not None else one.recipient
        found[one.organization] = Hearer(
            one.recipient, name, one.organization in waiting, one.organization
        )
    return tuple(found.values())


def _said(
    found: Sequence[Version], organization: int, waiting: set[int], stored: Mapping[int, Version]
) -> list[Said]:
    """waiting: organizations whose last question is open."""
    last: dict[int, str] = {}
    documents = {one.rid: parties.document(one) for one in found}
    for one in found:
        if one.source in waiting and conversation.is_question(documents[one.rid]):
            last[one.source] = one.id
    shown = []
    for one in found:
        document = documents[one.rid]
        if not conversation.is_said(document):
            continue
        payload = document.get("payload") or []
        texts = [str(each["contentString"]) for each in payload if each.get("contentString")]
        whose = stored.get(one.source)
        shown.append(
            Said(
                one.id,
                one.updated,
                one.source,
                "" if one.source == organization else occurrences.name_in(whose) if whose else "",
                "\n".join(texts),
                conversation.is_question(document),
                last.get(one.source) == one.id,
                len(texts) < len(payload),
                document.get("status") == "entered-in-error",
            )
        )
    return shown


def lacks(to: Sequence[Hearer], words: str) -> str | None:
    """What still has to be said before it can be."""
    if not words:
        return "Write what you want to say."
    return None if to else "Choose who is to read it."


def _chosen(found: Talk, form: Mapping[str, str]) -> list[Hearer]:
    """Who is to hear it: of an answer who has asked; else as the form says, where there is a choice."""
    asker = next((one.by for one in found.questions if one.id == form.get("answers")), None)
    if asker is not None:
        return [one for one in found.hearers if one.organization == asker]
    if len(found.hearers) == 1:
        return list(found.hearers)
    return [one for one in found.hearers if form.get(f"to.{one.reference}") == "on"]


async def send(
    request: Request, guest: Guest, found: Talk | None, form: Mapping[str, str]
) -> tuple[tuple[str, ...], int]:
    """Say what the form says; what is refused, and with which status."""
    answers = form.get("answers", "")
    if found is None or (answers and all(one.id != answers for one in found.questions)):
        return ("This cannot be answered so any more.",), 409
    words = form.get("words", "").strip()[: answering.LONGEST]
    to = _chosen(found, form)
    if (lacking := found.lacking or lacks(to, words)) is not None:
        return (lacking,), 422
    caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
    try:
        await say(guests.context_of(request).hub, caller, found, to, words, answers)
    except FhirError as error:
        return guests.refused(error), error.status
    return (), 200


async def say(
    hub: Hub, caller: Caller, found: Talk, to: Sequence[Hearer], words: str, answers: str = ""
) -> None:
    """Say it; FhirError where the hub refuses. answers: id of the question that it answers."""
    document: Document = {
        "resourceType": "Communication",
        "status": "completed",
        "about": [{"reference": found.about}],
        "recipient": [{"reference": one.reference} for one in to],
        "sender": {"reference": caller.reference},
        "sent": instant(hub.clock()),
        "payload": [{"contentString": words}],
    }
    if found.subject is not None:  # what its Consents permit is seen by it
        document["subject"] = found.subject
    if answers:
        document["inResponseTo"] = [{"reference": f"Communication/{answers}"}]
    await commit(hub, caller, [Create("Communication", document)], interaction="create")
