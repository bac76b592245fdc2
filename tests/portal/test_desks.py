"""Which desks somebody has, by what it does for its organization."""

from __future__ import annotations

import pytest

from coordhub.admin import people
from coordhub.portal import desks


@pytest.mark.parametrize(
    ("roles", "seen"),
    [
        (["program-staff"], ["worklist", "patients", "community", "figures"]),
        (["coordinator"], ["worklist", "board", "patients", "results", "community", "figures"]),
        (["clinician"], ["worklist", "board", "patients", "results", "community", "figures"]),
        (["privacy-officer"], ["privacy"]),
        (["admin"], ["people", "community", "figures"]),
        (["integration-engineer"], ["deliveries"]),
        (["admin", "program-staff"], ["worklist", "patients", "people", "community", "figures"]),
        (["patient"], []),
    ],
    ids=" ".join,
)
def test_given_what_somebody_does_when_the_portal_opens_then_these_desks_are_there(
    roles: list[str], seen: list[str]
) -> None:
    assert list(desks.of(roles)) == seen


def test_given_the_desks_when_named_then_each_is_of_a_role_that_can_be_given() -> None:
    assert {role for desk in desks.DESKS.values() for role in desk.roles} == set(people.ROLES)
