"""A random small store: who wrote what, and who is shown what of it, as the example decided it.

References in a document that is drawn are names of other items (`patient-3`); once stored, all is by
`Type/id`. What is shown to whom is kept here as it was decided, and not read from the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from open_hub import PROVIDER
from search_words import UCUM, Body

from coordhub.access import scopes
from coordhub.access.caller import Caller
from coordhub.record.operations import Create
from coordhub.store.visibility import Viewer

if TYPE_CHECKING:
    from open_hub import House

SYSTEMS = ("http://s.example", "http://t.example", None)
CODES = ("a", "b", "c,d", "e$f|g", "h\\")
NAMES = ("Ann", "Anna Lee", "Bø", "Zoé", "100%", "1000", "O_o", "Oho", "Lee, Ann", "a\\b")
DATES = (
    "2025",
    "2025-12",
    "2025-12-31",
    "2026-01-01",
    "2026-01-01T10:00:00Z",
    "2026-05",
    "2026-02-03",
)
ADDRESSES = ("http://w.example/a", "http://w.example/a/b", "http://w.example/ab", "urn:oid:1.2.3")
NUMBERS = ("1", "1.0", "2", "1000", "1500", "0.5", "2.00", "1.1")
ELSEWHERE = ("http://other.example/fhir/Practitioner/1", "http://other.example/fhir/Practitioner/2")
POSITIONS = ((52.5, 13.4), (52.6, 13.4), (-17.8, 179.9), (-17.8, -179.9), (0.0, 0.0))

WRITERS = ("writer", "other")
CAST = (*WRITERS, "granted", "opened", "trimmed", "nobody")
HOUSING = 2
"""The data set in which `trimmed` is shown most of what it is shown."""

ASKABLE = {
    "Patient": {"family", "given", "birthdate", "gender", "address-postalcode"},
    "ServiceRequest": {"status", "code", "subject", "patient", "authored", "requester"},
    "Observation": {"subject", "patient"},
    "Location": {"name", "status", "near", "organization", "partof"},
}
"""Parameters that ask for nothing but what housing is shown; of what is not here it is shown nothing."""


@dataclass
class Item:
    """number: the how manieth that was written. body: as stored, its references `Type/id`."""

    name: str
    kind: str
    writer: str
    body: Body
    number: int = 0
    rid: int = 0
    updated: datetime | None = None
    reference: str = ""
    shown: dict[str, set[int]] = field(default_factory=dict)
    """By actor the data sets under which it was shown; 0: whole."""

    @property
    def id(self) -> str:
        return self.reference.partition("/")[2]


@dataclass
class World:
    """items: by `Type/id`. cast: by name their rid; organizations: their `Organization/id`."""

    items: dict[str, Item]
    cast: dict[str, int]
    organizations: set[str]

    def sees(self, actor: str, item: Item, *asked: str) -> bool:
        """Whether this actor is shown it, and shown what these parameters ask about."""
        if item.writer == actor:
            return True
        return any(
            dataset == 0 or set(asked) <= ASKABLE[item.kind] | {"_id", "_lastUpdated"}
            for dataset in item.shown.get(actor, ())
        )

    def of(self, kind: str) -> list[Item]:
        return [item for item in self.items.values() if item.kind == kind]

    def viewer(self, actor: str) -> Viewer:
        return Viewer(self.cast[actor])


async def drawn(random: Random, house: House) -> World:
    """Drawn, stored and shown."""
    mark = uuid4().hex[:8]
    organizations = [
        Create("Organization", {**PROVIDER, "name": f"{each} {mark}"}) for each in CAST
    ]
    written = await house.commit(house.steward, *organizations)
    named = dict(zip(CAST, (one.reference for one in written), strict=True))
    world = World(
        {}, dict(zip(CAST, (one.rid for one in written), strict=True)), set(named.values())
    )
    items: list[Item] = []
    for kind, count in (
        ("Location", 5), ("Patient", 5), ("ServiceRequest", 7), ("RiskAssessment", 5), ("Observation", 11),
    ):  # fmt: skip
        for number in range(count):
            writer = random.choice(("writer", "writer", "other"))
            own = [each for each in items if each.writer == writer]
            body = {"resourceType": kind, **_DRAWN[kind](random, own, named[writer])}
            items.append(Item(f"{kind.lower()}-{number}", kind, writer, body))
    for writer in WRITERS:
        own = [each for each in items if each.writer == writer]
        caller = Caller(writer, world.cast[writer], named[writer], scopes.EVERYTHING)
        at = random.randrange(len(own) + 1)
        for days, batch in ((random.randrange(3), own[:at]), (random.randrange(3), own[at:])):
            if batch:
                await _store(house, caller, batch, world, timedelta(days=days))
    await _show(random, house, world)
    return world


async def _store(
    house: House, caller: Caller, batch: list[Item], world: World, ahead: timedelta
) -> None:
    names = {each.name: each.reference for each in world.items.values()}
    names |= {each.name: f"urn:uuid:{each.name}" for each in batch}
    house.clock.ahead = ahead
    written = await house.commit(
        caller,
        *(
            Create(each.kind, _resolved(each.body, names), full_url=f"urn:uuid:{each.name}")
            for each in batch
        ),
    )
    house.clock.ahead = timedelta()
    for item, one in zip(batch, written, strict=True):
        item.rid, item.reference, item.updated = one.rid, one.reference, one.updated
        item.number = len(world.items)
        world.items[item.reference] = item
    names |= {each.name: each.reference for each in batch}
    for item in batch:
        item.body = _resolved(item.body, names)


def _resolved(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: names.get(each, each) if key == "reference" else _resolved(each, names)
            for key, each in value.items()
        }
    return [_resolved(each, names) for each in value] if isinstance(value, list) else value


async def _show(random: Random, house: House, world: World) -> None:
    """Grants of single rows, and rules of whole charts."""
    grants: list[tuple[int, int, int]] = []

    def grant(actor: str, item: Item, dataset: int) -> None:
        item.shown.setdefault(actor, set()).add(dataset)
        grants.append((world.cast[actor], item.rid, dataset))

    for item in world.items.values():
        for actor in ("granted", *WRITERS):
            if actor != item.writer and random.random() < 0.6:
                grant(actor, item, 0)
        if random.random() < 0.8:
            whole = item.kind not in ASKABLE or random.random() < 0.2
            grant("trimmed", item, 0 if whole else HOUSING)
    await house.rows(
        "insert into access_grant (shard, organization, rid, because, rule, since, dataset)"
        " select (rid & 255)::smallint, organization, rid, rid, rule, now(), dataset"
        " from unnest($1::bigint[], $2::bigint[], $3::smallint[]) as n(organization, rid, dataset),"
        # for two reasons, and yet it is found once
        " unnest(array['referral', 'result']) as rule",
        *([one[at] for one in grants] for at in range(3)),
    )
    opened = [each for each in world.of("Patient") if random.random() < 0.6]
    for item in world.items.values():
        subject = item.body.get("subject", {}).get("reference")
        if item in opened or subject in {each.reference for each in opened}:
            item.shown.setdefault("opened", set()).add(0)
    await house.rows(
        "insert into access_rule (actor, patient, permit, precedence, since, because, rule)"
        " select $1, patient, true, 1, now() - interval '1 hour', patient, 'consent'"
        " from unnest($2::bigint[]) as n(patient)",
        world.cast["opened"],
        [each.rid for each in opened],
    )


# What each type may hold.


def _some(random: Random, **elements: Any) -> Body:
    """Each of them or not."""
    return {name: value for name, value in elements.items() if random.random() < 0.65}


def _concept(random: Random) -> Body:
    codings = [
        {
            **({"system": system} if (system := random.choice(SYSTEMS)) else {}),
            "code": random.choice(CODES),
            **({"display": random.choice(("Alpha", "Béta"))} if random.random() < 0.3 else {}),
        }
        for _ in range(random.choice((0, 1, 1, 2)))
    ]
    text = random.choice(("Alpha", "beta"))
    if not codings:
        return {"text": text}
    return {"coding": codings, **({"text": text} if random.random() < 0.3 else {})}


def _quantity(random: Random) -> Body:
    unit = random.choice(("g", "mg", "kg", "box", None))
    measured: Body = {"value": Decimal(random.choice(NUMBERS))}
    if unit is not None:
        measured |= {"system": UCUM if unit != "box" else "http://u.example", "code": unit}
    if random.random() < 0.3:
        measured["unit"] = random.choice(("mg", "boxes"))
    comparator = random.choice(("", "", "", "<", ">="))
    return {**measured, "comparator": comparator} if comparator else measured


def _identifier(random: Random) -> Body:
    return {
        "value": random.choice((*CODES, "1")),
        **_some(random, system=random.choice(SYSTEMS[:2])),
        **_some(random, type=_concept(random)),
    }


def _elsewhere(random: Random) -> Body:
    """At another server, known by its identifier, or both."""
    reference = {"reference": random.choice(ELSEWHERE)}
    identifier = {"identifier": {"system": SYSTEMS[0], "value": random.choice(CODES)}}
    return random.choice((reference, identifier, {**reference, **identifier}))


def _one_of(random: Random, own: list[Item], kind: str) -> Body | None:
    found = [each.name for each in own if each.kind == kind]
    return {"reference": random.choice(found)} if found else None


def _known(**elements: Any) -> Body:
    return {name: value for name, value in elements.items() if value is not None}


def _location(random: Random, own: list[Item], writer: str) -> Body:
    latitude, longitude = random.choice(POSITIONS)
    position = {"latitude": Decimal(str(latitude)), "longitude": Decimal(str(longitude))}
    return _some(
        random,
        name=random.choice(NAMES),
        status=random.choice(("active", "suspended")),
        position=position,
        managingOrganization={"reference": writer},
        **_known(partOf=_one_of(random, own, "Location")),
    )


def _patient(random: Random, own: list[Item], writer: str) -> Body:
    return _some(
        random,
        identifier=[_identifier(random) for _ in range(random.choice((1, 2)))],
        name=[
            {"family": random.choice(NAMES), **_some(random, given=[random.choice(NAMES)])}
            for _ in range(random.choice((1, 2)))
        ],
        birthDate=random.choice(DATES[:4]),
        gender=random.choice(("female", "other")),
        address=[{"postalCode": random.choice(("100", "1000", "20 0"))}],
        generalPractitioner=random.choice(
            ([{"reference": writer}], [_elsewhere(random)], [{"reference": writer}, _elsewhere(random)])
        ),
    )  # fmt: skip


def _subject(random: Random, own: list[Item]) -> Body:
    """A patient, or somebody who is known by an identifier only."""
    stranger = {"identifier": {"system": SYSTEMS[0], "value": random.choice(CODES)}}
    known = _one_of(random, own, "Patient")
    return known if known is not None and random.random() < 0.8 else stranger


def _service_request(random: Random, own: list[Item], writer: str) -> Body:
    subject = _subject(random, own)
    based = _one_of(random, own, "ServiceRequest")
    return {
        "status": random.choice(("draft", "on-hold")),
        "intent": "plan",
        "subject": subject,
        **_some(
            random,
            code=_concept(random),
            authoredOn=random.choice(DATES),
            requester={"reference": writer},
            instantiatesUri=random.sample(ADDRESSES, random.choice((1, 2))),
            **_known(basedOn=[based] if based else None),
        ),
    }


def _risk_assessment(random: Random, own: list[Item], _: str) -> Body:
    low, high = (
        {"value": Decimal(each), "system": UCUM, "code": "%"}
        for each in sorted(random.sample(("0.5", "1", "1.9", "5"), 2))
    )
    range_ = _some(random, low=low, high=high) or {"low": low}
    exact = {"probabilityDecimal": Decimal(random.choice(("0.5", "1.0", "1.9", "1.1", "2.15")))}
    subject = _subject(random, own)
    return {
        "status": "final",
        "subject": subject,
        **_some(
            random,
            occurrenceDateTime=random.choice(DATES),
            method=_concept(random),
            prediction=[random.choice((exact, {"probabilityRange": range_})) for _ in range(2)],
        ),
    }


def _observation(random: Random, own: list[Item], writer: str) -> Body:
    start, end = sorted(random.sample((*DATES[2:4], "2026-04-01"), 2))
    times: tuple[Body, ...] = (
        {"effectiveDateTime": random.choice(DATES)},
        {"effectivePeriod": _some(random, start=start, end=end) or {"start": start}},
        {},
    )
    parts = [
        {"code": _concept(random), **_some(random, valueQuantity=_quantity(random))}
        for _ in range(random.choice((0, 1, 2)))
    ]
    body = {
        "status": "final",
        "code": _concept(random),
        **random.choice(times),
        **({"component": parts} if parts else {}),
        **_some(
            random,
            performer=[random.choice(({"reference": writer}, _elsewhere(random)))],
            **_known(subject=_one_of(random, own, "Patient")),
        ),
    }
    repeated = any(_tokens(body["code"]) & _tokens(each["code"]) for each in parts)
    values: tuple[Body, ...] = (
        {},
        {"valueQuantity": _quantity(random)},
        {"valueQuantity": _quantity(random)},
        {"valueString": random.choice(NAMES)},
    )
    # without a value where a component has the same code: obs-7
    return body if repeated else {**body, **random.choice(values)}


def _tokens(concept: Body) -> set[tuple[str | None, str]]:
    return {(each.get("system"), each["code"]) for each in concept.get("coding", ())}


_DRAWN = {
    "Location": _location,
    "Patient": _patient,
    "ServiceRequest": _service_request,
    "RiskAssessment": _risk_assessment,
    "Observation": _observation,
}
