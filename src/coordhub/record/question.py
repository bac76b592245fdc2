"""What the hub's Task says to one candidate of what the sender's Task says.

http://hl7.org/fhir/R4/task.html

No more than its data set shows; and while others are asked as well, nothing that tells for whom. Who
wins is told the rest in the commit that makes it the winner. Who else was asked it says at no time:
that one of them is a victim service provider would tell why. Nor what else the patient needs: the
orders of the other needs are theirs who are asked for them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from coordhub.r4 import datasets
from coordhub.r4 import document as fhir_json
from coordhub.record import parties

Document = dict[str, Any]

FROM_SENDER: Final = ("priority", "for", "description", "restriction", "input")


def told(
    task: Document,
    dataset: int,
    orders: Collection[str],
    base: str,
    *,
    blind: bool,
    back: Sequence[Document] = (),
) -> Document:
    """Elements of the sender's Task for the Task that asks.

    orders: `ServiceRequest/id` of each need of the referral. blind: others are asked at the same time.
    back: inputs that say what is to come back.
    """
    shown = trimmed(task, dataset)
    elements: Document = {name: shown[name] for name in FROM_SENDER if name in shown}
    inputs = [
        one
        for one in elements.pop("input", ())
        if parties.local(one.get("valueReference"), base) not in orders
    ]
    inputs += back
    if inputs:
        elements["input"] = inputs
    limits = {
        name: value
        for name, value in elements.pop("restriction", {}).items()
        if name in ("repetitions", "period")
    }
    if limits:
        elements["restriction"] = limits
    if not blind:
        return elements
    kept = {name: value for name, value in elements.items() if name in ("priority", "restriction")}
    if "reference" in elements.get("for", {}):
        kept["for"] = {"reference": elements["for"]["reference"]}
    return kept


def trimmed(document: Document, dataset: int) -> Document:
    """What a recipient is shown of the sender's: no more is put into what the hub makes for it."""
    text = fhir_json.encode(document).decode()
    kind = str(document["resourceType"])
    return fhir_json.parse(datasets.in_use().trim(text, dataset, kind).encode())
