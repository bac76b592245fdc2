"""Partners come on board by HTTP: from registered to approved, by two operators, and nothing past them."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey
from operators_desk import Desk, desk

from coordhub.sandbox import simulator

__all__ = ["desk"]


def registration(desk: Desk, **more: Any) -> dict[str, Any]:
    key = ECKey.generate_key("P-384", {"kid": "one"}).as_dict(private=False)
    given = {"client": "ehr", "organization": desk.house.clinic.reference, "jwks": {"keys": [key]}}
    return {**given, **more}


async def test_given_two_operators_when_one_registers_and_checks_then_the_other_approves(
    desk: Desk,
) -> None:
    second = await desk.may("rosa", "partners.read partners.approve")
    async with simulator.serving("127.0.0.1", 0) as root:
        server = {"endpoint": f"{root}/partners/ehr/fhir", "headers": ["Authorization: Bearer x"]}
        guards = [{"mode": "guarded", "of": "read"}, {"mode": "error", "until_count": 1}]
        async with httpx2.AsyncClient() as http:
            await http.put(f"{root}/partners/ehr/behaviour", json=guards)
        status, made = await desk.ask("POST", "/partners", registration(desk, **server))
        assert (status, made["state"], made["registered_by"]) == (
            200,
            "registered",
            "operator:omar",
        )
        assert made["sandbox"].startswith("Organization/")
        assert made["sandbox"] != made["organization"]
        assert (await desk.refused("GET", "/partners/ehr/report"))[0] == 404
        assert (await desk.refused("POST", "/partners/ehr/approve", {}, token=second))[0] == 409
        _, report = await desk.ask("POST", "/partners/ehr/check", {"sample": {"resourceType": "X"}})
        failed = [one["name"] for one in report["items"] if one["result"] == "failed"]
        assert failed == ["takes", "sample"]
        _, report = await desk.ask("POST", "/partners/ehr/check", {})
    assert report["failed"] == 0
    assert (await desk.ask("GET", "/partners/ehr/report"))[1]["at"] == report["at"]
    assert (await desk.ask("GET", "/partners/ehr"))[1]["state"] == "checked"
    status, said = await desk.refused("POST", "/partners/ehr/approve", {})
    assert (status, "another person" in said) == (409, True)
    assert (await desk.refused("POST", "/partners/ehr/check", {}, token=second))[0] == 403
    status, made = await desk.ask("POST", "/partners/ehr/approve", {}, token=second)
    assert (status, made["state"], made["approved_by"]) == (200, "approved", "operator:rosa")
    for act, state in (("suspend", "suspended"), ("resume", "approved"), ("end", "ended")):
        _, made = await desk.ask("POST", f"/partners/ehr/{act}", {"because": "ticket 4711"})
        assert (made["state"], made["reason"]) == (state, "ticket 4711")
    _, listed = await desk.ask("GET", "/partners")
    assert listed["partners"] == [made]


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"jwks": None}, 422, "jwks or jwks_uri"),
        ({"jwks_uri": "https://ehr.example/jwks.json"}, 422, "one of them"),
        ({"jwks": {"keys": []}}, 422, "no key"),
        ({"endpoint": "ftp://a.example"}, 422, "https address"),
        ({"endpoint": "https://[::1"}, 422, "https address"),
        ({"endpoint": "https://a.example:99999"}, 422, "https address"),
        ({"endpoint": "https://a.example/\0"}, 422, "https address"),
        ({"jwks": None, "jwks_uri": "https://[::1"}, 422, "https address"),
        ({"jwks": None, "jwks_uri": "https://a.example/\0"}, 422, "https address"),
        ({"organization": "Organization/none"}, 422, "in the directory"),
        ({"client": "a b"}, 422, "letters"),
        ({"client": "a\0"}, 422, "letters"),
        ({"scope": "all"}, 422, "system/Task.cruds"),
        ({"more": 1}, 400, "openapi.json"),
    ],
)  # fmt: skip
async def test_given_what_cannot_be_registered_when_sent_then_it_is_refused_in_words(
    desk: Desk, more: dict[str, Any], status: int, said: str
) -> None:
    refused = await desk.refused("POST", "/partners", registration(desk, **more))
    assert (refused[0], said in refused[1]) == (status, True), refused
    for path in ("/partners/none", "/partners/none/report", "/clients/none/limits"):
        assert (await desk.refused("GET", path))[0] == 404
    for path in ("check", "approve"):
        assert (await desk.refused("POST", f"/partners/none/{path}", {}))[0] == 404


async def test_given_what_no_text_of_the_database_is_when_asked_or_done_then_it_is_refused(
    desk: Desk,
) -> None:
    for path in ("/partners/%00", "/clients/%00/limits", "/organizations/%00/agreement"):
        assert (await desk.refused("GET", path))[0] == 404
    assert (await desk.refused("POST", "/partners/%00/check", {}))[0] == 404
    for act in ("suspend", "resume", "end"):
        assert (await desk.refused("POST", f"/partners/x/{act}", {"because": "a\0"}))[0] == 400
    assert (await desk.refused("POST", "/partners/x/approve", {"in_spite": "a\0"}))[0] == 400


async def test_given_a_client_when_its_limits_are_set_by_http_then_they_hold_and_stand_in_the_audit(
    desk: Desk,
) -> None:
    usual = {"per_second": None, "burst": None, "at_once": None, "per_day": None}
    assert await desk.ask("GET", "/clients/clinic/limits") == (200, usual)
    agreed = {**usual, "per_second": 5.0, "per_day": 1000}
    asked = {"per_second": 5, "per_day": 1000}
    assert await desk.ask("PATCH", "/clients/clinic/limits", asked) == (200, agreed)
    assert await desk.ask("PATCH", "/clients/clinic/limits", {"per_day": 0}) == (
        200,
        {**agreed, "per_day": None},
    )
    for wrong, element in (({"burst": -1}, "Burst"), ({"per_second": 1e-320}, "Per_second")):
        status, said = await desk.refused("PATCH", "/clients/clinic/limits", wrong)
        assert (status, element in said) == (422, True)
    noted = await desk.audited("client-limits-agreed")
    assert len(noted) == 2
    assert "by=operator%3Aomar" in noted[0][0]


async def test_given_an_agreement_when_changed_by_http_then_what_is_left_out_stays(
    desk: Desk,
) -> None:
    at = f"/organizations/{desk.house.clinic.reference.partition('/')[2]}/agreement"
    status, found = await desk.ask("PATCH", at, {"sends": ["Task"], "deliveries_per_second": 2})
    assert (status, found["sends"], found["deliveries_per_second"]) == (200, ["Task"], 2.0)
    _, found = await desk.ask("PATCH", at, {"profile": "cow", "deliveries_per_second": None})
    assert (found["sends"], found["profile"]) == (["Task"], "cow")
    assert found["deliveries_per_second"] is None
    assert (await desk.ask("GET", at))[1] == found
    assert (await desk.refused("PATCH", at, {"sends": ["Fax"]}))[0] == 422
    assert (await desk.refused("PATCH", at, {"deliveries_per_second": 1e-320}))[0] == 422
    assert (await desk.refused("PATCH", at, {"sends": "Task"}))[0] == 400
    assert (await desk.refused("GET", "/organizations/none/agreement"))[0] == 404
