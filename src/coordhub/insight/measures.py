"""What coordination bought an organization in a period: figures with what they are made of; pure.

http://hl7.org/fhir/R4/measurereport.html

Each is a count, a share of a denominator, or a median, and names both in words. Where fewer than ten stand behind
a figure it is not told, nor where it could be subtracted from what is told. Nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final, Literal
from uuid import UUID

from coordhub.store.cards import Told
from coordhub.store.measures import Area, Received, Sent, Visit

FEW: Final = 10
"""Fewer are not told."""

MATURE: Final = timedelta(days=90)
"""After so long a referral that is still open counts as not closed for good."""

HOME: Final = timedelta(days=7)

AREA_COLUMNS: Final = (
    "kind", "zip3", "needs", "met", "unmet", "nobody-to-ask", "asked", "no-capacity",
)  # fmt: skip

Kind = Literal["count", "share", "hours", "money"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. code: its name. formula: what is counted, of what, in words.

    of, among: rids of the Tasks (or Patients) that the numerator and the denominator count. value: the share in
    percent, or the median in hours, or the sum of money. p90: in hours. held: it is not told, as too few are behind it.
    """

    group: str
    code: str
    title: str
    formula: str
    kind: Kind
    count: int
    total: int | None = None
    value: Decimal | None = None
    p90: Decimal | None = None
    currency: str | None = None
    held: bool = False
    of: tuple[int, ...] = ()
    among: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Warning_:
    """What somebody was told of one patient and question on one day. outcome: what was answered to it first.

    followed: it was, and nothing for the same was ordered in the time that it is one too many. open: that time is not
    over.
    """

    kind: str
    patient: int
    outcome: str | None
    reason: str | None
    ordered: bool
    open: bool
    amount: Decimal | None
    currency: str | None
    cards: tuple[UUID, ...] = field(default=())

    @property
    def followed(self) -> bool:
        said = self.outcome == "accepted" or self.kind == "service"
        return said and not self.ordered and not self.open


def counted(group: str, code: str, title: str, formula: str, rids: Sequence[int]) -> Figure:
    many = len(rids)
    return Figure(group, code, title, formula, "count", many, held=_is_few(many), of=tuple(rids))


def share(
    group: str, code: str, title: str, formula: str, of: Sequence[int], among: Sequence[int]
) -> Figure:
    """held also where the rest of the denominator is too few."""
    count, total = len(of), len(among)
    value = _rounded(Decimal(100 * count) / total) if total else None
    held = any(_is_few(each) for each in (count, total, total - count))
    return Figure(
        group, code, title, formula, "share", count, total, value, held=held,
        of=tuple(of), among=tuple(among),
    )  # fmt: skip


def hours(
    group: str, code: str, title: str, formula: str, spans: Sequence[tuple[int, timedelta]]
) -> Figure:
    """Median, and the value below which nine of ten are; by the nearest rank."""
    lengths = sorted(span / timedelta(hours=1) for _, span in spans)
    many = len(lengths)
    value = _rounded(Decimal(median(lengths))) if many else None
    p90 = _rounded(Decimal(lengths[math.ceil(0.9 * many) - 1])) if many else None
    return Figure(
        group, code, title, formula, "hours", many, None, value, p90, held=_is_few(many),
        of=tuple(rid for rid, _ in spans),
    )  # fmt: skip


def of_sent(found: Sequence[Sent]) -> list[Figure]:
    """Of the referrals that an organization opened."""

    def ids(keep: Callable[[Sent], bool]) -> list[int]:
        return [one.id for one in found if keep(one)]

    everyone = ids(lambda one: True)
    group = "sent"
    return [
        counted(group, "sent", "Referrals sent", "referrals opened in the period", everyone),
        share(
            group, "delivered", "Delivered",
            "of these: acknowledged by a recipient's server, or opened by it / sent",
            ids(lambda one: one.delivered), everyone,
        ),
        share(
            group, "accepted", "Accepted", "of these: accepted by a recipient / sent",
            ids(lambda one: one.accepted_at is not None), everyone,
        ),
        share(
            group, "closed-loop", "Closed loop",
            "of these: ended, with an outcome or a reason that a recipient gave (what expired, or nobody answered, "
            "does not count) / sent",
            ids(lambda one: one.closed_at is not None and one.answered), everyone,
        ),
        share(
            group, "served", "All needs met", "of these: every need met / sent",
            ids(lambda one: 0 < one.needs == one.met), everyone,
        ),
        hours(
            group, "time-to-accept", "Time to the first acceptance",
            "hours by the clock from the referral to the first acceptance; of those accepted",
            [(one.id, one.accepted_at - one.opened_at) for one in found if one.accepted_at is not None],
        ),
        hours(
            group, "time-to-close", "Time to the end",
            "hours by the clock from the referral to its end; of those ended",
            [(one.id, one.closed_at - one.opened_at) for one in found if one.closed_at is not None],
        ),
        share(
            group, "re-referred", "Asked again elsewhere",
            "of these: a need was asked about more than once, one after the other / sent",
            ids(lambda one: one.waves > 1), everyone,
        ),
        share(
            group, "no-capacity", "Somebody had no room",
            "of these: a recipient declined for want of room, funds or goods / sent",
            ids(lambda one: one.full > 0), everyone,
        ),
    ]  # fmt: skip


def of_visits(found: Sequence[Visit]) -> list[Figure]:
    """Of the visits that a note is awaited of."""
    among = [one.episode for one in found]
    home = [
        one.episode for one in found if one.told_at is not None and one.told_at <= one.at + HOME
    ]
    return [
        share(
            "sent", "results-home", "Results home within 7 days",
            "of these: a result of the referral was delivered to who referred within 7 days / visits in the period of "
            "which a note is awaited",
            home, among,
        )
    ]  # fmt: skip


def of_received(found: Sequence[Received]) -> list[Figure]:
    """Of what an organization was asked."""

    def ids(keep: Callable[[Received], bool]) -> list[int]:
        return [one.task for one in found if keep(one)]

    group, everyone = "received", ids(lambda one: True)
    return [
        counted(group, "asked", "Referrals received", "requests received in the period", everyone),
        share(
            group, "answered", "Taken on", "of these: accepted / received",
            ids(lambda one: one.accepted_at is not None), everyone,
        ),
        share(
            group, "declined", "Declined", "of these: declined / received",
            ids(lambda one: one.status == "rejected"), everyone,
        ),
        share(
            group, "declined-full", "Declined for want of room",
            "of these: for want of room, funds or goods / received",
            ids(lambda one: one.reason in ("no-capacity", "insufficient-resources")), everyone,
        ),
        share(
            group, "unanswered", "Not answered in time", "of these: expired / received",
            ids(lambda one: one.reason == "expired"), everyone,
        ),
        share(
            group, "completed", "Completed", "of these: completed / received",
            ids(lambda one: one.status == "completed"), everyone,
        ),
        hours(
            group, "time-to-answer", "Time to take on",
            "hours by the clock from being asked to accepting; of those accepted",
            [(one.task, one.accepted_at - one.asked_at) for one in found if one.accepted_at is not None],
        ),
    ]  # fmt: skip


def warnings(told: Sequence[Told], ordered: set[UUID], now: datetime) -> list[Warning_]:
    """One for each patient, question and day, whatever number of cards said it."""
    together: dict[tuple[str, int, str, str], list[Told]] = defaultdict(list)
    for one in told:
        card = one.card
        subject = card.code if card.kind == "service" else card.question
        kind = "service" if card.kind == "service" else "test"
        together[kind, card.patient, subject, one.at.date().isoformat()].append(one)
    found = []
    for (kind, patient, *_), cards in together.items():
        said = next((one for one in cards if one.outcome is not None), cards[-1])
        over = max(one.at + timedelta(days=one.card.window_days) for one in cards)
        found.append(
            Warning_(
                kind, patient, said.outcome, said.reason,
                any(one.card.id in ordered for one in cards), over > now,
                said.amount, said.currency, tuple(one.card.id for one in cards),
            )
        )  # fmt: skip
    return found


def of_warnings(found: Sequence[Warning_]) -> list[Figure]:
    """Of tests and of services that were known already, and what was spared of them."""
    return [*_of_tests([one for one in found if one.kind == "test"]), *_of_services(
        [one for one in found if one.kind == "service"]
    )]  # fmt: skip


def _of_tests(found: Sequence[Warning_]) -> list[Figure]:
    group, everyone = "tests", _patients(found)
    avoided = [one for one in found if one.followed]
    return [
        counted(
            group, "warned", "Tests known already",
            "warnings shown in the period; one for each patient, question and day", everyone,
        ),
        share(
            group, "followed", "Followed", "of these: the order was taken back / warnings",
            _patients(one for one in found if one.outcome == "accepted"), everyone,
        ),
        share(
            group, "overridden", "Overridden", "of these: ordered all the same, as was said / warnings",
            _patients(one for one in found if one.outcome == "overridden"), everyone,
        ),
        share(
            group, "avoided", "Tests avoided",
            "of these: followed, and within the window of the test no order for the same question came from anybody "
            "whom you see; windows that are not over do not count / warnings",
            _patients(avoided), everyone,
        ),
        *_spared(group, "tests", avoided),
    ]  # fmt: skip


def _of_services(found: Sequence[Warning_]) -> list[Figure]:
    group, everyone = "services", _patients(found)
    avoided = [one for one in found if one.followed]
    return [
        counted(
            group, "told", "Services known already",
            "times that $route or a page told what a person has already; one for each patient, kind and day",
            everyone,
        ),
        share(
            group, "left", "Left at that", "of these: left at what the person has, as was said / told",
            _patients(one for one in found if one.outcome == "accepted"), everyone,
        ),
        share(
            group, "overridden", "Referred all the same",
            "of these: referred all the same for a reason, as was said / told",
            _patients(one for one in found if one.outcome == "overridden"), everyone,
        ),
        share(
            group, "not-referred", "Services not asked for twice",
            "of these: within 30 days no referral for the same came from anybody whom you see; those of the last "
            "30 days do not count / told",
            _patients(avoided), everyone,
        ),
        *_spared(group, "services", avoided),
    ]  # fmt: skip


def _spared(group: str, what: str, avoided: Sequence[Warning_]) -> list[Figure]:
    """By currency, of those that had a price; and how many had none."""
    by_currency: dict[str, list[Warning_]] = defaultdict(list)
    for one in avoided:
        if one.amount is not None and one.currency is not None:
            by_currency[one.currency].append(one)
    unpriced = _patients(one for one in avoided if one.amount is None)
    return [
        *(
            Figure(
                group, f"spared-{currency.lower()}", f"Cost of the {what} avoided, {currency}",
                f"price of each of the {what} avoided, on the day of the warning, added up", "money", len(priced), None,
                sum((one.amount for one in priced if one.amount is not None), Decimal(0)), None, currency,
                _is_few(len(priced)), tuple(_patients(priced)),
            )
            for currency, priced in sorted(by_currency.items())
        ),
        counted(
            group, "unpriced", f"Avoided {what} of no known price",
            f"of the {what} avoided: those in no table of prices; they are in no sum", unpriced,
        ),
    ]  # fmt: skip


def told_areas(found: Iterable[Area], known: Iterable[Area] = ()) -> list[Mapping[str, object]]:
    """Rows of the community: a number below ten, or one that can be subtracted to it, is None.

    known: what the reader knows of these by itself; what is left of a number without it is not to be below ten either.
    """
    rows: list[Mapping[str, object]] = []
    own = {(one.kind, one.zip3): one for one in known}
    for one in found:
        mine = own.get((one.kind, one.zip3), Area(one.kind, one.zip3, 0, 0, 0, 0, 0, 0))
        if one.needs < FEW or _is_few(one.needs - mine.needs):
            continue

        def told(name: str, whole: str, one: Area = one, mine: Area = mine) -> int | None:
            part, rest = getattr(one, name), getattr(one, whole) - getattr(one, name)
            others = part - getattr(mine, name)
            left = rest - (getattr(mine, whole) - getattr(mine, name))
            return None if any(_is_few(each) for each in (part, rest, others, left)) else int(part)

        asked = one.asked if one.asked >= FEW and not _is_few(one.asked - mine.asked) else None
        rows.append(
            {
                "kind": one.kind, "zip3": one.zip3, "needs": one.needs, "met": told("met", "needs"),
                "unmet": told("unmet", "needs"), "nobody-to-ask": told("nobody", "needs"),
                "asked": 0 if one.asked == 0 else asked,
                "no-capacity": None if asked is None else told("full", "asked"),
            }
        )  # fmt: skip
    return rows


def _patients(found: Iterable[Warning_]) -> list[int]:
    return [one.patient for one in found]


def _is_few(count: int) -> bool:
    return 0 < count < FEW


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.1"))
