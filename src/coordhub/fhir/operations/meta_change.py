"""The operations $meta-add and $meta-delete: tags, labels and profiles put on and taken off.

http://hl7.org/fhir/R4/resource-operation-meta-add.html, http://hl7.org/fhir/R4/resource-operation-meta-delete.html

R4 leaves open whether this makes a version. Here it does, where it changes anything: what is stored
is the event, so whoever follows a resource learns of its new labels like of any change. The rules
of an update apply, so only who may update a resource may label it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.operations.meta import returned
from coordhub.r4 import document
from coordhub.record.commit import commit
from coordhub.record.operations import Update
from coordhub.store import resources

Meta = dict[str, Any]

_CODED = ("security", "tag")
_ATTEMPTS = 3


async def add(context: Context, asked: Asked) -> Answer:
    """Parameters with the meta as it is now."""
    return await _change(context, asked, _added)


async def delete(context: Context, asked: Asked) -> Answer:
    """Parameters with the meta as it is now; what was not there is no fault."""
    return await _change(context, asked, _removed)


async def _change(context: Context, asked: Asked, change: Callable[[Meta, Meta], Meta]) -> Answer:
    kind, fhir_id = asked.target.instance()
    given = invocation.parameter(asked, "meta")
    if given is None or not isinstance(given.get("valueMeta"), dict):
        raise FhirError(
            400,
            Issue("required", "A parameter `meta` with a valueMeta.", "Parameters.parameter"),
        )
    for attempt in range(_ATTEMPTS):
        async with context.hub.engine.pool.acquire() as conn:
            found = await resources.read(conn, viewer.of(asked.caller), kind, fhir_id)
        if found is None:
            raise errors.not_found(asked.target.reference)
        if found.body is None:
            raise errors.gone(found.reference, found.version)
        whole = document.parse(found.body.encode())
        whole["meta"] = change(whole.get("meta", {}), given["valueMeta"])
        update = Update(kind, fhir_id, whole, asked.conditions.if_match or found.version)
        try:
            done = await commit(
                context.hub, asked.caller, [update], interaction=f"${asked.target.operation}"
            )
        except FhirError as refused:
            again = refused.status == 412 and asked.conditions.if_match is None
            if not again or attempt == _ATTEMPTS - 1:
                raise
        else:
            written = done.written[0]
            meta = document.parse((written.body or "{}").encode()).get("meta", {})
            return Answer(
                200,
                returned(meta),
                reference=written.reference,
                version=written.version,
                updated=written.updated,
                audited=True,
            )
    raise AssertionError("unreachable")


def _added(meta: Meta, given: Meta) -> Meta:
    """With what is given and not there yet."""
    result = dict(meta)
    for name in _CODED:
        known = {_key(one) for one in meta.get(name, ())}
        new = [one for one in given.get(name, ()) if _key(one) not in known]
        if new:
            result[name] = [*meta.get(name, ()), *new]
    new_profiles = [one for one in given.get("profile", ()) if one not in meta.get("profile", ())]
    if new_profiles:
        result["profile"] = [*meta.get("profile", ()), *new_profiles]
    return result


def _removed(meta: Meta, given: Meta) -> Meta:
    """Without what is given."""
    result = dict(meta)
    for name in _CODED:
        unwanted = {_key(one) for one in given.get(name, ())}
        result[name] = [one for one in meta.get(name, ()) if _key(one) not in unwanted]
    unwanted_profiles = given.get("profile", ())
    result["profile"] = [one for one in meta.get("profile", ()) if one not in unwanted_profiles]
    return {name: value for name, value in result.items() if value != []}


def _key(coding: Any) -> tuple[Any, Any]:
    return (coding.get("system"), coding.get("code")) if isinstance(coding, dict) else (None, None)
