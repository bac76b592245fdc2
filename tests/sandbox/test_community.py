from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from coordhub.access import viewer
from coordhub.access.token import Tokens
from coordhub.record.bootstrap import open_hub
from coordhub.record.hub import Hub
from coordhub.record.operations import Update, Written
from coordhub.sandbox import community
from coordhub.sandbox.members import MEMBERS, documents, npi
from coordhub.store import clients, resources
from coordhub.store.engine import Engine

PARTNERS = "http://127.0.0.1:8001"
PORTAL = "http://127.0.0.1:8000/portal"


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    engine = await Engine.open(database_url, size=3)
    yield await open_hub(engine, "http://127.0.0.1:8000/fhir")
    await engine.close()


async def stored(hub: Hub, resource_type: str) -> dict[str, resources.Version]:
    """The directory's resources of a type by their identifier in the sandbox."""
    async with hub.engine.pool.acquire() as conn:
        rids = await conn.fetch("select rid from resource where body is not null")
        found = await resources.read_rids(conn, viewer.deciding(), [row[0] for row in rids])
    by_name = {}
    for version in found.values():
        document = json.loads(version.body or "{}")
        if version.type == resource_type and "identifier" in document:
            by_name[document["identifier"][0]["value"]] = version
    return by_name


async def addresses(hub: Hub) -> dict[str, tuple[int, str]]:
    found = await stored(hub, "Endpoint")
    return {
        name.removesuffix("-endpoint"): (version.version, json.loads(version.body or "")["address"])
        for name, version in found.items()
    }


async def test_given_an_empty_hub_when_founded_then_every_member_has_directory_and_client(
    hub: Hub,
) -> None:
    seats = await community.found(hub, PARTNERS, PORTAL)

    keys = {member.key for member in MEMBERS}
    assert len(keys) == 9
    assert set(seats) == keys
    for resource_type, part in (
        ("HealthcareService", "service"),
        ("PractitionerRole", "role"),
        ("Endpoint", "endpoint"),
    ):
        assert set(await stored(hub, resource_type)) == {f"{key}-{part}" for key in keys}
    async with hub.engine.pool.acquire() as conn:
        for key, seat in seats.items():
            client = await clients.read(conn, key)
            assert client is not None
            assert client.reference == f"Organization/{seat.id}"


async def test_given_a_community_when_founded_again_then_nothing_is_made_or_changed(
    hub: Hub,
) -> None:
    first = await community.found(hub, PARTNERS, PORTAL)
    count = "select count(*), max(version) from resource"
    before = tuple(await hub.engine.pool.fetchrow(count) or ())

    second = await community.found(hub, PARTNERS, PORTAL)

    assert second == first
    assert tuple(await hub.engine.pool.fetchrow(count) or ()) == before


async def test_given_another_simulator_port_when_founded_then_only_its_endpoints_move(
    hub: Hub,
) -> None:
    await community.found(hub, PARTNERS, PORTAL)

    await community.found(hub, "http://127.0.0.1:9001", PORTAL)

    now = await addresses(hub)
    assert now["lakeside"] == (2, "http://127.0.0.1:9001/partners/lakeside/fhir")
    assert now["mounds"] == (1, PORTAL)


def test_given_an_endpoint_that_points_elsewhere_when_founded_then_it_stays() -> None:
    (lakeside,) = [member for member in MEMBERS if member.key == "lakeside"]
    creates = list(community.founding(documents(lakeside, PARTNERS, PORTAL)))

    def written(address: str) -> list[Written]:
        body = json.dumps({"resourceType": "Endpoint", "address": address})
        now = datetime(2026, 11, 22, tzinfo=UTC)
        return [Written(200, create.type, "x", 1, 1, now, body) for create in creates]

    elsewhere = written("https://lakeside.example.org/partners/lakeside/fhir")
    assert list(community.moved_endpoints(creates, elsewhere)) == []
    at_old_port = written("http://127.0.0.1:7/partners/lakeside/fhir")
    (moved,) = community.moved_endpoints(creates, at_old_port)
    assert isinstance(moved, Update)
    assert moved.document["address"] == f"{PARTNERS}/partners/lakeside/fhir"


async def test_given_a_members_token_when_read_then_it_acts_for_its_organization(hub: Hub) -> None:
    seats = await community.found(hub, PARTNERS, PORTAL)
    tokens = Tokens(b"k" * 32, hub.engine)

    credentials = community.credentials(seats, tokens, hub.base, hub.clock())

    assert list(credentials) == ["base", "organizations", "admin"]
    mounds = credentials["organizations"]["mounds"]
    caller = await tokens.caller(f"Bearer {mounds['token']}", None)
    assert caller.reference == f"Organization/{mounds['id']}"
    caller.require("Task", "update")
    admin = await tokens.caller(f"Bearer {credentials['admin']['token']}", None)
    assert admin.update_as_create
    assert not admin.scopes.allow("Patient", "r")
    assert timedelta(days=30) == community.TOKEN_LIFETIME


def test_given_the_advocates_when_described_then_no_place_and_no_person_is_named() -> None:
    (harbor,) = [member for member in MEMBERS if member.key == "harbor"]

    described = documents(harbor, PARTNERS, PORTAL)

    types = {document["resourceType"] for document in described.values()}
    assert types == {"Organization", "Endpoint", "HealthcareService", "PractitionerRole"}
    text = json.dumps(list(described.values()))
    assert '"address": [' not in text
    assert '"location"' not in text
    assert '"practitioner"' not in text


def test_given_the_published_example_when_checked_then_the_digit_is_its_own() -> None:
    # https://www.cms.gov: 123456789 becomes 1234567893.
    assert npi("123456789") == "1234567893"
    assert npi("123456788") == "1234567885"
