"""History of a resource, of a type and of the whole system, over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import pytest

BASE = "http://hub.example/fhir/"
PATIENT: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "Water"}]}


async def made(sender, document=PATIENT) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


async def changed(sender, reference: str, **more: Any) -> str:
    """The instant of the new version."""
    kind, _, fhir_id = reference.partition("/")
    document = {"resourceType": kind, "id": fhir_id, "name": [{"family": "Water"}], **more}
    answered = await sender.ask("PUT", f"/{reference}", document)
    assert answered.status_code == 200, answered.text
    return answered.json()["meta"]["lastUpdated"]


def told(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    """Method and versioned address of each entry."""
    return [
        (
            entry["request"]["method"],
            "/".join((entry["fullUrl"].removeprefix(BASE), entry["response"]["etag"][3:-1])),
        )
        for entry in bundle.get("entry", [])
    ]


async def history(sender, path: str) -> list[tuple[str, str]]:
    """All of it, page by page."""
    found: list[tuple[str, str]] = []
    while path:
        answered = await sender.ask("GET", path)
        assert answered.status_code == 200, answered.text
        bundle = answered.json()
        assert bundle["type"] == "history"
        found += told(bundle)
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        following = urlsplit(links["next"]) if "next" in links else None
        path = f"{following.path.removeprefix('/fhir')}?{following.query}" if following else ""
    return found


@pytest.fixture
async def past(house):
    """Two patients and a task of near's, with updates and a deletion; one patient of far's."""
    one, two = await made(house.near), await made(house.near)
    task = await made(house.near, {"resourceType": "Task", "status": "draft", "intent": "order"})
    await changed(house.near, one, active=True)
    await house.near.ask("DELETE", f"/{two}")
    await made(house.far)
    return one, two, task


async def test_given_versions_of_a_type_when_asked_for_then_newest_first_deletions_too(house, past):
    one, two, _ = past
    expected = [
        ("DELETE", f"{two}/2"),
        ("PUT", f"{one}/2"),
        ("POST", f"{two}/1"),
        ("POST", f"{one}/1"),
    ]
    assert await history(house.near, "/Patient/_history") == expected
    assert await history(house.near, "/Patient/_history?_count=1") == expected
    deleted = (await house.near.ask("GET", "/Patient/_history?_count=1")).json()["entry"][0]
    assert "resource" not in deleted
    assert deleted["response"]["status"].startswith("204")


async def test_given_a_deleted_resource_when_put_back_then_its_history_says_put(house):
    patient = await made(house.near)
    assert (await house.near.ask("DELETE", f"/{patient}")).status_code == 204
    back = await house.near.ask("PUT", f"/{patient}", {**PATIENT, "id": patient.partition("/")[2]})
    assert back.status_code == 201
    entries = (await house.near.ask("GET", f"/{patient}/_history")).json()["entry"]
    assert [
        (one["request"]["method"], one["request"]["url"], one["response"]["status"][:3])
        for one in entries
    ] == [("PUT", patient, "201"), ("DELETE", patient, "204"), ("POST", "Patient", "201")]


async def test_given_versions_of_all_types_when_asked_for_then_only_what_the_caller_sees(
    house, past
):
    one, two, task = past

    def of_care(entries: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [one for one in entries if one[1].startswith(("Patient", "Task"))]

    own = of_care(await history(house.near, "/_history?_count=2"))
    assert own == [
        ("DELETE", f"{two}/2"),
        ("PUT", f"{one}/2"),
        ("POST", f"{task}/1"),
        ("POST", f"{two}/1"),
        ("POST", f"{one}/1"),
    ]
    others = of_care(await history(house.far, "/_history"))
    assert len(others) == 1
    assert one not in others[0][1]
    narrow = house.near.narrow("system/Task.rs", house.context)
    answered = await house.near.ask("GET", "/_history", token=narrow)
    assert told(answered.json()) == [("POST", f"{task}/1")]
    refused = await house.near.ask("GET", "/Patient/_history", token=narrow)
    assert refused.status_code == 403


async def test_given_since_when_asked_for_then_only_what_was_written_from_then_on(house, past):
    one, two, _ = past
    at = await changed(house.near, one, active=False)
    assert await history(house.near, f"/Patient/_history?_since={quote(at)}") == [
        ("PUT", f"{one}/3")
    ]
    assert await history(house.near, f"/{one}/_history?_since={at}") == [("PUT", f"{one}/3")]
    assert await history(house.near, f"/{two}/_history?_since={quote(at)}") == []
    assert len(await history(house.near, f"/{one}/_history?_since=2000")) == 3
    absent = await house.near.ask("GET", f"/Patient/nothing/_history?_since={quote(at)}")
    assert absent.status_code == 404
    hidden = await house.far.ask("GET", f"/{one}/_history?_since=2000")
    assert hidden.status_code == 404


async def test_given_a_time_when_asked_for_then_what_was_current_at_it(house, past):
    one, _, _ = past
    second = await changed(house.near, one, active=False)
    third = await changed(house.near, one, gender="other")
    assert second < third
    assert await history(house.near, f"/{one}/_history?_at={quote(second)}") == [
        ("PUT", f"{one}/3")
    ]
    assert await history(house.near, f"/{one}/_history?_at={quote(third)}") == [("PUT", f"{one}/4")]
    assert await history(house.near, f"/{one}/_history?_at=2001") == []


@pytest.mark.parametrize(
    "query",
    [
        "_since=yesterday",
        "_at=x",
        "_count=0",
        "_since=2020&_since=2021",
        "_sort=_id",
        "_sort=_lastUpdated&_at=2020",
        "_list=1",
    ],
)
async def test_given_a_history_when_its_parameters_make_no_sense_then_400(house, query):
    for path in ("/Patient/_history", "/_history"):
        refused = await house.near.ask("GET", f"{path}?{query}")
        assert refused.status_code == 400, refused.text


async def test_given_writers_when_a_history_is_paged_then_nothing_twice_and_nothing_missing(house):
    there = [("POST", f"{await made(house.near)}/1") for _ in range(6)]
    found: list[tuple[str, str]] = []
    path = "/Patient/_history?_count=2"
    while path:
        bundle = (await house.near.ask("GET", path)).json()
        found += told(bundle)
        await made(house.near)
        await changed(house.near, there[0][1].removesuffix("/1"), active=len(found) % 4 == 0)
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        following = urlsplit(links["next"]) if "next" in links else None
        path = f"{following.path.removeprefix('/fhir')}?{following.query}" if following else ""
    assert found == there[::-1]


async def test_given_a_history_link_when_used_for_another_history_then_400(house, past):
    bundle = (await house.near.ask("GET", "/Patient/_history?_count=1")).json()
    link = urlsplit({each["relation"]: each["url"] for each in bundle["link"]}["next"])
    for path in ("/_history", "/Task/_history", f"/{past[0]}/_history"):
        assert (await house.near.ask("GET", f"{path}?{link.query}")).status_code == 400
    assert (await house.far.ask("GET", f"/Patient/_history?{link.query}")).status_code == 400


async def polled(sender, path: str) -> tuple[list[tuple[str, str]], str]:
    """What a change feed tells by the links `next`, and the link `monitor` behind it."""
    found: list[tuple[str, str]] = []
    while True:
        answered = await sender.ask("GET", path)
        assert answered.status_code == 200, answered.text
        bundle = answered.json()
        assert bundle["type"] == "history"
        found += told(bundle)
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        following = urlsplit(links["next"] if "next" in links else links["monitor"])
        path = f"{following.path.removeprefix('/fhir')}?{following.query}"
        if "next" not in links:
            return found, path


async def polled_until(sender, path: str, count: int) -> tuple[list[tuple[str, str]], str]:
    """The same, asked until so many were told: transactions of other databases hold a feed back."""
    found: list[tuple[str, str]] = []
    while len(found) < count:
        more, path = await polled(sender, path)
        found += more
    return found, path


async def test_given_a_feed_when_polled_by_its_links_then_each_version_in_order_and_deletions(
    house, past
):
    one, two, _ = past
    found, monitor = await polled_until(
        house.near, "/Patient/_history?_sort=_lastUpdated&_count=1", 4
    )
    assert found == [
        ("POST", f"{one}/1"),
        ("POST", f"{two}/1"),
        ("PUT", f"{one}/2"),
        ("DELETE", f"{two}/2"),
    ]
    nothing, monitor = await polled(house.near, monitor)
    assert nothing == []
    at = await changed(house.near, one, gender="other")
    assert (await polled_until(house.near, monitor, 1))[0] == [("PUT", f"{one}/3")]
    since = f"/Patient/_history?_sort=_lastUpdated&_since={quote(at)}"
    assert (await polled_until(house.near, since, 1))[0] == [("PUT", f"{one}/3")]
    for long_ago in ("0001", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1969-12-31"):
        since = f"/Patient/_history?_sort=_lastUpdated&_since={quote(long_ago)}"
        assert len((await polled_until(house.near, since, 5))[0]) == 5
    assert (await house.far.ask("GET", monitor)).status_code == 400
    refused = await house.near.ask("GET", f"/{one}/_history?_sort=_lastUpdated")
    assert refused.status_code == 400


async def test_given_a_feed_when_its_log_is_another_then_it_says_to_begin_anew(house, past):
    _, monitor = await polled(house.near, "/_history?_sort=_lastUpdated")
    async with house.context.hub.engine.pool.acquire() as conn:
        await conn.execute("update party set kind = 'social'")
    gone = await house.near.ask("GET", monitor)
    assert gone.status_code == 410
    assert "Begin anew" in gone.json()["issue"][0]["diagnostics"]
