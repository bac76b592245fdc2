"""Views of resources, by the definitions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from coordhub.r4 import document, structure
from coordhub.r4.views import SUBSETTED, WHOLE, View, is_subsetted, shown

OBSERVATION = (
    '{"resourceType":"Observation","id":"1","meta":{"versionId":"2","tag":[{"code":"mine"}]},'
    '"implicitRules":"http://rules.example","language":"en",'
    '"text":{"status":"empty","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">7</div>"},'
    '"contained":[{"resourceType":"Patient","id":"p"}],'
    '"extension":[{"url":"http://x.example","valueString":"x"}],'
    '"modifierExtension":[{"url":"http://y.example","valueString":"y"}],'
    '"status":"final","_status":{"extension":[{"url":"http://z.example","valueString":"z"}]},'
    '"code":{"text":"HbA1c"},"subject":{"reference":"#p"},"valueQuantity":{"value":7.50},'
    '"note":[{"text":"a note"}],'
    '"component":[{"code":{"text":"part"},"valueQuantity":{"value":1.0e2},'
    '"dataAbsentReason":{"text":"none"},"referenceRange":[{"text":"wide"}]}]}'
)


def seen(view: View) -> dict:
    return json.loads(shown(OBSERVATION, view))


def test_given_the_whole_view_when_shown_then_it_is_the_stored_text():
    assert shown(OBSERVATION, WHOLE) == OBSERVATION.encode()


def test_given_a_summary_when_shown_then_what_is_marked_stays_at_every_depth():
    view = seen(View("true"))
    assert set(view) == {
        "resourceType", "id", "meta", "implicitRules", "modifierExtension", "status", "_status",
        "code", "subject", "valueQuantity", "component",
    }  # fmt: skip
    assert set(view["component"][0]) == {"code", "valueQuantity"}
    assert view["meta"]["tag"] == [{"code": "mine"}, SUBSETTED]
    assert view["meta"]["versionId"] == "2"


def test_given_any_view_when_shown_then_numbers_keep_their_digits():
    for view in (View("true"), View("data"), View(elements=frozenset({"value", "component"}))):
        text = shown(OBSERVATION, view)
        assert b'"value":7.50' in text
        assert b'"value":1.0e2' in text


def test_given_the_other_summaries_when_shown_then_text_alone_or_all_but_it():
    assert set(seen(View("text"))) == {
        "resourceType", "id", "meta", "implicitRules", "modifierExtension", "text", "status",
        "_status", "code",
    }  # fmt: skip
    assert set(seen(View("data"))) == set(json.loads(OBSERVATION)) - {"text"}


def test_given_elements_when_shown_then_those_and_what_must_be_there_or_changes_the_meaning():
    view = seen(View(elements=frozenset({"value", "note"})))
    assert set(view) == {
        "resourceType", "id", "meta", "implicitRules", "modifierExtension", "status", "_status",
        "code", "valueQuantity", "note",
    }  # fmt: skip
    patient = (
        '{"resourceType":"Patient","id":"1","active":false,"gender":"male","birthDate":"1970"}'
    )
    shown_patient = json.loads(shown(patient, View(elements=frozenset({"gender"}))))
    assert set(shown_patient) == {"resourceType", "id", "meta", "active", "gender"}


def test_given_a_view_when_shown_again_then_it_is_tagged_once():
    once = shown(OBSERVATION, View("data"))
    again = json.loads(shown(once.decode(), View("data")))
    assert again["meta"]["tag"].count(SUBSETTED) == 1


@pytest.mark.parametrize(
    ("resource", "subsetted"),
    [
        ({"meta": {"tag": [SUBSETTED]}}, True),
        ({"meta": {"tag": [{**SUBSETTED, "display": "subsetted"}]}}, True),
        ({"meta": {"tag": [{"code": "SUBSETTED"}]}}, False),
        ({"meta": {"tag": "SUBSETTED"}}, False),
        ({"meta": [SUBSETTED]}, False),
        ({}, False),
    ],
)
def test_given_a_resource_when_asked_whether_it_is_a_part_then_its_tag_says_so(resource, subsetted):
    assert is_subsetted(resource) is subsetted


def test_given_real_resources_when_viewed_then_every_view_has_the_structure_of_r4():
    """Structure, not invariants: a part of an Organization need not have its name (org-1)."""
    folder = Path(__file__).parents[3] / "shared" / "data" / "synthea"
    files = sorted(folder.rglob("*.json.gz"))[:3] if folder.exists() else []
    if not files:
        pytest.skip("the Synthea patients are not here")
    for path in files:
        bundle = document.parse(gzip.decompress(path.read_bytes()))
        for entry in bundle["entry"][:200]:
            text = document.encode(entry["resource"]).decode()
            for view in (View("true"), View("text"), View("data")):
                issues = structure.check(document.parse(shown(text, view)))
                assert [issue for issue in issues if issue.code != "invariant"] == []
