"""SMART scopes: what they say, and that a token never gets more than its client has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.access.scopes import EVERYTHING, parse
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
        ("system/Task.rs?status=draft", set()),
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
def test_given_scopes_when_types_to_read_are_asked_then_those_with_r(one) -> None:
    readable = one.readable()
    for name, number in types.NUMBER.items():
        assert one.allow(name, "r") is (readable is None or number in readable)


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
