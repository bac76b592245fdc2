"""The one error that reaches the wire, and its named constructors.

`FhirError` carries an HTTP status *and* the issues of the OperationOutcome that will be answered:
the status alone does not say enough (409 and 412 are both `conflict`). One handler renders it.
Diagnostics say what to do next; they hold ids and element paths, never the content of a resource.

http://hl7.org/fhir/R4/operationoutcome.html, http://hl7.org/fhir/R4/http.html#Status-Codes
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Issue:
    """One OperationOutcome.issue.

    code: http://hl7.org/fhir/R4/valueset-issue-type.html
    expression: FHIRPath of the element at fault, e.g. `Observation.component[2].value`; empty when
    no single element is.
    """

    code: str
    diagnostics: str
    expression: str = ""
    severity: str = "error"


class FhirError(Exception):
    """A request that is refused: `status` is the HTTP status, `issues` all that is wrong with it."""

    def __init__(self, status: int, *issues: Issue, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} " + "; ".join(issue.code for issue in issues))
        self.status = status
        self.issues = issues
        self.headers = headers or {}


def malformed(diagnostics: str, expression: str = "") -> FhirError:
    """400: the body cannot be read at all (JSON, encoding, nesting)."""
    return FhirError(400, Issue("structure", diagnostics, expression))


def bad_request(diagnostics: str, expression: str = "", code: str = "invalid") -> FhirError:
    """400: the request contradicts itself (id in body and path, resourceType and path)."""
    return FhirError(400, Issue(code, diagnostics, expression))


def unauthorized(diagnostics: str) -> FhirError:
    """401: no token, or one that this hub does not accept. Says how to get one, never why in detail."""
    return FhirError(
        401, Issue("login", diagnostics), headers={"WWW-Authenticate": 'Bearer realm="coordhub"'}
    )


def forbidden(diagnostics: str, expression: str = "") -> FhirError:
    """403: the caller sees the thing (or needs no sight of it) and may not do this."""
    return FhirError(403, Issue("forbidden", diagnostics, expression))


def insufficient_scope(diagnostics: str, scope: str, expression: str = "") -> FhirError:
    """403: the token's scopes do not allow it; `scope` would (RFC 6750, 3.1)."""
    said = f'Bearer realm="coordhub", error="insufficient_scope", scope="{scope}"'
    issue = Issue("forbidden", diagnostics, expression)
    return FhirError(403, issue, headers={"WWW-Authenticate": said})


def not_found(reference: str, at: str = "") -> FhirError:
    """404: absent, or not the caller's to see; the two are the same answer."""
    return FhirError(404, Issue("not-found", f"{reference} is not known here.", at))


def gone(reference: str, version: int, at: str = "") -> FhirError:
    """410: deleted; the history still answers to those who may see it."""
    return FhirError(
        410,
        Issue(
            "deleted", f"{reference} was deleted. Its history remains at {reference}/_history.", at
        ),
        headers={"ETag": f'W/"{version}"'},
    )


def method_not_allowed(diagnostics: str, allowed: str, at: str = "") -> FhirError:
    """405: the interaction does not exist at this address; `allowed` are the methods that do."""
    return FhirError(405, Issue("not-supported", diagnostics, at), headers={"Allow": allowed})


def not_supported(diagnostics: str, expression: str = "") -> FhirError:
    """400: what FHIR defines and this hub does not offer (yet)."""
    return FhirError(400, Issue("not-supported", diagnostics, expression))


def too_costly(diagnostics: str) -> FhirError:
    """400: readable and allowed, but more than the hub will spend on one answer; says what to ask."""
    return FhirError(400, Issue("too-costly", diagnostics))


def business_rule(diagnostics: str, expression: str = "") -> FhirError:
    """409: well-formed, but the state of the referral does not allow it; says what would be allowed."""
    return FhirError(409, Issue("business-rule", diagnostics, expression))


def conflict(diagnostics: str, at: str = "") -> FhirError:
    """409: another writer was first, or something still depends on the target."""
    return FhirError(409, Issue("conflict", diagnostics, at))


def version_conflict(
    reference: str, expected: str, current: int, at: str = "", told: str = ""
) -> FhirError:
    """412: If-Match names another version than the current one. told: what may be done with that one."""
    return FhirError(
        412,
        Issue(
            "conflict",
            f"{reference} is at version {current}, If-Match asked for {expected}. "
            "Read it again, apply your change to what you read, and send that version's ETag."
            + (f" {told}" if told else ""),
            at,
        ),
        headers={"ETag": f'W/"{current}"'},
    )


def precondition_failed(diagnostics: str, at: str = "") -> FhirError:
    """412: conditional criteria match more than one resource."""
    return FhirError(412, Issue("multiple-matches", diagnostics, at))


def too_large(diagnostics: str) -> FhirError:
    """413: the body, opened or compressed, is beyond the limit."""
    return FhirError(413, Issue("too-long", diagnostics))


def unprocessable(*issues: Issue) -> FhirError:
    """422: readable, but not valid FHIR R4 or against a rule of the hub; all issues at once."""
    return FhirError(422, *issues)


def too_many(diagnostics: str, retry_after: int) -> FhirError:
    """429: allowed, but not so often; `retry_after` in seconds."""
    return FhirError(
        429, Issue("throttled", diagnostics), headers={"Retry-After": str(retry_after)}
    )


def unavailable(diagnostics: str, retry_after: int) -> FhirError:
    """503: the hub cannot answer just now; `retry_after` in seconds."""
    return FhirError(
        503, Issue("transient", diagnostics), headers={"Retry-After": str(retry_after)}
    )
