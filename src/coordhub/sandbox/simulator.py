"""The partner simulator: partners with FHIR servers, played on loopback, told how to behave.

http://hl7.org/fhir/R4/http.html

    POST   /partners/{name}/fhir                     a transaction Bundle
    POST   /partners/{name}/fhir/{type}              create; PUT .../{type}/{id} update
    GET    /partners/{name}/fhir/{type}/{id}         read; .../_history/{version} vread
    GET    /partners/{name}/fhir/{type}?identifier=  search (also _id, or nothing for all)
    GET    /partners/{name}/fhir/metadata            capabilities
    GET    /partners/{name}/behaviour                how it behaves; PUT to change (behaviour.py)
    GET    /partners/{name}/received                 all that arrived, in order; ?after=sequence
    DELETE /partners/{name}/received                 forget it, and the resources
    GET    /partners/{name}/read                     what was read from it, in order
    GET    /partners                                 all partners at a glance

A partner exists once it is addressed. Behaviour applies to what is written, or to what is read where a
habit says so (`"of": "read"`); searches are always answered, but by who guards what is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from coordhub.errors import FhirError
from coordhub.r4 import document as fhir_json
from coordhub.sandbox import behaviour
from coordhub.sandbox.behaviour import Behaviour
from coordhub.sandbox.hangup import Hangup
from coordhub.sandbox.partner import Change, Document, Partner, Refusal, read_bundle, summary

_PARTNER = "/partners/{name:str}"
_WHIMS = {"write": "whims", "read": "whims of reading"}
_HUGE = 2 * 1024 * 1024


class _Played:
    """A partner together with its habits."""

    def __init__(self, name: str, seed: int) -> None:
        self.partner = Partner(name, Random(f"{seed}:{name}:ids"))
        self.whims = {of: Random(f"{seed}:{name}:{whims}") for of, whims in _WHIMS.items()}
        self.habits: tuple[Behaviour, ...] = ()
        self.shown: Counter[int] = Counter()

    def behave(self, of: str = "write") -> Behaviour:
        position, habit = behaviour.choose(self.habits, self.shown, self.whims[of], of)
        self.shown[position] += 1
        return habit


class Simulator:
    """All partners of one simulator; its methods answer the routes of `build`."""

    def __init__(self, seed: int, clock: Callable[[], datetime]) -> None:
        self._seed = seed
        self._clock = clock
        self._played: dict[str, _Played] = {}

    def _of(self, request: Request) -> _Played:
        name = request.path_params["name"]
        if name not in self._played:
            self._played[name] = _Played(name, self._seed)
        return self._played[name]

    async def write(self, request: Request) -> Response:
        """POST or PUT of anything, as the partner's behaviour has it."""
        played = self._of(request)
        habit = played.behave()
        note: Document = {
            "at": self._clock().isoformat(),
            "deliveryId": request.headers.get("idempotency-key"),
            "requestId": request.headers.get("x-request-id"),
            "interaction": f"{request.method} {request.path_params.get('type', '')}".strip(),
            "mode": habit.mode,
            "duplicate": False,
            "applied": False,
            "status": None,
            "resources": [],
        }
        if habit.mode == "down":
            played.partner.record(note)
            return Hangup()
        body = await request.body()
        if habit.delay_ms:
            await asyncio.sleep(habit.delay_ms / 1000)
        response = self._answer(request, played.partner, habit, body, note)
        if not isinstance(response, Hangup):
            note["status"] = response.status_code
        played.partner.record(note)
        return response

    def _answer(
        self, request: Request, partner: Partner, habit: Behaviour, body: bytes, note: Document
    ) -> Response:
        try:
            changes = _changes(request, fhir_json.parse(body))
        except Refusal as refusal:
            return _outcome(refusal.status, "invalid", refusal.why)
        except FhirError as error:
            return _outcome(error.status, "structure", error.issues[0].diagnostics)
        note["resources"] = [summary(change.resource) for change in changes]
        if habit.mode == "guarded" and "authorization" not in request.headers:
            return _outcome(401, "login", "who are you?")
        if habit.mode == "error":
            return _outcome(500, "exception", "simulated failure")
        if habit.mode == "rate":
            wait = {"Retry-After": str(habit.retry_after)}
            return _outcome(429, "throttled", "simulated load", wait)
        if habit.mode == "reject":
            return _outcome(422, "business-rule", "simulated refusal")
        key, once = note["deliveryId"], habit.idempotent
        if habit.mode == "doubles":
            once = False
            changes = [replace(one, method="POST", id="", query="") for one in changes]
        try:
            taken, repeat = partner.take(key, body, changes, self._clock(), once=once)
        except Refusal as refusal:
            return _outcome(refusal.status, "processing", refusal.why)
        note |= {
            "duplicate": repeat,
            "applied": not (repeat and once),
            "resources": taken.resources,
        }
        if repeat and taken.digest != hashlib.sha256(body).hexdigest():
            note["differs"] = True
        if habit.mode == "lost":
            return Hangup()
        if habit.mode == "garbage":
            return Response(
                "<html><body>Welcome to nginx!</body></html>", 200, media_type="text/html"
            )
        entries = [
            {
                "response": {
                    "status": str(result.status),
                    "location": f"{result.type}/{result.id}/_history/{result.version}",
                    "etag": f'W/"{result.version}"',
                }
            }
            for result in taken.results
        ]
        if "type" in request.path_params:
            first = entries[0]["response"]
            headers = {"Location": f"{_base(request)}/{first['location']}", "ETag": first["etag"]}
            return Response(b"", taken.results[0].status, headers)
        answer = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
        response = _fhir(200, answer)
        return (
            Hangup(response.body, headers=dict(response.headers))
            if habit.mode == "half"
            else response
        )

    async def read(self, request: Request) -> Response:
        """Read or vread, as the partner's behaviour has it."""
        played, where = self._of(request), request.path_params
        habit = played.behave("read")
        note: Document = {
            "path": request.url.path.partition("/fhir/")[2],
            "requestId": request.headers.get("x-request-id"),
            "authorized": "authorization" in request.headers,
            "mode": habit.mode,
            "status": None,
        }
        played.partner.read.append(note)
        if habit.delay_ms:
            await asyncio.sleep(habit.delay_ms / 1000)
        response = self._shown(request, played.partner, habit, where)
        if not isinstance(response, Hangup):
            note["status"] = response.status_code
        return response

    def _shown(
        self, request: Request, partner: Partner, habit: Behaviour, where: Document
    ) -> Response:
        match habit.mode:
            case "down" | "lost" | "half":
                return Hangup()
            case "error":
                return _outcome(500, "exception", "simulated failure")
            case "rate":
                wait = {"Retry-After": str(habit.retry_after)}
                return _outcome(429, "throttled", "simulated load", wait)
            case "reject":
                return _outcome(403, "forbidden", "simulated refusal")
            case "guarded" if "authorization" not in request.headers:
                return _outcome(401, "login", "who are you?")
            case "garbage":
                return Response("<html><body>Log in</body></html>", 200, media_type="text/html")
            case "huge":
                return Response(b" " * _HUGE, 200, media_type="application/fhir+json")
        if "version" in where:
            history = partner.versions.get((where["type"], where["id"]), [])
            index = where["version"]
            found = history[index - 1] if 0 < index <= len(history) else None
        else:
            found = partner.current(where["type"], where["id"])
        if not found:
            return _outcome(404, "not-found", "not known to this partner")
        tag = f'W/"{found["meta"]["versionId"]}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return _fhir(200, found, {"ETag": tag})

    async def was_read(self, request: Request) -> Response:
        """Everything that was read from a partner, in order."""
        return _json(self._of(request).partner.read)

    async def search(self, request: Request) -> Response:
        """Search of one type; also who guards what is read guards what is found."""
        played, type_ = self._of(request), request.path_params["type"]
        partner = played.partner
        guarded = any(one.mode == "guarded" and one.of == "read" for one in played.habits)
        if guarded and "authorization" not in request.headers:
            return _outcome(401, "login", "who are you?")
        try:
            query = request.url.query
            found = partner.find(type_, query) if query else partner.everything(type_)
        except Refusal as refusal:
            return _outcome(refusal.status, "not-supported", refusal.why)
        entries = [{"resource": resource} for resource in found]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        return _fhir(200, {**bundle, "entry": entries} if entries else bundle)

    async def capabilities(self, request: Request) -> Response:
        """A CapabilityStatement, small but true."""
        statement = {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-01-01",
            "kind": "instance",
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json"],
            "rest": [{"mode": "server", "interaction": [{"code": "transaction"}]}],
        }
        return _fhir(200, statement)

    async def behaviour(self, request: Request) -> Response:
        """Show or change how a partner behaves; a change starts its counts anew."""
        played = self._of(request)
        if request.method == "PUT":
            try:
                played.habits = behaviour.read(json.loads(await request.body()))
            except (ValueError, TypeError) as error:
                return _json({"error": str(error), "modes": behaviour.MODES}, 400)
            played.shown.clear()
        return _json(behaviour.as_json(played.habits))

    async def received(self, request: Request) -> Response:
        """Everything a partner got, in order."""
        partner = self._of(request).partner
        if request.method == "DELETE":
            partner.forget()
            return Response(status_code=204)
        after = request.query_params.get("after", "0")
        start = int(after) if after.isdecimal() else 0
        forgotten = partner.sequence - len(partner.received)
        return _json(partner.received[max(0, start - forgotten) :])

    async def overview(self, request: Request) -> Response:
        """All partners, with counts."""
        return _json([_glance(played) for _, played in sorted(self._played.items())])


def build(seed: int = 0, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> ASGIApp:
    """The simulator as an ASGI application; run it under uvicorn, which it needs to hang up.

    seed: decides whims and ids, for each partner apart from the others.
    """
    simulator = Simulator(seed, clock)
    fhir = f"{_PARTNER}/fhir"
    return Starlette(
        routes=[
            Route("/partners", simulator.overview, methods=["GET"]),
            Route(f"{_PARTNER}/behaviour", simulator.behaviour, methods=["GET", "PUT"]),
            Route(f"{_PARTNER}/received", simulator.received, methods=["GET", "DELETE"]),
            Route(f"{_PARTNER}/read", simulator.was_read, methods=["GET"]),
            Route(f"{fhir}/metadata", simulator.capabilities, methods=["GET"]),
            Route(fhir, simulator.write, methods=["POST"]),
            Route(f"{fhir}/", simulator.write, methods=["POST"]),
            Route(f"{fhir}/{{type:str}}", simulator.write, methods=["POST"]),
            Route(f"{fhir}/{{type:str}}", simulator.search, methods=["GET"]),
            Route(f"{fhir}/{{type:str}}/{{id:str}}", simulator.write, methods=["PUT"]),
            Route(f"{fhir}/{{type:str}}/{{id:str}}", simulator.read, methods=["GET"]),
            Route(
                f"{fhir}/{{type:str}}/{{id:str}}/_history/{{version:int}}",
                simulator.read,
                methods=["GET"],
            ),
        ]
    )


class _Server(uvicorn.Server):
    """One server among others in a process: signals are not its business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    host: str, port: int, *, seed: int = 0, certificate: tuple[Path, Path] | None = None
) -> AsyncIterator[str]:
    """The simulator while the block runs; yields `http://host:port`. Port 0 takes a free one.

    certificate: it speaks TLS with this one, of which these are the files (PEM), and of its key.
    """
    # asyncio sends at once (TCP_NODELAY) only on sockets that say that they are TCP's.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.setblocking(False)
    config = uvicorn.Config(
        build(seed),
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate[0] if certificate else None,
        ssl_keyfile=certificate[1] if certificate else None,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if running.done():
                await running
                raise RuntimeError("the simulator did not start")
            await asyncio.sleep(0.01)
        scheme = "https" if certificate else "http"
        yield f"{scheme}://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


async def serve(host: str, port: int, *, seed: int = 0) -> None:
    """Run the simulator until cancelled."""
    async with serving(host, port, seed=seed):
        await asyncio.get_running_loop().create_future()


def _changes(request: Request, document: Document) -> list[Change]:
    where = request.path_params
    if "type" not in where:
        return read_bundle(document)
    url = f"{where['type']}/{where['id']}" if "id" in where else where["type"]
    asked = {
        "method": request.method,
        "url": url,
        "ifNoneExist": request.headers.get("if-none-exist", ""),
    }
    entry = {"request": asked, "resource": document}
    return read_bundle({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


def _base(request: Request) -> str:
    return f"{request.base_url}partners/{request.path_params['name']}/fhir"


def _glance(played: _Played) -> Document:
    received = played.partner.received
    keys = {entry["deliveryId"] for entry in received if entry["deliveryId"]}
    return {
        "name": played.partner.name,
        "behaviour": behaviour.as_json(played.habits),
        "received": len(received),
        "deliveries": len(keys),
        "applied": sum(entry["applied"] for entry in received),
        "duplicates": sum(entry["duplicate"] for entry in received),
        "resources": len(played.partner.versions),
    }


def _fhir(status: int, document: Document, headers: dict[str, str] | None = None) -> Response:
    return Response(fhir_json.encode(document), status, headers, media_type="application/fhir+json")


def _json(value: Any, status: int = 200) -> Response:
    return Response(fhir_json.encode(value), status, media_type="application/json")


def _outcome(status: int, code: str, why: str, headers: dict[str, str] | None = None) -> Response:
    issue = {"severity": "error", "code": code, "diagnostics": why}
    return _fhir(status, {"resourceType": "OperationOutcome", "issue": [issue]}, headers)
