"""The operation $extract: what the answers of a screening say, and what may be proposed for it.

http://hl7.org/fhir/uv/sdc/OperationDefinition/QuestionnaireResponse-extract

A transaction that whoever asked may post, here or to a server of its own, after a person has looked at it:
Observations, Conditions, and a ServiceRequest of intent proposal for each need. Each entry has ifNoneExist,
so that what is there already is not made again: here the Observations and Conditions are, by the commit that
wrote the response. Nothing is proposed for what is a matter of safety.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import Issue
from coordhub.fhir.bundle import bundle
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document as fhir_json
from coordhub.record.hub import instant
from coordhub.referral import findings, screening
from coordhub.referral.findings import Made, Told
from coordhub.referral.screening import Said
from coordhub.store import resources


async def answer(context: Context, asked: Asked) -> Answer:
    """A Bundle; 404 for a response that the caller does not see, 422 for one that nothing is read of."""
    hub, target = context.hub, asked.target
    kind, fhir_id = target.instance()
    async with hub.engine.pool.acquire() as conn:
        found = await resources.read(conn, viewer.of(asked.caller), kind, fhir_id)
    if found is None:
        raise errors.not_found(target.reference)
    if found.body is None:
        raise errors.gone(target.reference, found.version)
    response = fhir_json.parse(found.body.encode())
    said = screening.read(response)
    if said is None:
        raise errors.unprocessable(
            Issue(
                "not-supported",
                "This is no completed response to a screening that is read here. Its questionnaire has to be one of "
                "those at /Questionnaire, and its status completed or amended.",
                "QuestionnaireResponse.questionnaire",
            )
        )
    name = found.reference
    entries = [_entry(one, name) for one in _made(said, response, name, instant(found.updated))]
    return Answer(200, bundle("transaction", entries), shown=(found.rid,))


def _made(said: Said, response: dict[str, Any], name: str, stamp: str) -> Iterator[Made]:
    def of(kind: str, key: str) -> str:
        return _address(name, kind, key)

    told = Told(said, response, name, stamp, of)
    yield from findings.made(told)
    yield from findings.proposals(told)


def _entry(one: Made, name: str) -> dict[str, Any]:
    [identifier] = one.document["identifier"]
    criteria = f"{identifier['system']}|{identifier['value']}"
    return {
        "fullUrl": _address(name, one.type, one.key),
        "resource": one.document,
        "request": {
            "method": "POST",
            "url": one.type,
            "ifNoneExist": f"identifier={quote(criteria, safe='')}",
        },
    }


def _address(name: str, kind: str, key: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{name}#{kind}/{key}").urn
