"""Any search over a random small store equals what R4's words say of the documents, seen by eye.

The oracle reads the documents as they were sent (`search_words`, `search_parameters`) and shares
nothing with the hub's own extraction; who is shown what is as the example decided it
(`search_world`). COORDHUB_SEARCH_WORLDS is how many stores, each asked for every actor.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from open_hub import BASE
from search_parameters import LEADING, PARAMETERS, order
from search_questions import NOW, Question, question
from search_world import CAST, Item, World, drawn

from coordhub.r4 import search_result
from coordhub.r4.compartments import Compartment, compartment
from coordhub.r4.search import Query, parse_query
from coordhub.store import include, search_types
from coordhub.store.search import Page

if TYPE_CHECKING:
    from open_hub import House

    from coordhub.store.engine import Connection

WORLDS = int(os.environ.get("COORDHUB_SEARCH_WORLDS", "8"))
QUESTIONS = 20
"""Of each actor about each store."""
MANY = 200


@settings(
    max_examples=WORLDS,
    phases=(Phase.explicit, Phase.generate),  # a failing example is shown as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
async def test_given_any_store_and_search_when_answered_then_it_is_what_the_words_say(
    house: House, seed: int
) -> None:
    random = Random(seed)
    world = await drawn(random, house)
    async with house.engine.searches.acquire() as conn:
        for actor in CAST:
            for _ in range(QUESTIONS if actor != "nobody" else 3):
                asked = question(random, world)
                asking = Asking(house, conn, world, actor, asked)
                await asking.matches()
                await random.choice(
                    (
                        asking.pages,
                        asking.total,
                        asking.includes,
                        asking.includes,
                        asking.compartment,
                    )
                )(random)


class Asking:
    """One question of one actor, answered by the hub and by the oracle."""

    def __init__(
        self, house: House, conn: Connection, world: World, actor: str, asked: Question
    ) -> None:
        self.house, self.conn, self.world = house, conn, world
        self.actor, self.asked = actor, asked
        self.viewer = world.viewer(actor)
        self.query: Query = parse_query(asked.kind, asked.pairs, base=BASE, now=NOW)
        self.told = f"{actor}: {asked.kind}?{asked.pairs}"
        self.expected = _ordered(self._matching(), asked)

    async def matches(self) -> None:
        """All of them, in the order that was asked for."""
        page = await self._page(MANY)
        assert _references(page) == [each.reference for each in self.expected], self.told

    async def pages(self, random: Random) -> None:
        """Together they are the whole, and nothing comes twice."""
        size, found, after = random.choice((1, 2, 3)), list[str](), None
        while True:
            page = await self._page(size, after=after)
            found += _references(page)
            after = page.next
            if after is None:
                break
            assert len(page.versions) == size, self.told
        assert found == [each.reference for each in self.expected], self.told

    async def total(self, _: Random) -> None:
        counted = await search_types.count(
            self.conn, self.house.engine, self.viewer, [self.query]
        )  # fmt: skip
        assert counted == len(self.expected), self.told

    async def compartment(self, random: Random) -> None:
        """Of any patient, seen or not: what refers to it, and itself."""
        kind = self.asked.kind
        if kind not in LEADING:
            await self.total(random)
            return
        patient = random.choice(self.world.of("Patient"))
        led = LEADING[kind]
        expected = [
            item
            for item in self._matching(*led[:1])
            if item is patient
            or any(
                each.get("reference") == patient.reference
                for code in led
                for each in PARAMETERS[kind][code].of(item.body)
            )
        ]
        page = await self._page(MANY, within=compartment("Patient", patient.id, [kind]))
        told = f"{self.told} within {patient.reference}"
        assert _references(page) == [
            each.reference for each in _ordered(expected, self.asked)
        ], told  # fmt: skip

    async def includes(self, random: Random) -> None:
        """What the matches bring along, as a set."""
        pairs = [_include(random, self.asked.kind) for _ in range(random.choice((1, 2)))]
        shape, _, issues = search_result.read([self.asked.kind], pairs)
        assert not issues, pairs
        page = await self._page(MANY)
        brought = await include.included(
            self.conn, self.viewer, page.versions, shape.includes, most=MANY
        )
        assert brought is not None
        found = [f"{each.type}/{each.id}" for each in brought]
        assert len(found) == len(set(found)), self.told
        assert set(found) == self._brought(pairs), f"{self.told} with {pairs}"

    async def _page(
        self, limit: int, after: Sequence[str] | None = None, within: Compartment | None = None
    ) -> Page:
        return await search_types.search_types(
            self.conn,
            self.house.engine,
            self.viewer,
            [self.query],
            limit=limit,
            after=after,
            within=within,
        )

    def _matching(self, *further: str) -> list[Item]:
        """further: parameters that it asks about besides."""
        return [
            item
            for item in self.world.of(self.asked.kind)
            if self.world.sees(self.actor, item, *self.asked.asks, *further)
            and all(each.holds(self.actor, item) for each in self.asked.criteria)
        ]

    def _brought(self, pairs: list[tuple[str, str]]) -> set[str]:
        matches = {each.reference for each in self.expected}
        found = set(matches)
        fresh = matches
        first = True
        while fresh:
            steps = {
                one
                for name, value in pairs
                if first or name.endswith(":iterate")
                for one in self._led(fresh, name.startswith("_rev"), value)
            }
            fresh, first = steps - found, False
            found |= steps
        return found - matches

    def _led(self, here: set[str], reverse: bool, value: str) -> set[str]:
        """What one _include leads to from these, over references that the actor is shown."""
        kind, _, rest = value.partition(":")
        code, _, type_ = rest.partition(":")
        found = set()
        for item in self.world.items.values():
            for name, parameter in PARAMETERS[item.kind].items():
                named = value == "*" or (item.kind, name) == (kind, code)
                if parameter.kind != "reference" or not named:
                    continue
                if not self.world.sees(self.actor, item, name if value != "*" else "any of all"):
                    continue
                for each in parameter.of(item.body):
                    target = each.get("reference", "")
                    if type_ and not target.startswith(f"{type_}/"):
                        continue
                    if reverse and target in here and self.world.sees(self.actor, item):
                        found.add(item.reference)
                    if not reverse and item.reference in here and self._shown(target):
                        found.add(target)
        return found  # fmt: skip

    def _shown(self, reference: str) -> bool:
        if reference in self.world.organizations:
            return True
        item = self.world.items.get(reference)
        return item is not None and self.world.sees(self.actor, item)


def _include(random: Random, kind: str) -> tuple[str, str]:
    name = random.choice(
        ("_include", "_include", "_include:iterate", "_revinclude", "_revinclude:iterate")
    )
    if random.random() < 0.15:
        return name, "*"
    forward = {
        "Patient": ("general-practitioner",),
        "Observation": (
            "subject",
            "patient",
            "performer",
            "performer:Organization",
            "performer:Practitioner",
            "subject:Patient",
        ),
        "ServiceRequest": (
            "based-on",
            "requester",
            "subject",
            "based-on:ServiceRequest",
            "based-on:CarePlan",
            "subject:Group",
        ),
        "RiskAssessment": ("subject",),
        "Location": ("partof", "organization"),
    }
    source = kind if name == "_include" else random.choice(list(forward))
    return name, f"{source}:{random.choice(forward[source])}"  # fmt: skip


def _references(page: Page) -> list[str]:
    return [f"{each.type}/{each.id}" for each in page.versions]


def _ordered(items: list[Item], asked: Question) -> list[Item]:
    """By the keys, what lacks one last in either direction; else the newest first."""
    backwards = asked.sort[0][1] if asked.sort else True
    found = sorted(items, key=lambda item: item.rid, reverse=backwards)
    for code, descending in reversed(asked.sort):
        values = {item.reference: _value(item, code, descending) for item in found}
        stated = [item for item in found if values[item.reference] is not None]
        missing = [item for item in found if values[item.reference] is None]
        stated.sort(key=lambda item, by=values: by[item.reference], reverse=descending)
        found = [*stated, *missing]
    return found


def _value(item: Item, code: str, descending: bool) -> object:
    if code == "_id":
        return item.id
    if code == "_lastUpdated":
        return item.updated
    return order(PARAMETERS[item.kind][code], item.body, descending)
