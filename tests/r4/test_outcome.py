from __future__ import annotations

import json

from coordhub.errors import Issue
from coordhub.r4 import document, outcome, structure


def test_given_issues_when_rendered_then_each_has_its_severity_code_text_and_place() -> None:
    rendered = json.loads(
        outcome.render(
            [
                Issue("required", "code is required.", "Observation.code"),
                Issue("conflict", 'Read it again: "x".', severity="fatal"),
            ]
        )
    )
    assert rendered == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "required",
                "diagnostics": "code is required.",
                "expression": ["Observation.code"],
            },
            {"severity": "fatal", "code": "conflict", "diagnostics": 'Read it again: "x".'},
        ],
    }


def test_given_details_when_rendered_then_they_stand_on_the_first_issue() -> None:
    issues = json.loads(outcome.render([Issue("gone", "a"), Issue("gone", "b")], details="text"))[
        "issue"
    ]
    assert [issue.get("details") for issue in issues] == [{"text": "text"}, None]


def test_given_no_issue_when_rendered_then_the_outcome_says_so_with_one() -> None:
    rendered = json.loads(outcome.render([]))
    assert [issue["severity"] for issue in rendered["issue"]] == ["information"]


def test_given_any_outcome_when_checked_then_it_is_a_valid_resource() -> None:
    for issues in ([], structure.check({}), structure.check({"resourceType": "Task", "x": {}})):
        assert structure.check(document.parse(outcome.render(issues))) == []
