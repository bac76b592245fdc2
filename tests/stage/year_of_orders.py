"""A made year: what was ordered for whom and by whom, what came of it, and what an oracle that knows all says.

Two organizations have the same persons under numbers of their own. Nothing here reads the hub's tables of codes
or windows, so that a fault in those is found: what is a duplicate is said by the figures below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

END: Final = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
DAY: Final = timedelta(days=1)
BEFORE: Final = timedelta(minutes=6)
"""Between the signature and the needle; all is taken at full ten minutes, so that nothing lies between."""


@dataclass(frozen=True, slots=True)
class Test:
    """orders, answers: LOINC codes. window: days for which nobody need ask again. often: days between orders."""

    name: str
    orders: tuple[str, ...]
    answers: tuple[str, ...]
    window: int
    often: float


TESTS: Final = (
    Test("hba1c", ("4548-4", "17856-6"), ("4548-4", "17856-6", "4549-2"), 60, 70),
    Test("tsh", ("3016-3",), ("3016-3", "11580-8"), 28, 90),
    Test("lipids", ("57698-3", "24331-1"), ("57698-3", "24331-1"), 28, 120),
    Test("crp", ("1988-5",), ("1988-5",), 2, 60),
)

FAULTS: Final = (
    ("", 0.80), ("entered-in-error", 0.05), ("preliminary", 0.05), ("no value", 0.05), ("specimen", 0.05),
)  # fmt: skip
"""What is wrong with a result, and how often."""


@dataclass(frozen=True, slots=True)
class Person:
    """linked: the hub knows that both records are hers. permits: each organization may see the other's."""

    number: int
    linked: bool
    permits: bool


@dataclass(frozen=True, slots=True)
class Order:
    """at: when what it asks for was taken. place: 0 or 1, who orders. code: by which. answer, fault: what came of
    it, if anything.
    """

    person: int
    test: Test
    place: int
    at: datetime
    code: str
    answer: str | None
    fault: str

    @property
    def signed(self) -> datetime:
        return self.at - BEFORE


@dataclass(frozen=True, slots=True)
class Year:
    persons: list[Person]
    orders: list[Order]

    def earlier(self, order: Order) -> list[Order]:
        """Orders of which a result answers this one: taken before, within the window, and nothing wrong with it."""
        return [
            one
            for one in self.orders
            if (one.person, one.test.name) == (order.person, order.test.name)
            and one.at < order.at
            and one.answer is not None
            and not one.fault
            and (order.signed.date() - one.at.date()).days <= order.test.window
        ]

    def is_duplicate(self, order: Order) -> bool:
        """As one who knows everything says."""
        return bool(self.earlier(order))

    def is_known(self, order: Order) -> bool:
        """The same by what whoever orders may see."""
        person = self.persons[order.person]
        shared = person.linked and person.permits
        return any(one.place == order.place or shared for one in self.earlier(order))


def made(seed: int, persons: int) -> Year:
    """The same for the same seed."""
    chance = Random(seed)
    people = [Person(n, chance.random() < 0.8, chance.random() < 0.6) for n in range(persons)]
    orders = []
    for person in people:
        for test in TESTS:
            at = END - 365 * DAY + chance.expovariate(1 / test.often) * DAY
            while at < END:
                faults, weights = zip(*FAULTS, strict=True)
                answer = chance.choice(test.answers) if chance.random() < 0.9 else None
                orders.append(
                    Order(
                        person.number, test, chance.randrange(2),
                        at.replace(minute=at.minute // 10 * 10, second=0, microsecond=0),
                        chance.choice(test.orders), answer, chance.choices(faults, weights)[0],
                    )
                )  # fmt: skip
                at += (1 + chance.expovariate(1 / test.often)) * DAY
    return Year(people, sorted(orders, key=lambda one: (one.at, one.person, one.test.name)))
