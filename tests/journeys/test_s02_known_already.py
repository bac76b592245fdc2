"""S02 to S05: who is about to order is told, once, what is known already; and nothing it may not see.

https://cds-hooks.hl7.org/2.0/
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from coordhub.sandbox import demo
from coordhub.store import clients, invariants

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from ehr import EHR, LOINC, call, draft

MRN = "urn:oid:2.16.840.1.113883.19.6"
DAY = timedelta(days=1)
AT_LAKESIDE = {
    "resourceType": "Patient",
    "id": "1288992",
    "identifier": [{"system": MRN, "value": "E-552"}],
}
"""As Lakeside's EHR has her."""
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

Document = dict[str, Any]


@pytest.fixture
async def ehr(house) -> EHR:
    """Lakeside's, registered with its key."""
    made = EHR("lakeside", house.hub.base, house.http)
    async with house.hub.engine.pool.acquire() as conn:
        assert await clients.set_keys(conn, "lakeside", json.dumps(made.keys), None)
    return made


async def made(who, document: Document) -> str:
    answered = await who.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


async def known_as_e_552(house, patient: str | None) -> str:
    """Lakeside's own record of her, which says that she is Riverside's patient."""
    link = [{"other": {"reference": patient}, "type": "seealso"}] if patient else []
    document = {**AT_LAKESIDE, **({"link": link} if link else {})}
    return await made(house.lakeside, {k: v for k, v in document.items() if k != "id"})


async def at_riverside(house, *, permitted: bool = True) -> str:
    """Riverside's record of her; permitted: Lakeside may see it."""
    riverside, lakeside = house.riverside, house.lakeside
    patient = await made(riverside, {"resourceType": "Patient", "name": [{"family": "Example"}]})
    if permitted:
        moment = house.hub.clock().isoformat(timespec="milliseconds")
        consent = demo.consent(patient, riverside.reference, [lakeside.reference], moment)
        await made(riverside, consent)
    return patient


def hba1c(house, patient: str, days: int = 9, **others: Any) -> Document:
    taken = house.hub.clock() - days * DAY
    document = demo.observation(patient, house.riverside.reference, taken, "7.9")
    return {**document, **others}


async def test_s02_given_a_result_of_nine_days_ago_when_it_is_ordered_again_then_one_card_says_so(
    house, ehr
):
    # Given Riverside's HbA1c has come to Lakeside with a referral, and Lakeside knows her as E-552
    sent, _ = await house.given_asked(house.riverside, house.lakeside)
    await known_as_e_552(house, sent.patient)

    # When Lakeside signs one by HPLC
    now = house.hub.clock()
    [card] = await ehr.cards(call(draft("17856-6", "1288992"), patient=AT_LAKESIDE), now)

    # Then one card says so, and nothing else of the chart
    assert card["summary"] == "HbA1c 7.9 % was resulted 9 days ago at Riverside Primary Care"
    assert card["indicator"] == "warning"
    assert "60 days" in card["detail"]
    assert "4548-4" in card["detail"]
    assert len(card["overrideReasons"]) == 5
    assert card["selectionBehavior"] == "at-most-one"
    [suggestion] = card["suggestions"]
    [action] = suggestion["actions"]
    assert (action["type"], action["resourceId"]) == ("delete", "ServiceRequest/draft-1")
    # And the disclosure is on record
    looks = await house.rows(
        "select a.outcome, r.fhir_id from audit a join resource r on r.rid = any(a.rids)"
        " where a.interaction = 'cds-order-sign'"
    )
    assert looks == [{"outcome": 200, "fhir_id": sent.prior.partition("/")[2]}]

    # When the user follows it, and the EHR says so twice
    told = {
        "card": card["uuid"],
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": suggestion["uuid"]}],
    }
    assert [await ehr.feeds_back(now, told), await ehr.feeds_back(now, told)] == [200, 200]
    # Then the ledger holds one row
    rows = await house.rows(
        "select c.code, c.kind, c.question, c.age_days, f.outcome, f.reason from card c"
        " join card_feedback f on f.card = c.id"
    )
    assert rows == [
        {"code": "17856-6", "kind": "result", "question": "hba1c", "age_days": 9, "outcome": "accepted", "reason": None}
    ]  # fmt: skip


async def test_s03_given_what_is_no_reason_to_warn_when_it_is_ordered_then_there_is_no_card(
    house, ehr
):
    riverside, now = house.riverside, house.hub.clock()
    patient = await at_riverside(house)
    mine = await known_as_e_552(house, patient)
    asked = call(draft("17856-6", "1288992"), patient=AT_LAKESIDE)
    result = await made(riverside, hba1c(house, patient))

    async def changed(**others: Any) -> None:
        document = {**hba1c(house, patient), "id": result.partition("/")[2], **others}
        document = {name: value for name, value in document.items() if value is not None}
        done = await riverside.ask("PUT", f"/{result}", document)
        assert done.status_code == 200, done.text

    variants: list[Document] = [
        hba1c(house, patient, days=61),
        {"status": "preliminary"},
        {"valueQuantity": None, "dataAbsentReason": {"text": "specimen rejected"}},
        {"status": "entered-in-error"},
    ]
    for variant in variants:
        await changed()
        assert len(await ehr.cards(asked, now)) == 1, "before it is so, there is a card"
        await changed(**variant)
        assert await ehr.cards(asked, now) == [], variant

    # a window that nobody has set
    await made(
        riverside, hba1c(house, patient, code={"coding": [{"system": LOINC, "code": "11524-6"}]})
    )
    ecg = call(draft("11524-6", "1288992"), patient=AT_LAKESIDE)
    assert await ehr.cards(ecg, now) == []
    # what is under 42 CFR Part 2 and no Consent names
    label = {"security": [{"system": _ACT, "code": "42CFRPart2"}]}
    sensitive = await made(riverside, hba1c(house, patient, meta=label))
    assert not await house.lakeside.sees(sensitive)
    assert await ehr.cards(asked, now) == []
    # another patient, of whom nobody has said for certain that she is this one
    await changed()
    assert len(await ehr.cards(asked, now)) == 1
    unlinked = {name: value for name, value in AT_LAKESIDE.items() if name != "id"}
    document = {**unlinked, "id": mine.partition("/")[2]}
    assert (await house.lakeside.ask("PUT", f"/{mine}", document)).status_code == 200
    assert await ehr.cards(asked, now) == []


async def test_s04_and_s05_given_an_order_under_way_when_the_same_is_ordered_then_it_says_so_and_offers_a_copy(
    house, ehr
):
    riverside, lakeside, now = house.riverside, house.lakeside, house.hub.clock()
    patient = await at_riverside(house)
    await known_as_e_552(house, patient)
    doctor = await made(riverside, {"resourceType": "Practitioner", "name": [{"text": "Dr Water"}]})
    order = draft(
        "57698-3", "", status="active", requester={"reference": doctor, "display": "Dr Water"}
    )
    order |= {
        "subject": {"reference": patient},
        "authoredOn": (now - 2 * DAY).isoformat(timespec="milliseconds"),
    }
    del order["id"]
    lipids = await made(riverside, order)
    task = {
        "resourceType": "Task",
        "status": "in-progress",
        "intent": "order",
        "focus": {"reference": lipids},
        "for": {"reference": patient},
        "requester": {"reference": riverside.reference},
    }
    await made(riverside, task)

    asked = call(draft("24331-1", "1288992"), patient=AT_LAKESIDE)
    [card] = await ehr.cards(asked, now)
    assert card["summary"] == "Lipid panel already ordered 2 days ago by Dr Water, result pending"
    assert card["indicator"] == "info"
    [suggestion] = card["suggestions"]
    assert suggestion["label"] == "Copy me on the result"
    [action] = suggestion["actions"]
    assert action["type"] == "create"

    # when it is followed, the EHR creates what it was given, at the hub
    copy = await made(lakeside, action["resource"])
    kept = await lakeside.read(copy)
    assert house.target(kept["about"][0]) == lipids
    assert house.target(kept["recipient"][0]) == lakeside.reference

    # and when the result is there, the card is about that
    panel = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "basedOn": [{"reference": lipids}],
        "code": {"coding": [{"system": LOINC, "code": "57698-3"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": now.isoformat(timespec="milliseconds"),
    }
    await made(riverside, panel)
    [card] = await ehr.cards(asked, now)
    assert card["summary"] == "Lipid panel was resulted today at Riverside Primary Care"

    # S05, the hub's part: overridden, with a reason
    reason = {"system": "urn:coordhub:dup-override", "code": "treatment-change"}
    told = {
        "card": card["uuid"],
        "outcome": "overridden",
        "overrideReason": {"reason": reason, "userComment": "she has new tablets"},
    }
    assert await ehr.feeds_back(now, told) == 200
    rows = await house.rows("select outcome, reason from card_feedback")
    assert rows == [{"outcome": "overridden", "reason": "treatment-change"}]


async def test_s04_given_who_follows_the_card_when_the_result_comes_then_it_is_brought_what_it_may_see_anyway(
    house, ehr
):
    riverside, lakeside, lab, now = (
        house.riverside,
        house.lakeside,
        house.metrolab,
        house.hub.clock(),
    )
    stranger = await house.joins("stranger", treats=True)
    sent, task = await house.given_asked(riverside, lab)
    await lab.answers(task, "accepted")
    moment = now.isoformat(timespec="milliseconds")
    names = [lakeside.reference]
    consent = await made(riverside, demo.consent(sent.patient, riverside.reference, names, moment))
    copy = {
        "resourceType": "CommunicationRequest", "status": "active",
        "subject": {"reference": sent.patient}, "about": [{"reference": sent.order}],
    }  # fmt: skip
    asked = await made(lakeside, {**copy, "recipient": [{"reference": lakeside.reference}]})
    # who ordered is shown that it is wanted; for another nobody asks
    assert await riverside.sees(asked)
    other = await made(lakeside, {**copy, "recipient": [{"reference": stranger.reference}]})
    assert not await riverside.sees(other)

    first = await lab.reports(sent.patient, sent.order)
    await house.settled()
    assert (await lakeside.holds(first))["status"] == "final"
    assert await stranger.holds(first) is None
    states = (
        "select d.state from delivery d join resource r on r.rid = d.rid"
        " join resource o on o.rid = d.organization where r.fhir_id = $1 and o.fhir_id = $2"
    )
    whose = lakeside.reference.partition("/")[2]
    assert await house.rows(states, first.partition("/")[2], whose) == [{"state": "delivered"}]

    # When the Consent by which it saw all that ends, nothing comes any more, and nothing says that there is any
    ended = {**await riverside.read(consent), "status": "inactive"}
    assert (await riverside.ask("PUT", f"/{consent}", ended)).status_code == 200
    denial = demo.consent(sent.patient, riverside.reference, names, moment)
    denial["provision"]["type"] = "deny"
    await made(riverside, denial)
    second = await lab.reports(sent.patient, sent.order, "6.8")
    await house.settled()
    assert await riverside.sees(second)
    assert await lakeside.holds(second) is None
    assert await house.rows(states, second.partition("/")[2], whose) == []
    async with house.hub.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, house.hub.clock()) == []
