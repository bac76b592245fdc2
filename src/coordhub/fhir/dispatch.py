"""Which interaction a method and an address mean.

http://hl7.org/fhir/R4/http.html#summary

Pure: it looks at names only. What FHIR defines here and this hub does not offer is refused by its
name; an address that FHIR does not know is 404, a method that it does not know there 405.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coordhub import errors
from coordhub.errors import FhirError, Issue
from coordhub.r4 import types
from coordhub.r4.compartments import OWNERS

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_WORD = re.compile(r"[A-Za-z]{1,40}", re.ASCII)
_HIGHEST_VERSION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Target:
    """What is meant by method and address.

    interaction: code of http://hl7.org/fhir/R4/valueset-restful-interaction.html; a batch is
        dispatched as `transaction`, its Bundle tells.
    id: None where a type or criteria are meant. version: of a vread.
    operation: name of an `operation`, without its `$`.
    compartment: type and id of whose compartment is searched.
    """

    interaction: str
    type: str | None = None
    id: str | None = None
    version: int | None = None
    operation: str | None = None
    compartment: tuple[str, str] | None = None

    def instance(self) -> tuple[str, str]:
        """Type and id, of an interaction that has both."""
        assert self.type is not None
        assert self.id is not None
        return self.type, self.id

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}" if self.id else self.type or ""


@dataclass(frozen=True, slots=True)
class Operation:
    """Where an operation may be invoked.

    levels: system, type, instance. types: that have it; empty: all.
    methods: GET where it changes nothing; of_type: those of the type, where they are others.
    needs: what the token must allow on the type.
    parameters: names that it takes; None: it judges its own, as a search does.
    """

    levels: tuple[str, ...]
    types: tuple[str, ...]
    methods: tuple[str, ...]
    needs: str = "read"
    parameters: frozenset[str] | None = frozenset()
    of_type: tuple[str, ...] = ()

    def at(self, level: str, resource_type: str | None = None) -> bool:
        return level in self.levels and (
            resource_type is None or not self.types or resource_type in self.types
        )


_ASK: Final = ("GET", "POST")

OPERATIONS: Final[Mapping[str, Operation]] = {
    "accounting-of-disclosures": Operation(
        ("instance",), ("Patient",), ("GET",), parameters=frozenset({"start", "end"})
    ),
    "break-glass": Operation(("type",), ("Patient",), ("POST",), parameters=None),
    "evaluate-measure": Operation(
        ("type",),
        ("Measure",),
        ("GET",),
        parameters=frozenset({"measure", "periodStart", "periodEnd", "reportType"}),
    ),
    "events": Operation(
        ("instance",),
        ("Subscription",),
        ("GET",),
        parameters=frozenset({"eventsSinceNumber", "eventsUntilNumber", "content"}),
    ),
    "everything": Operation(
        ("instance",),
        ("Patient", "Encounter"),
        _ASK,
        parameters=frozenset({"start", "end", "_since", "_type", "_count", "_cursor"}),
    ),
    "extract": Operation(("instance",), ("QuestionnaireResponse",), ("GET",)),
    "find": Operation(
        ("type",),
        ("HealthcareService",),
        ("GET",),
        "search",
        frozenset({"need", "near", "postal-code", "state", "language", "open", "age", "_count"}),
    ),
    "get-ws-binding-token": Operation(
        ("type", "instance"), ("Subscription",), _ASK, parameters=frozenset({"id"})
    ),
    "current-medications": Operation(("instance",), ("Patient",), ("GET",)),
    "ihe-pix": Operation(
        ("type",),
        ("Patient",),
        ("GET",),
        "search",
        frozenset({"sourceIdentifier", "targetSystem"}),
    ),
    "lastn": Operation(("type",), ("Observation",), _ASK, "search", None),
    "lower-label": Operation(
        ("instance",), (), ("POST",), "update", frozenset({"class", "reason"})
    ),
    "match": Operation(
        ("type",),
        ("Patient",),
        ("POST",),
        "search",
        frozenset({"resource", "onlyCertainMatches", "count"}),
    ),
    "meta": Operation(("system", "type", "instance"), (), _ASK),
    "meta-add": Operation(("instance",), (), ("POST",), "update", frozenset({"meta"})),
    "meta-delete": Operation(("instance",), (), ("POST",), "update", frozenset({"meta"})),
    "prior-results": Operation(
        ("instance",), ("Patient", "ServiceRequest"), ("GET",), parameters=frozenset({"code"})
    ),
    "read-again": Operation(("type",), ("Task",), ("POST",), "update", None),
    "resend": Operation(
        ("instance",),
        ("Subscription",),
        ("POST",),
        "update",
        frozenset({"eventsSinceNumber", "eventsUntilNumber"}),
    ),
    "rotate-secret": Operation(("instance",), ("Subscription",), ("POST",), "update"),
    "route": Operation(
        ("type", "instance"),
        ("ServiceRequest",),
        ("GET",),
        parameters=frozenset({"_count"}),
        of_type=("POST",),
    ),
    "status": Operation(
        ("type", "instance"), ("Subscription",), ("GET",), parameters=frozenset({"id", "status"})
    ),
    "status-of-referral": Operation(("instance",), ("ServiceRequest", "Task"), ("GET",)),
    "why": Operation(("instance",), (), ("GET",), parameters=frozenset({"recipient"})),
    "validate": Operation(
        ("type", "instance"),
        (),
        ("POST",),
        parameters=frozenset({"resource", "mode", "profile"}),
    ),
}
"""The operations by name, without the `$`."""

_SCOPE = {
    "read": "read",
    "vread": "read",
    "history-instance": "read",
    "history-type": "read",
    "search-type": "search",
    "create": "create",
    "update": "update",
    "patch": "update",
    "delete": "delete",
}


def needs(target: Target) -> str | None:
    """What the token must allow on the type: create, read, update, delete, search; or nothing."""
    if target.operation is not None:
        return OPERATIONS[target.operation].needs
    return _SCOPE.get(target.interaction)


def dispatch(method: str, segments: Sequence[str], *, conditional: bool = False) -> Target:
    """The interaction; `segments` is the address below the FHIR base, split and decoded.

    conditional: the address has a query. Of reads it says nothing, of writes without an id that
    criteria name the resource.
    """
    if method == "HEAD":
        method = "GET"
    parts = [segment for segment in segments if segment]
    if any(part.startswith("$") for part in parts):
        return _operation(method, parts)
    match parts:
        case []:
            return _system(method)
        case ["metadata"]:
            _only(method, "GET", at="metadata")
            return Target("capabilities")
        case ["_history"]:
            _only(method, "GET", at="_history")
            return Target("history-system")
        case ["_search"]:
            _only(method, "POST", at="_search")
            return Target("search-system")
        case [name]:
            return _type(method, _known(name), conditional)
        case [name, "_search"]:
            _only(method, "POST", at=f"{_known(name)}/_search")
            return Target("search-type", name)
        case [name, "_history"]:
            _only(method, "GET", at=f"{_known(name)}/_history")
            return Target("history-type", name)
        case [name, fhir_id]:
            return _instance(method, _known(name), _identifier(name, fhir_id))
        case [name, fhir_id, "_history"]:
            target = Target("history-instance", _known(name), _identifier(name, fhir_id))
            _only(method, "GET", at="[type]/[id]/_history")
            return target
        case [name, fhir_id, "_history", version]:
            _known(name)
            _identifier(name, fhir_id)
            _only(method, "GET", at="[type]/[id]/_history/[vid]")
            return Target("vread", name, fhir_id, _version(name, fhir_id, version))
        case [owner, fhir_id, name] if owner in OWNERS and (name == "*" or name in types.NUMBER):
            _only(method, "GET", at=f"{owner}/[id]/{name}")
            return _compartment(owner, fhir_id, name)
        case [owner, fhir_id, name, "_search"] if owner in OWNERS and (
            name == "*" or name in types.NUMBER
        ):
            _only(method, "POST", at=f"{owner}/[id]/{name}/_search")
            return _compartment(owner, fhir_id, name)
        case _:
            _known(parts[0])
            raise FhirError(404, Issue("not-found", "FHIR R4 has no such address."))


def _system(method: str) -> Target:
    match method:
        case "GET":
            return Target("search-system")
        case "POST":
            return Target("transaction")
        case _:
            raise _not_allowed(method, "the base", "GET, POST")


def _type(method: str, name: str, conditional: bool) -> Target:
    match method:
        case "GET":
            return Target("search-type", name)
        case "POST":
            if conditional:
                raise errors.bad_request(
                    "A create has no query; for a conditional create send If-None-Exist."
                )
            return Target("create", name)
        case "PUT" | "PATCH" | "DELETE":
            if not conditional:
                raise errors.bad_request(
                    f"Which {name}? {method} takes {name}/[id], or {name}?[criteria]."
                )
            return Target({"PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method], name)
        case _:
            raise _not_allowed(method, name, "GET, POST, PUT, PATCH, DELETE")


def _instance(method: str, name: str, fhir_id: str) -> Target:
    match method:
        case "GET":
            return Target("read", name, fhir_id)
        case "PUT":
            return Target("update", name, fhir_id)
        case "DELETE":
            return Target("delete", name, fhir_id)
        case "PATCH":
            return Target("patch", name, fhir_id)
        case _:
            raise _not_allowed(method, f"{name}/[id]", "GET, PUT, PATCH, DELETE")


def _compartment(owner: str, fhir_id: str, name: str) -> Target:
    within = (owner, _identifier(owner, fhir_id))
    if name == "*":
        return Target("search-system", compartment=within)
    return Target("search-type", name, compartment=within)


def _only(method: str, allowed: str, *, at: str) -> None:
    if method != allowed:
        raise _not_allowed(method, at, allowed)


def _not_allowed(method: str, at: str, allowed: str) -> FhirError:
    allowed = allowed.replace("GET", "GET, HEAD")
    return errors.method_not_allowed(
        f"{method} does not exist at {at}; there is {allowed}.", allowed
    )


def _known(name: str) -> str:
    if name in types.NUMBER:
        return name
    hint = "A resource type of FHIR R4 is expected here."
    if _WORD.fullmatch(name):
        nearest = difflib.get_close_matches(name.capitalize(), types.NAMES, 1, 0.6)
        folded = {known.lower(): known for known in types.NAMES}.get(name.lower())
        if folded or nearest:
            hint = f"Did you mean {folded or nearest[0]}?"
        hint = f"{name} is no resource type of FHIR R4. {hint}"
    raise FhirError(404, Issue("not-supported", hint))


def _identifier(name: str, fhir_id: str) -> str:
    if ID.fullmatch(fhir_id):
        return fhir_id
    raise FhirError(
        404,
        Issue(
            "not-found",
            f"No {name} has such an id: ids are 1 to 64 letters, digits, hyphens and dots.",
        ),
    )


def _version(name: str, fhir_id: str, version: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,9}", version, re.ASCII) and int(version) <= _HIGHEST_VERSION:
        return int(version)
    raise errors.not_found(
        f"{name}/{fhir_id}/_history/{version}"
        if ID.fullmatch(version)
        else f"This version of {name}/{fhir_id}"
    )


def _operation(method: str, parts: Sequence[str]) -> Target:
    name = next(part for part in parts if part.startswith("$"))
    operation = OPERATIONS.get(name[1:])
    target = None
    match parts:
        case [_] if operation is not None and operation.at("system"):
            target = Target("operation", operation=name[1:])
        case [kind, last] if last == name and operation is not None:
            if operation.at("type", _known(kind)):
                target = Target("operation", kind, operation=name[1:])
        case [kind, fhir_id, last] if last == name and operation is not None:
            if operation.at("instance", _known(kind)):
                target = Target("operation", kind, _identifier(kind, fhir_id), operation=name[1:])
    if target is None or operation is None:
        shown = name if re.fullmatch(r"\$[A-Za-z-]{1,40}", name, re.ASCII) else "of that name"
        raise errors.not_supported(f"The operation {shown} is not offered here.")
    methods = operation.methods
    if target.type is not None and target.id is None:
        methods = operation.of_type or methods
    if method not in methods:
        raise _not_allowed(method, name, ", ".join(methods))
    return target
