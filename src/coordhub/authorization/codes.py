"""Tokens of apps: a code that a person's leave gave is exchanged for them, and a refresh token for the next ones.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3, https://www.rfc-editor.org/rfc/rfc9700
http://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-access-token

A code or refresh token is used up by being shown by its app, right or wrong. One that comes again ends what the
first has given: of two that have it one is a thief, and nobody knows which.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from coordhub.access import viewer, wishes
from coordhub.access.token import digest, random_token
from coordhub.access.wishes import FHIR_USER, LAUNCH, LAUNCH_PATIENT, OFFLINE, ONLINE, OPENID, Wish
from coordhub.authorization import identity
from coordhub.authorization.authentication import identify
from coordhub.authorization.context import Asked, Context
from coordhub.authorization.launch import USED_UP, Launch, Refused
from coordhub.authorization.refusal import OAuthError
from coordhub.store import apps, audit, launches, resources, tokens
from coordhub.store.apps import Code, Permission, Refresh
from coordhub.store.clients import Client
from coordhub.store.tokens import Given
from coordhub.store.transact import AuditRow

LIFETIME: Final = timedelta(seconds=60)
"""Of a code."""

WORKING_DAY: Final = timedelta(hours=12)
"""So long after the person allowed it an app with online_access gets tokens."""

REFRESH: Final = "coordhub_rt_"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")

Answer = dict[str, Any]


async def allow(
    context: Context,
    launch: Launch,
    person: str,
    organization: int,
    patient: int | None,
    allowed: Wish,
    request_id: str | None,
) -> str:
    """The person has allowed it; the code for the app. patient: rid, of whoever was chosen."""
    code, now = secrets.token_urlsafe(32), context.clock()
    opened = launch.opened
    one = Permission(
        uuid4(), launch.client.id, person, organization, patient,
        launch.wish.stated(), allowed.stated(), now,
        opened.task if opened is not None and LAUNCH in allowed.words else None,
    )  # fmt: skip
    given = Code(one.id, launch.redirect_uri, launch.challenge, launch.nonce, now + LIFETIME)
    row = AuditRow(
        launch.client.id, organization, "app-allowed", 200,
        rids=() if patient is None else (patient,), query=f"scope={one.scopes}", request_id=request_id,
        person=person,
    )  # fmt: skip
    async with context.engine.transaction() as conn:
        if opened is not None and not await launches.use(conn, opened.digest):
            raise Refused(
                launch.client, launch.redirect_uri, launch.state, "invalid_request", USED_UP
            )
        await apps.allow(conn, one, digest(code), given)
        await audit.append(conn, row, now)
    return code


async def exchange(context: Context, asked: Asked) -> Answer:
    """grant_type=authorization_code."""
    client = await identify(context, asked)
    form, now = asked.form, context.clock()
    async with context.engine.pool.acquire() as conn:
        code = await apps.spend_code(conn, digest(form.get("code", "")), client.id, now)
    if code is None:
        raise _invalid(client)
    if code.spent:
        await _end(context, client, code.permission, asked)
        raise _invalid(client)
    if (
        code.expires_at <= now
        or form.get("redirect_uri") != code.redirect_uri
        or code.redirect_uri not in (client.redirect_uris or ())
        or not _is_meant(form.get("code_verifier", ""), code.challenge)
    ):
        raise _invalid(client)
    return await _give(context, client, code.permission, code, None, asked)


async def refresh(context: Context, asked: Asked) -> Answer:
    """grant_type=refresh_token; scope may name less than was allowed, for this one token."""
    now = context.clock()
    shown = digest(asked.form.get("refresh_token", ""))
    async with context.engine.pool.acquire() as conn:
        implied = await apps.holder(conn, shown)
    client = await identify(context, asked, implied=implied)
    async with context.engine.pool.acquire() as conn:
        token = await apps.spend_refresh(conn, shown, client.id, now)
    if token is None:
        raise _invalid(client)
    if token.spent:
        await _end(context, client, token.permission, asked)
        raise _invalid(client)
    if token.expires_at <= now:
        raise _invalid(client)
    wanted = wishes.read(asked.form["scope"]) if "scope" in asked.form else None
    return await _give(context, client, token.permission, token, wanted, asked)


async def _give(
    context: Context,
    client: Client,
    permission: UUID,
    shown: Code | Refresh,
    wanted: Wish | None,
    asked: Asked,
) -> Answer:
    """An access token, and what else was allowed. shown: what it is exchanged for."""
    now = context.clock()
    async with context.engine.transaction() as conn:
        one = await apps.permitted(conn, permission)
        if one is None or one.client != client.id:
            raise _invalid(client)
        allowed = wishes.read(one.scopes).meet(wishes.read(client.scopes))
        scope = (allowed if wanted is None else allowed.meet(wanted)).stated()
        if not scope:
            raise OAuthError(
                "invalid_scope", "Nothing of that was allowed.", 400, client.id, one.organization
            )
        token = random_token()
        lifetime = context.app_lifetime
        await tokens.give(
            conn,
            digest(token),
            Given(
                client.id, one.organization, scope, now, now + lifetime, one.id, asked.certificate
            ),
        )
        answer: Answer = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": int(lifetime.total_seconds()),
            "scope": scope,
        }
        until = _until(context, allowed, one, shown)
        if until is not None and until > now:
            following = REFRESH + secrets.token_urlsafe(32)
            await apps.keep_refresh(conn, digest(following), Refresh(one.id, until), client.id, now)
            answer["refresh_token"] = following
        if one.patient is not None:
            view = viewer.as_organization(one.organization)
            seen = (await resources.read_rids(conn, view, [one.patient])).get(one.patient)
            if seen is None or seen.body is None:  # what was shown is not any more
                raise _invalid(client)
            answer["patient"] = seen.id
            answer["need_patient_banner"] = bool({LAUNCH, LAUNCH_PATIENT} & allowed.words)
        if one.task is not None:
            view = viewer.as_organization(one.organization)
            task = (await resources.read_rids(conn, view, [one.task])).get(one.task)
            if task is not None and task.body is not None:
                answer["fhirContext"] = [{"reference": task.reference}]
        if OPENID in allowed.words and isinstance(shown, Code) and context.signer is not None:
            user = None
            if FHIR_USER in allowed.words:
                user = await identity.own_record(conn, one.person, one.organization)
            said = identity.claims(context.base, one.person, client.id, user, shown.nonce, now)
            answer["id_token"] = context.signer.sign(said)
        row = AuditRow(
            client.id, one.organization, "token-granted", 200, query=f"scope={scope}",
            request_id=asked.request_id, person=one.person,
        )  # fmt: skip
        await audit.append(conn, row, now)
    return answer


def _until(
    context: Context, allowed: Wish, one: Permission, shown: Code | Refresh
) -> datetime | None:
    """When its next refresh token ends; that is put off by using it only for offline_access."""
    if OFFLINE in allowed.words:
        return context.clock() + context.refresh_lifetime
    if ONLINE in allowed.words:
        return shown.expires_at if isinstance(shown, Refresh) else one.at + WORKING_DAY
    return None


async def _end(context: Context, client: Client, permission: UUID, asked: Asked) -> None:
    row = AuditRow(
        client.id, client.organization, "app-ended", 400, query="used=twice", request_id=asked.request_id
    )  # fmt: skip
    now = context.clock()
    async with context.engine.transaction() as conn:
        await apps.end(conn, [permission], now)
        await audit.append(conn, row, now)


def _is_meant(verifier: str, challenge: str) -> bool:
    if not _VERIFIER.fullmatch(verifier):
        return False
    made = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    return hmac.compare_digest(made, challenge)


def _invalid(client: Client) -> OAuthError:
    """The same whatever is wrong with it."""
    return OAuthError(
        "invalid_grant",
        "Send what you were given for this client, once and in time, with the redirect_uri and the code_verifier "
        "of the request; else have the person sign in again.",
        400,
        client.id,
        client.organization,
    )
