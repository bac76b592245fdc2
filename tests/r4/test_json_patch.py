"""JSON Patch of a resource."""

from __future__ import annotations

import json

import pytest

from coordhub.errors import FhirError
from coordhub.r4 import document, json_patch

OBSERVATION = (
    b'{"resourceType":"Observation","status":"final","valueQuantity":{"value":7.50,"unit":"%"},'
    b'"referenceRange":[{"low":{"value":1e-7}},{"low":{"value":4.0}}]}'
)


STALE = (
    '[{"op":"replace","path":"/status","value":"amended"},'
    '{"op":"test","path":"/valueQuantity/unit","value":"g"}]'
)
DOUBLING = json.dumps([{"op": "copy", "from": "", "path": f"/z{number}"} for number in range(40)])


def apply(patch: str, at: str = "") -> str:
    done = json_patch.read(patch.encode()).apply(document.parse(OBSERVATION), at)
    return document.encode(done).decode()


def test_given_numbers_when_patched_then_each_keeps_its_spelling():
    patched = apply(
        '[{"op":"replace","path":"/valueQuantity/value","value":8.10},'
        '{"op":"copy","from":"/referenceRange/0","path":"/referenceRange/-"},'
        '{"op":"add","path":"/valueQuantity/extension","value":[{"url":"u","valueDecimal":1E3}]}]'
    )
    assert '"value":8.10' in patched
    assert patched.count("1e-7") == 2
    assert '"valueDecimal":1E3' in patched
    assert '"value":4.0' in patched


def test_given_a_test_that_is_met_when_patched_then_numbers_are_compared_by_value():
    assert "amended" in apply(
        '[{"op":"test","path":"/valueQuantity/value","value":7.5},'
        '{"op":"replace","path":"/status","value":"amended"}]'
    )


@pytest.mark.parametrize(
    ("patch", "expression"),
    [
        (STALE, "Observation.valueQuantity.unit"),
        ('[{"op":"remove","path":"/note/0"}]', "Observation.note[0]"),
        ('[{"op":"replace","path":"/nothing","value":1}]', "Observation.nothing"),
        ('[{"op":"add","path":"/referenceRange/7","value":1}]', "Observation.referenceRange[7]"),
        ('[{"op":"add","path":"/status/x","value":1}]', "Observation.status.x"),
        ('[{"op":"move","from":"/nothing","path":"/status"}]', "Observation.status"),
        ('[{"op":"replace","path":"","value":[]}]', ""),
        (DOUBLING, "Observation.z9"),
    ],
)
def test_given_what_cannot_be_done_when_patched_then_422_names_the_place(patch, expression):
    with pytest.raises(FhirError) as refused:
        apply(patch)
    assert refused.value.status == 422
    assert refused.value.issues[0].expression == expression
    with pytest.raises(FhirError) as refused:
        apply(patch, "Bundle.entry[1].resource")
    assert refused.value.issues[0].expression == "Bundle.entry[1].resource"


def test_given_several_faults_when_read_then_400_names_each_operation():
    with pytest.raises(FhirError) as refused:
        json_patch.read(
            b'[{"op":"add","path":"/a"},{"op":"brew","path":"/a"},3,'
            b'{"op":"move","from":"x","path":"/a"},{"op":"remove","path":"/a"}]'
        )
    assert refused.value.status == 400
    said = [issue.diagnostics for issue in refused.value.issues]
    assert [text.split()[1] for text in said] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[", b'[],"patch":[]', b'[],"x":1', b'[{"op":"test","op":"add"}]']
)
def test_given_no_json_patch_when_read_then_400(body):
    with pytest.raises(FhirError) as refused:
        json_patch.read(body)
    assert refused.value.status == 400


def test_given_a_patch_when_applied_twice_then_the_second_starts_from_the_same():
    patch = json_patch.read(
        b'[{"op":"add","path":"/note","value":[]},'
        b'{"op":"add","path":"/note/-","value":{"text":"a"}}]'
    )
    first = patch.apply(document.parse(OBSERVATION))
    assert patch.apply(document.parse(OBSERVATION)) == first
    assert first["note"] == [{"text": "a"}]


@pytest.mark.parametrize("value", ["[0]", "[{}]", '[["a"]]'])
def test_given_copies_that_double_small_values_when_patched_then_refused_before_they_are_many(
    value,
):
    body = document.parse(OBSERVATION)
    doublings = '{"op":"copy","from":"/note","path":"/note/-"}'
    patch = f'[{{"op":"add","path":"/note","value":{value}}},{",".join([doublings] * 20)}]'
    with pytest.raises(FhirError) as refused:
        json_patch.read(patch.encode()).apply(body)
    assert "copies too much" in refused.value.issues[0].diagnostics
    assert "update" in refused.value.issues[0].diagnostics
    waiting, many = [body], 0
    while waiting:
        here = waiting.pop()
        many += 1
        waiting += (
            here.values() if isinstance(here, dict) else here if isinstance(here, list) else []
        )
    assert many < 2 * json_patch.MOST_VALUES_COPIED


def test_given_the_last_of_a_list_when_removed_then_the_list_goes_too():
    patched = apply(
        '[{"op":"remove","path":"/referenceRange/0"},{"op":"remove","path":"/referenceRange/0"}]'
    )
    assert "referenceRange" not in patched
