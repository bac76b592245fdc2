"""The hub's own order, made of the sender's."""

from __future__ import annotations

from coordhub.routing.asking import service_request

SENT = {
    "resourceType": "ServiceRequest",
    "id": "1",
    "status": "active",
    "intent": "order",
    "contained": [
        {
            "resourceType": "CareTeam",
            "id": "all",
            "participant": [{"member": {"reference": "Organization/a"}}, {"onBehalfOf": {"reference": "#of"}}],
        },
        {"resourceType": "Organization", "id": "of", "name": "whoever else is asked"},
        {"resourceType": "Condition", "id": "why", "subject": {"reference": "Patient/1"}},
    ],
    "subject": {"reference": "Patient/1"},
    "performer": [{"reference": "#all"}, {"reference": "Organization/b"}],
    "reasonReference": [{"reference": "#why"}],
}  # fmt: skip


def test_given_a_contained_team_of_all_who_are_asked_when_asked_then_it_is_told_to_none() -> None:
    for performers in ([], ["Organization/b"]):
        made = service_request(SENT, "ServiceRequest/1", "t1", performers)
        assert [one["id"] for one in made["contained"]] == ["why"]
        assert "whoever else" not in str(made)
    assert len(SENT["contained"]) == 3


def test_given_nothing_contained_that_is_left_when_asked_then_there_is_no_empty_list() -> None:
    alone = {name: value for name, value in SENT.items() if name != "reasonReference"}
    assert "contained" not in service_request(alone, "ServiceRequest/1", "t1", [])
