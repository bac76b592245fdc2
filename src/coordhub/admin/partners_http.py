"""The admin API about partners: their way on board, what was agreed with them, how much they may ask.

Below /admin/v1, as `admin.http`, whose words it shares. What cannot be done as things stand is 409.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from dataclasses import asdict
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response

from coordhub.admin import agreements, checking, limiting, onboarding, registering
from coordhub.admin.acts import NothingDone, NotKnown
from coordhub.admin.agreements import Changes
from coordhub.admin.http import PREFIX, absent, answered, operating, read_body, writable
from coordhub.admin.registering import Keys
from coordhub.errors import FhirError, Issue, conflict
from coordhub.store.clients import Allowance
from coordhub.store.onboarding import Report

Done = TypeVar("Done")

router = APIRouter(prefix=PREFIX)


class Registering(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """jwks: a JSON Web Key Set; jwks_uri: the address of one. headers: by which the server lets the hub in."""

    client: str
    organization: str
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    scope: str = "system/*.cruds"
    endpoint: str | None = None
    headers: tuple[str, ...] = ()


class Checking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sample: dict[str, Any] | None = None


class Approving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    in_spite: str | None = None
    same_server: bool = False


class Switching(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    because: str


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays; 0: as is usual."""

    per_second: float | None = None
    burst: int | None = None
    at_once: int | None = None
    per_day: int | None = None


@router.get("/partners")
async def list_partners(request: Request) -> Response:
    admin, _ = await operating(request, "partners.read")
    async with admin.hub.engine.pool.acquire() as conn:
        found = await onboarding.listed(conn)
    return answered({"partners": [asdict(one) for one in found]})


@router.post("/partners")
async def register(request: Request) -> Response:
    admin, by = await operating(request, "partners.act")
    asked = await read_body(request, Registering)
    if (asked.jwks is None) == (asked.jwks_uri is None):
        raise _unusable("give jwks or jwks_uri, one of them.", "jwks")
    try:
        keys = registering.keys_of(asked.jwks_uri or json.dumps(asked.jwks))
        server = None
        if asked.endpoint is not None:
            server = onboarding.server_of(asked.endpoint, asked.headers)
        registration = onboarding.Registration(
            asked.client, asked.organization, Keys(keys.jwks, keys.jwks_uri), asked.scope, server
        )
        return answered(asdict(await onboarding.register(admin.hub, by, registration)))
    except NothingDone as nothing:
        raise _unusable(str(nothing)) from None


@router.get("/partners/{client}")
async def show(request: Request, client: str) -> Response:
    admin, _ = await operating(request, "partners.read")
    async with admin.hub.engine.pool.acquire() as conn:
        try:
            return answered(asdict(await onboarding.standing(conn, client)))
        except NothingDone as nothing:
            raise absent(str(nothing)) from None


@router.get("/partners/{client}/report")
async def report(request: Request, client: str) -> Response:
    admin, _ = await operating(request, "partners.read")
    try:
        return answered(_report(await checking.report_of(admin.hub, client)))
    except NothingDone as nothing:
        raise absent(str(nothing)) from None


@router.post("/partners/{client}/check")
async def check(request: Request, client: str) -> Response:
    admin, by = await operating(request, "partners.act")
    asked = await read_body(request, Checking)
    sample = None if asked.sample is None else json.dumps(asked.sample).encode()
    made = await _done(checking.check(admin.hub, by, client, admin.look, sample))
    return answered(_report(made))


@router.post("/partners/{client}/approve")
async def approve(request: Request, client: str) -> Response:
    admin, by = await operating(request, "partners.approve")
    asked = await read_body(request, Approving)
    writable("in_spite", asked.in_spite)
    approved = checking.approve(
        admin.hub, by, client, in_spite=asked.in_spite, same_server=asked.same_server
    )
    return await _standing(approved)


@router.post("/partners/{client}/suspend")
async def suspend(request: Request, client: str) -> Response:
    admin, by = await operating(request, "partners.act")
    asked = await read_body(request, Switching)
    writable("because", asked.because)
    return await _standing(onboarding.suspend(admin.hub, by, client, asked.because))


@router.post("/partners/{client}/resume")
async def resume(request: Request, client: str) -> Response:
    admin, by = await operating(request, "partners.act")
    asked = await read_body(request, Switching)
    writable("because", asked.because)
    return await _standing(onboarding.resume(admin.hub, by, client, asked.because))


@router.post("/partners/{client}/end")
async def end(request: Request, client: str) -> Response:
    admin, by = await operating(request, "partners.act")
    asked = await read_body(request, Switching)
    writable("because", asked.because)
    return await _standing(onboarding.end(admin.hub, by, client, asked.because))


@router.get("/clients/{client}/limits")
async def limits(request: Request, client: str) -> Response:
    admin, _ = await operating(request, "partners.read")
    async with admin.hub.engine.pool.acquire() as conn:
        try:
            return answered(asdict(await limiting.of(conn, client)))
        except NothingDone as nothing:
            raise absent(str(nothing)) from None


@router.patch("/clients/{client}/limits")
async def limit(request: Request, client: str) -> Response:
    admin, by = await operating(request, "partners.act")
    asked = await read_body(request, Limits)
    hub = admin.hub
    allowed = Allowance(asked.per_second, asked.burst, asked.at_once, asked.per_day)
    try:
        holds = await limiting.allow(hub.engine, by, client, allowed, hub.clock())
    except NotKnown as nothing:
        raise absent(str(nothing)) from None
    except NothingDone as nothing:
        raise _unusable(str(nothing)) from None
    return answered(asdict(holds))


@router.get("/organizations/{organization}/agreement")
async def agreed(request: Request, organization: str) -> Response:
    admin, _ = await operating(request, "partners.read")
    async with admin.hub.engine.pool.acquire() as conn:
        try:
            found = await agreements.read(conn, f"Organization/{organization}")
        except NothingDone as nothing:
            raise absent(str(nothing)) from None
    return answered(asdict(found))


@router.patch("/organizations/{organization}/agreement")
async def agree(request: Request, organization: str) -> Response:
    admin, by = await operating(request, "partners.act")
    asked = await read_body(request, Changes)
    try:
        holds = await agreements.change(admin.hub, by, f"Organization/{organization}", asked)
    except NotKnown as nothing:
        raise absent(str(nothing)) from None
    except NothingDone as nothing:
        raise _unusable(str(nothing)) from None
    return answered(asdict(holds))


async def _done(step: Awaitable[Done]) -> Done:
    try:
        return await step
    except NotKnown as nothing:
        raise absent(str(nothing)) from None
    except NothingDone as nothing:
        raise conflict(_sentence(str(nothing))) from None


async def _standing(step: Awaitable[onboarding.Standing]) -> Response:
    return answered(asdict(await _done(step)))


def _report(made: Report) -> dict[str, Any]:
    items = [
        {name: value for name, value in asdict(one).items() if name != "noted"}
        for one in made.items
    ]
    return {"by": made.by, "at": made.at, "failed": made.failed, "items": items}


def _unusable(said: str, at: str = "") -> FhirError:
    return FhirError(422, Issue("value", _sentence(said), at))


def _sentence(said: str) -> str:
    return said[:1].upper() + said[1:]
