"""Invariants of the resources that define things (profiles, questionnaires, tests), as predicates.

http://hl7.org/fhir/R4/conformance-module.html
"""

from __future__ import annotations

import re
from typing import Final

from coordhub.r4.invariant_words import (
    Each,
    Holds,
    Node,
    count,
    distinct,
    either,
    has,
    has_choice,
    items,
    needs,
    not_both,
    only_one,
    values,
)

_OF_HL7 = "http://hl7.org/fhir/StructureDefinition"
_TYPE_NAME: Final = re.compile(
    r"[a-zA-Z0-9.]+|http://hl7\.org/fhirpath/System\.[A-Z][A-Za-z]+", re.ASCII
)

_LOOSE_OPERATIONS = ("capabilities", "search", "transaction", "history")
_ASSERTIONS = (
    "contentType", "expression", "headerField", "minimumId", "navigationLinks", "path",
    "requestMethod", "resource", "responseCode", "response", "validateProfileId",
)  # fmt: skip
_WITH_OPTIONS = (
    "choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity",
)  # fmt: skip
_WITH_LENGTH = ("boolean", "decimal", "integer", "string", "text", "url", "open-choice")


def _kind_is(kind: str, *, implementation: bool | None, software: bool | None) -> Holds:
    """Where `kind` is this, what must (True) and must not (False) be there."""

    def holds(node: Node) -> bool:
        if node.get("kind") != kind:
            return True
        return all(
            wanted is None or has(node, name) == wanted
            for name, wanted in (("implementation", implementation), ("software", software))
        )

    return holds


def _codes(node: Node) -> list[object]:
    """All codes of a CodeSystem, of all levels."""
    found: list[object] = []
    for concept in items(node, "concept"):
        found += [concept.get("code"), *_codes(concept)]
    return found


def _link_ids(node: Node) -> list[object]:
    """All link ids of a Questionnaire, of all levels."""
    found: list[object] = []
    for item in items(node, "item"):
        found += [*values([item], "linkId"), *_link_ids(item)]
    return found


def _content_of_item(node: Node) -> bool:
    kind = node.get("type")
    return not (kind == "group" and not has(node, "item")) and not (
        kind == "display" and has(node, "item")
    )


def _not_of(kind: str, *names: str) -> Holds:
    """An item of this type has none of these."""
    return lambda node: node.get("type") != kind or not has(node, *names)


def _elements(node: Node, *views: str) -> list[Node]:
    return [element for view in views for element in items(node, view, "element")]


def _is_root(element: Node) -> bool:
    return "." not in element.get("path", ".")


def _first(node: Node, view: str) -> Node:
    return next(iter(_elements(node, view)), {})


def _root_without(*names: str) -> Holds:
    """The first element of snapshot and differential has none of these."""
    return lambda node: (
        not any(
            _is_root(element) and has(element, *names)
            for element in _elements(node, "snapshot", "differential")
        )
    )


def _ids(view: str) -> Holds:
    """All elements of a view have ids, and different ones."""

    def holds(node: Node) -> bool:
        elements = _elements(node, view)
        found = values(elements, "id")
        return len(found) == len(elements) and distinct(found)

    return holds


def _snapshot_begins(node: Node) -> bool:
    return (
        node.get("kind") == "logical"
        or not has(node, "snapshot")
        or _first(node, "snapshot").get("path") == node.get("type")
    )


def _paths_of_snapshot(node: Node) -> bool:
    elements = _elements(node, "snapshot")
    if not elements:
        return True
    root = elements[0].get("path", "")
    return (node.get("kind") == "logical" or root == node.get("type")) and all(
        element.get("path", "").startswith(f"{root}.") for element in elements[1:]
    )


def _paths_of_differential(node: Node) -> bool:
    elements = _elements(node, "differential")
    if not elements:
        return True
    first = elements[0].get("path", "")
    root = first.partition(".")[0]
    return (node.get("kind") == "logical" or first.startswith(node.get("type", ""))) and all(
        element.get("path", "").startswith(f"{root}.") for element in elements[1:]
    )


def _types_of_fhir(node: Node) -> bool:
    return not node.get("url", "").startswith(_OF_HL7) or all(
        _TYPE_NAME.fullmatch(code)
        for element in _elements(node, "snapshot", "differential")
        for code in values(items(element, "type"), "code")
    )


def _has_defaults(node: Node, *views: str) -> bool:
    return any(has_choice(element, "defaultValue") for element in _elements(node, *views))


def _operation(node: Node) -> bool:
    return (
        has(node, "sourceId")
        or count(node, "targetId", "url", "params") == 1
        or (node.get("type") or {}).get("code") in _LOOSE_OPERATIONS
    )


def _one_assertion(node: Node) -> bool:
    return has(node, "extension") or count(node, *_ASSERTIONS) <= 1


def _comparison(node: Node) -> bool:
    return has(node, "compareToSourceId") == has(
        node, "compareToSourceExpression", "compareToSourcePath"
    )


def _direction(node: Node) -> bool:
    return node.get("direction") != "request" or not has(node, "response", "responseCode")


_what_it_is: Final = either("description", "software", "implementation")
_operation_or_assert: Final = only_one("operation", "assert")

PREDICATES: Final[dict[tuple[str, str], Holds]] = {
    ("CapabilityStatement", "cpb-1"): either("rest", "messaging", "document"),
    ("CapabilityStatement", "cpb-2"): _what_it_is,
    ("CapabilityStatement", "cpb-3"): lambda node: (
        node.get("kind") == "instance" or not items(node, "messaging", "endpoint")
    ),
    ("CapabilityStatement", "cpb-7"): lambda node: distinct(
        (each.get("profile"), each.get("mode")) for each in items(node, "document")
    ),
    ("CapabilityStatement", "cpb-14"): _kind_is("instance", implementation=True, software=None),
    ("CapabilityStatement", "cpb-15"): _kind_is("capability", implementation=False, software=True),
    ("CapabilityStatement", "cpb-16"): _kind_is(
        "requirements", implementation=False, software=False
    ),
    ("CapabilityStatement.rest", "cpb-9"): lambda node: distinct(
        values(items(node, "resource"), "type")
    ),
    ("CapabilityStatement.rest.resource", "cpb-12"): lambda node: distinct(
        values(items(node, "searchParam"), "name")
    ),
    ("CodeSystem", "csd-1"): lambda node: distinct(_codes(node)),
    ("ConceptMap.group.element.target", "cmd-1"): lambda node: (
        has(node, "comment") or node.get("equivalence") not in ("narrower", "inexact")
    ),
    ("ConceptMap.group.unmapped", "cmd-2"): lambda node: (
        node.get("mode") != "fixed" or has(node, "code")
    ),
    ("ConceptMap.group.unmapped", "cmd-3"): lambda node: (
        node.get("mode") != "other-map" or has(node, "url")
    ),
    ("ImplementationGuide", "ig-2"): lambda node: (
        {v for each in items(node, "definition", "resource") for v in each.get("fhirVersion") or ()}
        <= set(node.get("fhirVersion") or ())
    ),
    ("ImplementationGuide.definition", "ig-1"): lambda node: (
        set(values(items(node, "resource"), "groupingId"))
        <= set(values(items(node, "grouping"), "id"))
    ),
    ("Measure", "mea-1"): lambda node: all(
        has(each, "code", "description", "criteria") != has(each, "component")
        for each in items(node, "group", "stratifier")
    ),
    ("MessageDefinition.focus", "md-1"): lambda node: (
        "max" not in node
        or node["max"] == "*"
        or (node["max"].isdecimal() and int(node["max"]) > 0)
    ),
    ("NamingSystem", "nsd-1"): lambda node: (
        node.get("kind") != "root" or "uuid" not in values(items(node, "uniqueId"), "type")
    ),
    ("NamingSystem", "nsd-2"): lambda node: distinct(
        each.get("type") for each in items(node, "uniqueId") if each.get("preferred") is True
    ),
    ("OperationDefinition.parameter", "opd-1"): either("type", "part"),
    ("OperationDefinition.parameter", "opd-2"): lambda node: (
        not has(node, "searchType") or node.get("type") == "string"
    ),
    ("OperationDefinition.parameter", "opd-3"): lambda node: (
        not has(node, "targetProfile") or node.get("type") in ("Reference", "canonical")
    ),
    ("Questionnaire", "que-2"): lambda node: distinct(_link_ids(node)),
    ("Questionnaire.item", "que-1"): _content_of_item,
    ("Questionnaire.item", "que-3"): _not_of("display", "code"),
    ("Questionnaire.item", "que-4"): not_both("answerOption", "answerValueSet"),
    ("Questionnaire.item", "que-5"): lambda node: (
        node.get("type") in _WITH_OPTIONS or not has(node, "answerOption", "answerValueSet")
    ),
    ("Questionnaire.item", "que-6"): _not_of("display", "required", "repeats"),
    ("Questionnaire.item", "que-8"): lambda node: (
        node.get("type") not in ("group", "display") or not has(node, "initial")
    ),
    ("Questionnaire.item", "que-9"): _not_of("display", "readOnly"),
    ("Questionnaire.item", "que-10"): lambda node: (
        node.get("type") in _WITH_LENGTH or not has(node, "maxLength")
    ),
    ("Questionnaire.item", "que-11"): not_both("answerOption", "initial"),
    ("Questionnaire.item", "que-12"): lambda node: (
        count(node, "enableWhen") <= 2 or has(node, "enableBehavior")
    ),
    ("Questionnaire.item", "que-13"): lambda node: (
        node.get("repeats") is True or count(node, "initial") <= 1
    ),
    ("Questionnaire.item.enableWhen", "que-7"): lambda node: (
        node.get("operator") != "exists" or has(node, "answerBoolean")
    ),
    ("SearchParameter", "spd-1"): needs("xpath", "xpathUsage"),
    ("SearchParameter", "spd-2"): lambda node: (
        not has(node, "chain") or node.get("type") == "reference"
    ),
    ("StructureDefinition", "sdf-1"): lambda node: (
        node.get("derivation") == "constraint"
        or distinct(values(_elements(node, "snapshot"), "path"))
    ),
    ("StructureDefinition", "sdf-4"): lambda node: (
        node.get("abstract") is True or has(node, "baseDefinition")
    ),
    ("StructureDefinition", "sdf-5"): lambda node: (
        node.get("type") != "Extension"
        or node.get("derivation") == "specialization"
        or has(node, "context")
    ),
    ("StructureDefinition", "sdf-6"): either("snapshot", "differential"),
    ("StructureDefinition", "sdf-9"): _root_without("label", "code", "requirements"),
    ("StructureDefinition", "sdf-11"): _snapshot_begins,
    ("StructureDefinition", "sdf-14"): lambda node: all(
        "id" in element for element in _elements(node, "snapshot", "differential")
    ),
    ("StructureDefinition", "sdf-15"): lambda node: (
        node.get("kind") == "logical" or not has(_first(node, "snapshot"), "type")
    ),
    ("StructureDefinition", "sdf-15a"): lambda node: (
        node.get("kind") == "logical"
        or not _is_root(_first(node, "differential"))
        or not has(_first(node, "differential"), "type")
    ),
    ("StructureDefinition", "sdf-16"): _ids("snapshot"),
    ("StructureDefinition", "sdf-17"): _ids("differential"),
    ("StructureDefinition", "sdf-18"): lambda node: (
        not has(node, "contextInvariant") or node.get("type") == "Extension"
    ),
    ("StructureDefinition", "sdf-19"): _types_of_fhir,
    ("StructureDefinition", "sdf-21"): lambda node: (
        node.get("derivation") == "specialization" or not _has_defaults(node, "differential")
    ),
    ("StructureDefinition", "sdf-22"): lambda node: (
        not node.get("url", "").startswith(_OF_HL7)
        or not _has_defaults(node, "snapshot", "differential")
    ),
    ("StructureDefinition", "sdf-23"): _root_without("sliceName"),
    ("StructureDefinition.mapping", "sdf-2"): either("name", "uri"),
    ("StructureDefinition.snapshot", "sdf-3"): Each(
        "element",
        lambda element, _: (
            has(element, "definition") and has(element, "min") and has(element, "max")
        ),
    ),
    ("StructureDefinition.snapshot", "sdf-8"): _paths_of_snapshot,
    ("StructureDefinition.snapshot", "sdf-8b"): Each(
        "element", lambda element, _: has(element, "base")
    ),
    ("StructureDefinition.snapshot.element", "sdf-10"): lambda node: (
        "binding" not in node or has(node["binding"], "valueSet", "description")
    ),
    ("StructureDefinition.differential", "sdf-8a"): _paths_of_differential,
    ("StructureDefinition.differential", "sdf-20"): Each(
        "element", lambda element, _: not _is_root(element) or not has(element, "slicing")
    ),
    ("StructureMap.group.rule.target", "smp-1"): needs("element", "context"),
    ("StructureMap.group.rule.target", "smp-2"): needs("context", "contextType"),
    ("TerminologyCapabilities", "tcp-2"): _what_it_is,
    ("TerminologyCapabilities", "tcp-3"): _kind_is("instance", implementation=True, software=None),
    ("TerminologyCapabilities", "tcp-4"): _kind_is(
        "capability", implementation=False, software=True
    ),
    ("TerminologyCapabilities", "tcp-5"): _kind_is(
        "requirements", implementation=False, software=False
    ),
    ("TerminologyCapabilities.codeSystem", "tcp-1"): lambda node: (
        count(node, "version") <= 1 or all(has(each, "code") for each in items(node, "version"))
    ),
    ("TestReport.setup.action", "inv-1"): _operation_or_assert,
    ("TestReport.test.action", "inv-2"): _operation_or_assert,
    ("TestScript.metadata", "tst-4"): Each(
        "capability", lambda capability, _: has(capability, "required", "validated")
    ),
    ("TestScript.variable", "tst-3"): lambda node: (
        not (has(node, "expression") and has(node, "headerField") and has(node, "path"))
    ),
    ("TestScript.setup.action", "tst-1"): _operation_or_assert,
    ("TestScript.setup.action.operation", "tst-7"): _operation,
    ("TestScript.setup.action.assert", "tst-5"): _one_assertion,
    ("TestScript.setup.action.assert", "tst-10"): _comparison,
    ("TestScript.setup.action.assert", "tst-12"): _direction,
    ("TestScript.test.action", "tst-2"): _operation_or_assert,
    ("ValueSet.compose.include", "vsd-1"): either("valueSet", "system"),
    ("ValueSet.compose.include", "vsd-2"): lambda node: (
        not has(node, "concept", "filter") or has(node, "system")
    ),
    ("ValueSet.compose.include", "vsd-3"): not_both("concept", "filter"),
    ("ValueSet.expansion.contains", "vsd-6"): either("code", "display"),
    ("ValueSet.expansion.contains", "vsd-9"): lambda node: (
        has(node, "code") or node.get("abstract") is True
    ),
    ("ValueSet.expansion.contains", "vsd-10"): needs("code", "system"),
}
