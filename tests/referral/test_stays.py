"""When an Encounter says that somebody was admitted or discharged."""

from __future__ import annotations

import pytest

from coordhub.referral.stays import ACT_CODES, turn


def encounter(status: str, code: str = "IMP", system: str = ACT_CODES) -> dict[str, object]:
    return {"status": status, "class": {"system": system, "code": code}}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (None, encounter("planned"), None),
        (None, encounter("in-progress"), "admitted"),
        (encounter("planned"), encounter("arrived"), "admitted"),
        (encounter("arrived"), encounter("in-progress"), None),
        (encounter("in-progress"), encounter("finished"), "discharged"),
        (None, encounter("finished"), "discharged"),
        (encounter("finished"), encounter("finished"), None),
        (encounter("planned"), encounter("cancelled"), None),
        (encounter("in-progress"), encounter("entered-in-error"), "withdrawn"),
        (None, encounter("in-progress", "EMER"), "admitted"),
        (None, encounter("in-progress", "AMB"), None),
        (None, encounter("in-progress", "IMP", "urn:other"), None),
        (encounter("in-progress", "AMB"), encounter("in-progress", "IMP"), "admitted"),
        (None, {"status": "finished"}, None),
    ],
)
def test_given_an_encounter_when_it_changes_then_it_says(before, now, said):
    assert turn(before, now) == said
