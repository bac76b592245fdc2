"""What of a Patient is compared, and the keys under which it is found."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.identity.normalise import SSN, Traits, keys, sought, traits

READ: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "names": (
        {"name": [{"family": "O'Brien-Núñez, Jr.", "given": ["José Luis", "A."]}]},
        {"families": {"obrien nunez"}, "given": {"jose"}, "middles": {"luis", "a"}, "suffixes": {"jr"}},
    ),
    "a newborn": ({"name": [{"family": "ABBAS", "given": ["BABY"]}]}, {"families": {"abbas"}}),
    "a name not to be known": ({"name": [{"use": "anonymous", "family": "X", "given": ["Y"]}]}, {}),
    "phones": (
        {"telecom": [{"system": "phone", "value": value} for value in
                     ("+1 (918) 555-0101", "001 918 555 0101", "555-0101", "999-9999", "911")]},
        {"phones": {"9185550101", "5550101"}},
    ),
    "e-mail": ({"telecom": [{"system": "email", "value": " Jane@X.org "}]}, {"emails": {"jane@x.org"}}),
    "a street": (
        {"address": [{"line": ["12 North Elm Street", "Apt 3"], "postalCode": "74101-2233"}]},
        {"streets": {"12 n elm st 74101"}, "areas": {"74101"}},
    ),
    "a box": ({"address": [{"line": ["P.O. Box 12"], "postalCode": "74101"}]}, {}),
    "no home": ({"address": [{"line": ["HOMELESS"], "postalCode": "74101"}]}, {}),
    "numbers": (
        {"identifier": [{"system": "urn:a", "value": "mr-88"}, {"value": "7"},
                        {"system": SSN, "value": "555-12-3456"}, {"system": SSN, "value": "999-99-9999"},
                        {"type": {"coding": [{"code": "MB"}]}, "system": "urn:p", "value": "W 1"}]},
        {"identifiers": {"urn:a": {"MR88"}}, "socials": {"3456"}, "members": {"W1"}},
    ),
    "a year of birth": ({"birthDate": "1961"}, {}),
    "what R4 does not allow": (
        {"name": [7, {"family": 3, "given": "Jane"}], "telecom": {}, "address": [None], "gender": "x",
         "identifier": "88", "birthDate": 1961}, {}),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_given_a_patient_when_read_then_its_traits_are_these(case: str) -> None:
    document, expected = READ[case]
    assert traits(document) == Traits(**expected)


def test_given_day_and_month_swapped_and_another_surname_when_keyed_then_they_are_found() -> None:
    one = traits({"birthDate": "1961-04-02", "name": [{"family": "Doe", "given": ["Jane"]}]})
    other = traits({"birthDate": "1961-02-04", "name": [{"family": "Smith", "given": ["June"]}]})
    assert sought(one) & sought(other)
    assert {each for each in sought(one) if each[0] != 12} < keys(one)


def test_given_a_nickname_and_no_birth_when_keyed_then_they_are_found_by_name_and_area() -> None:
    one, other = (
        traits({"address": [{"postalCode": "74101"}], "name": [{"family": "Doe", "given": [each]}]})
        for each in ("Peggy", "Margaret")
    )
    assert {kind for kind, _ in sought(one) & sought(other)} == {4, 6}


def test_given_any_value_when_keyed_then_it_is_a_number_that_does_not_change() -> None:
    one = traits({"name": [{"family": "Doe"}]})
    assert keys(one) == {(10, 6106249039481257503)}
