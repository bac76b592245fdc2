"""Which interaction a method and an address mean."""

from __future__ import annotations

import pytest

from coordhub.errors import FhirError
from coordhub.fhir.dispatch import Target, dispatch, needs


@pytest.mark.parametrize(
    ("method", "path", "target", "scope"),
    [
        ("GET", "metadata", Target("capabilities"), None),
        ("POST", "", Target("transaction"), None),
        ("GET", "Task", Target("search-type", "Task"), "search"),
        ("POST", "Task/_search", Target("search-type", "Task"), "search"),
        ("POST", "Task", Target("create", "Task"), "create"),
        ("GET", "Task/a.1-B", Target("read", "Task", "a.1-B"), "read"),
        ("HEAD", "Task/1", Target("read", "Task", "1"), "read"),
        ("PUT", "Task/1", Target("update", "Task", "1"), "update"),
        ("DELETE", "Task/1", Target("delete", "Task", "1"), "delete"),
        ("PATCH", "Task/1", Target("patch", "Task", "1"), "update"),
        ("GET", "Task/1/_history", Target("history-instance", "Task", "1"), "read"),
        ("GET", "Task/1/_history/12", Target("vread", "Task", "1", 12), "read"),
        ("GET", "/Task/1/", Target("read", "Task", "1"), "read"),
        ("GET", "Task/_history", Target("history-type", "Task"), "read"),
        ("GET", "_history", Target("history-system"), None),
        ("GET", "", Target("search-system"), None),
        ("POST", "_search", Target("search-system"), None),
        (
            "GET",
            "Patient/1/Task",
            Target("search-type", "Task", compartment=("Patient", "1")),
            "search",
        ),
        (
            "POST",
            "Encounter/1/*/_search",
            Target("search-system", compartment=("Encounter", "1")),
            None,
        ),
        (
            "GET",
            "Patient/1/$everything",
            Target("operation", "Patient", "1", operation="everything"),
            "read",
        ),
        ("POST", "Task/$validate", Target("operation", "Task", operation="validate"), "read"),
        (
            "POST",
            "Task/1/$meta-add",
            Target("operation", "Task", "1", operation="meta-add"),
            "update",
        ),
        ("GET", "$meta", Target("operation", operation="meta"), "read"),
    ],
)
def test_given_an_address_when_dispatched_then_it_is_that_interaction(method, path, target, scope):
    assert dispatch(method, path.split("/")) == target
    assert needs(target) == scope


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "Tasks/1", 404),
        ("GET", "Task/" + "a" * 65, 404),
        ("GET", "Task/1_2", 404),
        ("GET", "Task/\u0661", 404),
        ("GET", "Task/1/_history/x", 404),
        ("GET", "Task/1/_history/2147483648", 404),
        ("GET", "Task/1/2", 404),
        ("POST", "Task/1", 405),
        ("PUT", "Task", 400),
        ("DELETE", "Task", 400),
        ("PATCH", "Task", 400),
        ("GET", "Task/$validate", 405),
        ("POST", "$validate", 400),
        ("GET", "Task/1/$everything", 400),
        ("GET", "Task/$everything", 400),
        ("DELETE", "Patient/1/$everything", 405),
        ("GET", "Patient/1/$meta/more", 400),
        ("GET", "Tusk/$meta", 404),
        ("PUT", "_history", 405),
        ("GET", "_search", 405),
        ("POST", "Patient/1/Task", 405),
        ("GET", "Patient/1/Tasks", 404),
        ("GET", "Task/1/Patient", 404),
        ("GET", "Patient/1_2/Task", 404),
        ("GET", "$export", 400),
        ("DELETE", "Task/1/_history", 405),
        ("GET", "Task/_search", 405),
    ],
)
def test_given_no_such_address_when_dispatched_then_it_is_refused(method, path, status):
    with pytest.raises(FhirError) as refused:
        dispatch(method, path.split("/"))
    assert refused.value.status == status


@pytest.mark.parametrize(
    "path",
    [
        "$graphql", "$export", "$process-message", "$versions", "$convert", "Patient/$merge",
        "Patient/$export", "Group/1/$export", "Composition/1/$document", "CodeSystem/$lookup",
        "CodeSystem/$subsumes", "ConceptMap/$translate", "ConceptMap/$closure", "ValueSet/$expand",
        "ValueSet/$validate-code", "List/$find", "Observation/$stats", "PlanDefinition/1/$apply",
        "Measure/1/$evaluate-measure", "StructureMap/1/$transform", "Claim/$submit",
        "MessageHeader/$process-message", "Questionnaire/1/$populate",
        "StructureDefinition/1/$snapshot", "SearchParameter/$nothing",
    ],
)  # fmt: skip
def test_given_an_operation_that_is_not_served_when_dispatched_then_400_names_it(path):
    with pytest.raises(FhirError) as refused:
        dispatch("POST", path.split("/"))
    assert refused.value.status == 400
    assert refused.value.issues[0].code == "not-supported"
    assert path.rpartition("/")[2] in refused.value.issues[0].diagnostics


@pytest.mark.parametrize(
    ("method", "interaction"), [("PUT", "update"), ("PATCH", "patch"), ("DELETE", "delete")]
)
def test_given_criteria_when_dispatched_then_the_write_has_no_id(method, interaction):
    assert dispatch(method, ["Task"], conditional=True) == Target(interaction, "Task")


def test_given_a_create_with_a_query_when_dispatched_then_400():
    with pytest.raises(FhirError) as refused:
        dispatch("POST", ["Task"], conditional=True)
    assert refused.value.status == 400
