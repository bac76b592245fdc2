"""A made-up county's services, as a feed of HSDS tells them: nobody of it exists."""

from __future__ import annotations

import csv
import io
import json
import uuid
import zipfile
from random import Random
from typing import Any

Document = dict[str, Any]

AIRS = "http://211hsis.org"
KINDS = (
    ("BD-1800.2000", "Food Pantries"), ("BH-1800", "Emergency Shelter"), ("BD-5000", "Meals"),
)  # fmt: skip
SECRET_STREET, SECRET_PERSON, SECRET_PHONE = "12 Hidden Lane", "Iris Mossgrave", "555-777-0199"


PANTRY: dict[str, list[dict[str, Any]]] = {
    "organizations": [{"id": "o1", "name": "Ward House", "description": "Helps.", "website": "https://ward.example"}],
    "services": [
        {
            "id": "s1", "organization_id": "o1", "name": "Pantry", "status": "active", "minimum_age": "18",
            "description": "Food.", "interpretation_services": "By telephone",
        }
    ],
    "locations": [
        {"id": "l1", "organization_id": "o1", "location_type": "physical", "name": "Hall", "latitude": "42.5",
         "longitude": "-72.5"}
    ],
    "addresses": [
        {"id": "a1", "location_id": "l1", "address_1": "1 Elm Street", "city": "Milltown", "state_province": "MA",
         "postal_code": "01301", "country": "US", "address_type": "physical"}
    ],
    "service_at_locations": [{"id": "x1", "service_id": "s1", "location_id": "l1"}],
    "phones": [{"id": "p1", "service_id": "s1", "number": "555-0100", "type": "voice"}],
    "languages": [{"id": "g1", "service_id": "s1", "name": "Spanish", "code": "spa"}],
    "schedules": [
        {"id": "h1", "service_id": "s1", "freq": "WEEKLY", "byday": "MO,WE", "opens_at": "09:00", "closes_at": "17:00"}
    ],
    "taxonomy_terms": [{"id": "t1", "code": "BD-1800.2000", "name": "Food Pantries", "taxonomy": "211"}],
    "attributes": [{"id": "b1", "link_id": "s1", "taxonomy_term_id": "t1"}],
    "required_documents": [{"id": "d1", "service_id": "s1", "document": "A letter"}],
    "cost_options": [{"id": "c1", "service_id": "s1", "option": "Free", "amount": "0", "currency": "usd"}],
    "service_capacities": [
        {"id": "k1", "service_id": "s1", "available": "3", "maximum": "9", "unit": "Bed",
         "updated": "2026-11-20T08:00:00Z"}
    ],
}  # fmt: skip
"""As tables of version 3."""


def uid(*parts: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts))))


def county(services: int, *, seed: int = 1, shelters: int = 2) -> list[Document]:
    """Services of an HSDS 3 API, whole; two to an organization. shelters: of them, victim service providers'."""
    random = Random(seed)
    found = [_service(random, number) for number in range(services - shelters)]
    return [*found, *(_shelter(number) for number in range(shelters))]


def _taxonomy(code: str, name: str) -> Document:
    detail = {"id": uid("taxonomy"), "name": "211 taxonomy", "uri": AIRS}
    term = {"id": uid("term", code), "code": code, "name": name, "taxonomy_detail": detail}
    return {"id": uid("attribute", code), "taxonomy_term": term}


def _service(random: Random, number: int) -> Document:
    owner = number // 2
    code, name = KINDS[number % len(KINDS)]
    latitude = round(42 + random.random(), 5)
    longitude = round(-72 - random.random(), 5)
    return {
        "id": uid("service", number),
        "name": f"{name} {number}",
        "description": f"{name} of ward {number % 17}.",
        "status": "active" if number % 40 else "temporarily closed",
        "minimum_age": 18,
        "eligibility_description": "Residents of the county",
        "application_process": "Call ahead.",
        "last_modified": "2026-11-01T08:00:00Z",
        "attributes": [_taxonomy(code, name)],
        "languages": [{"id": uid("language", number), "name": "Spanish", "code": "spa"}],
        "schedules": [
            {
                "id": uid("schedule", number), "freq": "WEEKLY", "byday": "MO,WE",
                "opens_at": "09:00", "closes_at": "17:00",
            }
        ],
        "phones": [{"id": uid("phone", number), "number": f"555-01{number % 100:02d}", "type": "voice"}],
        "organization": {
            "id": uid("organization", owner), "name": f"Ward House {owner}", "description": "Helps.",
        },
        "service_at_locations": [
            {
                "id": uid("at", number),
                "location": {
                    "id": uid("location", number), "location_type": "physical", "name": f"Hall {number}",
                    "latitude": latitude, "longitude": longitude,
                    "addresses": [
                        {
                            "id": uid("address", number), "address_1": f"{number} Elm Street",
                            "city": "Milltown", "state_province": "MA", "postal_code": "01301",
                            "country": "US", "address_type": "physical",
                        }
                    ],
                },
            }
        ],
    }  # fmt: skip


def _shelter(number: int) -> Document:
    """One that says what it is by its term, the others by their names only."""
    found = _service(Random(number), 100_000 + 2 * number)
    code, name = ("BH-1800.1500-100", "Shelters") if number == 0 else KINDS[1]
    found |= {
        "id": uid("shelter", number),
        "name": "Quiet Haven" if number == 0 else "Domestic Violence Shelter",
        "attributes": [_taxonomy(code, name)],
        "contacts": [
            {"id": uid("contact", number), "name": SECRET_PERSON, "phones": [
                {"id": uid("hidden", number), "number": SECRET_PHONE, "type": "voice"}
            ]}
        ],
    }  # fmt: skip
    [given] = found["service_at_locations"]
    given["location"]["addresses"][0]["address_1"] = SECRET_STREET
    return found


def as_json(services: list[Document]) -> dict[str, bytes]:
    return {"services.json": json.dumps(services).encode()}


def as_zip(tables: dict[str, list[Document]]) -> dict[str, bytes]:
    """Tables as CSV files in a zip."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, rows in tables.items():
            text = io.StringIO()
            writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
            archive.writestr(f"{name}.csv", text.getvalue())
    return {"county.zip": whole.getvalue()}
