"""What a search finds: every kind of parameter, modifiers, chains, _has, order, and for whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from coordhub.access import viewer
from coordhub.errors import FhirError
from coordhub.r4.search import parse_query
from coordhub.record.operations import Create
from coordhub.store import search, search_types
from coordhub.store.visibility import Viewer

if TYPE_CHECKING:
    from open_hub import House, Party

UCUM = "http://unitsofmeasure.org"
LOINC = "http://loinc.org"


class Shelf:
    """Resources of the clinic by the names that the test gives them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.names: dict[int, str] = {}
        self.references: dict[str, str] = {}

    async def put(self, who: Party, documents: Mapping[str, dict[str, Any]]) -> None:
        """Create them in one commit; references may name them as `urn:uuid:<name>`."""
        operations = [
            Create(document["resourceType"], document, full_url=f"urn:uuid:{name}")
            for name, document in documents.items()
        ]
        written = await self.house.commit(who, *operations)
        for name, one in zip(documents, written, strict=True):
            self.names[one.rid] = name
            self.references[name] = f"{one.type}/{one.id}"

    async def find(self, asked: str, who: Viewer | None = None, *, limit: int = 100) -> list[str]:
        """The names of what a search such as `Patient?name=x` finds, in its order, page by page."""
        kind, _, query = asked.partition("?")
        for name in sorted(self.references, key=len, reverse=True):
            query = query.replace(f"<{name}>", self.references[name])
        read = parse_query(kind, parse_qsl(query, keep_blank_values=True), base=self.house.hub.base)
        found: list[str] = []
        after: list[str] | None = None
        async with self.house.engine.searches.acquire() as conn:
            while True:
                page = await search.search(
                    conn, self.house.engine, who or self.house.clinic.viewer, read,
                    limit=limit, after=after,
                )  # fmt: skip
                found += [self.names.get(each.rid, each.reference) for each in page.versions]
                after = page.next
                if after is None:
                    return found


def coded(code: str, system: str | None = LOINC, display: str | None = None) -> dict[str, Any]:
    coding = {"system": system, "code": code, "display": display}
    return {"coding": [{key: value for key, value in coding.items() if value}]}


def quantity(value: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    unit = {"system": UCUM, "code": code, "unit": code} if code else {}
    return {"value": Decimal(value), **unit, **more}


def observed(code: str, subject: str = "ann", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": coded(code),
        "subject": {"reference": f"urn:uuid:{subject}"},
        **more,
    }


PEOPLE: dict[str, dict[str, Any]] = {
    "clinic-a": {"resourceType": "Organization", "name": "North House"},
    "clinic-b": {
        "resourceType": "Organization",
        "name": "North House West",
        "partOf": {"reference": "urn:uuid:clinic-a"},
    },
    "clinic-c": {
        "resourceType": "Organization",
        "name": "West Ward",
        "partOf": {"reference": "urn:uuid:clinic-b"},
    },
    "doctor": {"resourceType": "Practitioner", "name": [{"family": "Quill"}]},
    "ann": {
        "resourceType": "Patient",
        "name": [{"family": "Archer", "given": ["Ann"]}],
        "birthDate": "1970-05-01",
        "managingOrganization": {"reference": "urn:uuid:clinic-c"},
        "generalPractitioner": [{"reference": "urn:uuid:doctor"}],
        "identifier": [
            {"type": coded("MR", "http://t.example"), "system": "http://mr.example", "value": "77"}
        ],
    },
    "ben": {
        "resourceType": "Patient",
        "name": [{"family": "Fletcher", "given": ["Ben"]}],
        "managingOrganization": {"identifier": {"system": "http://npi.example", "value": "9"}},
        "identifier": [
            {"type": coded("SS", "http://t.example"), "system": "http://ss.example", "value": "77"}
        ],
    },
}
RESULTS: dict[str, dict[str, Any]] = {
    "gram": observed("w", valueQuantity=quantity("1.5", "g"), effectiveDateTime="2026-01-02"),
    "milligram": observed(
        "w", "ben", valueQuantity=quantity("1500", "mg"), effectiveDateTime="2026-01-03"
    ),
    "kilo": observed("w", valueQuantity=quantity("2", "kg"), effectiveDateTime="2026-02"),
    "bare": observed("n", "ben", valueQuantity=quantity("1.5")),
    "own-unit": observed(
        "n", valueQuantity={"value": Decimal("4"), "unit": "drops", "system": "http://u.example",
                            "code": "dr"},
    ),
    "below": observed("l", valueQuantity=quantity("5", "mmol/L", comparator="<")),
    "fever": observed("t", valueQuantity=quantity("39.2", "Cel")),
    "pressure": observed(
        "85354-9",
        component=[
            {"code": coded("8480-6"), "valueQuantity": quantity("151", "mm[Hg]")},
            {"code": coded("8462-4"), "valueQuantity": quantity("70", "mm[Hg]")},
        ],
    ),
    "smoker": observed(
        "72166-2",
        valueCodeableConcept={
            **coded("449868002", "http://snomed.info/sct", "Smokes Tobacco daily"),
            "text": "every day",
        },
    ),
    "words": observed("txt", valueString="Éclair seen", performer=[{"reference": "urn:uuid:doctor"}]),
}  # fmt: skip


@pytest.fixture
async def shelf(house: House) -> Shelf:
    shelf = Shelf(house)
    await shelf.put(house.clinic, {**PEOPLE, **RESULTS})
    return shelf


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("value-quantity=1.5", "gram bare"),
        ("value-quantity=1.5|http://unitsofmeasure.org|g", "gram milligram"),
        ("value-quantity=1500|http://unitsofmeasure.org|mg", "gram milligram"),
        ("value-quantity=1.5||g", "gram"),
        ("value-quantity=4||drops", "own-unit"),
        ("value-quantity=4||dr", "own-unit"),
        ("value-quantity=4|http://u.example|dr", "own-unit"),
        ("value-quantity=4|http://u.example|xx", ""),
        ("value-quantity=4|http://elsewhere.example|dr", ""),
        ("value-quantity=gt1.5|http://unitsofmeasure.org|g", "kilo"),
        ("value-quantity=ge1.5|http://unitsofmeasure.org|g", "gram milligram kilo"),
        ("value-quantity=lt2|http://unitsofmeasure.org|g", "gram milligram"),
        ("value-quantity=ne1.5|http://unitsofmeasure.org|g", "kilo"),
        ("value-quantity=ap1.6|http://unitsofmeasure.org|g", "gram milligram"),
        ("value-quantity=sa1.6|http://unitsofmeasure.org|g", "kilo"),
        ("value-quantity=eb1.6|http://unitsofmeasure.org|g", "gram milligram"),
        ("value-quantity=lt1|http://unitsofmeasure.org|mmol/L", "below"),
        ("value-quantity=gt102|http://unitsofmeasure.org|[degF]", "fever"),
        ("value-quantity=gt1000,1.5", "gram milligram bare"),
        ("value-quantity:missing=true", "pressure smoker words"),
        ("combo-value-quantity=gt150|http://unitsofmeasure.org|mm[Hg]", "pressure"),
        ("combo-code=http://loinc.org|8480-6", "pressure"),
        ("component-code-value-quantity=8480-6$gt140", "pressure"),
        ("component-code-value-quantity=8462-4$gt140", ""),
        ("combo-code-value-quantity=http://loinc.org|w$gt1.9|http://unitsofmeasure.org|kg", "kilo"),
        ("code-value-quantity=w$1.5", "gram"),
        ("code-value-concept=72166-2$449868002", "smoker"),
        ("code-value-concept=72166-2$http://snomed.info/sct|449868002", "smoker"),
        ("code-value-concept=w$449868002", ""),
        ("code-value-string=txt$eclair", "words"),
        ("code-value-concept:missing=false", "smoker"),
        ("value-concept:text=smokes", "smoker"),
        ("value-concept:text=EVERY", "smoker"),
        ("value-concept:text=tobacco", ""),
        ("value-string=eclair", "words"),
        ("code:not=w", "bare own-unit below fever pressure smoker words"),
        ("date=2026-01-02", "gram"),
        ("date=2026-01", "gram milligram"),
        ("subject:Patient.name=arch&code=w", "gram kilo"),
        ("subject.name=arch&code=w", "gram kilo"),
        ("patient.name=fletch", "milligram bare"),
        ("patient.organization.name=west&code=w", "gram kilo"),
        ("patient.organization.partof.name=north&code=w", "gram kilo"),
        ("patient.general-practitioner:Practitioner.family=quill&code=t", "fever"),
        ("subject:Patient._id=<ann>&code=t", None),
        ("patient.birthdate=lt1980&code=t", "fever"),
        ("patient.organization:Organization.name=nobody", ""),
        ("performer:Practitioner.name=quill", "words"),
        ("patient._has:Observation:patient:value-quantity=39.2&code=l", "below"),
        ("patient=<ann>&code=w", "gram kilo"),
        ("subject=<ben>", "milligram bare"),
    ],
)
async def test_given_observations_when_searched_then_what_the_words_mean_is_found(
    shelf: Shelf, asked: str, expected: str | None
) -> None:
    if expected is None:
        asked, expected = asked.replace("<ann>", shelf.references["ann"].split("/")[1]), "fever"
    assert sorted(await shelf.find(f"Observation?{asked}")) == sorted(expected.split())


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("_has:Observation:patient:code=http://loinc.org|n", "ann ben"),
        ("_has:Observation:patient:value-quantity=gt1000|http://unitsofmeasure.org|g", "ann"),
        ("_has:Observation:patient:performer.name=quill", "ann"),
        ("_has:Observation:subject:code=nothing", ""),
        ("identifier=77", "ann ben"),
        ("identifier:of-type=http://t.example|MR|77", "ann"),
        ("identifier:of-type=http://t.example|MR|78", ""),
        ("identifier:of-type=http://other.example|MR|77", ""),
        ("organization:identifier=http://npi.example|9", "ben"),
        ("organization:missing=false", "ann ben"),
        ("organization:below=<clinic-a>", "ann"),
        ("organization:below=<clinic-c>", "ann"),
        ("organization=<clinic-a>", ""),
        ("name:exact=Archer", "ann"),
        ("name:contains=cher", "ann ben"),
        ("_id=none", ""),
    ],
)
async def test_given_patients_when_searched_then_what_the_words_mean_is_found(
    shelf: Shelf, asked: str, expected: str
) -> None:
    assert sorted(await shelf.find(f"Patient?{asked}")) == sorted(expected.split())


async def test_given_a_hierarchy_when_asked_above_then_what_it_is_part_of_is_found(
    shelf: Shelf,
) -> None:
    assert await shelf.find("Organization?partof:above=<clinic-b>&_sort=name") == [
        "clinic-b", "clinic-c",
    ]  # fmt: skip
    assert await shelf.find("Organization?_has:Organization:partof:_has:Patient:organization:_id="
                            + shelf.references["ann"].split("/")[1]) == ["clinic-b"]  # fmt: skip


async def test_given_addresses_when_searched_then_above_and_below_follow_their_steps(
    house: House,
) -> None:
    shelf = Shelf(house)
    sets = {
        name: {"resourceType": "ValueSet", "status": "active", "url": url}
        for name, url in {
            "root": "http://acme.example/fhir",
            "leaf": "http://acme.example/fhir/ValueSet/1",
            "twin": "http://acme.example/fhirx/ValueSet/1",
        }.items()
    }
    await shelf.put(house.clinic, sets)
    for asked, expected in {
        "url=http://acme.example/fhir": ["root"],
        "url:below=http://acme.example/fhir": ["leaf", "root"],
        "url:below=http://acme.example/fhir/": ["leaf"],
        "url:above=http://acme.example/fhir/ValueSet/1/_history/5": ["leaf", "root"],
        "url:missing=true": [],
    }.items():
        assert sorted(await shelf.find(f"ValueSet?{asked}")) == expected, asked


async def test_given_places_when_asked_near_then_those_within_the_distance_are_found(
    house: House,
) -> None:
    shelf = Shelf(house)
    places = {"oslo": (59.91, 10.75), "bergen": (60.39, 5.32), "suva": (-18.14, 178.44),
              "taveuni": (-16.85, -179.97), "pole": (89.9, 10.0)}  # fmt: skip
    await shelf.put(
        house.clinic,
        {
            name: {
                "resourceType": "Location",
                "name": name,
                "position": {"latitude": Decimal(str(north)), "longitude": Decimal(str(east))},
            }
            for name, (north, east) in places.items()
        },
    )
    for asked, expected in {
        "59.9|10.7": ["oslo"],
        "59.9|10.7|400": ["bergen", "oslo"],
        "59.9|10.7|4|km": ["oslo"],
        "59.9|10.7|2|km": [],
        "-18|179.9|250": ["suva", "taveuni"],
        "89.9|-170|30": ["pole"],
    }.items():
        assert sorted(await shelf.find(f"Location?near={asked}")) == expected, asked
    with pytest.raises(FhirError):
        await shelf.find("Location?near=91|0")


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("value-quantity", None),
        ("-date,code", "kilo milligram gram below own-unit bare fever words"),
        ("code,-value-quantity", "below own-unit bare fever words kilo gram milligram"),
        ("-_lastUpdated,_id", None),
        ("patient,code", None),
    ],
)
async def test_given_sort_keys_when_paged_by_one_then_the_order_holds_and_nothing_is_lost(
    shelf: Shelf, sort: str, expected: str | None
) -> None:
    asked = f"Observation?code:not=85354-9,72166-2&_sort={sort}"
    whole = await shelf.find(asked)
    if expected is not None:
        assert whole == expected.split()
    assert await shelf.find(asked, limit=1) == whole
    assert await shelf.find(asked, limit=3) == whole
    assert len(whole) == len(set(whole)) == 8


async def test_given_what_a_viewer_may_not_see_when_followed_then_it_links_nothing(
    house: House, shelf: Shelf
) -> None:
    stranger = house.stranger.viewer
    for asked in (
        "Patient?_has:Observation:patient:code=w",
        "Observation?patient.name=archer",
        "Observation?value-quantity=ge0",
        "Organization?partof:below=<clinic-a>",
        "Observation?code:not=zzz",
        "Observation?value-concept:missing=true",
    ):
        assert await shelf.find(asked, stranger) == [], asked
    await shelf.put(house.stranger, {"own": {"resourceType": "Observation", "status": "final",
                                             "code": coded("w")}})  # fmt: skip
    assert await shelf.find("Observation?code=w", stranger) == ["own"]
    assert "own" not in await shelf.find("Observation?code=w")


async def test_given_scopes_that_lack_a_type_when_followed_then_it_links_nothing(
    house: House, shelf: Shelf
) -> None:
    narrow = viewer.of(house.clinic.with_scopes("system/Observation.rs"))
    assert await shelf.find("Observation?patient.name=archer&code=w", narrow) == []
    assert await shelf.find("Observation?code=t", narrow) == ["fever"]
    other = viewer.of(house.clinic.with_scopes("system/Patient.rs"))
    assert await shelf.find("Patient?_has:Observation:patient:code=w", other) == []


async def test_given_an_update_when_searched_then_only_the_new_values_are_found(
    house: House, shelf: Shelf
) -> None:
    reference = shelf.references["pressure"]
    document = await house.document(reference)
    document["component"][0]["valueQuantity"]["value"] = Decimal("139")
    await house.update(house.clinic, document["id"], document)
    asked = "Observation?component-code-value-quantity=8480-6$"
    assert await shelf.find(asked + "gt140") == []
    assert await shelf.find(asked + "139") == ["pressure"]
    assert await shelf.find("Observation?combo-value-quantity=151") == []
    async with house.engine.pool.acquire() as conn:
        for table in ("idx_quantity", "idx_composite"):
            rows = await conn.fetch(
                f"select rid, param, low from {table} where rid = any($1::bigint[])",
                [rid for rid, name in shelf.names.items() if name == "pressure"],
            )
            assert len(rows) == len(set(rows)) == 2


async def test_given_a_code_of_several_systems_when_it_is_asked_for_alone_then_each_is_found_once_newest_first(
    house: House, shelf: Shelf
) -> None:
    both = {"coding": [{"system": system, "code": "w"} for system in ("http://a.example", LOINC)]}
    await shelf.put(
        house.clinic,
        {
            f"both-{number}": {"resourceType": "Observation", "status": "final", "code": both}
            for number in range(3)
        },
    )
    found = ["both-2", "both-1", "both-0", "kilo", "milligram", "gram"]
    for limit in (1, 4, 100):
        assert await shelf.find("Observation?code=w", limit=limit) == found
        assert await shelf.find("Observation?code=http://a.example|w", limit=limit) == found[:3]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("date=ge2026-01-03&_sort=date", "milligram kilo"),
        ("date=ge2026-01-03&_sort=-date", "kilo milligram"),
        ("date=ge2026-01-02&date=lt2026-02&_sort=-date", "milligram gram"),
        ("date=2026-02&_sort=date", "kilo"),
        ("date=ne2026-02&_sort=date", "gram milligram"),
        ("date=2026-01-02,2026-01-03&_sort=date", "gram milligram"),
    ],
)
async def test_given_dates_when_asked_and_sorted_by_them_then_those_are_found_in_order(
    shelf: Shelf, asked: str, expected: str
) -> None:
    for limit in (1, 100):
        assert await shelf.find(f"Observation?code=w&{asked}", limit=limit) == expected.split()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("ge1970", "whole near"),
        ("gt1969", "whole near"),
        ("sa1969-05", "whole near"),
        ("gt1970-11", "whole near"),
        ("gt1970", ""),
    ],
)
async def test_given_a_date_of_a_year_when_asked_for_what_lies_late_in_it_then_the_year_is_found(
    house: House, asked: str, expected: str
) -> None:
    shelf = Shelf(house)
    born = {"whole": "1970", "near": "1970-12-31", "before": "1969"}
    await shelf.put(
        house.clinic,
        {name: {"resourceType": "Patient", "birthDate": date} for name, date in born.items()},
    )
    assert await shelf.find(f"Patient?birthdate={asked}&_sort=birthdate") == expected.split()


async def test_given_ids_of_the_hub_and_a_chosen_one_when_asked_for_together_then_all_are_found(
    house: House, shelf: Shelf
) -> None:
    chooser = dataclasses.replace(house.clinic.caller, update_as_create=True)
    for number in range(3):  # by chance one may be where an id of the hub's would be
        chosen = {"resourceType": "Patient", "id": f"chosen-{number}"}
        shelf.names[(await house.update(chooser, chosen["id"], chosen)).rid] = chosen["id"]
    ids = ",".join([shelf.references["ann"].split("/")[1], *(f"chosen-{n}" for n in range(3))])
    found = await shelf.find(f"Patient?_id={ids}&_sort=_id")
    assert sorted(found) == ["ann", "chosen-0", "chosen-1", "chosen-2"]


async def test_given_a_search_beyond_the_time_limit_when_asked_then_it_is_refused_as_too_costly(
    house: House, shelf: Shelf
) -> None:
    query = parse_query("Observation", [("patient.name", "arch")])
    async with house.engine.searches.acquire() as conn, house.engine.pool.acquire() as other:
        await search.search(conn, house.engine, house.clinic.viewer, query, limit=10)
        # What takes long is made by a lock that is not given back in time.
        async with other.transaction():
            await other.execute("lock table idx_string in access exclusive mode")
            await conn.execute("set statement_timeout = '50ms'")
            with pytest.raises(FhirError) as caught:
                await search.search(conn, house.engine, house.clinic.viewer, query, limit=10)
            with pytest.raises(FhirError) as counting:
                await search_types.count(conn, house.engine, house.clinic.viewer, [query])
            two = [query, dataclasses.replace(query, resource_type="DiagnosticReport")]
            with pytest.raises(FhirError) as several:
                await search_types.search_types(
                    conn, house.engine, house.clinic.viewer, two, limit=10
                )
        await conn.execute("reset statement_timeout")
    for each in (caught, counting, several):
        assert each.value.status == 400
        assert each.value.issues[0].code == "too-costly"
