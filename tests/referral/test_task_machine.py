"""Task.status transitions: the table, the reason codes."""

from __future__ import annotations

from coordhub.referral.task_machine import EDGES, INITIAL, REASONS, STATUSES, WON, concept


def test_given_the_table_when_read_then_it_names_known_statuses_only() -> None:
    named = {status for edge in EDGES for status in edge} | INITIAL | WON
    assert named <= set(STATUSES)


def test_given_the_reasons_when_read_then_each_has_text_and_explains_known_statuses() -> None:
    for code, reason in REASONS.items():
        assert reason.code == code
        assert reason.statuses <= set(STATUSES)
        assert concept(reason)["text"] == reason.text != ""
    assert {code for code, reason in REASONS.items() if reason.stable} == {
        "not-eligible",
        "out-of-area",
        "wrong-service",
        "needs-exceed-capability",
        "duplicate-service",
        "client-declined",
        "changed-request",
        "not-wanted",
        "given-back",
        "offboarded",
        "no-longer-needed",
        "consent-withdrawn",
        "safety",
    }
