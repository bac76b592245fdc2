"""The admin API: dead letters and failing endpoints, for operators, as JSON; partners are `partners_http`'s.

Below /admin/v1, with tokens of operators (access.operators) that are of no use at the FHIR door, as a
partner's are of none here. What is done is done by `admin.letters`, as by the command line. It tells ids,
states and reasons; what a delivery carries only to who may see that, with a row of the audit.

What is refused is an OperationOutcome, as at every door.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response

from coordhub.access.operators import Bearer, OperatorTokens
from coordhub.admin import letters, openapi
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.admin.checking import Look
from coordhub.errors import FhirError, Issue, bad_request, too_large
from coordhub.record.hub import Hub
from coordhub.store.letters import Letter, Which

PREFIX: Final = "/admin/v1"
STATES: Final = ("dead", "parked", "queued", "leased", "suppressed", "delivered")
LARGEST: Final = 1024 * 1024
"""Bytes of a body: some ten thousand ids."""

PRIVATE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Admin:
    """What this door needs of the running hub; `app.state.admin` when a request comes. look: goes through the check
    list of partners."""

    hub: Hub
    tokens: OperatorTokens
    rendered: letters.Rendered
    look: Look


class Meant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which deliveries, as a body says it."""

    ids: tuple[UUID, ...] = ()
    endpoint: str | None = None
    organization: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    which: Meant
    as_new: bool = False


class Discard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    which: Meant
    because: str


Body = TypeVar("Body", bound=msgspec.Struct)

router = APIRouter(prefix=PREFIX)


@router.get("/openapi.json")
async def described() -> Response:
    return Response(openapi.text().encode(), media_type="application/json")


@router.get("/deliveries")
async def list_deliveries(request: Request) -> Response:
    admin, by = await operating(request, "deliveries.read")
    query = request.query_params
    unknown = sorted(set(query) - set(openapi.FILTERS))
    if unknown:
        raise bad_request(
            f"There is no parameter {unknown[0]}; there is {', '.join(openapi.FILTERS)}."
        )
    states = tuple(query.getlist("state")) or ("dead", "parked")
    if set(states) - set(STATES):
        raise bad_request(f"state is one of {', '.join(STATES)}.")
    which = _which(
        Meant(
            endpoint=query.get("endpoint"),
            organization=query.get("organization"),
            reason=query.get("reason"),
            since=_instant("since", query.get("since")),
            until=_instant("until", query.get("until")),
        ),
        states,
    )
    most = _number("_count", query.get("_count"), 100, letters.MOST)
    after = _number("after", query.get("after"), 0, 2**63 - 1)
    found = await letters.listed(admin.hub.engine, which, most + 1, after)
    more = found[:most]
    await _note(admin, by, "deliveries-listed", urlencode(query.multi_items()))
    answer: dict[str, Any] = {"deliveries": [_letter(one) for one in more]}
    if len(found) > most and more:
        kept = [(name, value) for name, value in query.multi_items() if name != "after"]
        asked = urlencode([*kept, ("after", str(more[-1].seq))])
        answer["next"] = f"{PREFIX}/deliveries?{asked}"
    return answered(answer)


@router.get("/deliveries/{delivery}")
async def show(request: Request, delivery: str) -> Response:
    admin, by = await operating(request, "deliveries.read")
    meant = _uuid(delivery)
    found = await letters.listed(admin.hub.engine, Which(STATES, (meant,)))
    if not found:
        raise absent(f"there is no delivery {meant}.")
    tried = await letters.tried_so_far(admin.hub.engine, meant)
    await _note(admin, by, "delivery-shown", f"delivery={meant}")
    return answered({**_letter(found[0]), "tried": [asdict(one) for one in tried]})


@router.get("/deliveries/{delivery}/content")
async def content(request: Request, delivery: str) -> Response:
    admin, by = await operating(request, "deliveries.content")
    hub = admin.hub
    try:
        found = await letters.content(hub.engine, by, _uuid(delivery), admin.rendered, hub.clock())
    except NothingDone as nothing:
        raise absent(str(nothing)) from None
    return Response(found.body, 200, PRIVATE, media_type="application/fhir+json")


@router.post("/deliveries/replay")
async def replay(request: Request) -> Response:
    admin, by = await operating(request, "deliveries.act")
    asked = await read_body(request, Replay)
    act = "delivery-replayed-as-new" if asked.as_new else "delivery-replayed"
    return await _carry_out(admin, by, act, asked.which, "")


@router.post("/deliveries/discard")
async def discard(request: Request) -> Response:
    admin, by = await operating(request, "deliveries.act")
    asked = await read_body(request, Discard)
    if not asked.because.strip():
        raise bad_request("Say why; it stands in the audit.", "because")
    writable("because", asked.because)
    return await _carry_out(admin, by, "delivery-discarded", asked.which, asked.because)


@router.get("/endpoints")
async def endpoints(request: Request) -> Response:
    admin, _ = await operating(request, "deliveries.read")
    found = await letters.troubled(admin.hub.engine)
    return answered(
        {"endpoints": [{**asdict(one), "endpoint": reference} for reference, one in found]}
    )


@router.post("/endpoints/{endpoint}/probe")
async def probe(request: Request, endpoint: str) -> Response:
    admin, by = await operating(request, "deliveries.act")
    reference = f"Endpoint/{_id('Endpoint', endpoint)}"
    try:
        await letters.probe(admin.hub.engine, by, reference, admin.hub.clock())
    except NothingDone as nothing:
        raise absent(str(nothing)) from None
    return answered({"endpoint": reference})


async def operating(request: Request, scope: str) -> tuple[Admin, Operator]:
    admin: Admin = request.app.state.admin
    bearer: Bearer = await admin.tokens.bearer(request.headers.get("authorization"))
    bearer.require(scope)
    if any("\0" in str(named) for named in request.path_params.values()):
        raise absent("nothing here is named with U+0000.")
    return admin, Operator(f"operator:{bearer.name}")


async def _note(admin: Admin, by: Operator, act: str, about: str) -> None:
    async with admin.hub.engine.transaction() as conn:
        await note(conn, by, act, admin.hub.clock(), {"asked": about})


async def _carry_out(admin: Admin, by: Operator, act: str, meant: Meant, reason: str) -> Response:
    which = _which(meant, letters.STATES[act])
    if not which.bounded:
        raise bad_request(
            "Say which, by ids, endpoint, organization, reason, since or until.", "which"
        )
    hub = admin.hub
    try:
        done = await letters.carry_out(hub.engine, by, act, which, hub.clock(), reason)
    except NothingDone as nothing:
        raise absent(str(nothing)) from None
    return answered({"done": len(done), "ids": done})


async def read_body(request: Request, kind: type[Body]) -> Body:
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > LARGEST:
            raise too_large(f"The body is beyond {LARGEST} bytes. Ask in several parts.")
        parts.append(part)
    try:
        return msgspec.json.decode(b"".join(parts), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"The body is not as {PREFIX}/openapi.json says: {error}.") from None


def _which(meant: Meant, states: tuple[str, ...]) -> Which:
    for name, at in (("since", meant.since), ("until", meant.until)):
        if at is not None and at.tzinfo is None:
            raise bad_request(f"{name} needs its offset, such as 2026-03-02T09:00:00Z.", name)
        if at is not None and not 1 < at.year < 9999:  # in UTC it may be in no year
            raise bad_request(f"{name} is an instant from year 2 to 9998.", name)
    writable("reason", meant.reason)
    return Which(
        states,
        meant.ids,
        _id("Endpoint", meant.endpoint),
        _id("Organization", meant.organization),
        meant.since,
        meant.until,
        meant.reason,
    )


def _id(kind: str, reference: str | None) -> str | None:
    if reference is None:
        return None
    before, _, fhir_id = reference.rpartition("/")
    if before not in ("", kind) or not fhir_id or "\0" in fhir_id:
        raise bad_request(f"Name it as {kind}/id.", kind.lower())
    return fhir_id


def writable(name: str, text: str | None) -> None:
    """The database keeps no U+0000."""
    if text is not None and "\0" in text:
        raise bad_request(f"{name} has a character that is none (U+0000). Leave it out.", name)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise bad_request("The id of a delivery is a UUID.") from None


def _instant(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise bad_request(f"{name} is an instant, such as 2026-03-02T09:00:00Z.", name) from None


def _number(name: str, text: str | None, usual: int, most: int) -> int:
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise bad_request(f"{name} is a number up to {most}.", name)
    return int(text)


def _letter(one: Letter) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if name != "seq"}


def absent(sentence: str) -> FhirError:
    return FhirError(404, Issue("not-found", sentence[:1].upper() + sentence[1:]))


def answered(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), 200, PRIVATE, media_type="application/json")
