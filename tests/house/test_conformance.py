"""docs/conformance.md: each line has its test, and nothing that is served or known of R4 is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from coordhub.fhir.dispatch import OPERATIONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "conformance.md").read_text()
LINES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| R4 |"))
]

# http://hl7.org/fhir/R4/search.html#modifiers, #ptypes, #prefix, #Summary
MODIFIERS = ("contains", "exact", "missing", "not", "text", "in", "not-in", "below", "above",
             "identifier", "of-type", "[type]", "iterate")  # fmt: skip
KINDS = ("string", "token", "reference", "date", "number", "quantity", "uri", "composite", "near")
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
PARAMETERS = (
    "_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_text", "_content", "_list",
    "_has", "_type", "_query", "_filter", "_sort", "_count", "_include", "_revinclude", "_summary",
    "_total", "_elements", "_contained", "_containedType", "_score", "_format", "_pretty", "_since",
    "_at",
)  # fmt: skip
INTERACTIONS = {
    "read": "read", "vread": "vread", "update": "update", "patch": "patch", "delete": "delete",
    "create": "create", "history-instance": "history of an instance",
    "history-type": "history of a type", "history-system": "of the system",
    "search-type": "search: string", "search-system": "search over several types",
    "transaction": "transaction", "batch": "batch",
}  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0])
def test_given_a_line_when_read_then_it_says_yes_or_why_not_and_its_tests_are_there(
    line: Sequence[str],
) -> None:
    assert len(line) == 3
    what, answer, held_by = line
    assert what
    assert re.match(r"yes\b|no: |by |refuse|stored, ", answer), answer
    tests = [one for one in held_by.split(", ") if one.startswith("tests/")]
    assert tests
    for one in tests:
        assert "def test_" in (ROOT / one).read_text(), one


def test_given_what_r4_has_when_looked_for_then_each_is_spoken_of() -> None:
    missing = [name for name in MODIFIERS if not re.search(rf":{re.escape(name)}(?![\w-])", TEXT)]
    missing += [name for name in KINDS if name not in TEXT]
    missing += [name for name in PREFIXES if not re.search(rf"[` ]{name}[` ]", TEXT)]
    missing += [name for name in PARAMETERS if f"`{name}" not in TEXT and f" {name}`" not in TEXT]
    missing += [
        code
        for code in ("graphql", "export", "process-message", "expand")
        if f"${code}" not in TEXT
    ]
    assert missing == []


def test_given_what_is_served_when_looked_for_then_each_is_spoken_of() -> None:
    assert [name for name in OPERATIONS if f"`${name}`" not in TEXT] == []
    assert [code for code, words in INTERACTIONS.items() if words not in TEXT] == []
