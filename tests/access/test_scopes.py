"""SMART scopes: what they say, and that a token never gets more than its client has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.access.scopes import EVERYTHING, faults, parse
from coordhub.r4 import types

TYPES = ("Patient", "Task", "Observation")
LETTERS = "cruds"

words = st.sampled_from(
    [
        f"system/{name}.{letters}"
        for name in (*TYPES, "*", "Nonsense", "patient")
        for letters in ("c", "r", "rs", "cud", "cruds", "u", "read", "write", "*", "sr", "", "x")
    ]
    + [
        "patient/Task.r",
        "user/*.cruds",
        "openid",
        "system/Task.rs?status=draft",
        "system/Task.ru?status=draft,requested&owner=Organization/a",
        "system/Task.cr?owner=Organization/a",
        "system/Observation.rs?status=draft",
        "system/Observation.rs?category=laboratory",
        "system/Task",
        "*",
    ]
)
scopes = st.lists(words, max_size=5).map(lambda many: parse(" ".join(many)))


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("system/Task.cruds", {("Task", letter) for letter in LETTERS}),
        ("system/Task.rs", {("Task", "r"), ("Task", "s")}),
        ("system/Task.read", {("Task", "r"), ("Task", "s")}),
        ("system/Task.write", {("Task", "c"), ("Task", "u"), ("Task", "d")}),
        ("system/Task.*", {("Task", letter) for letter in LETTERS}),
        ("system/*.r", {(name, "r") for name in TYPES}),
        ("system/Task.r system/Task.u", {("Task", "r"), ("Task", "u")}),
        ("system/Task.sr", set()),
        ("system/Task.rs?status=draft", {("Task", "r"), ("Task", "s")}),
        ("system/Task.rs?status:not=draft", set()),
        ("system/Task.rs?authored-on=2026", set()),
        ("system/Task.read?status=draft", set()),
        ("system/Task.rs?", set()),
        ("system/*.rs?status=draft", set()),
        ("patient/Task.r user/Task.r", set()),
        ("system/task.r SYSTEM/Task.r", set()),
        ("system/Nonsense.cruds", set()),
        ("", set()),
    ],
)
def test_given_a_scope_when_read_then_it_allows_this_and_nothing_else(
    text: str, allowed: set[tuple[str, str]]
) -> None:
    read = parse(text)
    assert {(n, letter) for n in TYPES for letter in LETTERS if read.allow(n, letter)} == allowed


@given(scopes, scopes)
def test_given_two_scopes_when_met_then_it_allows_exactly_what_both_allow(one, other) -> None:
    met = one.meet(other)
    for name in types.NUMBER:
        for letter in LETTERS:
            both = one.allow(name, letter) and other.allow(name, letter)
            assert met.allow(name, letter) is both


@given(scopes)
def test_given_scopes_when_types_to_look_at_are_asked_then_those_with_the_letters(one) -> None:
    for letters in ("r", "rs", "u"):
        whole, parts = one.looking(letters)
        for name, number in types.NUMBER.items():
            allowed = all(one.allow(name, letter) for letter in letters)
            assert allowed is (whole is None or number in whole or number in dict(parts))
            if whole is not None and number in whole:
                assert all(one.within(name, letter) is None for letter in letters)
            if number in dict(parts):
                assert any(one.within(name, letter) for letter in letters)
                assert all(dict(parts)[number])


@given(scopes, scopes)
def test_given_scopes_when_met_then_said_again_they_are_the_same_and_no_order_matters(
    one, other
) -> None:
    met = one.meet(other)
    assert parse(met.stated()).grants == met.grants
    assert other.meet(one).grants == met.grants
    assert met.meet(other).grants == met.grants
    assert one.meet(EVERYTHING).grants == one.grants


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("system/Task.rs?authored-on=2026", "authored-on"),
        ("system/Task.rs?status:not=draft", "status:not"),
        ("system/Task.rs?owner=1", "owner"),
        ("system/Task.rs?patient.name=a", "patient.name"),
        ("system/Task.rs?_tag=a", "_tag"),
        ("system/Task.rs?_id=a", "_id"),
        ("system/Task.rs?nonsense=a", "nonsense"),
        ("system/Task.rs?status=", "status"),
        ("system/Task.rs?status=%00", "read"),
        ("system/*.rs?status=draft", "*"),
        ("system/AuditEvent.rs?type=a", "AuditEvent"),
        ("system/Task.rs?status=" + ",".join(["a"] * 51), "status"),
        ("system/Task.rs?" + "&".join(f"status=a{n}" for n in range(6)), "at most 5"),
        (" ".join(f"system/Task.rs?status=a{n}" for n in range(11)), "at most 10"),
    ],
)
def test_given_search_parameters_that_cannot_narrow_when_looked_at_then_the_scope_is_named(
    text: str, named: str
) -> None:
    assert any(named in fault for fault in faults(f"system/Patient.rs {text} system/Task.c"))
    assert faults("system/Patient.rs system/Device.rs system/Task.rs?status=draft&code=a") == []
    read = parse(text)
    assert not read.grants or "at most" in named


def test_given_a_percent_encoded_value_when_read_then_it_is_the_same_condition() -> None:
    plain = parse("system/Observation.rs?category=urn:a|b").within("Observation", "r")
    assert plain is not None
    assert plain == parse("system/Observation.rs?category=urn%3Aa%7Cb").within("Observation", "r")


@given(st.text(max_size=60))
def test_given_any_text_when_read_as_scopes_then_it_never_allows_more_than_it_names(text) -> None:
    read = parse(text)
    for name in TYPES:
        if f"system/{name}." not in text and "system/*." not in text:
            assert not any(read.allow(name, letter) for letter in LETTERS)


def test_given_everything_when_met_with_a_scope_then_that_scope() -> None:
    narrow = parse("system/Task.r")
    assert EVERYTHING.meet(narrow).allow("Task", "r")
    assert not EVERYTHING.meet(narrow).allow("Task", "u")
    assert not EVERYTHING.meet(narrow).allow("Patient", "r")
