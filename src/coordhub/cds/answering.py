"""From a call to its cards: whose chart, what is about to be ordered, what is known of that.

https://cds-hooks.hl7.org/2.0/#cds-service-response
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.cds import cards, patients, todo
from coordhub.cds.context import Context
from coordhub.cds.hooks import Hook
from coordhub.errors import FhirError, Issue
from coordhub.insight import prior_results, priors, same_question
from coordhub.insight.prior_results import Priors
from coordhub.insight.priors import Pending, Result
from coordhub.insight.same_question import Question
from coordhub.r4 import reference
from coordhub.referral.results import TYPES
from coordhub.store import agenda, parties, people, resources
from coordhub.store import cards as ledger
from coordhub.store.cards import Shown
from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """The body of the answer, and the rids of what it tells of."""

    body: dict[str, Any]
    rids: tuple[int, ...] = ()


NOTHING = Told({"cards": []})


async def answer(context: Context, caller: Caller, hook: Hook) -> Told:
    """One card for each order at most. 412 where nothing tells who the patient is.

    A victim service provider is told nothing here, and nothing of it is kept: what is known elsewhere of its
    clients it does not look for.
    """
    hub, now, view = context.hub, context.hub.clock(), viewer.of(caller)
    async with hub.engine.pool.acquire() as conn:
        if await parties.kind_of(conn, caller.organization) == "vsp":
            return NOTHING
    patient = await _fetched(context, caller, hook, f"Patient/{hook.patient}")
    orders = [
        one
        for text in hook.dispatched
        if (one := await _fetched(context, caller, hook, text)) is not None
    ]
    at_hub = hook.server.rstrip("/") == hub.base
    told: list[dict[str, Any]] = []
    shown: list[Shown] = []
    rids: list[int] = []
    async with hub.engine.pool.acquire() as conn:
        whose = await patients.meant(conn, view, hook.patient, patient, at_hub=at_hub)
        if whose is None:
            if patient is None and not at_hub:
                raise FhirError(
                    412,
                    Issue(
                        "required",
                        "Who is the patient? Send the prefetch that discovery asks for, or fhirServer (as the "
                        "directory has it) with fhirAuthorization.",
                        "prefetch.patient",
                    ),
                )
            return NOTHING
        if hook.service.hook == "patient-view":
            return await _waiting(conn, view, whose, now)
        asked = list(_asked(hook, orders))
        records = await people.same(conn, view, whose) if asked else []
        for order, question in asked:
            found = await prior_results.of_records(
                conn, view, records, question, base=hub.base, now=now, zone=hub.zone or UTC
            )
            found = _without(found, order)
            about = cards.subject(found)
            if about is None:
                continue
            uuid, draft = uuid4(), order in hook.drafts and isinstance(order.get("id"), str)
            told.append(
                cards.card(
                    about, found, uuid=uuid, suggestion=uuid4(), base=hub.base,
                    order=f"ServiceRequest/{order['id']}" if draft else None,
                    organization=caller.reference,
                    patient=await _whose(conn, caller, about),
                )
            )  # fmt: skip
            shown.append(_row(uuid, caller, hook, order, found, about, whose))
            rids.append(about.version.rid)
        if shown:
            await ledger.show(conn, shown, now)
    return Told({"cards": told}, tuple(dict.fromkeys(rids)))


async def _waiting(conn: Connection, view: Viewer, patient: int, now: datetime) -> Told:
    """One card, where something waits for who looks; it is not kept, as nothing is spared by it."""
    whose = await people.same(conn, view, patient)
    asked = await agenda.asked(conn, view, whose)
    came = await agenda.unseen(conn, view, whose, sorted(TYPES), now - todo.RECENT)
    documents = [priors.document_of(one) for one in asked]
    told = todo.card(documents, [priors.document_of(one) for one in came], uuid=uuid4())
    if told is None:
        return NOTHING
    return Told({"cards": [told]}, tuple(one.rid for one in (*asked, *came)))


async def _fetched(context: Context, caller: Caller, hook: Hook, text: str) -> Document | None:
    """What came along, or is at the EHR's own server."""
    if text in hook.fetched:
        return hook.fetched[text]
    if not hook.server or not hook.token:
        return None
    now = context.hub.clock()
    return await context.servers.read(caller.organization, hook.server, hook.token, text, now)


def _asked(hook: Hook, orders: Sequence[Document]) -> Iterator[tuple[Document, Question]]:
    """The orders that are for this patient and ask what may be known already, and what that is."""
    for order in (*hook.drafts, *orders):
        question = same_question.asked(priors.codes_of(order.get("code")))
        if question is not None and question.window is not None and _is_of(order, hook.patient):
            yield order, question


def _is_of(order: Document, patient: str) -> bool:
    """Whether it is for the patient of the call, and asks for something."""
    subject = order.get("subject")
    named = reference.parse_element(subject) if isinstance(subject, Mapping) else None
    return (
        order.get("doNotPerform") is not True
        and order.get("status", "draft") in ("draft", "active")
        and (named is None or named.id is None or (named.type, named.id) == ("Patient", patient))
    )


def _without(found: Priors, order: Document) -> Priors:
    """An order is no duplicate of itself, where it was sent here before it is dispatched."""
    own = _numbers(order)
    if not own:
        return found
    return replace(
        found, pending=[one for one in found.pending if not own & _numbers(one.document)]
    )


def _numbers(order: Document) -> set[tuple[str, str]]:
    listed = order.get("identifier")
    return {
        (str(one.get("system", "")), str(one["value"]))
        for one in (listed if isinstance(listed, Sequence) else ())
        if isinstance(one, Mapping) and "value" in one
    }


async def _whose(conn: Connection, caller: Caller, about: Result | Pending) -> str:
    """`Patient/id` of an order under way, of which a copy is asked for; a result needs none."""
    if isinstance(about, Result):
        return ""
    rid = about.version.patient
    assert rid is not None
    found = await resources.read_rids(conn, viewer.as_organization(caller.organization), [rid])
    return found[rid].reference if rid in found else ""


def _row(
    uuid: UUID, caller: Caller, hook: Hook, order: Document, found: Priors, about: Any, whose: int
) -> Shown:
    asked = sorted(priors.codes_of(order.get("code")) & found.question.codes)
    system, code = asked[0]
    kind = "result" if isinstance(about, Result) else "pending"
    assert found.question.window is not None
    return Shown(
        uuid, caller.organization, caller.client or "", hook.service.id, kind, system, code,
        found.question.name, about.age, whose, found.question.window.days,
    )  # fmt: skip
