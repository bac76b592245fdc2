"""Every invariant of a resource that defines things, once kept and once broken."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.r4.invariants_of_definitions import PREDICATES

BOTH = {"operation": {}, "assert": {}}
HL7 = "http://hl7.org/fhir/StructureDefinition/X"


def snapshot(*elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"snapshot": {"element": list(elements)}, **more}


def differential(*elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"differential": {"element": list(elements)}, **more}


# (path, key): kept, broken
CASES: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("CapabilityStatement", "cpb-1"): ({"rest": [{}]}, {"kind": "instance"}),
    ("CapabilityStatement", "cpb-2"): ({"software": {}}, {"kind": "instance"}),
    ("CapabilityStatement", "cpb-3"): (
        {"kind": "instance", "messaging": [{"endpoint": [{}]}]},
        {"kind": "capability", "messaging": [{"endpoint": [{}]}]},
    ),
    ("CapabilityStatement", "cpb-7"): (
        {"document": [{"mode": "a"}, {"mode": "b"}]},
        {"document": [{"mode": "a"}, {"mode": "a"}]},
    ),
    ("CapabilityStatement", "cpb-14"): (
        {"kind": "instance", "implementation": {}},
        {"kind": "instance"},
    ),
    ("CapabilityStatement", "cpb-15"): (
        {"kind": "capability", "software": {}},
        {"kind": "capability"},
    ),
    ("CapabilityStatement", "cpb-16"): (
        {"kind": "requirements"},
        {"kind": "requirements", "software": {}},
    ),
    ("CapabilityStatement.rest", "cpb-9"): (
        {"resource": [{"type": "Task"}, {"type": "Patient"}]},
        {"resource": [{"type": "Task"}, {"type": "Task"}]},
    ),
    ("CapabilityStatement.rest.resource", "cpb-12"): (
        {"searchParam": [{"name": "a"}]},
        {"searchParam": [{"name": "a"}, {"name": "a"}]},
    ),
    ("CodeSystem", "csd-1"): (
        {"concept": [{"code": "a"}, {"code": "b"}]},
        {"concept": [{"code": "a", "concept": [{"code": "a"}]}]},
    ),
    ("ConceptMap.group.element.target", "cmd-1"): (
        {"equivalence": "narrower", "comment": "x"},
        {"equivalence": "narrower"},
    ),
    ("ConceptMap.group.unmapped", "cmd-2"): ({"mode": "fixed", "code": "x"}, {"mode": "fixed"}),
    ("ConceptMap.group.unmapped", "cmd-3"): (
        {"mode": "other-map", "url": "http://a.example"},
        {"mode": "other-map"},
    ),
    ("ImplementationGuide", "ig-2"): (
        {"fhirVersion": ["4.0.1"], "definition": {"resource": [{"fhirVersion": ["4.0.1"]}]}},
        {"fhirVersion": ["4.0.1"], "definition": {"resource": [{"fhirVersion": ["3.0.2"]}]}},
    ),
    ("ImplementationGuide.definition", "ig-1"): (
        {"grouping": [{"id": "a"}], "resource": [{"groupingId": "a"}]},
        {"resource": [{"groupingId": "a"}]},
    ),
    ("Measure", "mea-1"): (
        {"group": [{"stratifier": [{"criteria": {}}]}]},
        {"group": [{"stratifier": [{"criteria": {}, "component": [{}]}]}]},
    ),
    ("MessageDefinition.focus", "md-1"): ({"max": "*"}, {"max": "0"}),
    ("NamingSystem", "nsd-1"): (
        {"kind": "root", "uniqueId": [{"type": "oid"}]},
        {"kind": "root", "uniqueId": [{"type": "uuid"}]},
    ),
    ("NamingSystem", "nsd-2"): (
        {"uniqueId": [{"type": "oid", "preferred": True}, {"type": "oid"}]},
        {"uniqueId": [{"type": "oid", "preferred": True}, {"type": "oid", "preferred": True}]},
    ),
    ("OperationDefinition.parameter", "opd-1"): ({"part": [{}]}, {"name": "x"}),
    ("OperationDefinition.parameter", "opd-2"): (
        {"searchType": "token", "type": "string"},
        {"searchType": "token", "type": "code"},
    ),
    ("OperationDefinition.parameter", "opd-3"): (
        {"targetProfile": ["x"], "type": "canonical"},
        {"targetProfile": ["x"], "type": "string"},
    ),
    ("Questionnaire", "que-2"): (
        {"item": [{"linkId": "a"}, {"linkId": "b"}]},
        {"item": [{"linkId": "a", "item": [{"linkId": "a"}]}]},
    ),
    ("Questionnaire.item", "que-1"): ({"type": "group", "item": [{}]}, {"type": "group"}),
    ("Questionnaire.item", "que-3"): (
        {"type": "group", "code": []},
        {"type": "display", "code": []},
    ),
    ("Questionnaire.item", "que-4"): (
        {"answerOption": [{}]},
        {"answerOption": [{}], "answerValueSet": "x"},
    ),
    ("Questionnaire.item", "que-5"): (
        {"type": "choice", "answerValueSet": "x"},
        {"type": "boolean", "answerValueSet": "x"},
    ),
    ("Questionnaire.item", "que-6"): (
        {"type": "string", "required": True},
        {"type": "display", "required": True},
    ),
    ("Questionnaire.item", "que-8"): (
        {"type": "string", "initial": [{}]},
        {"type": "group", "initial": [{}]},
    ),
    ("Questionnaire.item", "que-9"): (
        {"type": "string", "readOnly": True},
        {"type": "display", "readOnly": True},
    ),
    ("Questionnaire.item", "que-10"): (
        {"type": "text", "maxLength": 3},
        {"type": "date", "maxLength": 3},
    ),
    ("Questionnaire.item", "que-11"): (
        {"initial": [{}]},
        {"initial": [{}], "answerOption": [{}]},
    ),
    ("Questionnaire.item", "que-12"): (
        {"enableWhen": [{}, {}, {}], "enableBehavior": "all"},
        {"enableWhen": [{}, {}, {}]},
    ),
    ("Questionnaire.item", "que-13"): (
        {"repeats": True, "initial": [{}, {}]},
        {"initial": [{}, {}]},
    ),
    ("Questionnaire.item.enableWhen", "que-7"): (
        {"operator": "exists", "answerBoolean": True},
        {"operator": "exists", "answerString": "x"},
    ),
    ("SearchParameter", "spd-1"): ({"xpath": "x", "xpathUsage": "normal"}, {"xpath": "x"}),
    ("SearchParameter", "spd-2"): (
        {"chain": ["a"], "type": "reference"},
        {"chain": ["a"], "type": "token"},
    ),
    ("StructureDefinition", "sdf-1"): (
        snapshot({"path": "A"}, {"path": "A.b"}),
        snapshot({"path": "A"}, {"path": "A"}),
    ),
    ("StructureDefinition", "sdf-4"): ({"abstract": True}, {"abstract": False}),
    ("StructureDefinition", "sdf-5"): (
        {"type": "Extension", "context": [{}]},
        {"type": "Extension", "derivation": "constraint"},
    ),
    ("StructureDefinition", "sdf-6"): (snapshot(), {"type": "A"}),
    ("StructureDefinition", "sdf-9"): (
        snapshot({"path": "A"}, {"path": "A.b", "label": "x"}),
        snapshot({"path": "A", "label": "x"}),
    ),
    ("StructureDefinition", "sdf-11"): (
        snapshot({"path": "A"}, type="A"),
        snapshot({"path": "B"}, type="A"),
    ),
    ("StructureDefinition", "sdf-14"): (snapshot({"id": "A"}), differential({"path": "A"})),
    ("StructureDefinition", "sdf-15"): (
        snapshot({"path": "A", "type": [{}]}, kind="logical"),
        snapshot({"path": "A", "type": [{}]}),
    ),
    ("StructureDefinition", "sdf-15a"): (
        differential({"path": "A.b", "type": [{}]}),
        differential({"path": "A", "type": [{}]}),
    ),
    ("StructureDefinition", "sdf-16"): (
        snapshot({"id": "A"}, {"id": "A.b"}),
        snapshot({"id": "A"}, {"id": "A"}),
    ),
    ("StructureDefinition", "sdf-17"): (
        differential({"id": "A"}, {"id": "A.b"}),
        differential({"id": "A"}, {"id": "A"}),
    ),
    ("StructureDefinition", "sdf-18"): (
        {"contextInvariant": ["x"], "type": "Extension"},
        {"contextInvariant": ["x"], "type": "Patient"},
    ),
    ("StructureDefinition", "sdf-19"): (
        snapshot({"type": [{"code": "Quantity"}]}, url=HL7),
        snapshot({"type": [{"code": "a b"}]}, url=HL7),
    ),
    ("StructureDefinition", "sdf-21"): (
        differential({"defaultValueCode": "x"}, derivation="specialization"),
        differential({"defaultValueCode": "x"}, derivation="constraint"),
    ),
    ("StructureDefinition", "sdf-22"): (
        snapshot({"defaultValueCode": "x"}, url="http://a.example"),
        snapshot({"defaultValueCode": "x"}, url=HL7),
    ),
    ("StructureDefinition", "sdf-23"): (
        snapshot({"path": "A.b", "sliceName": "x"}),
        snapshot({"path": "A", "sliceName": "x"}),
    ),
    ("StructureDefinition.mapping", "sdf-2"): ({"name": "x"}, {"identity": "x"}),
    ("StructureDefinition.snapshot", "sdf-3"): (
        {"element": [{"definition": "x", "min": 0, "max": "1"}]},
        {"element": [{"definition": "x", "min": 0}]},
    ),
    ("StructureDefinition.snapshot", "sdf-8"): (
        snapshot({"path": "A"}, {"path": "A.b"}, type="A"),
        snapshot({"path": "A"}, {"path": "Ab.b"}, type="A"),
    ),
    ("StructureDefinition.snapshot", "sdf-8b"): (
        {"element": [{"base": {}}]},
        {"element": [{"path": "A"}]},
    ),
    ("StructureDefinition.snapshot.element", "sdf-10"): (
        {"binding": {"valueSet": "x"}},
        {"binding": {"strength": "example"}},
    ),
    ("StructureDefinition.differential", "sdf-8a"): (
        differential({"path": "A.b"}, {"path": "A.c"}, type="A"),
        differential({"path": "A.b"}, {"path": "B.c"}, type="A"),
    ),
    ("StructureDefinition.differential", "sdf-20"): (
        {"element": [{"path": "A.b", "slicing": {}}]},
        {"element": [{"path": "A", "slicing": {}}]},
    ),
    ("StructureMap.group.rule.target", "smp-1"): (
        {"element": "x", "context": "y"},
        {"element": "x"},
    ),
    ("StructureMap.group.rule.target", "smp-2"): (
        {"context": "y", "contextType": "type"},
        {"context": "y"},
    ),
    ("TerminologyCapabilities", "tcp-2"): ({"description": "x"}, {"kind": "instance"}),
    ("TerminologyCapabilities", "tcp-3"): (
        {"kind": "instance", "implementation": {}},
        {"kind": "instance"},
    ),
    ("TerminologyCapabilities", "tcp-4"): (
        {"kind": "capability", "software": {}},
        {"kind": "capability", "software": {}, "implementation": {}},
    ),
    ("TerminologyCapabilities", "tcp-5"): (
        {"kind": "requirements"},
        {"kind": "requirements", "implementation": {}},
    ),
    ("TerminologyCapabilities.codeSystem", "tcp-1"): (
        {"version": [{"code": "1"}, {"code": "2"}]},
        {"version": [{"code": "1"}, {"isDefault": True}]},
    ),
    ("TestReport.setup.action", "inv-1"): ({"assert": {}}, BOTH),
    ("TestReport.test.action", "inv-2"): ({"operation": {}}, BOTH),
    ("TestScript.metadata", "tst-4"): (
        {"capability": [{"required": True}]},
        {"capability": [{"required": True}, {"link": ["http://a.example"]}]},
    ),
    ("TestScript.variable", "tst-3"): (
        {"expression": "x", "path": "y"},
        {"expression": "x", "path": "y", "headerField": "z"},
    ),
    ("TestScript.setup.action", "tst-1"): ({"assert": {}}, BOTH),
    ("TestScript.setup.action.operation", "tst-7"): (
        {"type": {"code": "search"}},
        {"type": {"code": "read"}, "url": "x", "params": "y"},
    ),
    ("TestScript.setup.action.assert", "tst-5"): ({"path": "x"}, {"path": "x", "response": "okay"}),
    ("TestScript.setup.action.assert", "tst-10"): (
        {"compareToSourceId": "a", "compareToSourcePath": "b"},
        {"compareToSourceId": "a"},
    ),
    ("TestScript.setup.action.assert", "tst-12"): (
        {"direction": "response", "response": "okay"},
        {"direction": "request", "response": "okay"},
    ),
    ("TestScript.test.action", "tst-2"): ({"assert": {}}, BOTH),
    ("ValueSet.compose.include", "vsd-1"): ({"system": "x"}, {"version": "1"}),
    ("ValueSet.compose.include", "vsd-2"): (
        {"system": "x", "concept": [{}]},
        {"valueSet": ["x"], "concept": [{}]},
    ),
    ("ValueSet.compose.include", "vsd-3"): ({"filter": [{}]}, {"filter": [{}], "concept": [{}]}),
    ("ValueSet.expansion.contains", "vsd-6"): ({"display": "x"}, {"abstract": True}),
    ("ValueSet.expansion.contains", "vsd-9"): ({"abstract": True}, {"display": "x"}),
    ("ValueSet.expansion.contains", "vsd-10"): ({"code": "x", "system": "y"}, {"code": "x"}),
}


def test_given_the_invariants_of_definitions_when_listed_then_each_has_a_case() -> None:
    assert CASES.keys() == PREDICATES.keys()


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_given_an_element_when_asked_then_the_invariant_holds_or_breaks(
    case: tuple[str, str],
) -> None:
    kept, broken = CASES[case]
    assert PREDICATES[case](kept)
    assert not PREDICATES[case](broken)
