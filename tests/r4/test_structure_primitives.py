from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from coordhub.r4 import definitions
from coordhub.r4.document import SpelledDecimal
from coordhub.r4.structure_primitives import ANNOTATIONS, LONGEST_STRING, fault

RIGHT: dict[str, list[Any]] = {
    "boolean": [True, False],
    "decimal": [0, -7, 10**30, Decimal("7.50"), SpelledDecimal("1e3")],
    "integer": [0, -(2**31), 2**31 - 1],
    "unsignedInt": [0, 2**31 - 1],
    "positiveInt": [1, 2**31 - 1],
    "string": ["a", " a\t\r\n", "\u2028é😀", "x" * LONGEST_STRING],
    "markdown": ["# a\n\n* b"],
    "xhtml": ['<div xmlns="http://www.w3.org/1999/xhtml">a</div>'],
    "code": ["a", "a b", "http://loinc.org"],
    "uri": ["http://a.example", "urn:oid:1.2", "#a", "a|b"],
    "url": ["http://a.example", "mailto:a@b.example"],
    "canonical": ["http://a.example/b|1.0#c"],
    "oid": ["urn:oid:1.2.3", "urn:oid:2.16.840.1.113883.4.1"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "id": ["a", "A-b.9", "x" * 64],
    "date": ["2026", "2026-12", "2026-12-31", "2024-02-29", "2000-02-29", "0001", "1905-08-23"],
    "dateTime": [
        "2026",
        "2026-12",
        "2024-02-29",
        "2026-12-31T23:59:60Z",
        "2024-02-29T00:00:00.123456789-03:30",
        "2026-01-31T08:00:00+14:00",
    ],
    "instant": ["2026-11-22T14:00:00Z", "2024-02-29T14:00:00.123+01:00"],
    "time": ["00:00:00", "23:59:60.5"],
    "base64Binary": ["AAAA", "AA==", "AAA=", "AA AA\n"],
}

WRONG: dict[str, list[Any]] = {
    "boolean": ["true", 1, 0, None],
    "decimal": ["7.5", True, None, 7.5],
    "integer": ["1", True, Decimal("1.0"), 2**31, -(2**31) - 1, 10**40, SpelledDecimal("-0")],
    "unsignedInt": [-1, 2**31],
    "positiveInt": [0, -1, 2**31],
    "string": ["", 1, None, True, ["a"], {}, "a\x01", "a\x0b", "x" * (LONGEST_STRING + 1)],
    "markdown": ["", 1],
    "xhtml": ["", 1, "a\x08"],
    "code": ["", " a", "a ", "a  b", "a\n", "a\u00a0", 1],
    "uri": ["", "a b", "a\n", "http://a.example/\u00a0", 1],
    "url": ["", "a b"],
    "canonical": ["", "a b"],
    "oid": ["1.2.3", "urn:oid:1", "urn:oid:3.1", "urn:oid:1.02"],
    "uuid": [
        "c757873d-ec9a-4326-a141-556f43239520",
        "urn:uuid:C757873D-EC9A-4326-A141-556F43239520",
    ],
    "id": ["", "a_b", "x" * 65, "a b", "ä", "a\n", "a/b"],
    "date": [
        "26",
        "2026-13",
        "2026-00",
        "2026-1",
        "2026-04-31",
        "2026-02-29",
        "1900-02-29",
        "0000",
        "2026-12-31T00:00:00Z",
        "31.12.2026",
        "2026-12-31\n",
        "２０２６",
        20261231,
    ],
    "dateTime": [
        "2026-12-31T10:00:00",
        "2026-12-31T10:00Z",
        "2026-12-31T24:00:00Z",
        "2026-12-31 10:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-12-31T10:00:00.Z",
        "2026-12-31T10:00:00+15:00",
        "2026-12T10:00:00Z",
    ],
    "instant": ["2026", "2026-11-22", "2026-11-22T14:00:00", "2026-11-31T14:00:00Z"],
    "time": ["24:00:00", "10:00", "10:00:00Z"],
    "base64Binary": ["", "***", "AAA", "A===", "AA=A", "A*AAA", " ", 1, "é"],
}


def taken(value: Any, primitive: str) -> bool:
    try:
        msgspec.convert(value, ANNOTATIONS[primitive], builtin_types=(Decimal,))
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("primitive", sorted(RIGHT))
def test_given_a_right_value_when_checked_then_no_fault_is_found(primitive: str) -> None:
    assert [value for value in RIGHT[primitive] if fault(value, primitive)] == []


@pytest.mark.parametrize("primitive", sorted(WRONG))
def test_given_a_wrong_value_when_checked_then_a_fault_is_found(primitive: str) -> None:
    assert [value for value in WRONG[primitive] if not fault(value, primitive)] == []


@pytest.mark.parametrize("primitive", sorted(WRONG))
def test_given_a_wrong_value_when_a_struct_sees_it_then_it_is_not_taken(primitive: str) -> None:
    control_characters = {"a\x01", "a\x0b", "a\x08"}  # looked for in the whole text
    assert [
        value
        for value in WRONG[primitive]
        if not (isinstance(value, str) and value in control_characters) and taken(value, primitive)
    ] == []


@pytest.mark.parametrize("primitive", sorted(RIGHT))
def test_given_an_ordinary_value_when_a_struct_sees_it_then_it_is_taken(primitive: str) -> None:
    assert taken(RIGHT[primitive][0], primitive)


def test_given_the_definitions_when_counted_then_every_primitive_is_known() -> None:
    assert set(ANNOTATIONS) == definitions.primitives() == set(RIGHT) == set(WRONG)


def test_given_a_wrong_value_when_described_then_the_value_is_not_repeated() -> None:
    for primitive in ("date", "code", "id", "base64Binary", "instant"):
        found = fault("confidential content", primitive)
        assert found is None or "confidential" not in found[1]
