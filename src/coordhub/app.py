"""The composition root of the API: its parts opened, its doors hung, THE exception handler.

https://fastapi.tiangolo.com/advanced/events/, https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from coordhub import errors, threshold
from coordhub.access import keys, statements
from coordhub.access.admission import Admission
from coordhub.access.operators import OperatorTokens
from coordhub.access.rates import Defaults
from coordhub.access.statements import Issuers
from coordhub.access.token import Tokens
from coordhub.admin import http as admin
from coordhub.admin import letters, partners_http, registration_http
from coordhub.admin.checking import Look
from coordhub.admin.registration_http import Registrar
from coordhub.authorization import authentication
from coordhub.authorization import http as authorization_http
from coordhub.authorization.context import Context as Authorization
from coordhub.authorization.identity import Signer
from coordhub.authorization.key_sets import KeySets
from coordhub.authorization.provider import Provider, Registration, Signing
from coordhub.cds import http as cds
from coordhub.cds.context import Context as CDS
from coordhub.cds.servers import Servers
from coordhub.docs_assets import page
from coordhub.errors import FhirError, Issue
from coordhub.fhir import http, openapi, refusal, websocket
from coordhub.fhir.audit_ids import AuditIds
from coordhub.fhir.context import Context, Limits
from coordhub.fhir.paging import Paging
from coordhub.fhir.restored import Restored
from coordhub.fhir.sockets import Sockets
from coordhub.identity import weights as identity_weights
from coordhub.insight import kits, same_ingredient, same_question
from coordhub.outbound.client import Outbound, Timeouts, trusting
from coordhub.portal import entering, rooms, routes
from coordhub.portal.lookout import Lookout
from coordhub.r4 import datasets
from coordhub.record.bootstrap import open_hub
from coordhub.record.hub import Hub, Safeguards
from coordhub.referral import deadlines, same_kind, strategies, weights
from coordhub.referral.deadlines import Deadlines
from coordhub.routing import conformance, payload
from coordhub.secret_files import Looking
from coordhub.settings import Settings
from coordhub.store import outage, roles, sealed, vault
from coordhub.store.audit import AuditLog, append_all
from coordhub.store.clients import Client
from coordhub.store.deliveries import Claimed
from coordhub.store.engine import Connection, Engine, searching_of
from coordhub.store.onboarding import Item, Partner
from coordhub.store.pooling import Pooled

READY_SECONDS: Final = 2.0
"""How long /ready waits for the database."""

SENT: Final = (
    "Accept", "Authorization", "Content-Type", "Content-Encoding", "Idempotency-Key", "If-Match",
    "If-Modified-Since", "If-None-Exist", "If-None-Match", "Prefer", "X-Provenance", "X-Request-Id",
    "X-Security-Context",
)  # fmt: skip
"""Headers that a page of another origin may send."""

ANSWERED: Final = (
    "Content-Location", "ETag", "Idempotency-Replayed", "Last-Modified", "Location", "RateLimit",
    "RateLimit-Policy", "Retry-After", "Warning", "WWW-Authenticate", "X-Request-Id",
)  # fmt: skip
"""Headers of an answer that it may look at."""


def build(settings: Settings, hub: Hub | None = None) -> FastAPI:
    """The application.

    hub: one that is open already and stays open; without it the lifespan opens the database that
    the settings name and closes it. Nothing is opened before the lifespan begins, so that the
    OpenAPI document can be had without a database.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            context = app.state.context = await _open(settings, hub, stack)
            app.state.portal = _portal_keys(settings)
            app.state.admin = admin.Admin(
                context.hub,
                _operator_tokens(settings, context.hub),
                _rendered(context.hub),
                look_of(settings),
            )
            app.state.registrar = Registrar(context.hub, _issuers(settings))
            app.state.authorization = _authorization(settings, context.hub)
            stack.push_async_callback(_note_refusals, app)
            app.state.provider = _provider(settings, context.hub)
            if app.state.provider is not None:
                stack.push_async_callback(app.state.provider.close)
            stack.push_async_callback(app.state.authorization.key_sets.close)
            app.state.cds = _cds(settings, context, app.state.authorization)
            stack.push_async_callback(app.state.cds.servers.close)
            app.state.sockets = Sockets(context.hub)
            app.state.lookout = Lookout(context.hub)
            for each in (app.state.sockets, app.state.lookout):
                looking = asyncio.create_task(each.keep_looking())
                stack.callback(looking.cancel)

            async def go_by_new_secrets(_: list[str]) -> None:
                fresh = settings.read_again()
                if hub is None:
                    await context.hub.engine.readdress(*await addresses(fresh))
                _go_by(fresh, app)

            app.state.secrets = Looking(settings.files(), go_by_new_secrets)
            keeping = asyncio.create_task(app.state.secrets.keep())
            stack.callback(keeping.cancel)
            yield

    app = Doors(
        title="coordhub",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"logs": False, "operation_spans": False},
    )
    _add_own_routes(app)
    app.include_router(admin.router)
    app.include_router(partners_http.router)
    app.include_router(registration_http.router)
    app.include_router(authorization_http.router(http.PREFIX))
    app.include_router(cds.router)
    routes.add(app)
    rooms.add(app)
    app.add_exception_handler(FhirError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_middleware(websocket.Door)
    app.add_middleware(threshold.Threshold, hsts=settings.hsts)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, **_cors(settings))
        app.add_middleware(threshold.Browsers, hsts=settings.hsts)
    app.fhir = threshold.Threshold(http.Door(), settings.hsts)
    if settings.cors_origins:
        app.fhir = threshold.Browsers(CORSMiddleware(app.fhir, **_cors(settings)), settings.hsts)
    return app


async def _note_refusals(app: FastAPI) -> None:
    """What was refused and is in no row of the audit yet, at the end."""
    context: Authorization = app.state.authorization
    now = context.clock()
    if rows := context.refusals.over(now):
        try:
            async with context.engine.pool.acquire() as conn:
                await append_all(conn, rows, now)
        except Exception as error:  # what cannot be written down at the end, is in the counter
            if not outage.is_outage(error):
                raise


def _go_by(settings: Settings, app: FastAPI) -> None:
    """Put other secrets in force; a request that has begun ends under those it began under."""
    context: Context = app.state.context
    app.state.context = dataclasses.replace(context, **_keyed(settings, context.hub))
    app.state.portal = _portal_keys(settings)
    app.state.admin = dataclasses.replace(
        app.state.admin, tokens=_operator_tokens(settings, context.hub)
    )
    app.state.authorization = dataclasses.replace(app.state.authorization, signer=_signer(settings))
    if app.state.provider is not None:
        app.state.provider.registration = _registration(settings)


def _keyed(settings: Settings, hub: Hub) -> dict[str, Any]:
    """Those parts of the Context that hang on the token key."""
    key, former = _signing(settings), _former(settings)
    sealed.use(sealed.Box([key, *former]))
    return {
        "tokens": Tokens(key, hub.engine, hub.clock, former, settings.certificate_header),
        "paging": Paging(key, former),
        "audit_ids": AuditIds(key, former),
    }


def _portal_keys(settings: Settings) -> entering.Keys:
    return entering.Keys(_signing(settings), tuple(_former(settings)))


def _operator_tokens(settings: Settings, hub: Hub) -> OperatorTokens:
    return OperatorTokens(_signing(settings), hub.engine, _former(settings))


def _signer(settings: Settings) -> Signer | None:
    if settings.identity_keys is None:
        return None
    return Signer(settings.identity_keys.read_text(encoding="utf-8"))


class Doors(FastAPI):
    """All doors. What is asked of FHIR does not come to the framework, which would look for a route, dependencies
    and models that these requests do not have."""

    fhir: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and http.is_below(scope["path"]):
            scope["app"] = self
            await self.fhir(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _cors(settings: Settings) -> dict[str, Any]:
    return {
        "allow_origins": settings.cors_origins,
        "allow_methods": http.METHODS,
        "allow_headers": SENT,
        "expose_headers": ANSWERED,
        "max_age": 600,
    }


def _signing(settings: Settings) -> bytes:
    if settings.token_key is None:
        raise RuntimeError("COORDHUB_TOKEN_KEY is not set: 32 secret characters at least.")
    return settings.token_key.get_secret_value().encode()


def _former(settings: Settings) -> list[bytes]:
    return [one.get_secret_value().encode() for one in settings.former_token_keys]


def _rendered(hub: Hub) -> letters.Rendered:
    """What a delivery carries, for the admin door, which does not know how it is composed."""

    async def rendered(conn: Connection, held: Claimed) -> letters.Content | str:
        composed = await payload.compose(hub, conn, held, held.created_at)
        if isinstance(composed, payload.Withheld):
            return composed.reason
        return letters.Content(composed.body, composed.rids)

    return rendered


async def _open(settings: Settings, hub: Hub | None, stack: contextlib.AsyncExitStack) -> Context:
    _signing(settings)  # said before a database is looked for
    if settings.vsp_keys is not None:
        vault.use(vault.Vault(settings.vsp_keys))
    if settings.datasets is not None:
        datasets.use(datasets.read(settings.datasets.read_bytes()))
    if settings.identity_weights is not None:
        identity_weights.use(identity_weights.read(settings.identity_weights.read_bytes()))
    if settings.weights is not None:
        weights.use(weights.read(settings.weights.read_bytes()))
    if settings.same_kind is not None:
        same_kind.use(same_kind.read(settings.same_kind.read_bytes()))
    if settings.same_question is not None:
        same_question.use(same_question.read(settings.same_question.read_bytes()))
    if settings.same_ingredient is not None:
        same_ingredient.use(same_ingredient.read(settings.same_ingredient.read_bytes()))
    if settings.kits is not None:
        kits.use(kits.read(settings.kits.read_bytes()))
    if settings.strategies is not None:
        strategies.use(strategies.read(settings.strategies.read_bytes()))
    if hub is None:
        if settings.database_url is None:
            raise RuntimeError("DATABASE_URL is not set: a postgresql:// address.")
        engine = await engine_of(settings)
        stack.push_async_callback(engine.close)
        hub = await open_hub(engine, settings.base)
    hub = dataclasses.replace(
        hub,
        safeguards=safeguards_of(settings),
        deadlines=deadlines_of(settings),
        coordinator=settings.coordinator,
        most_subscriptions=settings.max_subscriptions,
    )
    audit = AuditLog(hub.engine)
    audit.start()
    stack.push_async_callback(audit.stop)
    return Context(
        hub=hub,
        audit=audit,
        limits=Limits(
            settings.max_body_bytes,
            settings.max_nesting,
            settings.max_entries,
            settings.max_deleted,
        ),
        started=hub.clock(),
        restored=Restored(hub.engine),
        admission=_admission(settings, hub),
        **_keyed(settings, hub),
    )


def _admission(settings: Settings, hub: Hub) -> Admission:
    defaults = Defaults(
        settings.client_rate,
        settings.client_burst,
        settings.client_at_once,
        settings.client_per_day,
        settings.serving_processes,
    )
    searching = searching_of(settings.pool_size)
    return Admission(
        hub.engine,
        defaults,
        lambda: hub.clock().timestamp(),
        max(1, settings.pool_size - searching),
        searching,
        settings.failures_per_minute,
    )


async def engine_of(settings: Settings) -> Engine:
    """The connections of a process that serves or works, through a pooler where one is named."""
    url, pooled, replica = await addresses(settings)
    return await Engine.open(
        url,
        size=settings.pool_size,
        statement_timeout_ms=int(settings.statement_timeout.total_seconds() * 1000),
        consent_policy=settings.consent_policy,
        pooled=pooled,
        replica=replica,
    )


async def addresses(settings: Settings) -> tuple[str, Pooled | None, str | None]:
    """Where a process that serves or works connects, as the application; a replica's last."""
    assert settings.database_url is not None
    url, replica = settings.database_url.get_secret_value(), None
    if settings.replica_database_url is not None:
        replica = settings.replica_database_url.get_secret_value()
    if settings.direct_database_url and settings.search_database_url:
        searches, direct = settings.search_database_url, settings.direct_database_url
        pooled = Pooled(searches.get_secret_value(), direct.get_secret_value())
        return url, pooled, replica and roles.as_application(replica)
    known = await roles.application(url)
    if replica is not None and known != url:  # it has the roles of its primary
        replica = roles.as_application(replica)
    return known, None, replica


def _registration(settings: Settings) -> Registration | None:
    if settings.sign_in_issuer is None or settings.sign_in_client is None:
        return None
    secret, signing = settings.sign_in_secret, settings.sign_in_keys
    return Registration(
        settings.sign_in_issuer,
        settings.sign_in_client,
        settings.sign_in_title,
        None if secret is None else secret.get_secret_value(),
        None if signing is None else Signing(signing.read_text(encoding="utf-8")),
        settings.sign_in_by_email,
        settings.sign_in_passwords,
    )


def _provider(settings: Settings, hub: Hub) -> Provider | None:
    registration = _registration(settings)
    if registration is None:
        return None
    return Provider(registration, lambda: _asking(settings), hub.clock)


def _asking(settings: Settings) -> Outbound:
    """For what somebody waits for: documents, keys and tokens of others."""
    seconds = timedelta(seconds=1)
    own = settings.outbound_authorities
    return Outbound(
        allowed_networks=settings.outbound_networks,
        timeouts=Timeouts(connect=2 * seconds, read=3 * seconds, total=5 * seconds),
        largest_answer=keys.LARGEST,
        connections=20,
        tls=trusting(own) if own is not None else None,
    )


def _authorization(settings: Settings, hub: Hub) -> Authorization:
    return Authorization(
        hub.engine,
        hub.clock,
        hub.base,
        KeySets(lambda: _asking(settings), hub.clock),
        settings.access_token_lifetime,
        settings.app_token_lifetime,
        settings.refresh_token_lifetime,
        _signer(settings),
        registers=settings.software_issuers is not None,
        certificate_header=settings.certificate_header,
    )


def _cds(settings: Settings, context: Context, authorization: Authorization) -> CDS:
    second = timedelta(seconds=1)

    def outbound() -> Outbound:
        return Outbound(
            allowed_networks=settings.outbound_networks,
            timeouts=Timeouts(connect=second, read=second, total=2 * second),
            connections=20,
        )

    async def prove(text: str, address: str) -> Client | None:
        return await authentication.signer(authorization, text, address)

    servers = Servers(context.hub.engine, context.hub.base, outbound)
    return CDS(context.hub, context.audit, prove, servers, context.admission)


def _issuers(settings: Settings) -> Issuers:
    path = settings.software_issuers
    return {} if path is None else statements.issuers(path.read_text(encoding="utf-8"))


def look_of(settings: Settings) -> Look:
    """Goes through the check list of partners, each time with a client of its own of the world."""

    async def look(
        hub: Hub, partner: Partner, before: Sequence[Item], sample: bytes | None
    ) -> Sequence[Item]:
        own = settings.outbound_authorities
        outbound = Outbound(
            allowed_networks=settings.outbound_networks,
            tls=trusting(own) if own is not None else None,
        )
        async with outbound:
            return await conformance.check(hub, outbound, partner, before, sample)

    return look


def deadlines_of(settings: Settings) -> Deadlines:
    own = settings.deadlines.read_bytes() if settings.deadlines is not None else None
    return deadlines.read(own, settings.time_zone)


def safeguards_of(settings: Settings) -> Safeguards:
    return Safeguards(
        settings.break_glass,
        settings.break_glass_attempts,
        settings.confidential_age,
        timedelta(days=settings.vsp_release_days),
        timedelta(days=settings.read_after_days),
    )


def _add_own_routes(app: FastAPI) -> None:
    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/ready")
    async def ready(request: Request) -> dict[str, str]:
        context: Context = request.app.state.context
        if not await outage.answers(context.hub.engine, within_seconds=READY_SECONDS):
            raise errors.unavailable(
                "The database does not answer, or is not migrated.", refusal.RETRY_AFTER_SECONDS
            )
        return {"status": "ready"}

    @app.get("/openapi.json")
    def described(request: Request) -> Response:
        packed = "gzip" in request.headers.get("accept-encoding", "")
        sent = {"Vary": "Accept-Encoding", **({"Content-Encoding": "gzip"} if packed else {})}
        return Response(openapi.rendered(packed=packed), 200, sent, media_type="application/json")

    @app.get("/docs")
    @app.get("/docs/{name}")
    async def docs(request: Request, name: str = "") -> Response:
        asset = page.asset(name, gzip="gzip" in request.headers.get("accept-encoding", ""))
        if asset is None:
            raise HTTPException(404)
        return Response(asset.content, 200, asset.headers, media_type=asset.media_type)


async def _refused(request: Request, error: Exception) -> Response:
    """THE exception handler: whatever is refused is an OperationOutcome, and in the audit."""
    match error:
        case HTTPException(status_code=405):
            allowed = (error.headers or {}).get("Allow", "")
            refused = errors.method_not_allowed(
                f"{request.method} does not exist here; there is {allowed}.", allowed
            )
        case HTTPException():
            code = "not-found" if error.status_code == 404 else "processing"
            refused = FhirError(error.status_code, Issue(code, "There is nothing at this address."))
        case RequestValidationError():
            refused = errors.bad_request("The parameters of this address are not as described.")
        case _:
            refused = refusal.of(error)
    if refused.status < 500:
        await http.audit_refusal(request.app.state.context, request.scope["state"], refused)
    return http.refusal(refused, head=request.method == "HEAD")
