"""Every invariant of a data type, once kept and once broken."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from coordhub.r4.invariants_of_types import PREDICATES

UCUM = "http://unitsofmeasure.org"
CODED = {"code": "a", "system": UCUM, "value": 3}

# (path, key): kept, broken
CASES: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("Age", "age-1"): (CODED, {**CODED, "value": Decimal("-0.5")}),
    ("Age", "qty-3"): (CODED, {"code": "a"}),
    ("Attachment", "att-1"): ({"data": "QQ==", "contentType": "text/plain"}, {"data": "QQ=="}),
    ("ContactPoint", "cpt-2"): ({"system": "phone", "value": "1"}, {"value": "1"}),
    ("Count", "cnt-3"): (
        {"code": "1", "system": UCUM, "value": 3},
        {"code": "1", "system": UCUM, "value": Decimal("3.5")},
    ),
    ("Count", "qty-3"): (CODED, {"code": "1"}),
    ("DataRequirement.codeFilter", "drq-1"): ({"path": "a"}, {"path": "a", "searchParam": "b"}),
    ("DataRequirement.dateFilter", "drq-2"): ({"searchParam": "b"}, {"id": "x"}),
    ("Distance", "dis-1"): (CODED, {"value": 3}),
    ("Distance", "qty-3"): (CODED, {"code": "km"}),
    ("Duration", "drt-1"): (CODED, {"code": "a", "system": "http://other.example", "value": 1}),
    ("Duration", "qty-3"): (CODED, {"code": "h"}),
    ("ElementDefinition", "eld-2"): ({"min": 0, "max": "1"}, {"min": 2, "max": "1"}),
    ("ElementDefinition", "eld-5"): (
        {"contentReference": "#a"},
        {"contentReference": "#a", "patternString": "x"},
    ),
    ("ElementDefinition", "eld-6"): (
        {"fixedCode": "x", "type": [{}]},
        {"fixedCode": "x", "type": [{}, {}]},
    ),
    ("ElementDefinition", "eld-7"): ({"patternCode": "x"}, {"patternCode": "x", "type": [{}, {}]}),
    ("ElementDefinition", "eld-8"): (
        {"patternCode": "x"},
        {"patternCode": "x", "fixedCode": "x"},
    ),
    ("ElementDefinition", "eld-13"): (
        {"type": [{"code": "a"}, {"code": "b"}]},
        {"type": [{"code": "a"}, {"code": "a"}]},
    ),
    ("ElementDefinition", "eld-14"): (
        {"constraint": [{"key": "a"}]},
        {"constraint": [{"key": "a"}, {"key": "a"}]},
    ),
    ("ElementDefinition", "eld-15"): (
        {"defaultValueCode": "x"},
        {"defaultValueCode": "x", "meaningWhenMissing": "y"},
    ),
    ("ElementDefinition", "eld-16"): ({"sliceName": "a/b"}, {"sliceName": "a b"}),
    ("ElementDefinition", "eld-18"): (
        {"isModifier": True, "isModifierReason": "x"},
        {"isModifier": True},
    ),
    ("ElementDefinition", "eld-19"): ({"path": "A.b[x]"}, {"path": "A.b(c)"}),
    ("ElementDefinition", "eld-22"): ({"sliceName": "a"}, {"sliceIsConstraining": True}),
    ("ElementDefinition.slicing", "eld-1"): ({"description": "x"}, {"rules": "open"}),
    ("ElementDefinition.max", "eld-3"): ({"max": "*"}, {"max": "many"}),
    ("ElementDefinition.type", "eld-4"): (
        {"code": "Reference", "aggregation": ["bundled"]},
        {"code": "string", "aggregation": ["bundled"]},
    ),
    ("ElementDefinition.type", "eld-17"): (
        {"code": "canonical", "targetProfile": ["http://a.example"]},
        {"code": "string", "targetProfile": ["http://a.example"]},
    ),
    ("ElementDefinition.binding", "eld-12"): (
        {"valueSet": "http://a.example"},
        {"valueSet": "ValueSet/a"},
    ),
    ("Expression", "exp-1"): ({"expression": "a"}, {"language": "text/fhirpath"}),
    ("Period", "per-1"): (
        {"start": "2026-03-15T10:00:00Z", "end": "2026-03"},
        {"start": "2026-03-15T10:00:01+01:00", "end": "2026-03-15T09:00:00.5Z"},
    ),
    ("Quantity", "qty-3"): (CODED, {"value": 1, "code": "a"}),
    ("Range", "rng-2"): (
        {"low": {"value": 5, "unit": "g"}, "high": {"value": 2, "unit": "kg"}},
        {"low": {"value": 5, "unit": "g"}, "high": {"value": 2, "unit": "g"}},
    ),
    ("Ratio", "rat-1"): ({"numerator": {}, "denominator": {}}, {"numerator": {"value": 1}}),
    ("Timing.repeat", "tim-1"): ({"duration": 1, "durationUnit": "h"}, {"duration": 1}),
    ("Timing.repeat", "tim-2"): ({"period": 1, "periodUnit": "h"}, {"period": 1}),
    ("Timing.repeat", "tim-4"): ({"duration": 0}, {"duration": -1}),
    ("Timing.repeat", "tim-5"): ({"period": 0}, {"period": Decimal("-0.1")}),
    ("Timing.repeat", "tim-6"): ({"period": 1, "periodMax": 2}, {"periodMax": 2}),
    ("Timing.repeat", "tim-7"): ({"duration": 1, "durationMax": 2}, {"durationMax": 2}),
    ("Timing.repeat", "tim-8"): ({"count": 1, "countMax": 2}, {"countMax": 2}),
    ("Timing.repeat", "tim-9"): (
        {"offset": 1, "when": ["ACM"]},
        {"offset": 1, "when": ["CM"]},
    ),
    ("Timing.repeat", "tim-10"): (
        {"timeOfDay": ["10:00:00"]},
        {"timeOfDay": ["10:00:00"], "when": ["ACM"]},
    ),
    ("TriggerDefinition", "trd-1"): ({"data": [{}]}, {"data": [{}], "timingDate": "2026"}),
    ("TriggerDefinition", "trd-2"): ({"data": [{}], "condition": {}}, {"condition": {}}),
    ("TriggerDefinition", "trd-3"): (
        {"type": "named-event", "name": "x"},
        {"type": "data-added", "name": "x"},
    ),
}


def test_given_the_invariants_of_types_when_listed_then_each_has_a_case() -> None:
    assert CASES.keys() == PREDICATES.keys()


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_given_an_element_when_asked_then_the_invariant_holds_or_breaks(
    case: tuple[str, str],
) -> None:
    kept, broken = CASES[case]
    assert PREDICATES[case](kept)
    assert not PREDICATES[case](broken)
