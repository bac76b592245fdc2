"""The nine organizations of the sample community, as FHIR documents of the public directory.

http://hl7.org/fhir/R4/healthcareservice.html, http://hl7.org/fhir/R4/endpoint.html

Every document carries an identifier of SYSTEM, by which a later start finds it again. Numbers in
the manner of an NPI begin with 9: their check digit is right, and none is ever given to anyone.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

SYSTEM = "urn:coordhub:sandbox"
NPI = "http://hl7.org/fhir/sid/us-npi"
SNOMED = "http://snomed.info/sct"
SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
US_CORE_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
SERVICE_CATEGORY = "http://terminology.hl7.org/CodeSystem/service-category"
SERVICE_TYPE = "http://terminology.hl7.org/CodeSystem/service-type"
ORGANIZATION_TYPE = "http://terminology.hl7.org/CodeSystem/organization-type"
CONNECTION_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
OWN_CONNECTION_TYPE = "urn:coordhub:endpoint-connection-type"
PAYLOAD_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")

Document = dict[str, Any]
Code = tuple[str, str, str]
"""system, code, display"""


@dataclass(frozen=True, slots=True)
class Member:
    """One organization of the community.

    key: its name in dev.json and in the simulator's paths.
    kind: code of organization-type. npi: the first nine digits; None: not a health care provider.
    phone: as tel: would have it. address: line, city, postal code; None: nowhere on file.
    hours: opening and closing time on weekdays; None: round the clock.
    practitioner: given, family name and the first nine digits of a number; None: a desk answers.
    server: it has a FHIR server of its own, played by the simulator; else it uses the portal.
    """

    key: str
    name: str
    kind: str
    service: str
    categories: tuple[Code, ...]
    types: tuple[Code, ...]
    specialties: tuple[Code, ...]
    desk: str
    phone: str
    address: tuple[str, str, str] | None
    hours: tuple[str, str] | None
    npi: str | None = None
    practitioner: tuple[str, str, str] | None = None
    server: bool = False


def _sdoh(domain: str, display: str) -> tuple[Code, Code]:
    return (
        (US_CORE_CATEGORY, "sdoh", "SDOH"),
        (SDOH, domain, display),
    )


def _shelter(
    key: str, name: str, phone: str, address: tuple[str, str, str], server: bool
) -> Member:
    return Member(
        key=key,
        name=name,
        kind="cg",
        service=f"{name}: emergency beds",
        categories=(
            *_sdoh("homelessness", "Homelessness"),
            (SERVICE_CATEGORY, "18", "Housing/Homelessness"),
        ),
        types=((SERVICE_TYPE, "126", "Crisis/Emergency Accommodation"),),
        specialties=(),
        desk="Night desk",
        phone=phone,
        address=address,
        hours=None,
        server=server,
    )


MEMBERS: tuple[Member, ...] = (
    Member(
        key="riverside",
        name="Riverside Primary Care",
        kind="prov",
        service="Riverside family practice",
        categories=((SERVICE_CATEGORY, "17", "General Practice"),),
        types=((SERVICE_TYPE, "124", "General Practice"),),
        specialties=((SNOMED, "394814009", "General practice (specialty)"),),
        desk="Referral coordinator",
        phone="+1-555-0110",
        address=("10 River Street", "Springvale", "01001"),
        hours=("08:00:00", "17:00:00"),
        npi="910000110",
        practitioner=("Jan", "Water", "910000111"),
        server=True,
    ),
    Member(
        key="lakeside",
        name="Lakeside Endocrinology",
        kind="prov",
        service="Lakeside endocrinology clinic",
        categories=((SERVICE_CATEGORY, "27", "Specialist Medical"),),
        types=((SERVICE_TYPE, "169", "Endocrinology"),),
        specialties=((SNOMED, "394583002", "Endocrinology"),),
        desk="Referral desk",
        phone="+1-555-0120",
        address=("20 Lake Avenue", "Springvale", "01002"),
        hours=("09:00:00", "17:00:00"),
        npi="910000120",
        practitioner=("Ana", "Lopez", "910000121"),
        server=True,
    ),
    Member(
        key="metrolab",
        name="Metro Lab",
        kind="prov",
        service="Metro Lab clinical chemistry",
        categories=((SERVICE_CATEGORY, "26", "Specialist Clinical Pathology"),),
        types=((SERVICE_TYPE, "158", "Pathology - Clinical Chemistry"),),
        specialties=((SNOMED, "394596001", "Chemical pathology"),),
        desk="Client services",
        phone="+1-555-0130",
        address=("30 Market Square", "Springvale", "01003"),
        hours=("07:00:00", "19:00:00"),
        npi="910000130",
        server=True,
    ),
    Member(
        key="mounds",
        name="Mounds Food Bank",
        kind="cg",
        service="Mounds food pantry",
        categories=(
            *_sdoh("food-insecurity", "Food Insecurity"),
            (SERVICE_CATEGORY, "16", "Financial & Material Aid"),
        ),
        types=((SERVICE_TYPE, "548", "Food Relief/Food/Meals"),),
        specialties=(),
        desk="Pantry coordinator",
        phone="+1-555-0140",
        address=("40 Mill Road", "Springvale", "01004"),
        hours=("10:00:00", "16:00:00"),
    ),
    _shelter(
        "eastside",
        "Eastside Shelter",
        "+1-555-0150",
        ("50 East Road", "Springvale", "01005"),
        False,
    ),
    _shelter(
        "hillcrest",
        "Hillcrest Shelter",
        "+1-555-0160",
        ("60 Hill Lane", "Springvale", "01006"),
        False,
    ),
    _shelter(
        "northgate",
        "Northgate Shelter",
        "+1-555-0170",
        ("70 North Gate", "Springvale", "01007"),
        True,
    ),
    Member(
        key="harbor",
        name="Harbor Advocates",
        kind="cg",
        service="Harbor Advocates hotline",
        categories=(
            *_sdoh("intimate-partner-violence", "Intimate Partner Violence"),
            (SERVICE_CATEGORY, "36", "Crisis Line (GPAH use only)"),
        ),
        types=((SERVICE_TYPE, "485", "Family Violence"),),
        specialties=(),
        desk="Hotline",
        phone="+1-555-0180",
        address=None,
        hours=None,
    ),
    Member(
        key="rides",
        name="Springvale Ride Service",
        kind="cg",
        service="Rides to appointments",
        categories=(
            *_sdoh("transportation-insecurity", "Transportation Insecurity"),
            (SERVICE_CATEGORY, "33", "Transport"),
        ),
        types=((SERVICE_TYPE, "230", "Patient Transport"),),
        specialties=(),
        desk="Dispatch",
        phone="+1-555-0190",
        address=("90 Station Square", "Springvale", "01009"),
        hours=("06:00:00", "20:00:00"),
    ),
)


def npi(nine: str) -> str:
    """The nine digits and their check digit: Luhn's over 80840 and the number.

    https://www.cms.gov/Regulations-and-Guidance/Administrative-Simplification/NationalProvIdentStand
    """
    digits = [int(digit) for digit in f"80840{nine}"]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[::-2])
    total = sum(doubled) + sum(digits[-2::-2])
    return f"{nine}{-total % 10}"


def endpoint_address(member: Member, partners: str, portal: str) -> str:
    """Where the hub reaches it: below the simulator's `http://host:port`, or at the portal."""
    return f"{partners}/partners/{member.key}/fhir" if member.server else portal


def documents(member: Member, partners: str, portal: str) -> dict[str, Document]:
    """Everything the directory says of a member, by urn by which they refer to each other."""
    key = member.key
    organization: Document = {
        "resourceType": "Organization",
        "identifier": [_identifier(key), *_npi_identifiers(member.npi)],
        "active": True,
        "type": [_concept((ORGANIZATION_TYPE, member.kind, _KINDS[member.kind]))],
        "name": member.name,
        "telecom": [_phone(member)],
        "endpoint": [_to(key, "endpoint")],
    }
    service: Document = {
        "resourceType": "HealthcareService",
        "identifier": [_identifier(f"{key}-service")],
        "active": True,
        "providedBy": _to(key, "organization"),
        "category": [_concept(code) for code in member.categories],
        "type": [_concept(code) for code in member.types],
        "name": member.service,
        "telecom": [_phone(member)],
        "availableTime": [_available(member.hours)],
        "endpoint": [_to(key, "endpoint")],
    }
    role: Document = {
        "resourceType": "PractitionerRole",
        "identifier": [_identifier(f"{key}-role")],
        "active": True,
        "organization": _to(key, "organization"),
        "code": [{"text": member.desk}],
        "healthcareService": [_to(key, "service")],
        "telecom": [_phone(member)],
        "endpoint": [_to(key, "endpoint")],
    }
    made = {
        "organization": organization,
        "endpoint": _endpoint(member, partners, portal),
        "service": service,
        "role": role,
    }
    if member.specialties:
        specialties = [_concept(code) for code in member.specialties]
        service["specialty"] = specialties
        role["specialty"] = specialties
    if member.practitioner is not None:
        made["practitioner"] = _practitioner(member, *member.practitioner)
        role["practitioner"] = _to(key, "practitioner")
    if member.address is not None:
        line, city, code = member.address
        address = {"line": [line], "city": city, "postalCode": code, "country": "US"}
        organization["address"] = [address]
        made["location"] = {
            "resourceType": "Location",
            "identifier": [_identifier(f"{key}-location")],
            "status": "active",
            "name": member.name,
            "telecom": [_phone(member)],
            "address": address,
            "managingOrganization": _to(key, "organization"),
        }
        if code in _TOWN:
            made["location"]["position"] = _position(code)
        service["location"] = [_to(key, "location")]
        role["location"] = [_to(key, "location")]
    return {_urn(key, part): document for part, document in made.items()}


_TOWN = {
    "01001": ("42.101", "-72.590"), "01002": ("42.124", "-72.548"), "01003": ("42.098", "-72.571"),
    "01004": ("42.083", "-72.623"), "01005": ("42.107", "-72.512"), "01006": ("42.139", "-72.601"),
    "01007": ("42.152", "-72.563"), "01009": ("42.092", "-72.586"),
}  # fmt: skip
"""Where the postal codes of Springvale are, about: degrees north and east."""


def _position(code: str) -> Document:
    latitude, longitude = _TOWN[code]
    return {"latitude": Decimal(latitude), "longitude": Decimal(longitude)}


_KINDS = {"prov": "Healthcare Provider", "cg": "Community Group"}


def _endpoint(member: Member, partners: str, portal: str) -> Document:
    if member.server:
        connection = {"system": CONNECTION_TYPE, "code": "hl7-fhir-rest", "display": "HL7 FHIR"}
    else:
        connection = {"system": OWN_CONNECTION_TYPE, "code": "portal", "display": "Portal"}
    return {
        "resourceType": "Endpoint",
        "identifier": [_identifier(f"{member.key}-endpoint")],
        "status": "active",
        "connectionType": connection,
        "name": f"{member.name}: referrals",
        "managingOrganization": _to(member.key, "organization"),
        "payloadType": [_concept((PAYLOAD_TYPE, "any", "Any"))],
        "payloadMimeType": ["application/fhir+json"],
        "address": endpoint_address(member, partners, portal),
    }


def _practitioner(member: Member, given: str, family: str, nine: str) -> Document:
    return {
        "resourceType": "Practitioner",
        "identifier": [_identifier(f"{member.key}-practitioner"), *_npi_identifiers(nine)],
        "active": True,
        "name": [{"family": family, "given": [given], "prefix": ["Dr"]}],
        "telecom": [_phone(member)],
    }


def _urn(key: str, part: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{SYSTEM}:{key}:{part}").urn


def _to(key: str, part: str) -> Document:
    return {"reference": _urn(key, part)}


def _identifier(value: str) -> Document:
    return {"system": SYSTEM, "value": value}


def _npi_identifiers(nine: str | None) -> list[Document]:
    return [] if nine is None else [{"system": NPI, "value": npi(nine)}]


def _concept(code: Code) -> Document:
    system, value, display = code
    return {"coding": [{"system": system, "code": value, "display": display}], "text": display}


def _phone(member: Member) -> Document:
    return {"system": "phone", "value": member.phone, "use": "work"}


def _available(hours: tuple[str, str] | None) -> Document:
    if hours is None:
        return {"daysOfWeek": [*WEEKDAYS, "sat", "sun"], "allDay": True}
    start, end = hours
    return {"daysOfWeek": [*WEEKDAYS], "availableStartTime": start, "availableEndTime": end}
