"""A simulated year of orders: who was warned, beside what an oracle says that knows everything.

COORDHUB_YEAR_PERSONS says how many persons (`make year`); the figures are printed.
"""

from __future__ import annotations

import os
from typing import Any

from open_hub import House, Party, patient
from year_of_orders import Order, Year, made

from coordhub.insight import prior_results, same_question
from coordhub.insight.same_question import LOINC
from coordhub.record.operations import Create
from coordhub.store import persons
from coordhub.store.persons import Pair

PERSONS = int(os.environ.get("COORDHUB_YEAR_PERSONS", "12"))
TERMS = "http://terminology.hl7.org/CodeSystem"

Document = dict[str, Any]


def permitting(subject: str, who: str, at: str) -> Document:
    role = {"coding": [{"system": f"{TERMS}/v3-ParticipationType", "code": "IRCP"}]}
    return {
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": f"{TERMS}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": f"{TERMS}/v3-ActCode", "code": "IDSCL"}]}],
        "patient": {"reference": subject}, "dateTime": at,
        "policyRule": {"coding": [{"system": f"{TERMS}/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "actor": [{"role": role, "reference": {"reference": who}}]},
    }  # fmt: skip


def result(order: Order, subject: str) -> Document:
    unit = {"unit": "1", "system": "http://unitsofmeasure.org", "code": "1"}
    document: Document = {
        "resourceType": "Observation",
        "status": order.fault if order.fault in ("entered-in-error", "preliminary") else "final",
        "code": {"coding": [{"system": LOINC, "code": order.answer}]},
        "subject": {"reference": subject},
        "effectiveDateTime": order.at.isoformat(),
        "valueQuantity": {"value": 7, **unit},
    }
    if order.fault == "no value":
        del document["valueQuantity"]
        document["dataAbsentReason"] = {"text": "clotted"}
    if order.fault == "specimen":
        document["contained"] = [
            {"resourceType": "Specimen", "id": "s", "status": "unsatisfactory"}
        ]
        document["specimen"] = {"reference": "#s"}
    return document


async def lived(
    house: House, year: Year, places: tuple[Party, Party]
) -> dict[tuple[int, int], int]:
    """All of it in the hub; rid of each person's Patient, by person and place."""
    now = house.clock()
    rids: dict[tuple[int, int], int] = {}
    names: dict[tuple[int, int], str] = {}
    for person in year.persons:
        for place, party in enumerate(places):
            written = await house.create(party, patient(f"{place}-{person.number}"))
            rids[person.number, place], names[person.number, place] = written.rid, written.reference
            if person.permits:
                other = places[1 - place].reference
                await house.create(party, permitting(written.reference, other, now.isoformat()))
        if person.linked:
            one, other_rid = sorted(rids[person.number, place] for place in (0, 1))
            pair = Pair(one, other_rid, "linked", "a steward", "looked at both", 0.9, "{}", now)
            async with house.engine.pool.acquire() as conn:
                await persons.put(conn, [pair])
    for place, party in enumerate(places):
        came = [one for one in year.orders if one.place == place and one.answer is not None]
        for first in range(0, len(came), 100):
            await house.commit(party, *(
                Create("Observation", result(one, names[one.person, place]))
                for one in came[first : first + 100]
            ))  # fmt: skip
    return rids


async def warned(
    house: House, year: Year, places: tuple[Party, Party], rids: dict[tuple[int, int], int]
) -> set[int]:
    """Positions of the orders at which a card would warn, each asked as of the minute it is signed."""
    found: set[int] = set()
    async with house.engine.pool.acquire() as conn:
        for position, order in enumerate(year.orders):
            question = same_question.asked([(LOINC, order.code)])
            assert question is not None
            told = await prior_results.found(
                conn, places[order.place].viewer, rids[order.person, order.place], question,
                base=house.hub.base, now=order.signed,
            )  # fmt: skip
            if any(one.is_new for one in told.results):
                found.add(position)
    return found


async def test_given_a_year_of_orders_when_each_is_signed_then_who_is_warned_is_who_may_know_of_a_duplicate(
    house: House,
) -> None:
    year, places = made(1, PERSONS), (house.clinic, house.kitchen)
    rids = await lived(house, year, places)
    told = await warned(house, year, places, rids)
    known = {n for n, order in enumerate(year.orders) if year.is_known(order)}
    duplicate = {n for n, order in enumerate(year.orders) if year.is_duplicate(order)}
    needless = len(year.orders) - len(duplicate)
    print(
        f"\n{len(year.persons)} persons, {len(year.orders)} orders, {len(duplicate)} duplicates of which"
        f" {len(known)} are of what whoever ordered may see; warned {len(told)}: sensitivity"
        f" {len(told & duplicate) / len(duplicate):.3f}, of what may be seen"
        f" {len(told & known) / len(known):.3f}; false alarms {len(told - duplicate)} of {needless};"
        f" from what may not be seen {len(told & (duplicate - known))}"
    )
    assert told - duplicate == set(), "false alarms"
    assert told & (duplicate - known) == set(), "warned by what may not be seen"
    assert known - told == set(), "not warned of what may be seen"
    assert 0 < len(known) < len(duplicate), "some of it is hidden, some of it is not"
