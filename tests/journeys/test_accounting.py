"""Who saw or was sent what of a patient's chart, told to who holds it and to nobody else."""

from __future__ import annotations

from typing import Any


async def told(sender: Any, patient: str, query: str = "") -> list[dict[str, list[Any]]]:
    answered = await sender.ask("GET", f"/{patient}/$accounting-of-disclosures{query}")
    assert answered.status_code == 200, answered.text
    found = []
    for parameter in answered.json()["parameter"]:
        if parameter["name"] == "disclosure":
            said: dict[str, list[Any]] = {}
            for part in parameter["part"]:
                [value] = [value for name, value in part.items() if name.startswith("value")]
                said.setdefault(part["name"], []).append(
                    value.get("reference", value.get("code")) if isinstance(value, dict) else value
                )
            found.append(said)
    return found


async def test_given_a_referral_when_delivered_and_read_then_its_source_is_told_of_both(
    house,
) -> None:
    referral, task = await house.given_asked(house.riverside, house.lakeside)
    await house.settled()
    await house.lakeside.ask("GET", f"/{referral.patient}")

    disclosures = await told(house.riverside, referral.patient)

    sent = [one for one in disclosures if one["how"] == ["sent"]]
    assert sent
    assert {one["recipient"][0] for one in disclosures} == {house.lakeside.reference}
    assert {referral.patient, referral.prior, task} <= {
        name for one in sent for name in one["what"]
    }
    assert all(one["purpose"] == ["COC"] and one["rule"] for one in sent)
    [read] = [one for one in disclosures if one["how"] == ["read"]]
    assert (read["what"], read["rule"]) == ([referral.patient], ["referral"])
    events = [await house.riverside.ask("GET", f"/{one['event'][0]}") for one in (sent[0], read)]
    assert [one.json()["type"]["code"] for one in events] == ["110106", "rest"]
    disclosed = events[0].json()
    assert disclosed["meta"]["profile"][0].endswith("IHE.BasicAudit.PrivacyDisclosure.Source")
    assert disclosed["agent"][0]["who"] == {"reference": house.lakeside.reference}
    assert disclosed["entity"][0]["what"] == {"reference": referral.patient}
    assert task not in str(disclosed)  # the hub's own, not theirs

    assert await told(house.riverside, referral.patient, "?end=2020") == []
    later = await told(house.riverside, referral.patient, f"?start={read['date'][0]}")
    assert [one["how"] for one in later] == [["read"]]


async def test_given_others_when_they_ask_for_the_accounting_then_there_is_no_such_patient(
    house,
) -> None:
    referral, _ = await house.given_asked(house.riverside, house.lakeside)
    await house.settled()
    path = "$accounting-of-disclosures"
    shared = await house.lakeside.ask("GET", f"/{referral.patient}/{path}")
    stranger = await house.mounds.ask("GET", f"/{referral.patient}/{path}")
    absent = await house.mounds.ask("GET", f"/Patient/nobody/{path}")
    assert {shared.status_code, stranger.status_code, absent.status_code} == {404}


async def test_given_what_the_source_does_itself_when_accounted_then_it_is_no_disclosure(
    house,
) -> None:
    referral = await house.riverside.refers(
        house.referral(house.riverside, house.lakeside.reference)
    )
    await house.riverside.ask("GET", f"/{referral.patient}")
    await house.mounds.ask("GET", f"/{referral.patient}")
    assert [
        one
        for one in await told(house.riverside, referral.patient)
        if one["recipient"] != [house.lakeside.reference]
    ] == []
