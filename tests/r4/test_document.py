from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.errors import FhirError
from coordhub.r4 import document

NUMBERS = [
    "7.50",
    "1e3",
    "1E3",
    "1.0E+2",
    "1e-7",
    "0.0000001",
    "0.10",
    "-0",
    "-0.0",
    "0",
    "0.00",
    "12345678901234567890.12345678901234567890",
    "123456789012345678901234567890",
    "-9007199254740993",
    "100.0e00",
]


def refusal(data: bytes) -> FhirError:
    with pytest.raises(FhirError) as caught:
        document.parse(data)
    return caught.value


@pytest.mark.parametrize("number", NUMBERS)
def test_given_a_number_when_read_and_written_then_its_characters_are_the_same(
    number: str,
) -> None:
    text = f'{{"a":[{number},{{"b":{number}}}],"c":{number}}}'.encode()
    assert document.encode(document.parse(text)) == text


@pytest.mark.parametrize("number", ["1e3", "0.0000001", "-0"])
def test_given_an_oddly_spelled_number_when_copied_then_its_spelling_is_kept(number: str) -> None:
    read = copy.deepcopy(document.parse(f'{{"a":{number}}}'.encode()))
    assert read["a"] == Decimal(number)
    assert document.encode(read) == f'{{"a":{number}}}'.encode()


def test_given_spaces_and_escapes_when_read_and_written_then_order_and_text_are_kept() -> None:
    read = document.parse(b'{ "z" : "\\u00e9\\u003a\\u002d \\/" ,\n "a" : [ true , null ] }')
    assert list(read) == ["z", "a"]
    assert document.encode(read) == '{"z":"é:- /","a":[true,null]}'.encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"{", "too early"),
        (b'{"a":1,}', "not JSON"),
        (b'{"a":1} x', "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"a"', "not a JSON object"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
        ('{"a":1}'.encode("utf-16"), "not JSON"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "UTF-8"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":"\\udc00"}', "surrogate"),
        (b'{"a":"\\ud800x"}', "surrogate"),
        (b'{"\\ud800":1}', "surrogate"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":-Infinity}', "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":"\x01"}', "not JSON"),
        (b'{"a":1e1001}', "exponent"),
        (b'{"a":1e-1001}', "exponent"),
        (b'{"a":1e' + b"9" * 200 + b"}", "exponent"),
        (b'{"a":1.' + b"9" * 300 + b"}", "characters"),
        (b'{"a":' + b"9" * 5000 + b"}", "characters"),
    ],
)
def test_given_what_is_not_fhir_json_when_read_then_it_is_refused_saying_why(
    data: bytes, says: str
) -> None:
    error = refusal(data)
    assert error.status == 400
    assert says in error.issues[0].diagnostics


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (b'{"a":1,"a":1}', ["Resource.a"]),
        (b'{"resourceType":"Patient","x":[0,{"b":{"c":1,"d":2,"c":3}}]}', ["Patient.x[1].b.c"]),
        (b'{"a":1,"\\u0061":2}', ["Resource.a"]),
        (b'{"b\\u003a":1,"a":1,"a":":"}', ["Resource.a"]),
        (b'{"b":"\\u003A\\u003a","a":1,"a":2}', ["Resource.a"]),
        (b'{"a":{"x":1,"x":1},"b":{"y":1,"y":1}}', ["Resource.a.x", "Resource.b.y"]),
        (b'{"b":"-\\u002d","a":-0,"a":-0}', ["Resource.a"]),
    ],
)
def test_given_a_key_twice_when_read_then_the_key_is_named(data: bytes, paths: list[str]) -> None:
    error = refusal(data)
    assert error.status == 400
    assert sorted(issue.expression for issue in error.issues) == paths


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b'{"resourceType":"Patient","name":[{"text":"a\\u0000b"}]}', "Patient.name[0].text"),
        (b'{"a\\u0000":1}', "Resource"),
    ],
)
def test_given_nul_when_read_then_its_place_is_named(data: bytes, path: str) -> None:
    assert [issue.expression for issue in refusal(data).issues] == [path]


def test_given_the_text_of_an_escape_when_read_then_it_is_not_taken_for_nul() -> None:
    assert document.parse(b'{"a":"\\\\u0000"}') == {"a": "\\u0000"}


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def test_given_the_deepest_document_when_read_then_it_is_accepted_and_one_more_level_is_not() -> (
    None
):
    document.parse(nested(64))
    assert "nested" in refusal(nested(65)).issues[0].diagnostics


@pytest.mark.parametrize(
    "data",
    [
        nested(10_000),
        b"[" * 10_000,
        b'{"a":' * 100_000,
        b'{"a":"}","b":' * 70 + b"1" + b',"c":"{"}' * 70,
        b'{"a":"\\"}\\\\","b":' * 70 + b"1" + b',"c":"\\\\\\"{"}' * 70,
        b'{"a":[' * 40 + b"]}" * 40,
    ],
)
def test_given_endless_nesting_when_read_then_it_is_refused_as_too_deep(data: bytes) -> None:
    assert "nested" in refusal(data).issues[0].diagnostics


def test_given_many_brackets_side_by_side_when_read_then_they_are_not_taken_for_depth() -> None:
    text = b'{"a":["{[{[",' + b",".join([b'{"b":[1]}'] * 500) + b"]}"
    assert document.encode(document.parse(text)) == text


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc:-"), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["a", "b:", "c-"]), json_values), st.booleans())
def test_given_any_document_when_written_and_read_then_it_is_the_same(
    tree: dict[str, Any], ascii_only: bool
) -> None:
    written = document.encode(tree)
    read = document.parse(written)
    assert document.encode(read) == written
    spelled_by_json = json.dumps(read, ensure_ascii=ascii_only, default=float, indent=1)
    assert list(document.parse(spelled_by_json.encode())) == list(tree)


STAMP: dict[str, Any] = {"id": "n", "version": 3, "updated": "2026-11-22T14:00:00.123Z"}
META = '"versionId":"3","lastUpdated":"2026-11-22T14:00:00.123Z"'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '{"resourceType":"Patient","active":true}',
            '{"resourceType":"Patient","id":"n","meta":{' + META + '},"active":true}',
        ),
        (
            '{"resourceType":"Patient","active":true,"id":"o","gender":"male"}',
            '{"resourceType":"Patient","active":true,"id":"n","meta":{'
            + META
            + '},"gender":"male"}',
        ),
        (
            '{"resourceType":"Patient","meta":{"lastUpdated":"x","source":"s"},"active":true}',
            (
                '{"resourceType":"Patient","id":"n","meta":{"lastUpdated":"2026-11-22T14:00:00.123Z",'
                '"source":"s","versionId":"3"},"active":true}'
            ),
        ),
        (
            '{"id":"o","meta":{"tag":[]},"resourceType":"Patient"}',
            '{"id":"n","meta":{"tag":[],' + META + '},"resourceType":"Patient"}',
        ),
        (
            '{"active":true,"resourceType":"Patient","gender":"male"}',
            '{"active":true,"resourceType":"Patient","id":"n","meta":{'
            + META
            + '},"gender":"male"}',
        ),
    ],
)
def test_given_a_resource_when_stamped_then_only_id_and_meta_change_and_in_place(
    before: str, after: str
) -> None:
    given_document = document.parse(before.encode())
    stamped = document.with_meta(given_document, **STAMP)
    assert document.encode(given_document).decode() == before
    assert document.encode(stamped).decode() == after
