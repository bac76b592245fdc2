"""What a delivery carries: what its recipient needs, and nothing that it may not see."""

from __future__ import annotations

import pytest
from open_hub import observation, patient, service_request, task
from open_post import Post, name_endpoint

from coordhub.admin.acts import Operator, agree_on_profile
from coordhub.r4.sensitivity import PART_2_NOTICE
from coordhub.record.operations import Create, Update


async def test_given_a_referral_when_delivered_then_the_bundle_has_what_is_needed_and_no_more(
    post: Post,
) -> None:
    house = post.house
    hidden = await house.create(house.stranger, observation())
    own = await house.create(house.kitchen, observation(code="1-1"))
    await house.create(house.clinic, patient("another"))
    sent = await house.asking(house.kitchen.service)
    await post.deliver()
    [bundle] = post.partner.bundles
    named = post.partner.named()
    asked = (await sent.tasks())["kitchen"]
    order = named[asked]["focus"]["reference"]
    assert next(iter(named)) == asked, "what changed comes first"
    assert set(named) == {
        asked, order, sent.patient, sent.result, house.clinic.reference, house.kitchen.service,
    }  # fmt: skip
    assert sent.task not in named
    assert sent.request not in named
    assert hidden.reference not in named
    assert own.reference not in named
    assert bundle["type"] == "transaction"
    assert bundle["identifier"]["value"] == post.partner.keys[0]
    assert all(
        entry["request"]
        == {"method": "PUT", "url": entry["fullUrl"].removeprefix(house.hub.base + "/")}
        for entry in bundle["entry"]
    )
    for reference, document in named.items():
        assert document == await house.document(reference)


async def test_given_a_report_in_the_referral_when_delivered_then_its_members_travel_along(
    post: Post,
) -> None:
    house = post.house
    who, member, other, report = await house.commit(
        house.clinic,
        Create("Patient", patient(), full_url="urn:uuid:p"),
        Create("Observation", observation("urn:uuid:p"), full_url="urn:uuid:o"),
        Create("Observation", observation("urn:uuid:p", code="2-2")),
        Create(
            "DiagnosticReport",
            {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "code": {"text": "panel"},
                "subject": {"reference": "urn:uuid:p"},
                "result": [{"reference": "urn:uuid:o"}],
            },
        ),
    )
    sent = await house.asking(
        house.kitchen.service,
        input=[
            {"type": {"text": "report"}, "valueReference": {"reference": report.reference}},
        ],
    )
    await post.deliver()
    named = post.partner.named()
    assert {report.reference, member.reference, sent.patient} <= set(named)
    assert other.reference not in named
    assert who.reference not in named, "another record: the report's subject is not followed"


async def test_given_a_result_that_is_an_output_too_when_delivered_then_the_sender_is_sent_it_once(
    post: Post,
) -> None:
    house = post.house
    await name_endpoint(house, house.clinic, post.endpoint)
    await house.agree(house.clinic, each_state=True)
    organization = {
        **await house.document(house.clinic.reference),
        "endpoint": [{"reference": post.endpoint}],
    }
    await house.commit(house.steward, Update("Organization", organization["id"], organization))
    sent = await house.asking(house.pantry.service)
    await sent.answer(house.pantry, "accepted")
    made = await house.create(
        house.pantry, observation(sent.patient, basedOn=[{"reference": sent.request}])
    )
    output = [{"type": {"text": "result"}, "valueReference": {"reference": made.reference}}]
    await sent.answer(house.pantry, "completed", output=output)
    await house.relay()
    await post.deliver()
    directory = {house.clinic.reference, house.pantry.reference, house.pantry.service}
    assert [set(post.partner.named(number)) - directory for number in range(4)] == [
        {sent.task},
        {sent.task},
        {made.reference},
        {sent.task},
    ]
    assert len(post.partner.bundles) == 4
    statuses = [
        each["status"]
        for number in range(4)
        for reference, each in post.partner.named(number).items()
        if reference == sent.task
    ]
    assert statuses == ["accepted", "in-progress", "completed"], "each version as it was, in order"


async def test_given_content_under_part_2_when_delivered_then_the_notice_goes_with_it(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    who = await house.create(house.clinic, patient())
    opioids = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}]}
    order = service_request(
        who.reference, house.clinic.reference, house.kitchen.service, reasonCode=[opioids]
    )
    made = await house.create(house.clinic, order)
    await house.create(house.clinic, task(made.reference, who.reference, house.clinic.reference))
    await house.relay()
    await post.deliver()
    without, protected = sorted(post.partner.bundles, key=lambda one: PART_2_NOTICE in str(one))
    assert PART_2_NOTICE not in str(without)
    assert PART_2_NOTICE in [one["display"] for one in protected["meta"]["security"]]
    asked = [entry["resource"] for entry in protected["entry"]]
    for kind in ("ServiceRequest", "Task"):
        [sent] = [one for one in asked if one["resourceType"] == kind]
        assert "NORDSCLCD" in [one["code"] for one in sent["meta"]["security"]], kind


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("r4", ("requested", None)),
        ("sdoh-cc", ("requested", None)),
        ("bser", ("received", "2.0")),
        ("360x", ("received", "2.0")),
        ("cow", ("requested", None)),
    ],
)
async def test_given_a_partners_profile_when_it_is_asked_then_in_its_words_and_what_it_reads_is_stored(
    post: Post, profile: str, told: tuple[str, str | None]
) -> None:
    house = post.house
    await agree_on_profile(
        house.engine, Operator("rosa"), house.kitchen.reference, profile, house.hub.clock()
    )
    sent = await house.asking(house.kitchen.service)
    await post.deliver()
    asked = (await sent.tasks())["kitchen"]
    task = post.partner.named()[asked]
    codings = task.get("businessStatus", {}).get("coding", [{}])
    assert (task["status"], codings[0].get("code")) == told
    stored = await house.document(asked)
    assert stored["status"] == "requested"
    assert "businessStatus" not in stored
    assert ("type" in task["identifier"][0]) == (profile in ("bser", "360x"))
