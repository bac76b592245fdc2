"""What is answered when something goes wrong: every exception becomes one FhirError.

http://hl7.org/fhir/R4/http.html#Status-Codes

What we refuse is a FhirError already. A database that does not answer is 503, to be tried again.
All else is a fault of the hub: 500, and nothing of the exception's text, which may hold content.
"""

from __future__ import annotations

from coordhub import errors
from coordhub.errors import FhirError, Issue
from coordhub.store.outage import is_outage

RETRY_AFTER_SECONDS = 2


def of(error: Exception) -> FhirError:
    if isinstance(error, FhirError):
        return error
    if is_outage(error):
        return errors.unavailable(
            "The hub's database does not answer just now, or too much is asked of it. Nothing was "
            "stored unless you are told so by the answer to the same request with the same "
            "Idempotency-Key.",
            RETRY_AFTER_SECONDS,
        )
    return FhirError(
        500, Issue("exception", "The hub made a mistake. Say the X-Request-Id when you report it.")
    )


def within(error: FhirError, at: str) -> FhirError:
    """The same refusal, seen from the Bundle whose entry `at` it is about."""
    if not at:
        return error
    return FhirError(
        error.status,
        *(
            issue
            if issue.expression.startswith(at)
            else Issue(issue.code, issue.diagnostics, at, issue.severity)
            for issue in error.issues
        ),
        headers=error.headers,
    )
