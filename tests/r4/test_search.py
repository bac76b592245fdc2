"""Queries, read and refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from coordhub.errors import FhirError
from coordhub.r4.search import (
    Chain,
    CompositeValue,
    Criterion,
    DateValue,
    MissingValue,
    Query,
    ReferenceValue,
    Reverse,
    StringValue,
    TokenValue,
    Value,
    parse_query,
)


def values(resource_type: str, name: str, value: str) -> tuple[Value, ...]:
    (criterion,) = parse_query(resource_type, [(name, value)]).criteria
    assert isinstance(criterion, Criterion)
    return criterion.values


def refused(resource_type: str, *pairs: tuple[str, str]) -> list[tuple[str, str, str]]:
    with pytest.raises(FhirError) as caught:
        parse_query(resource_type, pairs)
    assert caught.value.status == 400
    return [(issue.code, issue.expression, issue.diagnostics) for issue in caught.value.issues]


def test_given_no_parameters_then_everything_of_the_type_is_asked_for() -> None:
    assert parse_query("Task", []) == Query("Task")


def test_given_commas_and_repetitions_then_values_are_alternatives_and_criteria_all_hold() -> None:
    query = parse_query("Task", [("status", "requested,accepted"), ("code", "x"), ("code", "y")])
    assert [(each.parameter.code, len(each.values)) for each in query.criteria] == [
        ("status", 2),
        ("code", 1),
        ("code", 1),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", TokenValue(None, "a", any_system=True)),
        ("http://s|a", TokenValue("http://s", "a", any_system=False)),
        ("|a", TokenValue(None, "a", any_system=False)),
        ("http://s|", TokenValue("http://s", None, any_system=False)),
        (r"s\|t|a\,b\$c\\d", TokenValue("s|t", r"a,b$c\d", any_system=False)),
    ],
)
def test_given_a_token_then_its_four_forms_and_escapes_are_read(
    text: str, expected: TokenValue
) -> None:
    assert values("Observation", "code", text) == (expected,)


def test_given_the_system_that_a_binding_implies_then_the_bare_code_is_looked_for() -> None:
    implied = values("Task", "status", "http://hl7.org/fhir/task-status|requested")
    assert implied == (TokenValue(None, "requested", any_system=True),)
    other = values("Task", "status", "http://other.example|requested")
    assert other == (TokenValue("http://other.example", "requested", any_system=False),)


def test_given_references_then_id_type_and_address_are_read() -> None:
    base = "https://hub.example.org/fhir"
    query = parse_query(
        "Task",
        [
            ("owner", "o1"),
            ("owner", "Organization/o1"),
            ("owner:Organization", "o1"),
            ("owner", f"{base}/Organization/o1"),
            ("owner", "https://other.example.org/fhir/Organization/o1"),
            ("focus", "any1"),
        ],
        base=base,
    )
    found = [each.values[0] for each in query.criteria]
    assert all(isinstance(each, ReferenceValue) for each in found)
    ids_and_types = [(each.id, each.types) for each in found if isinstance(each, ReferenceValue)]
    assert ids_and_types[0][0] == "o1"
    assert {"Organization", "PractitionerRole"} <= set(ids_and_types[0][1])
    assert ids_and_types[1:4] == [("o1", ("Organization",))] * 3
    assert ids_and_types[4][0] is None
    assert ids_and_types[5] == ("any1", ())
    assert all(each.modifier is None for each in query.criteria)


def test_given_dates_then_prefix_and_interval_are_read() -> None:
    (value,) = values("Observation", "date", "ge2026-03")
    assert isinstance(value, DateValue)
    assert (value.prefix, value.low) == ("ge", datetime(2026, 3, 1, tzinfo=UTC))
    (zoned,) = values("Observation", "date", "2026-03-01T10:00:00 02:00")
    assert isinstance(zoned, DateValue)
    assert zoned.low == datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_given_strings_then_they_are_normalised_unless_exact() -> None:
    assert values("Patient", "family", " ÉVEREST  Strauß") == (StringValue("everest strauss"),)
    assert values("Patient", "family:exact", "Évé") == (StringValue("Évé"),)
    assert values("Patient", "name:contains", "ver") == (StringValue("ver"),)


def test_given_missing_then_it_is_true_or_false_for_every_kind() -> None:
    assert values("Task", "owner:missing", "true") == (MissingValue(True),)
    assert values("Task", "status:missing", "false") == (MissingValue(False),)
    assert refused("Task", ("status:missing", "yes"))[0][:2] == ("invalid", "http.status:missing")


def test_given_ids_then_several_of_them_intersect() -> None:
    assert parse_query("Task", [("_id", "a,b,a")]).ids == ("a", "b")
    assert parse_query("Task", [("_id", "a,b"), ("_id", "b,c")]).ids == ("b",)
    assert parse_query("Task", [("_id", "a"), ("_id", "b")]).ids == ()


def test_given_sort_count_cursor_and_last_updated_then_they_stand_beside_the_criteria() -> None:
    query = parse_query(
        "Observation",
        [
            ("_sort", "-date,_lastUpdated,_id"),
            ("_count", "5000"),
            ("_cursor", "opaque=="),
            ("_lastUpdated", "gt2026-01-01,lt2020"),
            ("_lastUpdated", "lt2027"),
            ("_format", "json"),
        ],
    )
    assert [(key.parameter.code, key.descending) for key in query.sort] == [
        ("date", True),
        ("_lastUpdated", False),
        ("_id", False),
    ]
    assert (query.count, query.cursor, query.criteria) == (1000, "opaque==", ())
    assert [[each.prefix for each in group] for group in query.last_updated] == [
        ["gt", "lt"],
        ["lt"],
    ]


def test_given_an_unknown_parameter_then_the_nearest_one_is_named() -> None:
    ((code, expression, diagnostics),) = refused("ServiceRequest", ("pacient", "x"))
    assert (code, expression) == ("invalid", "http.pacient")
    assert "Did you mean patient?" in diagnostics
    assert "searchparameter-registry.html#ServiceRequest" in diagnostics


@pytest.mark.parametrize(
    ("resource_type", "name", "value", "named"),
    [
        ("Task", "_include", "Task:focus", "_include"),
        ("Task", "_contained", "true", "_contained"),
        ("Task", "_containedType", "container", "_containedType"),
        ("Task", "_score", "x", "_score"),
        ("Task", "_content", "x", "_content"),
        ("Task", "_filter", "status eq x", "_filter"),
        ("Task", "_list", "x", "_list"),
        ("Task", "_query", "x", "_query"),
        ("Task", "patient._filter", "x", "_filter"),
        ("Task", "_summary", "true", "_summary"),
        ("Task", "_total", "accurate", "_total"),
        ("Task", "_text", "x", "_text"),
        ("Task", "_count", "0", "_count=0"),
        ("Task", "owner", "Organization/o/_history/1", "owner"),
        ("QuestionnaireResponse", "questionnaire.title", "x", "canonical"),
        ("Task", "focus._id", "x", "name one"),
        ("Task", ".".join(["part-of"] * 10) + ".status", "x", "At most"),
        ("Patient", "phonetic", "x", "phonetic"),
        ("Location", "_sort", "near", "near"),
        ("Observation", "_sort", "code-value-quantity", "code-value-quantity"),
    ],
)
def test_given_what_is_not_served_then_it_is_refused_by_name_and_never_passed_over(
    resource_type: str, name: str, value: str, named: str
) -> None:
    ((code, _, diagnostics),) = refused(resource_type, (name, value))
    assert code == "not-supported"
    assert named in diagnostics
    lenient = parse_query(resource_type, [(name, value)], lenient=True)
    assert lenient.criteria == ()
    assert lenient.ignored == (name,)


@pytest.mark.parametrize(
    ("resource_type", "name", "value", "named"),
    [
        ("Task", "code:in", "http://x.example", ":in"),
        ("Task", "_id:not", "x", "_id"),
        ("Observation", "code:above", "http://loinc.org|1", "terminology"),
        ("Observation", "code:below", "http://loinc.org|1", "terminology"),
        ("Observation", "code:not-in", "http://x.example", "terminology"),
        ("Observation", "patient:below", "Patient/x", "hierarchy"),
        ("Observation", "has-member:Observation.code:in", "http://x.example", ":in"),
    ],
)
def test_given_a_modifier_that_is_not_served_then_it_is_refused_even_when_lenient(
    resource_type: str, name: str, value: str, named: str
) -> None:
    ((code, _, diagnostics),) = refused(resource_type, (name, value))
    assert code == "not-supported"
    assert named in diagnostics
    with pytest.raises(FhirError):
        parse_query(resource_type, [(name, value)], lenient=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", ""),
        ("status", "a,,b"),
        ("status", "|"),
        ("status", "a|b|c"),
        ("status:exact", "a"),
        ("status:nonsense", "a"),
        ("owner", "Observation/o"),
        ("owner:Observation", "o"),
        ("owner", "Nonsense/o"),
        ("owner", "#o"),
        ("owner", "a b"),
        ("owner:Patient", "Organization/o"),
        ("owner.", "x"),
        ("status.x", "x"),
        ("owner:nonsense.name", "x"),
        ("owner:Observation.status", "x"),
        ("owner:Organization.name", ""),
        ("patient.birthdate", "yesterday"),
        ("_has:Observation", "x"),
        ("_has:Nonsense:patient:code", "x"),
        ("_has:Observation:code:code", "x"),
        ("_has:Observation:patient:code", "x"),
        ("code:of-type", "a|b|c"),
        ("authored-on", "yesterday"),
        ("authored-on", "xx2026"),
        ("authored-on", "2026-02-30"),
        ("_id", "a/b"),
        ("_count", "-1"),
        ("_count", "ten"),
        ("_count:x", "1"),
        ("_sort", "status,-status"),
        ("_lastUpdated:missing", "true"),
        ("status", "a\0b"),
        ("status", "\ud800"),
        ("st\0atus", "a"),
    ],
)
def test_given_what_is_badly_written_then_it_is_refused_even_when_lenient(
    name: str, value: str
) -> None:
    assert [code for code, _, _ in refused("Task", (name, value))] == ["invalid"]
    with pytest.raises(FhirError):
        parse_query("Task", [(name, value)], lenient=True)


def test_given_several_faults_then_all_are_told_at_once_without_the_values() -> None:
    found = refused(
        "Task",
        ("nonsense", "Secretname"),
        ("authored-on", "Secretname"),
        ("owner", "Secret name"),
        ("_include", "Secretname"),
        ("_sort", "-whatever"),
        ("_count", "1"),
        ("_count", "2"),
    )
    assert [expression for _, expression, _ in found] == [
        "http.nonsense",
        "http.authored-on",
        "http.owner",
        "http._include",
        "http._sort",
        "http._count",
    ]
    assert "Secret" not in str(found)


def test_given_too_many_values_then_the_query_is_refused() -> None:
    ((code, _, _),) = refused("Task", ("code", ",".join(["a"] * 1001)))
    assert code == "too-costly"


def test_given_more_parameters_than_can_be_planned_then_the_query_is_refused() -> None:
    many = [("code", "a")] * 29 + [("_lastUpdated", "ge2026")]
    assert len(parse_query("Task", many).criteria) == 29
    ((code, _, diagnostics),) = refused("Task", ("code", "b"), *many)
    assert code == "too-costly"
    assert "30 at once" in diagnostics


def test_given_a_lenient_query_then_the_rest_of_it_still_counts() -> None:
    query = parse_query("Task", [("nonsense", "x"), ("status", "requested")], lenient=True)
    assert query.ignored == ("nonsense",)
    assert [each.parameter.code for each in query.criteria] == ["status"]


def test_given_an_escaped_backslash_then_the_comma_behind_it_still_parts_values() -> None:
    found = values("Observation", "code", r"a\\,b")
    assert [each.code for each in found if isinstance(each, TokenValue)] == ["a\\", "b"]


@pytest.mark.parametrize(
    ("resource_type", "name", "value"),
    [
        ("Observation", "value-quantity", "abc"),
        ("Observation", "value-quantity", "5|mg"),
        ("Observation", "value-quantity", "5|a|b|c"),
        ("Observation", "value-quantity", "1e999999"),
        ("Observation", "value-quantity", "NaN"),
        ("Observation", "value-quantity", "9" * 200),
        ("Observation", "value-quantity:exact", "5"),
        ("RiskAssessment", "probability", "xx1"),
        ("RiskAssessment", "probability", "1|2|3"),
        ("Observation", "code-value-quantity", "a"),
        ("Observation", "code-value-quantity", "a$"),
        ("Observation", "code-value-quantity", "a$5$6"),
        ("Observation", "code-value-quantity", "a$five"),
        ("Location", "near", "1"),
        ("Location", "near", "91|1"),
        ("Location", "near", "1|181"),
        ("Location", "near", "1|1|5|kg"),
        ("Location", "near", "1|1|-5|km"),
        ("Location", "near:exact", "1|1"),
        ("Patient", "identifier:of-type", "a|b"),
        ("Patient", "_has:Observation:patient:nonsense.x", "a"),
    ],
)
def test_given_a_measure_chain_or_composite_badly_written_then_it_is_refused(
    resource_type: str, name: str, value: str
) -> None:
    assert [code for code, _, _ in refused(resource_type, (name, value))] == ["invalid"]


def test_given_an_unknown_parameter_at_the_end_of_a_chain_then_that_type_s_nearest_is_named() -> (
    None
):
    ((_, _, diagnostics),) = refused("Observation", ("subject:Patient.famly", "x"))
    assert "Patient has no search parameter famly. Did you mean family?" in diagnostics


def test_given_a_chain_of_several_types_then_those_that_know_the_parameter_are_meant() -> None:
    (chain,) = parse_query("Observation", [("subject.name", "x")]).criteria
    assert isinstance(chain, Chain)
    assert [type_ for type_, _ in chain.links] == ["Location", "Patient"]


def test_given_a_chain_into_everything_then_it_is_read_in_no_time_and_refused() -> None:
    started = time.process_time()
    refused("Task", ("focus.subject.focus.subject.focus.subject.status", "x"))
    assert time.process_time() - started < 2


def test_given_chains_and_has_then_they_go_into_each_other() -> None:
    (chain,) = parse_query(
        "Encounter", [("patient._has:Group:member:managing-entity.name", "x")]
    ).criteria
    assert isinstance(chain, Chain)
    ((_, reverse),) = [each for each in chain.links if each[0] == "Patient"]
    assert isinstance(reverse, Reverse)
    assert reverse.parameter.resource_type == "Group"
    assert isinstance(reverse.condition, Chain)


def test_given_escapes_in_a_composite_then_dollars_and_bars_are_taken_as_they_are() -> None:
    ((value,),) = [
        each.values
        for each in parse_query("Observation", [("code-value-string", r"s|a\$b$c\,d")]).criteria
        if isinstance(each, Criterion)
    ]
    assert value == CompositeValue((TokenValue("s", "a$b", any_system=False), StringValue("c,d")))
