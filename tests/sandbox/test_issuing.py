from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from coordhub.access.token import Tokens
from coordhub.record.bootstrap import open_hub
from coordhub.record.hub import Hub
from coordhub.sandbox import community
from coordhub.sandbox.issuing import Asked, CannotIssue, issue
from coordhub.store.engine import Engine

KEY = b"k" * 32
DAY = timedelta(days=1)


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    engine = await Engine.open(database_url, size=3)
    yield await open_hub(engine, "http://127.0.0.1:8000/fhir")
    await engine.close()


async def test_given_a_known_client_when_asked_then_the_token_acts_for_its_organization(
    hub: Hub, tmp_path: Path
) -> None:
    seats = await community.found(hub, "http://127.0.0.1:1", "http://127.0.0.1:2/portal")

    token = await issue(tmp_path, hub.engine.url, KEY, Asked("mounds", None, "system/Task.rs", DAY))

    caller = await Tokens(KEY, hub.engine).caller(f"Bearer {token}", None)
    assert caller.reference == f"Organization/{seats['mounds'].id}"
    assert caller.scopes.allow("Task", "r")
    assert not caller.scopes.allow("Task", "u")


@pytest.mark.parametrize("by", ["key", "id", "reference"])
async def test_given_a_new_client_when_asked_then_it_is_registered_for_the_organization(
    by: str, hub: Hub, tmp_path: Path
) -> None:
    seats = await community.found(hub, "http://127.0.0.1:1", "http://127.0.0.1:2/portal")
    seat = seats["lakeside"]
    named = {"key": "lakeside", "id": seat.id, "reference": f"Organization/{seat.id}"}[by]

    token = await issue(tmp_path, hub.engine.url, KEY, Asked("new", named, "system/*.rs", DAY))

    caller = await Tokens(KEY, hub.engine).caller(f"Bearer {token}", None)
    assert (caller.client, caller.reference) == ("new", f"Organization/{seat.id}")
    assert not caller.update_as_create
    rows = await hub.engine.pool.fetch(
        "select interaction, query from audit order by seq desc limit 2"
    )
    assert [row["interaction"] for row in rows] == ["token-issued", "client-registered"]
    assert all("client=new" in row["query"] and token not in row["query"] for row in rows)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Asked("nobody", None, "system/*.rs", DAY), "not known"),
        (Asked("nobody", "nowhere", "system/*.rs", DAY), "not known"),
        (Asked("mounds", "lakeside", "system/*.rs", DAY), "Choose another name"),
        (Asked("mounds", None, "patient/*.rs", DAY), "allows nothing"),
    ],
)
async def test_given_what_cannot_be_when_asked_then_it_says_why(
    asked: Asked, why: str, hub: Hub, tmp_path: Path
) -> None:
    await community.found(hub, "http://127.0.0.1:1", "http://127.0.0.1:2/portal")

    with pytest.raises(CannotIssue, match=why):
        await issue(tmp_path, hub.engine.url, KEY, asked)


async def test_given_no_key_when_asked_then_it_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(CannotIssue, match="COORDHUB_TOKEN_KEY"):
        await issue(
            tmp_path, "postgresql://x@127.0.0.1:9/x", None, Asked("a", None, "system/*.r", DAY)
        )
