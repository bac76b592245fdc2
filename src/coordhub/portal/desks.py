"""Desks of the portal, and who works at which: by what a person does for its organization.

A role decides which desks are shown. What they show is what the organization may see, and never more.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Desk:
    """title: as the bar names it. roles: whose desk it is (`admin.people`)."""

    title: str
    roles: frozenset[str]


STAFF, COORDINATOR, CLINICIAN = "program-staff", "coordinator", "clinician"
PRIVACY, INTEGRATION, ADMIN = "privacy-officer", "integration-engineer", "admin"

DESKS: Final = {
    "worklist": Desk("Received", frozenset({STAFF, COORDINATOR, CLINICIAN})),
    "board": Desk("Sent", frozenset({COORDINATOR, CLINICIAN})),
    "patients": Desk("Patients", frozenset({STAFF, COORDINATOR, CLINICIAN})),
    "results": Desk("Results", frozenset({COORDINATOR, CLINICIAN})),
    "people": Desk("People", frozenset({ADMIN})),
    "community": Desk("Community", frozenset({STAFF, COORDINATOR, CLINICIAN, ADMIN})),
    "figures": Desk("Figures", frozenset({STAFF, COORDINATOR, CLINICIAN, ADMIN})),
    "deliveries": Desk("Deliveries", frozenset({INTEGRATION})),
    "privacy": Desk("Privacy", frozenset({PRIVACY})),
}
"""By their path below the portal, in the order of the bar; a person begins at its first."""


def of(roles: Collection[str]) -> dict[str, str]:
    """Path and title of the desks of who has these roles."""
    return {path: desk.title for path, desk in DESKS.items() if desk.roles.intersection(roles)}
