"""The operation $lower-label, and what else is a privacy officer's."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.admin.acts import Operator, change_client


def asked(name: str | None = "HIV", reason: str | None = "a wrong code") -> dict[str, Any]:
    given = [
        *([{"name": "class", "valueCode": name}] if name else []),
        *([{"name": "reason", "valueString": reason}] if reason else []),
    ]
    return {"resourceType": "Parameters", **({"parameter": given} if given else {})}


@pytest.fixture
async def labelled(house: Any) -> str:
    document = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "75622-1"}]},
    }
    made = await house.near.ask("POST", "/Observation", document)
    assert made.status_code == 201, made.text
    assert "HIV" in str(made.json()["meta"]["security"])
    return f"/Observation/{made.json()['id']}"


async def test_given_a_privacy_officer_when_it_lowers_a_label_then_it_is_gone_and_why_is_in_the_audit(
    house: Any, labelled: str
) -> None:
    answered = await house.near.ask("POST", f"{labelled}/$lower-label", asked())
    assert answered.status_code == 200, answered.text
    assert "HIV" not in answered.text
    assert "security" not in (await house.near.ask("GET", labelled)).json()["meta"]
    [row] = [one for one in await house.audited() if one["interaction"] == "labels-lower"]
    assert row["client"] == "near"
    assert "a wrong code" in row["query"]
    again = await house.near.ask("POST", f"{labelled}/$lower-label", asked())
    assert again.status_code == 409


async def test_given_another_client_when_it_asks_what_is_a_privacy_officers_then_403_says_so(
    house: Any, labelled: str
) -> None:
    patient = await house.near.ask("POST", "/Patient", {"resourceType": "Patient"})
    who = f"/Patient/{patient.json()['id']}"
    hub = house.context.hub
    await change_client(hub.engine, Operator("rosa"), "near", hub.clock(), role="system")
    house.context.tokens._clients.clear()  # else for five seconds
    for method, path, body in (
        ("POST", f"{labelled}/$lower-label", asked()),
        ("GET", f"{labelled}/$why?recipient={house.far.reference}", None),
        ("GET", f"{who}/$accounting-of-disclosures", None),
    ):
        refused = await house.near.ask(method, path, body)
        assert refused.status_code == 403, path
        assert "--role privacy-officer" in refused.json()["issue"][0]["diagnostics"]
        assert (await house.far.ask(method, path, body)).status_code == 404, path
    assert "HIV" in (await house.near.ask("GET", labelled)).text


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (asked(None), "class"), (asked("VSP"), "class"), (asked("X"), "class"),
        (asked("HIV", None), "reason"), (asked("HIV", " "), "reason"),
    ],
)  # fmt: skip
async def test_given_what_lacks_when_asked_then_400_names_it(
    house: Any, labelled: str, document: dict[str, Any], place: str
) -> None:
    refused = await house.near.ask("POST", f"{labelled}/$lower-label", document)
    assert refused.status_code in (400, 422), refused.text
    assert place in refused.text
