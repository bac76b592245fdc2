"""Of victim service providers nothing of a feed is taken, and no other row tells of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hsds_county import PANTRY

from coordhub.directory.hsds import reading
from coordhub.directory.hsds.entries import Read, entries
from coordhub.directory.hsds.withheld import Known
from coordhub.r4 import document as fhir_json

SECRETS = ("Hidden Lane", "HIDDEN LANE", "Mossgrave", "0199", "Quiet House", "o7", "s7")
Rows = dict[str, list[dict[str, Any]]]


def feed(
    service: dict[str, str] | None = None, organization: dict[str, str] | None = None, **more: Any
) -> Rows:
    """The pantry's, and those of a provider whose service or organization says these of itself."""
    own: Rows = {
        "organizations": [{"id": "o7", "name": "Quiet House", **(organization or {})}],
        "services": [
            {
                "id": "s7",
                "organization_id": "o7",
                "name": "Shelter",
                "status": "active",
                **(service or {}),
            }
        ],
        "locations": [
            {"id": "l7", "location_type": "physical", "name": "A house", "latitude": "42.1"}
        ],
        "addresses": [{"id": "a7", "location_id": "l7", "address_1": "12 Hidden Lane"}],
        "service_at_locations": [{"id": "x7", "service_id": "s7", "location_id": "l7"}],
        "contacts": [{"id": "c7", "service_id": "s7", "name": "Iris Mossgrave"}],
        "phones": [{"id": "p7", "service_id": "s7", "number": "+1 555 777 0199"}],
        **more,
    }
    return {name: [*PANTRY.get(name, []), *own.get(name, [])] for name in {**PANTRY, **own}}


def read_of(rows: Rows, known: Known | None = None) -> tuple[Read, str]:
    tables = reading.read({"tables.json": json.dumps(rows).encode()})
    read = entries(tables, "ward", known=known)
    text = "".join(fhir_json.encode(one.document).decode() for one in read.entries)
    return read, text + "".join(str(one) for one in tables.faults)


TERM = {"id": "t7", "code": "BH-1800.1500-100.05", "name": "Shelters"}


@pytest.mark.parametrize(
    ("rows", "known"),
    [
        (feed(service={"name": "Domestic Violence Shelter"}), None),
        (feed(service={"alternate_name": "Safe House"}), None),
        (feed(organization={"alternate_name": "Rape Crisis Center"}), None),
        (
            feed(
                taxonomy_terms=[TERM],
                attributes=[{"id": "b7", "link_id": "s7", "taxonomy_term_id": "t7"}],
            ),
            None,
        ),
        (
            feed(
                taxonomy_terms=[
                    {"id": "t8", "code": "X", "name": "Sexual Assault Services"},
                    {"id": "t7", "code": "X-1", "name": "Counseling", "parent_id": "t8"},
                ],
                attributes=[{"id": "b7", "link_id": "o7", "taxonomy_term_id": "t7"}],
            ),
            None,
        ),
        (feed(attributes=[{"id": "b7", "link_id": "s7", "value": "VSP"}]), None),
        (feed(), Known(names=frozenset({"quiet house"}))),
        (feed(), Known(phones=frozenset({"5557770199"}))),
    ],
)
def test_given_a_provider_when_read_then_it_is_not_there_and_the_pantry_is(
    rows: Rows, known: Known | None
) -> None:
    read, text = read_of(rows, known)
    assert read.withheld == 1
    assert [one.key for one in read.entries] == ["organizations/o1", "locations/l1", "services/s1"]
    assert [secret for secret in SECRETS if secret in text] == []
    assert {"services/s7", "organizations/o7"} <= read.apart
    assert "locations/l7" in read.apart


def test_given_a_feed_without_providers_when_read_then_nothing_is_withheld() -> None:
    read, _ = read_of(feed())
    assert read.withheld == 0
    assert "services/s7" in {one.key for one in read.entries}


def test_given_other_rows_that_say_its_address_or_staff_when_read_then_they_are_taken_without() -> (
    None
):
    rows = feed(service={"name": "Safe House"})
    rows["services"][0] |= {
        "description": "Ask at 12 hidden lane, next to us.",
        "application_process": "Call Iris Mossgrave.",
    }
    rows["locations"].append({"id": "l2", "organization_id": "o1", "name": "Annex"})
    rows["addresses"].append(
        {"id": "a2", "location_id": "l2", "address_1": "12 HIDDEN LANE", "city": "Milltown"}
    )
    read, text = read_of(rows)
    assert [secret for secret in SECRETS if secret.lower() in text.lower()] == []
    annex = next(one.document for one in read.entries if one.key == "locations/l2")
    assert annex["address"] == {"type": "physical", "city": "Milltown"}


def test_given_an_agency_with_other_services_when_read_then_these_stay_without_place_and_staff() -> (
    None
):
    rows = feed(service={"name": "Domestic Violence Shelter"})
    rows["services"].append(
        {"id": "s8", "organization_id": "o7", "name": "Legal Aid", "status": "active"}
    )
    rows["service_at_locations"].append({"id": "x8", "service_id": "s8", "location_id": "l7"})
    rows["contacts"].append({"id": "c8", "organization_id": "o7", "name": "Ann Keeper"})
    read, text = read_of(rows)
    legal = next(one.document for one in read.entries if one.key == "services/s8")
    assert "location" not in legal
    for secret in ("Hidden Lane", "Mossgrave", "Ann Keeper", "42.1"):
        assert secret not in text
