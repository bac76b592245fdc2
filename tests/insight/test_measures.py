"""Figures of coordination: what is counted of what, and what is not told because it is too little."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from coordhub.insight import measures, reports
from coordhub.insight.measures import Figure
from coordhub.store.cards import Shown, Told
from coordhub.store.measures import Area, Received, Sent, Visit

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
BEGUN = datetime(2026, 10, 3, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def sent(number: int, **others) -> Sent:
    usual = {
        "closed_at": BEGUN + 48 * HOUR, "delivered": True, "accepted_at": BEGUN + 2 * HOUR,
        "answered": True, "asked": 1, "full": 0, "needs": 1, "met": 1, "waves": 1,
    }  # fmt: skip
    return Sent(number, BEGUN, **{**usual, **others})


def told(number: int, kind: str = "result", **others) -> Told:
    card = {
        "patient": number, "question": "hba1c", "code": "17856-6", "window_days": 30, **others,
    }  # fmt: skip
    said = {name: card.pop(name) for name in ("at", "outcome", "reason", "amount") if name in card}
    amount = said.get("amount")
    return Told(
        Shown(
            UUID(int=number), 7, "ehr", "sign", kind, "http://loinc.org", card["code"],
            card["question"], 9, card["patient"], card["window_days"],
        ),
        said.get("at", BEGUN), said.get("outcome"), said.get("reason"), amount,
        None if amount is None else "USD",
    )  # fmt: skip


def by_code(figures: list[Figure]) -> dict[str, Figure]:
    return {one.code: one for one in figures if one.group != "services"}


def test_given_referrals_when_counted_then_each_share_says_of_what():
    found = [
        *(sent(number) for number in range(10)),
        # nobody answered: it ended, and is no closed loop
        *(
            sent(number, answered=False, accepted_at=None, met=0, waves=3)
            for number in range(10, 20)
        ),
        # still open
        *(sent(number, closed_at=None, answered=False, met=0) for number in range(20, 40)),
    ]
    figures = by_code(measures.of_sent(found))

    assert figures["sent"].count == 40
    loop = figures["closed-loop"]
    assert (loop.count, loop.total, loop.value, loop.held) == (10, 40, Decimal("25.0"), False)
    assert loop.of == tuple(range(10))
    assert (figures["re-referred"].count, figures["served"].count) == (10, 10)
    assert (figures["time-to-accept"].count, figures["time-to-accept"].value) == (
        30,
        Decimal("2.0"),
    )
    assert (figures["time-to-close"].count, figures["time-to-close"].p90) == (20, Decimal("48.0"))


@pytest.mark.parametrize(
    ("of", "among", "is_held"),
    [(0, 0, False), (0, 9, True), (5, 5, True), (0, 10, False), (10, 10, False), (1, 30, True),
     (29, 30, True), (10, 20, False), (9, 20, True), (11, 20, True)],
)  # fmt: skip
def test_given_fewer_than_ten_behind_it_or_beside_it_when_told_then_it_is_not(of, among, is_held):
    figure = measures.share("sent", "x", "", "", range(of), range(among))
    assert figure.held is is_held


def test_given_lengths_when_told_then_median_and_the_one_that_nine_of_ten_are_below():
    spans = [(number, number * HOUR) for number in range(1, 21)]
    figure = measures.hours("sent", "x", "", "", spans)
    assert (figure.value, figure.p90, figure.held) == (Decimal("10.5"), Decimal("18.0"), False)
    assert measures.hours("sent", "x", "", "", spans[:9]).held
    nothing = measures.hours("sent", "x", "", "", [])
    assert (nothing.value, nothing.held) == (None, False)


def test_given_what_is_asked_when_counted_then_by_answer_and_reason():
    asked = [
        Received(number, status, reason, BEGUN, None, accepted, BEGUN + DAY)
        for number, (status, reason, accepted) in enumerate(
            [("completed", None, BEGUN + HOUR)] * 10
            + [("rejected", "no-capacity", None)] * 10
            + [("cancelled", "expired", None)] * 10
        )
    ]
    figures = by_code(measures.of_received(asked))
    assert {name: one.count for name, one in figures.items()} == {
        "asked": 30, "answered": 10, "declined": 10, "declined-full": 10, "unanswered": 10,
        "completed": 10, "time-to-answer": 10,
    }  # fmt: skip


def test_given_visits_when_counted_then_what_came_within_seven_days_is_home():
    found = [Visit(number, BEGUN, BEGUN + 7 * DAY) for number in range(10)]
    found += [Visit(number, BEGUN, BEGUN + 7 * DAY + HOUR) for number in range(10, 20)]
    found += [Visit(number, BEGUN, None) for number in range(20, 30)]
    [figure] = measures.of_visits(found)
    assert (figure.count, figure.total, figure.value) == (10, 30, Decimal("33.3"))


def test_given_several_cards_of_one_question_and_day_when_counted_then_it_is_one_warning():
    cards = [
        told(1, patient=5), told(2, patient=5, outcome="accepted", amount=Decimal("12.50")),
        told(3, patient=5, at=BEGUN + DAY), told(4, patient=5, question="tsh"),
    ]  # fmt: skip
    found = measures.warnings(cards, set(), NOW)
    assert [(one.outcome, one.amount) for one in found] == [
        ("accepted", Decimal("12.50")), (None, None), (None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("card", "ordered", "avoided"),
    [
        (told(1, outcome="accepted"), False, True),
        (told(1, outcome="accepted"), True, False),
        (told(1, outcome="overridden", reason="protocol"), False, False),
        (told(1), False, False),
        (told(1, outcome="accepted", window_days=60), False, False),  # its time is not over
        (told(1, "service", window_days=30), False, True),
        (told(1, "service", window_days=30), True, False),
        (told(1, "service", window_days=30, at=NOW - 29 * DAY), False, False),
    ],
    ids=[
        "followed", "ordered-later", "overridden", "no-word", "too-early", "service", "asked-all-the-same",
        "service-too-early",
    ],
)  # fmt: skip
def test_given_a_warning_when_judged_then_avoided_is_what_did_not_happen(card, ordered, avoided):
    [found] = measures.warnings([card], {card.card.id} if ordered else set(), NOW)
    assert found.followed is avoided


def test_given_avoided_tests_when_priced_then_by_currency_and_what_has_no_price_is_in_no_sum():
    cards = [told(n, outcome="accepted", amount=Decimal("12.50")) for n in range(10)]
    cards += [told(n, outcome="accepted") for n in range(10, 20)]
    figures = by_code(measures.of_warnings(measures.warnings(cards, set(), NOW)))
    assert (figures["spared-usd"].value, figures["spared-usd"].count) == (Decimal("125.00"), 10)
    assert figures["unpriced"].count == 10
    assert figures["avoided"].value == Decimal("100.0")


def test_given_areas_when_told_then_small_ones_are_not_there_and_small_parts_have_no_number():
    rows = measures.told_areas(
        [
            Area("food", "606", 9, 9, 0, 0, 9, 0),
            Area("food", "607", 40, 20, 20, 3, 50, 45),
            Area("shelter", "", 30, 0, 30, 10, 10, 10),
        ]
    )
    assert [(row["zip3"], row["met"], row["nobody-to-ask"], row["no-capacity"]) for row in rows] == [
        ("607", 20, None, None), ("", 0, 10, 10),
    ]  # fmt: skip
    assert all(tuple(row) == measures.AREA_COLUMNS for row in rows)


def test_given_what_somebody_knows_of_an_area_when_told_then_what_is_left_of_others_is_not_below_ten():
    known = [
        Area("food", "607", 31, 20, 5, 3, 45, 40), Area("food", "608", 5, 5, 0, 0, 20, 12),
        Area("food", "609", 40, 20, 20, 0, 40, 20),
    ]  # fmt: skip
    found = [
        Area("food", "607", 40, 20, 20, 3, 50, 45), Area("food", "608", 40, 14, 20, 0, 50, 25),
        Area("food", "609", 40, 20, 20, 0, 40, 20),
    ]  # fmt: skip
    rows = measures.told_areas(found, known)
    assert [tuple(row.values())[1:] for row in rows] == [
        ("608", 40, None, 20, 0, 50, 25), ("609", 40, 20, 20, 0, 40, 20),
    ]  # fmt: skip
    assert len(measures.told_areas(found)) == 3


def test_given_a_report_when_written_then_what_is_held_has_no_number_anywhere():
    figures = (
        *measures.of_sent([sent(number) for number in range(12)]),
        *measures.of_received(
            [Received(1, "completed", None, BEGUN, None, BEGUN + HOUR, BEGUN + DAY)] * 3
        ),
    )
    made = reports.Report(BEGUN, BEGUN + 31 * DAY, figures, is_mature=False)
    lines = list(csv.DictReader(io.StringIO(reports.as_csv(made))))
    by = {line["code"]: line for line in lines}
    assert (by["sent"]["count"], by["closed-loop"]["value"]) == ("12", "100.0")
    assert (by["asked"]["count"], by["time-to-answer"]["value"]) == ("<10", "")
    assert all(line["formula"] for line in lines)

    document = reports.document(
        made, reporter="Organization/o", date="2026-11-26T12:00:00Z", period=("2026-10-01", "2026-10-31")
    )  # fmt: skip
    groups = {one["code"]["coding"][0]["code"]: one for one in document["group"]}
    assert groups["sent.sent"]["population"][0]["count"] == 12
    assert groups["sent.closed-loop"]["measureScore"]["value"] == Decimal("100.0")
    held = groups["received.time-to-answer"]
    assert "count" not in held["population"][0]
    assert list(held["measureScore"]) == ["extension"]
    assert list(groups["received.time-to-answer-p90"]["measureScore"]) == ["extension"]
