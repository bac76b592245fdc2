from __future__ import annotations

from coordhub.r4 import definitions


def test_given_r4_when_counted_then_there_are_its_146_resources() -> None:
    assert len(definitions.resources()) == 146
    assert {"ServiceRequest", "Task", "Bundle", "Binary"} <= definitions.resources()
    assert not {"Resource", "DomainResource", "SubscriptionTopic"} & definitions.resources()


def test_given_any_type_when_its_elements_are_followed_then_every_type_is_known() -> None:
    known = definitions.types() | definitions.primitives() | {definitions.RESOURCE}
    named = {
        name
        for type_name in definitions.types()
        for element in definitions.elements(type_name)
        for name in element.types
    }
    assert named <= known


def test_given_an_element_with_a_binding_when_asked_then_its_codes_are_known() -> None:
    bound = {
        element.codes
        for type_name in definitions.types()
        for element in definitions.elements(type_name)
        if element.codes
    }
    assert len(bound) == 211
    assert all(definitions.codes(value_set) for value_set in bound)


def test_given_a_choice_when_asked_for_json_names_then_each_type_has_one() -> None:
    elements = {element.name: element for element in definitions.elements("Observation")}
    assert elements["effective"].json_names() == {
        "effectiveDateTime": "dateTime",
        "effectivePeriod": "Period",
        "effectiveTiming": "Timing",
        "effectiveInstant": "instant",
    }
    assert elements["effective"].label() == "effective[x]"
    assert elements["status"].json_names() == {"status": "code"}


def test_given_an_element_when_read_then_cardinality_targets_and_summary_are_as_published() -> None:
    elements = {element.name: element for element in definitions.elements("Observation")}
    assert elements["code"].required
    assert not elements["code"].repeats
    assert elements["component"].repeats
    assert elements["component"].types == ("Observation.component",)
    assert elements["subject"].targets == ("Device", "Group", "Location", "Patient")
    assert elements["focus"].targets == ()
    assert elements["status"].summary
    assert not elements["note"].summary
    assert definitions.elements("Observation.component")[-1].types == (
        "Observation.referenceRange",
    )


def test_given_r4_when_searched_for_resources_in_resources_then_they_are_where_check_enters() -> (
    None
):
    places = {
        f"{type_name}.{element.name}"
        for type_name in definitions.types()
        for element in definitions.elements(type_name)
        if definitions.RESOURCE in element.types and element.name != "contained"
    }
    assert places == {
        "Bundle.entry.resource",
        "Bundle.entry.response.outcome",
        "Parameters.parameter.resource",
    }
