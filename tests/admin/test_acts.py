"""Acts of operators: done with their audit row, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.admin.acts import NothingDone, Operator, agree_on_profile, change_client
from coordhub.record.bootstrap import open_hub
from coordhub.record.commit import commit
from coordhub.record.operations import Create
from coordhub.store import clients, partners
from coordhub.store.engine import Engine
from coordhub.store.visibility import DIRECTORY

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
BY = Operator("rosa")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    engine = await Engine.open(database_url, size=3)
    yield engine
    await engine.close()


async def _acts(engine: Engine) -> list[tuple[str, dict[str, str]]]:
    rows = await engine.pool.fetch("select interaction, query from audit order by seq")
    return [(row[0], dict(parse_qsl(row[1]))) for row in rows]


async def test_given_a_client_when_changed_then_the_audit_says_by_whom_and_how(
    engine: Engine,
) -> None:
    async with engine.pool.acquire() as conn:
        await clients.register(conn, "near", 768, "", update_as_create=False, now=NOW)

    await change_client(engine, BY, "near", NOW, active=False, reference_policy=None)
    await change_client(engine, BY, "near", NOW, active=None, reference_policy="warn")

    row = await engine.pool.fetchrow("select active, reference_policy from client")
    assert tuple(row or ()) == (False, "warn")
    assert await _acts(engine) == [
        ("client-changed", {"by": "rosa", "client": "near", "active": "false"}),
        ("client-changed", {"by": "rosa", "client": "near", "reference_policy": "warn"}),
    ]


async def test_given_no_such_client_when_changed_then_nothing_is_said_to_have_been_done(
    engine: Engine,
) -> None:
    with pytest.raises(NothingDone, match="near is not known"):
        await change_client(engine, BY, "near", NOW, active=False, reference_policy=None)
    assert await _acts(engine) == []


async def test_given_a_client_when_told_what_it_may_then_the_audit_says_so_and_a_persons_may_not(
    engine: Engine,
) -> None:
    async with engine.pool.acquire() as conn:
        await clients.register(conn, "near", 768, "", update_as_create=False, now=NOW)
        await clients.register(conn, "app", 769, "", update_as_create=False, now=NOW, role="person")
    await change_client(engine, BY, "near", NOW, role="privacy-officer", break_glass=True)
    row = await engine.pool.fetchrow("select role, break_glass from client where id = 'near'")
    assert tuple(row or ()) == ("privacy-officer", True)
    for change in ({"role": "system"}, {"break_glass": True}):
        with pytest.raises(NothingDone, match="of a person"):
            await change_client(engine, BY, "app", NOW, **change)
    await change_client(engine, BY, "app", NOW, active=False)
    assert [said for _, said in await _acts(engine)] == [
        {"by": "rosa", "client": "near", "role": "privacy-officer", "break_glass": "true"},
        {"by": "rosa", "client": "app", "active": "false"},
    ]


async def test_given_an_organization_when_a_profile_is_agreed_on_then_the_last_one_stands(
    engine: Engine,
) -> None:
    hub = await open_hub(engine, "https://hub.example/fhir")
    steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
    document = {"resourceType": "Organization", "active": True, "name": "Near"}
    done = await commit(hub, steward, [Create("Organization", document)], interaction="create")
    near = done.written[0]
    async with engine.pool.acquire() as conn:
        assert await partners.profile_of(conn, near.rid) == "r4"
    for profile in ("cow", "bser"):
        await agree_on_profile(engine, BY, near.reference, profile, NOW)
    async with engine.pool.acquire() as conn:
        assert await partners.profile_of(conn, near.rid) == "bser"
    assert (await _acts(engine))[-1] == (
        "profile-agreed",
        {"by": "rosa", "organization": near.reference, "profile": "bser"},
    )


@pytest.mark.parametrize(
    ("organization", "profile", "said"),
    [
        ("Organization/none", "cow", "there is no Organization/none here"),
        ("Patient/none", "cow", "Name it as Organization/id"),
        ("Organization/none", "hl7v1", "Known are r4, sdoh-cc, bser, 360x, cow"),
    ],
)
async def test_given_what_cannot_be_agreed_when_tried_then_it_says_why(
    engine: Engine, organization: str, profile: str, said: str
) -> None:
    with pytest.raises(NothingDone, match=said):
        await agree_on_profile(engine, BY, organization, profile, NOW)
