"""S30: the report of a month says what came of it, and to each organization of its own only."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coordhub.access import viewer
from coordhub.admin import reporting
from coordhub.admin.acts import Operator
from coordhub.fhir.operations import evaluate_measure
from coordhub.insight import reports
from coordhub.record.hub import system_clock
from coordhub.store import clients, prices, resources
from coordhub.store import measures as counted
from coordhub.store.prices import Price
from coordhub.store.visibility import EVERYONE

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from ehr import EHR, LOINC, call, draft

DAY = timedelta(days=1)
Document = dict[str, Any]


@dataclass
class Clock:
    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ehr(house) -> EHR:
    made = EHR("lakeside", house.hub.base, house.http)
    async with house.hub.engine.pool.acquire() as conn:
        assert await clients.set_keys(conn, "lakeside", json.dumps(made.keys), None)
    return made


async def evaluated(who, start: datetime, end: datetime, **more: str) -> dict[str, Document]:
    """The groups of the report, by code; its contained Lists by id."""
    query = "&".join(f"{name}={value}" for name, value in more.items())
    period = f"periodStart={start.date()}&periodEnd={end.date()}"
    answered = await who.ask("GET", f"/Measure/$evaluate-measure?{period}&{query}".rstrip("&"))
    assert answered.status_code == 200, answered.text
    document = answered.json()
    assert document["resourceType"] == "MeasureReport"
    checked = await who.ask("POST", "/MeasureReport/$validate", document)
    assert [one["severity"] for one in checked.json()["issue"]] == ["information"], checked.text
    listed = {f"#{one['id']}": one for one in document.get("contained", [])}
    return listed | {one["code"]["coding"][0]["code"]: one for one in document["group"]}


def count(group: Document, place: int = 0) -> int | None:
    found: int | None = group["population"][place].get("count")
    return found


async def test_s30_given_a_month_when_reported_then_each_has_its_own_figures_and_small_ones_are_held(
    house, monkeypatch
):
    riverside, mounds, begun = house.riverside, house.mounds, house.hub.clock()
    # Given ten referrals to the food bank, each met, and one to Lakeside, which declines
    for _ in range(10):
        _, task = await house.given_asked(riverside, mounds)
        for status in ("accepted", "in-progress", "completed"):
            await mounds.answers(task, status)
    sent, task = await house.given_asked(riverside, house.lakeside)
    await house.lakeside.answers(task, "rejected")
    await house.settled()
    now = house.hub.clock()

    # Then Riverside's report counts them, of what it says, and keeps back what is less than ten
    groups = await evaluated(riverside, begun - DAY, now + DAY)
    assert count(groups["sent.sent"]) == 11
    loop = groups["sent.closed-loop"]
    assert [count(loop, place) for place in (0, 1)] == [11, 11]
    assert loop["measureScore"]["value"] == 100
    assert "/ sent" in loop["code"]["text"]
    assert count(groups["sent.time-to-accept"]) == 10
    assert count(groups["sent.accepted"]) is None, "one who declined could be subtracted"
    # And the food bank's is of what it was asked
    theirs = await evaluated(mounds, begun - DAY, now + DAY)
    assert count(theirs["sent.sent"]) == 0
    assert count(theirs["received.asked"]) == 10
    assert theirs["received.completed"]["measureScore"]["value"] == 100
    few = await evaluated(house.lakeside, begun - DAY, now + DAY)
    assert count(few["received.asked"]) is None
    # And who is entitled has the rows behind a number, whatever it is
    rows = await evaluated(riverside, begun - DAY, now + DAY, reportType="subject-list")
    accepted = rows["sent.accepted"]
    assert [count(accepted, place) for place in (0, 1)] == [11, 10]
    members = rows[accepted["population"][1]["subjectResults"]["reference"]]["entry"]
    assert len(members) == 10
    assert sent.task not in [one["item"]["reference"] for one in members]
    everyone = rows[accepted["population"][0]["subjectResults"]["reference"]]["entry"]
    assert sent.task in [one["item"]["reference"] for one in everyone]

    # But not more rows than one answer holds
    monkeypatch.setattr(evaluate_measure, "MOST_LISTED", 5)
    period = f"periodStart={(begun - DAY).date()}&periodEnd={(now + DAY).date()}"
    asked = f"/Measure/$evaluate-measure?{period}&reportType=subject-list"
    refused = await riverside.ask("GET", asked)
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "too-costly")

    # And another month has none of them
    before = await evaluated(riverside, begun - 60 * DAY, begun - 30 * DAY)
    assert count(before["sent.sent"]) == 0
    # Of the community's numbers each knows what it asked, or was asked, and nothing else
    async with house.hub.engine.pool.acquire() as conn:
        for who, needs in {riverside: 11, mounds: 10, house.lakeside: 1, house.rides: 0}.items():
            version = await resources.read(conn, EVERYONE, "Organization", who.id)
            view = viewer.as_organization(version.rid)
            known = await counted.areas_known(conn, view, begun - DAY, now + DAY)
            assert sum(one.needs for one in known) == needs, who.key
    # And the operator prints the same as CSV, and the community's without names
    month = f"{begun.astimezone(house.hub.zone or UTC):%Y-%m}"
    if f"{now.astimezone(house.hub.zone or UTC):%Y-%m}" == month:
        by = Operator("ops")
        made = await reporting.report(house.hub, by, riverside.reference, month)
        assert "sent,closed-loop,Closed loop,11,11,100.0,%" in reports.as_csv(made)
        assert await reporting.community(house.hub, by, month) == (
            "kind,zip3,needs,met,unmet,nobody-to-ask,asked,no-capacity\r\n,,11,<10,<10,0,11,0\r\n"
        )


@pytest.mark.parametrize("again", [False, True])
async def test_s02_given_a_warning_that_was_followed_when_its_window_is_over_then_it_has_a_price_unless_ordered(
    house, ehr, clock, again
):
    riverside, lakeside, begun = house.riverside, house.lakeside, house.hub.clock()
    async with house.hub.engine.pool.acquire() as conn:
        # what it costs next year is not what it cost
        await prices.put(
            conn,
            [
                Price(LOINC, "17856-6", date(2026, 1, 1), Decimal("12.50"), "USD", "fee schedule"),
                Price(LOINC, "17856-6", begun.date() + 2 * DAY, Decimal("99"), "USD", "later"),
            ],
        )
    # Given Riverside's result of nine days ago, of a patient whom Lakeside knows, and is warned of
    sent, _ = await house.given_asked(riverside, lakeside)
    known = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:example:mrn", "value": "E-552"}],
        "link": [{"other": {"reference": sent.patient}, "type": "seealso"}],
    }
    mine = (await lakeside.ask("POST", "/Patient", known)).json()["id"]
    asked = call(draft("17856-6", "1288992"), patient={**known, "id": "1288992"})
    [card] = await ehr.cards(asked, begun)
    assert await ehr.feeds_back(begun, {"card": card["uuid"], "outcome": "accepted"}) == 200

    async def report() -> dict[str, Document]:
        return await evaluated(
            lakeside, begun - DAY, begun + DAY, reportType="subject-list"
        )  # fmt: skip

    # Then nothing is avoided while it could still be ordered
    groups = await report()
    assert [count(groups["tests.followed"], place) for place in (0, 1)] == [1, 1]
    assert count(groups["tests.avoided"], 1) == 0
    if again:
        clock.ahead += 20 * DAY
        order = {
            "resourceType": "ServiceRequest", "status": "active", "intent": "order",
            "code": {"coding": [{"system": LOINC, "code": "4548-4"}]},
            "subject": {"reference": f"Patient/{mine}"},
        }  # fmt: skip
        assert (await lakeside.ask("POST", "/ServiceRequest", order)).status_code == 201
    # When its window has passed
    clock.ahead = 61 * DAY
    groups = await report()

    # Then it was avoided, at the price of its day; unless another code asked the same after all
    assert count(groups["tests.avoided"], 1) == (0 if again else 1)
    if again:
        assert not any("spared" in code for code in groups)
    else:
        spared = groups["tests.spared-usd"]["measureScore"]
        assert (spared["value"], spared["unit"]) == (12.50, "USD")


async def test_s30_given_what_cannot_be_reported_when_asked_then_400_says_why(house):
    for query, element in (
        ("periodStart=2026-10-01", "periodEnd"),
        ("periodStart=x&periodEnd=2026-10-31", "periodStart"),
        ("periodStart=2026-10-31&periodEnd=2026-10-01", "periodEnd"),
        ("periodStart=2024-10-01&periodEnd=2026-10-01", "periodEnd"),
        ("periodStart=2026-10-01&periodEnd=2026-10-31&measure=urn:x", "measure"),
        ("periodStart=2026-10-01&periodEnd=2026-10-31&reportType=x", "reportType"),
    ):
        answered = await house.riverside.ask("GET", f"/Measure/$evaluate-measure?{query}")
        assert answered.status_code == 400, query
        [issue] = answered.json()["issue"]
        assert issue["expression"] == [f"http.{element}"]
    last = "periodStart=9999-12-30&periodEnd=9999-12-31"
    answered = await house.riverside.ask("GET", f"/Measure/$evaluate-measure?{last}")
    assert answered.status_code == 200, "no later day can be said"
