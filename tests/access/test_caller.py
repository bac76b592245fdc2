"""The Caller and its Viewer."""

from __future__ import annotations

import pytest

from coordhub.access import caller, scopes, viewer
from coordhub.access.caller import Caller
from coordhub.errors import FhirError
from coordhub.r4 import types
from coordhub.store.visibility import HUB, Viewer


def _caller(scope: str) -> Caller:
    return Caller("c", 4096, "Organization/x", scopes.parse(scope))


@pytest.mark.parametrize(
    ("interaction", "letter"),
    [("create", "c"), ("read", "r"), ("update", "u"), ("delete", "d"), ("search", "s")],
)
def test_given_an_interaction_when_required_then_its_own_letter_counts(
    interaction: str, letter: str
) -> None:
    _caller(f"system/Task.{letter}").require("Task", interaction)
    others = "cruds".replace(letter, "")
    with pytest.raises(FhirError) as error:
        _caller(f"system/Task.{others}").require("Task", interaction)
    assert error.value.status == 403
    assert f"system/Task.{letter}" in error.value.issues[0].diagnostics


def test_given_a_caller_when_it_looks_then_as_its_organization_and_with_its_token_s_types() -> None:
    assert viewer.of(_caller("system/*.r")) == Viewer(4096, None)
    task = frozenset({types.NUMBER["Task"]})
    assert viewer.of(_caller("system/Task.r system/Patient.cud")) == Viewer(4096, task)
    assert viewer.of(_caller("")) == Viewer(4096, frozenset())
    assert viewer.as_organization(4096) == Viewer(4096)


def test_given_the_hub_when_recognised_then_never_a_client_that_acts_for_it() -> None:
    assert caller.hub("Organization/hub").is_hub
    assert not Caller("c", HUB, "Organization/hub", scopes.EVERYTHING).is_hub
    assert not Caller(None, 4096, "Organization/x", scopes.EVERYTHING).is_hub


def test_given_the_hub_as_a_caller_when_it_looks_then_it_sees_its_own_only() -> None:
    assert not viewer.of(caller.hub("Organization/hub")).everything
    assert viewer.deciding().everything
