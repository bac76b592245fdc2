"""The operations of the OpenAPI document: the routes of the FHIR door, for each type by its name.

https://spec.openapis.org/oas/v3.1.0#paths-object, http://hl7.org/fhir/R4/http.html#summary
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from coordhub.fhir import openapi_examples as examples
from coordhub.fhir.context import JSON
from coordhub.fhir.description import (
    CRITERIA,
    PRETTY,
    REASONS,
    REQUEST_ID,
    RESOURCE,
    ROUTES,
    TYPE,
    Route,
)
from coordhub.fhir.interactions.capabilities import served
from coordhub.fhir.openapi_schemas import NAMED, OTHER, reference
from coordhub.r4 import types
from coordhub.r4.parameters import SearchParameter

Described = dict[str, Any]

PREFIX: Final = "/fhir"
OTHERS: Final = "Other types"
_PLURAL: Final = frozenset({"search", "search_by_post", "history"})
_VERSIONED: Final = frozenset({"create", "read", "vread", "update", "delete"})
_WRITES: Final = frozenset({"create", "update", "delete", "transaction"})
_SYNTAX: Final = {
    "string": "text, from its beginning, without regard to case and accents",
    "token": "`system|code`, `code`, `|code` or `system|`",
    "reference": "`Type/id`, `id` or a url",
    "date": "a date or an instant, with `eq ne lt gt ge le sa eb ap` before it",
    "number": "a number, with a prefix before it",
    "quantity": "`number|system|code`, with a prefix before it",
    "uri": "a uri, whole",
    "composite": "values of its parts, joined by `$`",
    "special": "as the specification says of it",
}


class Paths:
    """Grows the path items; what many operations share is kept once, in `parameters`."""

    def __init__(self) -> None:
        self.items: dict[str, Described] = {}
        self.parameters: dict[str, Described] = {}

    def add(self, route: Route) -> None:
        """Describe it, once for every type that it is offered for."""
        if "{resource_type}" not in route.path:
            self._operation(route, None)
            return
        for name in route.types or (*NAMED, OTHER):
            self._operation(route, name)

    def _operation(self, route: Route, name: str | None) -> None:
        is_other = name == OTHER
        path = route.path
        if name is not None and not is_other:
            path = path.replace("{resource_type}", name)
        tag = OTHERS if is_other else name or route.tag
        self.items.setdefault(PREFIX + path, {})[route.method.lower()] = {
            "operationId": _operation_id(route.name, name),
            "tags": [tag],
            "summary": f"{route.summary}: {name}" if name and not is_other else route.summary,
            "description": route.description,
            "security": [] if route.public else [{"token": []}],
            "parameters": self._parameters(route, name),
            **({} if route.body is None else {"requestBody": _body(route, name)}),
            "responses": _responses(route, name),
        }

    def _parameters(self, route: Route, name: str | None) -> list[Described]:
        said: list[Described] = []
        for parameter in (*route.parameters, PRETTY, REQUEST_ID):
            if parameter is TYPE:
                if name == OTHER:
                    rest = [one for one in types.NAMES if one not in NAMED]
                    said.append({**TYPE, "schema": {"type": "string", "enum": rest}})
            elif parameter is CRITERIA and name is not None and name != OTHER:
                said += [_criterion(one) for one in served(name)]
                said.append(self._shared(CRITERIA))
            else:
                said.append(self._shared(parameter))
        return said

    def _shared(self, parameter: Described) -> Described:
        key = "".join(part.capitalize() for part in parameter["name"].strip("_").split("-"))
        if self.parameters.setdefault(key, parameter) != parameter:
            return parameter
        return {"$ref": f"#/components/parameters/{key}"}


def paths(routes: Iterable[Route] = ROUTES) -> Paths:
    """Every operation below /fhir."""
    made = Paths()
    for route in routes:
        made.add(route)
    return made


def _operation_id(name: str, resource_type: str | None) -> str:
    """`search_by_post` of Task -> `searchTaskByPost`; `history` -> `historyOfTask`."""
    first, *rest = name.split("_")
    tail = "".join(word.capitalize() for word in rest)
    if resource_type is None:
        return first + tail
    kind = "Other" if resource_type == OTHER else resource_type
    match name:
        case "history":
            return f"historyOf{kind}"
        case "status_of_referral":
            return f"statusOfReferralBy{kind}"
        case _:
            return first + kind + tail


def _criterion(parameter: SearchParameter) -> Described:
    said = f"{parameter.kind}: {_SYNTAX[parameter.kind]}."
    if parameter.kind == "reference" and parameter.targets:
        said += f" To {', '.join(parameter.targets)}."
    said += f" Looks at `{parameter.expression}`." if parameter.expression else ""
    return {
        "name": parameter.code,
        "in": "query",
        "description": said + " Commas mean or; given again, and.",
        "schema": {"type": "array", "items": {"type": "string"}},
    }


def _body(route: Route, name: str | None) -> Described:
    if not isinstance(route.body, str):
        return dict(route.body or {})
    kind, shown = route.body, "Referral" if route.body == "Bundle" else None
    if route.body == RESOURCE and name is not None:
        kind = name
        if name != OTHER:
            shown = f"{name}Sent" if route.name == "create" else name
    return {"required": True, "content": {JSON: _media(reference(kind), shown)}}


def _media(schema: Described, example: str | None = None) -> Described:
    if example is None:
        return {"schema": schema}
    shown = {"one": {"$ref": f"#/components/examples/{example}"}}
    return {"schema": schema, "examples": shown}


def _responses(route: Route, name: str | None) -> Described:
    said: Described = {str(route.status): _success(route, route.status, route.answer, name)}
    for status, when in route.also:
        said[str(status)] = _success(route, status, when, name)
    for status in route.refusals:
        said[str(status)] = {"$ref": f"#/components/responses/Refused{status}"}
    return dict(sorted(said.items()))


def _success(route: Route, status: int, description: str, name: str | None) -> Described:
    names = ["X-Request-Id"]
    if route.name in _VERSIONED and name is not None:
        names += ["ETag", "Last-Modified"]
    if route.name in ("create", "update"):
        names += ["Location", "Warning"]
    if route.name in _WRITES:
        names.append("Idempotency-Replayed")
    said: Described = {
        "description": f"{description.rstrip('.')}.",
        "headers": {one: {"$ref": f"#/components/headers/{one}"} for one in names},
    }
    if status == 204:
        return said
    if route.status == 204:
        schema, shown = reference("OperationOutcome"), None
    elif route.answer == RESOURCE:
        assert name is not None
        schema, shown = reference(name), None if name == OTHER else name
        if route.prefers:
            schema = {"oneOf": [schema, reference("OperationOutcome")]}
    else:
        schema, shown = reference(route.answer), _example(route, name)
    return {**said, "content": {JSON: _media(schema, shown)}}


def _example(route: Route, name: str | None) -> str | None:
    if route.name == "transaction":
        return "ReferralStored"
    if name is None or name == OTHER or route.name not in _PLURAL:
        return None
    return f"{name}History" if route.name == "history" else f"{name}Page"


def refusals() -> dict[str, Described]:
    """The responses that say no, by name: each an OperationOutcome."""
    said: dict[str, Described] = {}
    for status, description in REASONS.items():
        names = ["X-Request-Id", *_ON_REFUSAL.get(status, ())]
        one: Described = {
            "description": description,
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        }
        if status != 304:
            shown = f"Refused{status}" if status in examples.REFUSALS else None
            one["content"] = {JSON: _media(reference("OperationOutcome"), shown)}
        said[f"Refused{status}"] = one
    return said


_ON_REFUSAL: Final[dict[int, tuple[str, ...]]] = {
    304: ("ETag", "Last-Modified"),
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}


def _answered(description: str, example: str) -> Described:
    return {"description": description, "schema": {"type": "string"}, "example": example}


HEADERS: Final[dict[str, Described]] = {
    "ETag": _answered("Version of the resource; send it back as If-Match.", 'W/"3"'),
    "Last-Modified": _answered("When this version was made.", "Mon, 02 Mar 2026 09:30:00 GMT"),
    "Location": _answered(
        "Address of the version that was written.",
        f"{examples.BASE}/Task/0f3Kq2mVd7Rw/_history/1",
    ),
    "Idempotency-Replayed": _answered("`true`: the first answer to this key, again.", "true"),
    "Warning": _answered(
        "What was stored all the same, for clients that agreed to be warned.",
        '199 coordhub "Task.focus: leads nowhere."',
    ),
    "X-Request-Id": _answered(
        "Names the request in log and audit.", "4f0c6a1e-6d9c-4a53-9f4c-0b8a4f1f8f10"
    ),
    "Retry-After": _answered("Seconds to wait.", "2"),
    "WWW-Authenticate": _answered("What is asked for.", 'Bearer realm="coordhub"'),
}
"""Headers of answers."""
