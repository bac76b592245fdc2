"""The operation $break-glass: a patient's record is opened to who treats it, in an emergency.

The caller does not see the Patient, so it says whom it treats: an identifier with the birthDate, or a
reference that it was given. The same neutral 404 if that means nobody, several, or nobody that may be
opened; each try is in the audit, and counted.

http://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

import re
from typing import Any, Final

from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document, outcome, reference
from coordhub.record import break_glass
from coordhub.record.break_glass import PURPOSES, Emergency, Named
from coordhub.record.hub import instant

NAME: Final = "break-glass"
LONGEST: Final = 2000
"""Characters of a text that only the audit keeps."""

_NEUTRAL: Final = Issue(
    "not-found",
    "No record can be opened by this. Check identifier (with its system) and birthDate, or ask the hub's operator.",
)


async def answer(context: Context, asked: Asked) -> Answer:
    """Parameters: the patient, until when, the notice that was sent."""
    if asked.query:
        raise _required("Send all parameters in the body: an address is logged on its way.", None)
    named, emergency = _named(context, asked), _emergency(context, asked)
    opened = await break_glass.open_record(context.hub, asked.caller, named, emergency)
    if opened is None:
        return Answer(404, outcome.render([_NEUTRAL]), is_outcome=True, audited=True)
    told: list[dict[str, Any]] = [
        {"name": "patient", "valueReference": {"reference": opened.patient}},
        {"name": "until", "valueInstant": instant(opened.until)},
        {"name": "notice", "valueReference": {"reference": opened.notice}},
        {"name": "part2", "valueBoolean": opened.covers_part2},
    ]
    body = document.encode({"resourceType": "Parameters", "parameter": told})
    return Answer(200, body, audited=True)


def _named(context: Context, asked: Asked) -> Named:
    identifier = _value(asked, "identifier", "valueIdentifier")
    birth_date = _value(asked, "birthDate", "valueDate")
    stated = _value(asked, "patient", "valueReference")
    if birth_date is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", birth_date, re.ASCII):
        raise _required("State the birthDate to the day.", "birthDate")
    if stated is not None and identifier is None:
        found = reference.parse_element(stated, base=context.hub.base)
        if found is None or found.local is None or found.type != "Patient":
            raise _required("Name a Patient of this hub by its reference.", "patient")
        return Named(None, birth_date, found.local)
    if identifier is None or stated is not None or birth_date is None:
        raise _required(
            "Say whom: either identifier and birthDate, or patient (a reference).", "identifier"
        )
    system, value = identifier.get("system"), identifier.get("value")
    if not system or not value:
        raise _required("An identifier is meant with its system and value.", "identifier")
    return Named((system, value), birth_date, None)


def _emergency(context: Context, asked: Asked) -> Emergency:
    purpose = _value(asked, "purpose", "valueCode")
    if purpose not in PURPOSES:
        raise _required("The purpose is ETREAT (emergency treatment) or BTG.", "purpose")
    reason, nature = _text(asked, "reason"), _text(asked, "emergency")
    if reason is None:
        raise _required("Say why, in words; it is kept in the audit only.", "reason")
    if purpose == "ETREAT" and nature is None:
        raise _required(
            "Say what the medical emergency is; for 42 CFR Part 2 it is documented.", "emergency"
        )
    stated = _value(asked, "practitioner", "valueReference")
    found = reference.parse_element(stated, base=context.hub.base) if stated else None
    if found is None or found.local is None:
        raise _required(
            "Who treats? Name a Practitioner or PractitionerRole here by its reference.",
            "practitioner",
        )
    return Emergency(purpose, reason, found.local, nature)


def _text(asked: Asked, name: str) -> str | None:
    text = _value(asked, name, "valueString")
    if text is None or not text.strip():
        return None
    if len(text) > LONGEST:
        raise _required(f"{LONGEST} characters are enough.", name)
    return str(text)


def _value(asked: Asked, name: str, kind: str) -> Any:
    given = invocation.parameter(asked, name)
    if given is None:
        return None
    if kind not in given:
        raise _required(f"This parameter has a {kind}.", name)
    return given[kind]


def _required(text: str, name: str | None) -> FhirError:
    place = "Parameters.parameter" + (f".where(name='{name}')" if name else "")
    return FhirError(400, Issue("required", text, place))
