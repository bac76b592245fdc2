"""Compartments by R4's definitions."""

from __future__ import annotations

import pytest

from coordhub.r4.compartments import OWNERS, compartment, leading, members, modifiers
from coordhub.r4.parameters import parameters


@pytest.mark.parametrize("owner", OWNERS)
def test_given_a_compartment_when_its_members_are_asked_then_each_has_a_way_into_it(owner):
    assert owner in members(owner)
    for name in members(owner):
        assert name == owner or leading(owner, name)


def test_given_types_when_asked_how_they_belong_to_a_patient_then_by_hl7_s_parameters():
    def number(kind: str, code: str) -> int:
        return parameters(kind)[code].id

    assert leading("Patient", "Observation") == (
        number("Observation", "subject"),
        number("Observation", "performer"),
    )
    assert leading("Patient", "Task") == (number("Task", "patient"),), "a Task is for its patient"
    assert leading("Encounter", "Observation") == (number("Observation", "encounter"),)
    assert leading("Patient", "Organization") == ()
    found = compartment("Patient", "1", ["Observation", "Organization"])
    assert (found.type, found.id) == ("Patient", "1")
    assert found.parameters == leading("Patient", "Observation")


def test_given_a_type_when_its_modifiers_are_asked_then_choices_are_named_without_x():
    assert modifiers("Patient") >= {"active", "deceased", "link"}
