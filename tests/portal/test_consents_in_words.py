"""What a Consent says, in words, and whether it is in force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from coordhub.portal import consented
from coordhub.portal.language import words
from coordhub.portal.provisions import DEEPEST, Telling
from coordhub.store.consents import Followed

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
SCOPE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                     "code": "patient-privacy"}]}  # fmt: skip
TELLING = Telling(words("en"), lambda one: str(one.get("display") or ""), lambda text: text)


def told(provision, **more):
    return TELLING.clause({"provision": provision, **more})


@pytest.mark.parametrize(
    ("provision", "rows"),
    [
        ({}, {"Who": "anyone"}),
        ({"actor": [{"reference": {}}]}, {"Who": "somebody who is not in the directory"}),
        ({"actor": [{"reference": {"display": "A"}}, {"reference": {"display": "B"},
                     "role": {"coding": [{"code": "AUT"}]}}]}, {"Who": "A", "From whom": "B"}),
        ({"class": [{"code": "http://hl7.org/fhir/StructureDefinition/Goal"}, {"code": "x-doc"}]},
         {"Who": "anyone", "What kinds": "goals, x-doc"}),
        ({"code": [{"coding": [{"code": "1"}]}, {"text": "pain"}]},
         {"Who": "anyone", "What it is about": "something that is named by a code only, pain"}),
        ({"data": [{"meaning": "related", "reference": {"reference": "Goal/1"}}]},
         {"Who": "anyone", "These entries": "goals (with what is related to it)"}),
        ({"purpose": [{"code": "COC"}, {"code": "XYZ", "display": "xyz"}], "action": [{}]},
         {"Who": "anyone", "For what": "coordination of care, xyz",
          "To do what": "something that is named by a code only"}),
        ({"period": {"start": "2026"}, "dataPeriod": {"start": "2020", "end": "2021"}},
         {"Who": "anyone", "When they look": "from 2026 on", "From what time": "from 2020 until 2021"}),
    ],
)  # fmt: skip
def test_given_a_provision_when_told_then_no_code_is_shown(provision, rows) -> None:
    assert dict(told({"type": "permit", **provision}).rows) == rows


def test_given_exceptions_of_exceptions_when_told_then_each_says_which_way_it_goes() -> None:
    inner: dict[str, object] = {"type": "permit"}
    for depth in range(DEEPEST + 5):
        inner = {"type": "permit" if depth % 2 else "deny", "provision": [inner]}
    clause, said = told(inner), []
    while clause.but:
        said.append(clause.permit)
        [clause] = clause.but
    assert said == [depth % 2 == 1 for depth in range(DEEPEST)]
    assert clause.cut
    opt_out = {"coding": [{"code": "OPTOUT"}]}
    assert told({"actor": []}, policyRule=opt_out).permit is False
    assert told({"actor": []}).permit is None


def followed(permits=0, denies=0, begins=None, ended=None):
    return Followed(permits, denies, begins, ended)


@pytest.mark.parametrize(
    ("document", "rules", "mark"),
    [
        ({"status": "active"}, followed(1), "In force"),
        ({"status": "active"}, followed(denies=1), "In force"),
        ({"status": "active"}, followed(begins=LATER), "Not yet in force"),
        ({"status": "active"}, followed(ended=LATER), "Run out"),
        # what ended with the version before it says nothing of this one
        ({"status": "active"}, followed(ended=NOW), "Not followed"),
        ({"status": "active"}, None, "Not followed"),
        ({"status": "active", "scope": {}}, followed(), "Not about seeing"),
        ({"status": "inactive"}, followed(ended=LATER), "Ended"),
        ({"status": "entered-in-error"}, None, "Written by mistake"),
    ],
)
def test_given_a_consent_when_looked_at_then_it_says_whether_it_is_in_force(
    document, rules, mark
) -> None:
    found = SimpleNamespace(updated=NOW)
    state, _, in_force = consented.state(found, {"scope": SCOPE, **document}, rules)
    assert (state, in_force) == (mark, mark == "In force")
    permits = {**document, "scope": SCOPE, "provision": {"provision": [{"type": "permit"}]}}
    assert (consented.state(found, permits, rules)[1] == consented.LESS) is (
        in_force and not rules.permits
    )
