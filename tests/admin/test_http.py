"""The admin API: what operators see and do by HTTP, and that nobody else does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from openapi_spec_validator import validate
from operators_desk import BY, KEY, Desk, desk

from coordhub.access.token import Tokens
from coordhub.admin import acts, openapi, partners_http
from coordhub.admin import http as door

if TYPE_CHECKING:
    from open_hub import House

__all__ = ["desk"]


async def test_given_deliveries_when_listed_then_by_what_is_asked_for_and_page_by_page(
    desk: Desk, ledger: dict[str, UUID]
) -> None:
    status, page = await desk.ask("GET", "/deliveries")
    assert status == 200
    assert [one["id"] for one in page["deliveries"]] == [str(ledger["dead"]), str(ledger["parked"])]
    assert "next" not in page
    first = page["deliveries"][0]
    assert (first["state"], first["reason"], first["organization"]) == (
        "dead", "why", desk.house.kitchen.reference,
    )  # fmt: skip
    _, page = await desk.ask("GET", "/deliveries?_count=1&state=dead&state=parked")
    assert [one["id"] for one in page["deliveries"]] == [str(ledger["dead"])]
    _, page = await desk.ask("GET", page["next"].removeprefix("/admin/v1"))
    assert [one["id"] for one in page["deliveries"]] == [str(ledger["parked"])]
    assert "next" not in page
    for query, many in (
        ("reason=WH", 2), ("reason=other", 0), ("since=2026-03-02T10:00:00Z", 1),
        ("until=2026-03-02T10:00:00Z", 1), (f"organization={desk.house.van.reference}", 0),
        ("endpoint=Endpoint/none", 0),
    ):  # fmt: skip
        _, page = await desk.ask("GET", f"/deliveries?{query}")
        assert len(page["deliveries"]) == many, query
    assert len(await desk.audited("deliveries-listed")) == 9


async def asked(house: House) -> UUID:
    """The delivery that asks the kitchen."""
    await house.asking(house.kitchen.service)
    found: UUID = await house.value(
        "select id from delivery where organization = $1", house.kitchen.rid
    )
    return found


async def test_given_one_when_shown_then_with_its_attempts_and_its_content_to_who_may_see_it(
    desk: Desk,
) -> None:
    house, dead = desk.house, await asked(desk.house)
    await house.rows(
        "insert into attempt values ($1, 1, $2, 'refused', 422, 12, 'status 422')",
        dead,
        house.clock(),
    )
    status, shown = await desk.ask("GET", f"/deliveries/{dead}")
    assert status == 200
    assert [one["status"] for one in shown["tried"]] == [422]
    assert "Water" not in str(shown), "nothing of the patient"
    status, bundle = await desk.ask("GET", f"/deliveries/{dead}/content")
    assert (status, bundle["resourceType"]) == (200, "Bundle")
    assert {"Task", "Patient"} <= {one["resource"]["resourceType"] for one in bundle["entry"]}
    [(said, delivery)] = await desk.audited("delivery-content-shown")
    assert (said, delivery) == ("by=operator%3Aomar", dead)
    rids = await house.value(
        "select cardinality(rids) from audit where interaction = 'delivery-content-shown'"
    )
    assert rids == len(bundle["entry"])

    reader = await desk.may("rita", "deliveries.read deliveries.act")
    status, said = await desk.refused("GET", f"/deliveries/{dead}/content", token=reader)
    assert (status, "deliveries.content is needed" in said) == (403, True)
    await house.rows("delete from access_grant where organization = $1", house.kitchen.rid)
    status, said = await desk.refused("GET", f"/deliveries/{dead}/content")
    assert (status, "nothing would be sent" in said.lower()) == (404, True)
    assert len(await desk.audited("delivery-content-shown")) == 1


async def test_given_a_victim_service_provider_when_its_content_is_asked_for_then_none_is_shown(
    desk: Desk,
) -> None:
    delivery = await asked(desk.house)
    await desk.house.rows(
        "update party set kind = 'vsp' where organization = $1", desk.house.clinic.rid
    )
    status, said = await desk.refused("GET", f"/deliveries/{delivery}/content")
    assert (status, said) == (404, "What is kept apart is not shown.")


async def test_given_dead_ones_when_acted_on_then_as_by_the_command_and_each_in_the_audit(
    desk: Desk, ledger: dict[str, UUID]
) -> None:
    house = desk.house
    which = {"reason": "why", "since": "2026-03-01T00:00:00Z", "until": "2026-03-02T09:30:00Z"}
    status, done = await desk.ask("POST", "/deliveries/replay", {"which": which, "as_new": True})
    assert (status, done) == (200, {"done": 1, "ids": [str(ledger["dead"])]})
    assert await house.value("select key is not null from delivery where id = $1", ledger["dead"])
    assert await desk.audited("delivery-replayed-as-new") == [
        ("by=operator%3Aomar", ledger["dead"])
    ]

    ids = [str(ledger[name]) for name in ("parked", "queued", "delivered")]
    status, done = await desk.ask(
        "POST", "/deliveries/discard", {"which": {"ids": ids}, "because": "closed down"}
    )
    assert (status, sorted(done["ids"])) == (200, sorted(ids[:2]))
    assert {said for said, _ in await desk.audited("delivery-discarded")} == {
        "by=operator%3Aomar&reason=closed+down"
    }
    status, _ = await desk.refused(
        "POST", "/deliveries/discard", {"which": {"ids": ids}, "because": "closed down"}
    )
    assert status == 404, "there is nothing left to discard"


WRONG: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/deliveries/replay", {"which": {}}, 400, "Say which"),
    ("POST", "/deliveries/replay", {"which": {"colour": "red"}}, 400, "colour"),
    ("POST", "/deliveries/replay", {}, 400, "which"),
    ("POST", "/deliveries/replay", {"which": {"since": "2026-03-02T09:00:00"}}, 400, "offset"),
    ("POST", "/deliveries/replay", {"which": {"endpoint": "Task/1"}}, 400, "Endpoint/id"),
    ("POST", "/deliveries/discard", {"which": {"reason": "x"}}, 400, "because"),
    ("POST", "/deliveries/discard", {"which": {"reason": "x"}, "because": " "}, 400, "Say why"),
    ("GET", "/deliveries?state=lost", None, 400, "state is one of"),
    ("GET", "/deliveries?colour=red", None, 400, "no parameter colour"),
    ("GET", "/deliveries?since=yesterday", None, 400, "is an instant"),
    ("GET", "/deliveries?_count=99999", None, 400, "up to 1000"),
    ("GET", "/deliveries?after=-1", None, 400, "is a number"),
    ("GET", "/deliveries/seven", None, 400, "UUID"),
    ("GET", "/deliveries/9d604991-74e7-4904-a530-3897daf61444", None, 404, "There is no delivery"),
    ("POST", "/endpoints/none/probe", None, 404, "not one that is left alone"),
    ("POST", "/endpoints/a%00b/probe", None, 404, "U+0000"),
    ("GET", "/deliveries?endpoint=%00", None, 400, "Name it as Endpoint/id"),
    ("GET", "/deliveries?reason=a%00", None, 400, "U+0000"),
    ("GET", "/deliveries?since=0001-01-01T00:00:00%2B14:00", None, 400, "since is an instant from"),
    ("GET", "/deliveries?until=9999-12-31T23:59:59-12:00", None, 400, "until is an instant from"),
    ("POST", "/deliveries/discard", {"which": {"reason": "x"}, "because": "\0"}, 400, "U+0000"),
    (
        "POST",
        "/deliveries/replay",
        {"which": {"organization": "Organization/\0"}},
        400,
        "Name it as",
    ),
]


async def test_given_what_cannot_be_when_asked_then_it_is_said_what_is_wrong_with_it(
    desk: Desk,
) -> None:
    for method, path, body, status, said in WRONG:
        got, sentence = await desk.refused(method, path, body)
        assert (got, said in sentence) == (status, True), sentence


async def test_given_any_other_token_when_sent_then_neither_door_takes_the_others(
    desk: Desk, ledger: dict[str, UUID]
) -> None:
    house, now, hour = desk.house, desk.house.clock(), timedelta(hours=1)
    partner = Tokens(KEY, house.engine).issue("clinic", "system/*.cruds", now=now, lifetime=hour)
    paths = [
        (
            method,
            path.format(
                delivery=ledger["dead"], endpoint="x", client="x", organization="x"
            ).removeprefix("/admin/v1"),
        )
        for path, item in openapi.document()["paths"].items()
        for method in item
    ]
    assert len(paths) == 20
    for method, path in paths:
        for token in (partner, "nonsense"):
            status, _ = await desk.refused(method.upper(), path, {}, token=token)
            assert status == 401, (method, path)
        nothing = await desk.may("nemo", "")
        status, _ = await desk.refused(method.upper(), path, {}, token=nothing)
        assert status == 403, (method, path)
    seen = await desk.http.get("/fhir/Patient", headers={"Authorization": f"Bearer {desk.token}"})
    assert seen.status_code == 401
    await acts.deactivate_operator(house.engine, BY, "omar", now)
    status, _ = await desk.refused("GET", "/deliveries")
    assert status == 401


async def test_given_an_endpoint_left_alone_when_probed_then_it_is_listed_and_tried_at_once(
    desk: Desk,
) -> None:
    house = desk.house
    made = await house.create(
        house.steward,
        {
            "resourceType": "Endpoint",
            "status": "active",
            "connectionType": {"code": "hl7-fhir-rest"},
            "payloadType": [{"text": "any"}],
            "address": "https://kitchen.example/fhir",
        },
    )
    later = house.clock() + timedelta(minutes=5)
    await house.rows(
        "insert into circuit values ($1, 'open', 5, 0, $2, $2, 0, 'timeout')", made.rid, later
    )
    _, listed = await desk.ask("GET", "/endpoints")
    [one] = listed["endpoints"]
    assert (one["endpoint"], one["state"], one["reason"]) == (made.reference, "open", "timeout")
    assert (await desk.ask("POST", f"/endpoints/{made.id}/probe"))[0] == 200
    assert await house.value("select probe_at < $1 from circuit", later)


def test_given_the_document_when_looked_at_then_it_is_valid_kept_and_names_every_route() -> None:
    validate(openapi.document())
    kept = Path(__file__).parents[2] / "openapi" / "admin.json"
    assert kept.read_text() == openapi.text(), "run `make format`"
    described = {
        (path, method.upper())
        for path, item in openapi.document()["paths"].items()
        for method in item
    }
    routes = {
        (route.path, method)
        for router in (door.router, partners_http.router)
        for route in router.routes
        for method in getattr(route, "methods", ())
    }
    assert described == routes - {("/admin/v1/openapi.json", "GET")}
