"""What is offered: one service for each hook at which somebody is about to order, and one for who opens a chart.

https://cds-hooks.hl7.org/2.0/#discovery
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

PATH: Final = "/cds-services"
"""Beside the FHIR base, also behind a proxy that puts both below a path of its own."""

_PATIENT: Final = {"patient": "Patient/{{context.patientId}}"}


@dataclass(frozen=True, slots=True)
class Service:
    id: str
    hook: str
    title: str
    description: str


SERVICES: Final[Mapping[str, Service]] = {
    one.id: one
    for one in (
        Service(
            "coordhub-prior-results-select",
            "order-select",
            "Known already, or under way",
            "For each order that is selected: whether a result that answers it is at hand elsewhere, or on its way.",
        ),
        Service(
            "coordhub-prior-results-sign",
            "order-sign",
            "Known already, or under way",
            "For each order that is signed: whether a result that answers it is at hand elsewhere, or on its way.",
        ),
        Service(
            "coordhub-prior-results-dispatch",
            "order-dispatch",
            "Known already, or under way",
            "For each order that is sent off: whether a result that answers it is at hand elsewhere, or on its way.",
        ),
        Service(
            "coordhub-patient-view",
            "patient-view",
            "Waiting for you",
            "Of the patient whose chart is opened: what you are asked and have not answered, results that came and "
            "that nobody at your organization has looked at.",
        ),
    )
}


def address(base: str, service: str) -> str:
    """Where a service is called. base: the FHIR base as clients see it."""
    return urljoin(base, f"{PATH.removeprefix('/')}/{service}")


def discovery() -> dict[str, Any]:
    return {
        "services": [
            {
                "id": one.id,
                "hook": one.hook,
                "title": one.title,
                "description": one.description,
                "prefetch": _PATIENT,
                "usageRequirements": "Calls carry a JWT of a client that is registered here. The Patient is known "
                "by its identifiers, or by the id under which your server has it from this hub.",
            }
            for one in SERVICES.values()
        ]
    }
