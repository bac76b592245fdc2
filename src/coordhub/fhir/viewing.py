"""Which view of a resource a read asks for: `_summary` and `_elements`.

http://hl7.org/fhir/R4/search.html#summary, http://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from coordhub.errors import FhirError, Issue
from coordhub.fhir.context import Asked
from coordhub.r4 import search_result
from coordhub.r4.views import WHOLE, View


def view_of(asked: Asked, kind: str | None = None) -> View:
    """The view of one resource, of the type that is asked for or of `kind`; 400 for what is none (`_summary=count`)."""
    if not asked.query:
        return WHOLE
    kind = kind or asked.target.instance()[0]
    shape, _, issues = search_result.read([kind], asked.query, lenient=asked.preference.lenient)
    if shape.count_only:
        issues.append(Issue("invalid", "A resource that is read is not counted.", "http._summary"))
    if issues:
        raise FhirError(400, *issues)
    return shape.view
