"""Signed cursors."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordhub.access import scopes
from coordhub.access.caller import Caller
from coordhub.errors import FhirError
from coordhub.fhir.paging import Paging

CALLER = Caller("near", 256 * 7, "Organization/7", scopes.parse("system/Patient.rs"))
QUERY = [("family", "Water"), ("_count", "3")]
PAGING = Paging(b"k" * 32)


def test_given_a_cursor_when_opened_by_its_owner_then_the_values_come_back():
    values = ["2026-11-22 14:00:00+00", "\u00e4\U0010ffff", "1000"]
    sealed = PAGING.seal(values, CALLER, "Patient", QUERY)
    assert PAGING.open(sealed, CALLER, "Patient", QUERY) == values
    assert Paging(b"n" * 32, [b"k" * 32]).open(sealed, CALLER, "Patient", QUERY) == values
    shown = [*QUERY, ("_cursor", sealed), ("_pretty", "true")]
    assert PAGING.open(sealed, CALLER, "Patient", shown) == values


def test_given_a_cursor_when_anything_it_is_bound_to_differs_then_400():
    sealed = PAGING.seal(["1"], CALLER, "Patient", QUERY)
    body, _, signature = sealed.partition(".")
    for cursor, caller, address, query, paging in (
        (sealed, replace(CALLER, organization=256 * 8), "Patient", QUERY, PAGING),
        (sealed, replace(CALLER, scopes=scopes.parse("system/*.rs")), "Patient", QUERY, PAGING),
        (sealed, CALLER, "Person", QUERY, PAGING),
        (sealed, CALLER, "Patient", QUERY[:1], PAGING),
        (sealed, CALLER, "Patient", QUERY[::-1], PAGING),
        (sealed, CALLER, "Patient", QUERY, Paging(b"j" * 32)),
        ("WyIyIl0." + signature, CALLER, "Patient", QUERY, PAGING),
        (body + ".", CALLER, "Patient", QUERY, PAGING),
        (body, CALLER, "Patient", QUERY, PAGING),
        ("", CALLER, "Patient", QUERY, PAGING),
        ("\u00e4.\u00e4", CALLER, "Patient", QUERY, PAGING),
        ("a" * 5000, CALLER, "Patient", QUERY, PAGING),
    ):
        with pytest.raises(FhirError) as refused:
            paging.open(cursor, caller, address, query)
        assert refused.value.status == 400
