"""What was agreed with a partner holds: what it sends is refused, what it is sent is left out, and why is said."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from open_hub import House, observation, patient, referral
from open_post import Post
from terminal import Terminal, terminal

from coordhub.access.caller import Caller
from coordhub.access.token import Tokens
from coordhub.admin import agreements
from coordhub.admin.acts import NothingDone, Operator
from coordhub.admin.agreements import Changes
from coordhub.errors import FhirError
from coordhub.record.operations import Create

__all__ = ["terminal"]

KEY = b"a test key that is long enough for it"
ROSA = Operator("rosa")


async def agree(house: House, organization: str, **changes: Any) -> agreements.Agreement:
    lists = {name: frozenset(v) if isinstance(v, list) else v for name, v in changes.items()}
    return await agreements.change(house.hub, ROSA, organization, Changes(**lists))


async def clinic(house: House) -> Caller:
    """As whom a token of the clinic's lets it in."""
    tokens, hour = Tokens(KEY, house.engine), timedelta(hours=1)
    token = tokens.issue("clinic", "system/*.cruds", now=house.clock(), lifetime=hour)
    return await tokens.caller(f"Bearer {token}", None)


async def test_given_what_somebody_sends_when_agreed_then_anything_else_is_refused_by_name_and_place(
    house: House,
) -> None:
    await agree(house, house.clinic.reference, sends=["Patient", "ServiceRequest", "Task"])
    me = await clinic(house)
    made = await house.create(me, patient())
    with pytest.raises(FhirError) as refused:
        await house.commit(
            me,
            Create("Patient", patient("2"), at="Bundle.entry[0].resource"),
            Create("Observation", observation(made.reference), at="Bundle.entry[1].resource"),
        )
    [issue] = refused.value.issues
    assert (refused.value.status, issue.expression) == (403, "Bundle.entry[1].resource")
    assert "not agreed that your organization sends Observation" in issue.diagnostics
    assert "Patient, ServiceRequest, Task" in issue.diagnostics
    await agree(house, house.clinic.reference, sends=None)
    await house.create(await clinic(house), observation(made.reference))


async def test_given_kinds_of_need_when_agreed_then_none_other_is_referred_for_asked_for_or_looked_for(
    house: House,
) -> None:
    food, housing = "food-insecurity", "housing-instability"
    await agree(house, house.clinic.reference, sends_kinds=[food, "other"])
    await agree(house, house.kitchen.reference, receives_kinds=[housing])
    me = await clinic(house)

    def asking(kind: str, *whom: str) -> list[Any]:
        sent = referral(list(whom), requester=me.reference, kind=kind)
        order = sent[2]
        return [
            sent[0],
            sent[1],
            dataclasses.replace(order, at="Bundle.entry[2].resource"),
            sent[3],
        ]

    with pytest.raises(FhirError) as refused:
        await house.commit(me, *asking(housing, house.pantry.service))
    [issue] = refused.value.issues
    assert (refused.value.status, issue.code) == (422, "business-rule")
    assert "what no code names" in issue.diagnostics
    assert food in issue.diagnostics
    with pytest.raises(FhirError) as refused:
        await house.commit(me, *asking(food, house.pantry.service, house.kitchen.service))
    assert house.kitchen.service in refused.value.issues[0].diagnostics
    written = await house.commit(me, *asking(food))
    await house.relay()
    rows = await house.rows("select organization from prospect where episode = $1", written[3].rid)
    found = {row[0] for row in rows}
    assert house.kitchen.rid not in found
    assert {house.pantry.rid, house.van.rid} <= found, "who says no kind may be of this one"


async def test_given_what_somebody_is_sent_when_agreed_then_the_rest_is_left_out_or_suppressed_with_the_reason(
    post: Post,
) -> None:
    house = post.house
    kitchen = house.kitchen.reference
    await agree(house, kitchen, receives=["Task", "ServiceRequest", "Patient"])
    await house.asking(house.kitchen.service)
    await post.deliver()
    [bundle] = post.partner.bundles
    assert {one["resource"]["resourceType"] for one in bundle["entry"]} == {
        "Task", "ServiceRequest", "Patient",
    }  # fmt: skip
    for changes, reason in (
        ({"receives": ["Observation"]}, "not agreed with the recipient: Task"),
        (
            {"receives": None, "channels": ["email-notice"]},
            "not agreed with the recipient: hl7-fhir-rest",
        ),
    ):
        await agree(house, kitchen, **changes)
        await house.asking(house.kitchen.service)
        await post.deliver()
        assert len(post.partner.bundles) == 1
        [newest] = await house.rows(
            "select state, reason from delivery where organization = $1 order by seq desc limit 1",
            house.kitchen.rid,
        )
        assert newest == ("suppressed", reason)
    await agree(house, kitchen, channels=["hl7-fhir-rest"])
    await house.asking(house.kitchen.service)
    await post.deliver()
    assert len(post.partner.bundles) == 2


async def test_given_the_command_when_used_then_all_that_was_agreed_is_changed_and_shown_in_one_place(
    terminal: Terminal,
) -> None:
    house, of = terminal.house, terminal.house.clinic.reference
    shown = await terminal.does("agreement", of)
    assert "profile\tr4" in shown
    assert "sends\tany" in shown
    assert "client\tclinic\tsystem/*.cruds\trefuse\tusual\tusual\tusual\tusual" in shown
    shown = await terminal.does(
        "agreement", of, "--profile", "bser", "--send", "Task", "--send", "Patient",
        "--receive-kind", "other", "--channel", "hl7-fhir-rest", "--rate", "5",
        "--reference-policy", "warn",
    )  # fmt: skip
    for line in (
        "profile\tbser", "sends\tPatient Task", "receives_kinds\tother", "receives\tany",
        "channels\thl7-fhir-rest", "deliveries_per_second\t5.0", "deliveries_at_once\t16",
    ):  # fmt: skip
        assert line in shown.splitlines()
    assert "client\tclinic\tsystem/*.cruds\twarn" in shown
    shown = await terminal.does("agreement", of, "--send", "any", "--rate", "0")
    assert "sends\tany" in shown
    assert "deliveries_per_second\tany" in shown
    assert "profile\tbser" in shown
    assert (await house.rows("select per_second from pace")) == []
    [(said,), _] = await house.rows(
        "select query from audit where interaction = 'agreement-changed' order by seq"
    )
    assert "sends=Patient+Task" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"profile": "fax"}, "Known are"),
        ({"sends": ["Fax"]}, "each resource type"),
        ({"channels": ["fax"]}, "hl7-fhir-rest"),
        ({"receives_kinds": ["A Fax"]}, "imaging"),
        ({"deliveries_per_second": 0}, "at least 0.001"),
        ({"deliveries_at_once": 0}, "at least 1"),
        ({"deliveries_at_once": 2}, "say both"),
        ({"reference_policy": "fax"}, "quarantine"),
    ],
)
async def test_given_what_cannot_be_agreed_when_tried_then_it_says_what_can(
    house: House, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(NothingDone, match=said):
        await agree(house, house.clinic.reference, **changes)
    with pytest.raises(NothingDone, match="no Organization/none"):
        await agree(house, "Organization/none", sends=None)
