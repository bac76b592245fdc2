"""Headers of the RESTful API, read and judged."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from coordhub.errors import FhirError
from coordhub.fhir import headers

WHEN = datetime(2026, 11, 22, 14, 0, 5, 671000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "version"), [(None, None), ('W/"3"', 3), ('"3"', 3), (' W/"12" ', 12)]
)
def test_given_an_etag_when_read_as_if_match_then_it_is_a_version(text, version):
    assert headers.if_match(text) == version


@pytest.mark.parametrize("text", ["", "3", "*", 'W/"a"', 'W/"1",W/"2"', "W/3", '"-1"', '"\u0663"'])
def test_given_no_etag_of_ours_when_read_as_if_match_then_400(text):
    with pytest.raises(FhirError) as refused:
        headers.if_match(text)
    assert refused.value.status == 400


def test_given_conditions_when_a_version_is_known_then_unchanged_says_so():
    def unchanged(**sent: str) -> bool:
        return headers.unchanged(headers.conditions(**sent), 3, WHEN)

    assert unchanged(none_match='W/"3"')
    assert unchanged(none_match='"1", W/"3"')
    assert unchanged(none_match="*")
    assert not unchanged(none_match='W/"33"')
    assert not unchanged(none_match='W/"1"', modified_since="Sun, 22 Nov 2026 14:00:05 GMT")
    assert unchanged(modified_since="Sun, 22 Nov 2026 14:00:05 GMT")
    assert unchanged(modified_since="2026-11-22T15:00:05+01:00")
    assert not unchanged(modified_since="Sun, 22 Nov 2026 14:00:04 GMT")
    assert not unchanged(modified_since="yesterday")
    assert not unchanged()


@pytest.mark.parametrize(
    ("text", "criteria"),
    [
        ("identifier=a|b", "identifier=a|b"),
        ("?identifier=a", "identifier=a"),
        ("http://h/fhir/Patient?identifier=a", "identifier=a"),
        ("identifier=a?b", "identifier=a?b"),
    ],
)
def test_given_if_none_exist_when_read_then_it_is_the_criteria(text, criteria):
    assert headers.conditions(none_exist=text).if_none_exist == criteria


def test_given_prefer_when_read_then_what_is_known_counts_and_the_rest_is_ignored():
    read = headers.preference
    assert read(None) == headers.Preference()
    assert read("return=minimal").returns == "minimal"
    assert read("respond-async, return=OperationOutcome").returns == "OperationOutcome"
    assert read('handling=lenient; return="minimal"') == headers.Preference("minimal", True)
    assert read("return=everything").returns == "representation"


def test_given_a_request_id_when_it_is_no_plain_word_then_a_new_one_is_taken():
    fresh = uuid.UUID(int=7)
    assert headers.request_id("abc-1.2", lambda: fresh) == "abc-1.2"
    for text in (None, "", "a b", "a\n", "x" * 65, "\u00e4"):
        assert headers.request_id(text, lambda: fresh) == str(fresh)


def test_given_an_idempotency_key_when_not_visible_ascii_then_400():
    assert headers.idempotency_key("a" * 255) == "a" * 255
    assert headers.idempotency_key(None) is None
    for text in ("", "a b", "a" * 256, "\u00e4", "a\t"):
        with pytest.raises(FhirError):
            headers.idempotency_key(text)
