"""The directory as HSDS 3 again: services, each whole, as an API of it tells them.

https://docs.openreferral.org/en/latest/hsds/api_reference.html (GET /services)

The way back of `entries`: ids are those of the feed that an entry came from, else made of the entry's own.
What was made inactive because its feed has it no more is told as inactive.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from coordhub.directory.hsds.entries import DESCRIPTION, compact
from coordhub.directory.hsds.offers import COST, DOCUMENT, STATUS, STATUSES, UNCLASSIFIED
from coordhub.directory.hsds.places import KEPT
from coordhub.directory.hsds.telecom import CONTACT
from coordhub.referral.hours import SCHEDULE, WEEK, zone_of
from coordhub.referral.offered import ACCESSIBILITY, CAPACITY, ELIGIBLE
from coordhub.referral.places import BOUNDARY
from coordhub.referral.wanted import codes

Document = Mapping[str, Any]
Object = dict[str, Any]

_IDENTIFIER: Final = re.compile(r"urn:hsds:([a-z0-9-]+):([a-z_]+)")
_TYPES: Final = {"fax": "fax", "pager": "pager", "sms": "text", "other": "video"}
_EXTENSION: Final = re.compile(r"(.*) ext\. (\d+)")
_NAMESPACE: Final = uuid.UUID("3c9f1f7e-7a55-5d43-8a36-0d0c61c0f5b7")


def export(
    services: Iterable[Document],
    organizations: Mapping[str, Document],
    locations: Mapping[str, Document],
) -> dict[str, list[Object]]:
    """`services`, whole, and the `taxonomy_terms` that they name or that stand above these.

    organizations, locations: by reference. A service whose organization is not among these is left out.
    """
    found: dict[str, Object] = {}
    terms: dict[str, Object] = {}
    for one in sorted(services, key=lambda one: _id(one, "service_at_locations", "") != ""):
        provider = organizations.get(str(one.get("providedBy", {}).get("reference")))
        if provider is None:
            continue
        known = _id(one, "services")
        if known not in found:
            found[known] = _service(one, known, provider, locations)
        found[known]["service_at_locations"] += _given(one, known, locations)
        for term in _terms(one):
            term.pop("above", None)
            terms.setdefault(term["id"], term)
    return {"services": list(found.values()), "taxonomy_terms": list(terms.values())}


def _service(
    one: Document, known: str, provider: Document, locations: Mapping[str, Document]
) -> Object:
    status = next((x.get("valueCode") for x in _extensions(one, STATUS)), None)
    active = one.get("active") is not False
    stated = status if status in STATUSES and (status == "active") == active else None
    kept = _kept(one)
    comments = [str(x["comment"]) for x in one.get("eligibility", ()) if "comment" in x]
    low, high = _ages(one)
    alone = _id(one, "service_at_locations", "") != ""
    program = next((x["text"] for x in one.get("program", ()) if "text" in x), None)
    return _told(
        {
            "id": known,
            "name": one.get("name"),
            "description": one.get("comment"),
            "status": stated or ("active" if active else "inactive"),
            **kept,
            "eligibility_description": kept.get("eligibility_description") or "\n".join(comments),
            "minimum_age": low,
            "maximum_age": high,
            **_points(one, known),
            "organization": _organization(provider),
            "program": program and {"id": _made(known, "program", program), "name": program},
            "attributes": list(_attributes(one, known)),
            "languages": list(_languages(one, known)),
            "schedules": [] if alone else list(_schedules(one, known)),
            "holiday_schedules": list(_holidays(one, known)),
            "service_areas": list(_areas(one, locations)),
            "required_documents": [
                {"id": _made(known, "document", str(n)), "document": x.get("valueString")}
                for n, x in enumerate(_extensions(one, DOCUMENT))
            ],
            "cost_options": list(_costs(one, known)),
            "service_capacities": list(_capacities(one, known)),
        }
    ) | {"service_at_locations": []}


def _given(one: Document, service: str, locations: Mapping[str, Document]) -> list[Object]:
    """Where; with its own hours and telephones where the entry is of one place."""
    own = _id(one, "service_at_locations", "")
    found = []
    for element in one.get("location", ()):
        place = locations.get(str(element.get("reference")))
        if place is None:
            continue
        known = own or _made(service, "at", _id(place, "locations"))
        given: Object = {"id": known, "service_id": service, "location": _location(place)}
        if own:
            given["schedules"] = list(_schedules(one, known))
            given["phones"] = _points(one, known).get("phones", [])
        found.append(_told(given))
    return found


def _organization(one: Document) -> Object:
    known = _id(one, "organizations")
    numbers = [x for x in one.get("identifier", ()) if not _IDENTIFIER.match(str(x.get("system")))]
    tax = next(
        (x.get("value") for x in numbers if "TAX" in {code for _, code in codes(x.get("type"))}),
        None,
    )
    points = _points(one, known)
    return _told(
        {
            "id": known,
            "name": one.get("name"),
            "alternate_name": next(iter(one.get("alias", ())), None),
            "description": next(
                (x.get("valueString") for x in _extensions(one, DESCRIPTION)), None
            ),
            **_kept(one),
            "tax_id": tax,
            "phones": points.get("phones"),
            "email": points.get("email"),
            "website": points.get("url"),
            "contacts": [
                _contact(x, _made(known, "contact", str(n)))
                for n, x in enumerate(one.get("contact", ()))
            ],
            "organization_identifiers": [
                {
                    "id": _made(known, "identifier", str(n)),
                    "identifier_scheme": x.get("assigner", {}).get("display"),
                    "identifier_type": x.get("type", {}).get("text"),
                    "identifier": x.get("value"),
                }
                for n, x in enumerate(numbers)
                if x.get("value") != tax
            ],
        }
    )


def _contact(one: Document, known: str) -> Object:
    said = {
        str(part.get("url")): part.get("valueString")
        for point in one.get("telecom", ())
        for extension in _extensions(point, CONTACT)
        for part in extension.get("extension", ())
    }
    return {
        "id": known,
        "name": one.get("name", {}).get("text"),
        "title": said.get("title"),
        "department": said.get("department"),
        **_points(one, known),
    }


def _location(one: Document) -> Object:
    known, position, address = (
        _id(one, "locations"),
        one.get("position", {}),
        one.get("address", {}),
    )
    names = [x for x in (one.get("name"), *one.get("alias", ())) if x]
    lines = [*address.get("line", ()), "", ""]
    kept = _kept(one)
    said = {
        "address_1": lines[0], "address_2": lines[1], "city": address.get("city"),
        "region": address.get("district"), "state_province": address.get("state"),
        "postal_code": address.get("postalCode"), "country": address.get("country"),
    }  # fmt: skip
    stated = _told(said)
    return _told(
        {
            "id": known,
            "location_type": kept.pop("location_type", "physical"),
            **kept,
            "name": names[0] if names else None,
            "alternate_name": names[1] if len(names) > 1 else None,
            "description": one.get("description"),
            "latitude": position.get("latitude"),
            "longitude": position.get("longitude"),
            "addresses": [
                {
                    "id": _made(known, "address"),
                    "address_type": address.get("type", "physical"),
                    **stated,
                }
            ]
            if stated
            else [],
            "phones": _points(one, known).get("phones"),
            "email": None,
            "accessibility": [
                {
                    "id": _made(known, "accessibility", str(n)),
                    "description": x.get("valueCodeableConcept", {}).get("text"),
                }
                for n, x in enumerate(_extensions(one, ACCESSIBILITY))
            ],
            "schedules": list(_schedules(one, known)),
        }
    )


def _points(one: Document, known: str) -> Object:
    found: Object = {"phones": []}
    for number, point in enumerate(one.get("telecom", ())):
        system, value = point.get("system"), str(point.get("value", ""))
        if system in ("email", "url"):
            found.setdefault(system, value)
            continue
        stated = _EXTENSION.fullmatch(value)
        phone = {"number": stated[1], "extension": int(stated[2])} if stated else {"number": value}
        found["phones"].append(
            {
                "id": _made(known, "phone", str(number)),
                **phone,
                "type": _TYPES.get(str(system), "voice"),
            }
        )
    return found


def _attributes(one: Document, known: str) -> Iterator[Object]:
    for term in _terms(one):
        if not term.pop("above", False):
            yield {"id": _made(known, "attribute", term["id"]), "taxonomy_term": term}


def _terms(one: Document) -> Iterator[Object]:
    """What kind it is; the first of them stands below the category, which is `above`."""
    top: Object | None = None
    for coding in (x for concept in one.get("category", ())[:1] for x in concept.get("coding", ())):
        if (coding.get("system"), coding.get("code")) != _UNCLASSIFIED:
            top = _term(str(coding.get("system")), str(coding.get("code")), coding.get("display"))
    first = True
    for concept in one.get("type", ()):
        for coding in concept.get("coding", ()):
            term = _term(str(coding.get("system")), str(coding.get("code")), coding.get("display"))
            if first and top is not None and top["id"] != term["id"]:
                yield {**top, "above": True}
                term["parent_id"] = top["id"]
            first = False
            yield term


_UNCLASSIFIED: Final = (UNCLASSIFIED["system"], UNCLASSIFIED["code"])


def _term(system: str, code: str, name: object) -> Object:
    return {
        "id": _made("term", system, code),
        "code": code,
        "name": name or code,
        "taxonomy_detail": {"id": _made("taxonomy", system), "name": system, "uri": system},
    }


def _languages(one: Document, known: str) -> Iterator[Object]:
    for number, concept in enumerate(one.get("communication", ())):
        code = next((code for _, code in codes(concept)), None)
        yield {
            "id": _made(known, "language", str(number)),
            "name": concept.get("text"),
            "code": code,
        }


def _schedules(one: Document, known: str) -> Iterator[Object]:
    zone = zone_of(one)
    offset = datetime(2026, 1, 1, tzinfo=zone).utcoffset() if zone is not None else None
    stated = {} if offset is None else {"timezone": offset / timedelta(hours=1)}
    number = 0
    for name, first, last in (
        ("availableTime", "availableStartTime", "availableEndTime"),
        ("hoursOfOperation", "openingTime", "closingTime"),
    ):
        for each in one.get(name, ()):
            number += 1
            days = ",".join(_day(day) for day in each.get("daysOfWeek", ()))
            yield {
                "id": _made(known, "schedule", str(number)),
                **({"freq": "WEEKLY", "byday": days} if days else {}),
                "opens_at": "00:00" if each.get("allDay") else _minute(each.get(first)),
                "closes_at": "24:00" if each.get("allDay") else _minute(each.get(last)),
                **stated,
            }
    for each in _extensions(one, SCHEDULE):
        number += 1
        parts = {str(part.get("url")): part for part in each.get("extension", ())}
        rule = dict(x.split("=", 1) for x in parts["rule"]["valueString"].split(";"))
        valid = parts.get("validity", {}).get("valuePeriod", {})
        until = rule.get("UNTIL")
        yield {
            "id": _made(known, "schedule", str(number)),
            **{name.lower(): value for name, value in rule.items() if name != "UNTIL"},
            "until": until and f"{until[:4]}-{until[4:6]}-{until[6:8]}",
            "dtstart": parts.get("start", {}).get("valueDate"),
            "opens_at": _minute(parts.get("opens", {}).get("valueTime")),
            "closes_at": _minute(parts.get("closes", {}).get("valueTime")),
            "valid_from": valid.get("start"),
            "valid_to": valid.get("end"),
            **stated,
        }
    if one.get("availabilityExceptions"):
        yield {
            "id": _made(known, "schedule", "words"),
            "description": one["availabilityExceptions"],
        }


def _holidays(one: Document, known: str) -> Iterator[Object]:
    for number, each in enumerate(one.get("notAvailable", ())):
        during = each.get("during", {})
        yield {
            "id": _made(known, "holiday", str(number)), "closed": "true", "description": each.get("description"),
            "start_date": during.get("start"), "end_date": during.get("end"),
        }  # fmt: skip


def _day(name: str) -> str:
    return ("MO", "TU", "WE", "TH", "FR", "SA", "SU")[WEEK.index(name)]


def _minute(text: object) -> str | None:
    return text[:5] if isinstance(text, str) else None


def _areas(one: Document, locations: Mapping[str, Document]) -> Iterator[Object]:
    for element in one.get("coverageArea", ()):
        area = locations.get(str(element.get("reference")))
        if area is None:
            continue
        found: Object = {
            "id": _id(area, "service_areas"), "name": area.get("name"), "description": area.get("description"),
        }  # fmt: skip
        data = next(
            (x.get("valueAttachment", {}).get("data") for x in _extensions(area, BOUNDARY)), None
        )
        if isinstance(data, str):
            found |= {"extent": base64.b64decode(data).decode(), "extent_type": "geojson"}
        elif (code := area.get("address", {}).get("postalCode")) is not None:
            found |= {"extent": code, "extent_type": "text"}
        yield found


def _costs(one: Document, known: str) -> Iterator[Object]:
    for number, each in enumerate(_extensions(one, COST)):
        parts = {str(part.get("url")): part for part in each.get("extension", ())}
        money, valid = (
            parts.get("amount", {}).get("valueMoney", {}),
            parts.get("validity", {}).get("valuePeriod", {}),
        )
        yield {
            "id": _made(known, "cost", str(number)),
            "option": parts.get("option", {}).get("valueString"),
            "amount_description": parts.get("amount_description", {}).get("valueString"),
            "amount": money.get("value"),
            "currency": money.get("currency"),
            "valid_from": valid.get("start"),
            "valid_to": valid.get("end"),
        }


def _capacities(one: Document, known: str) -> Iterator[Object]:
    for number, each in enumerate(_extensions(one, CAPACITY)):
        parts = {str(part.get("url")): part for part in each.get("extension", ())}
        unit = parts.get("unit", {}).get("valueString")
        yield {
            "id": _made(known, "capacity", str(number)),
            "available": parts.get("available", {}).get("valueInteger"),
            "maximum": parts.get("maximum", {}).get("valueInteger"),
            "unit": unit and {"id": _made("unit", unit), "name": unit},
            "updated": parts.get("updated", {}).get("valueDateTime"),
        }


def _ages(one: Document) -> tuple[Any, Any]:
    for each in one.get("eligibility", ()):
        for extension in _extensions(each, ELIGIBLE):
            context = extension.get("valueUsageContext", {})
            if context.get("code", {}).get("code") == "age":
                ends = context.get("valueRange", {})
                return ends.get("low", {}).get("value"), ends.get("high", {}).get("value")
    return None, None


def _kept(one: Document) -> Object:
    """What the feed said that R4 has no element for."""
    return {
        str(part.get("url")): part.get("valueString")
        for extension in _extensions(one, KEPT)
        for part in extension.get("extension", ())
    }


def _id(one: Document, table: str, default: str | None = None) -> str:
    """That of the feed, or the entry's own."""
    for identifier in one.get("identifier", ()):
        stated = _IDENTIFIER.fullmatch(str(identifier.get("system")))
        if stated is not None and stated[2] == table:
            return str(identifier.get("value"))
    return str(one.get("id")) if default is None else default


def _made(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def _extensions(one: Document, url: str) -> list[Object]:
    return [x for x in one.get("extension", ()) if x.get("url") == url]


def _told(value: Object) -> Object:
    """Without what says nothing."""
    found: Object = compact(value)
    return found
