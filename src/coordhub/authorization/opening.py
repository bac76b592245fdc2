"""An app opened out of a record: what was being looked at, handed over as a word that is good once.

http://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch

The word is worth nothing by itself: the person still signs in and allows the app what it asks for, and sees of what
was looked at what its organization may.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from coordhub.access import oauth, scopes, viewer
from coordhub.access.token import digest
from coordhub.authorization.authentication import authenticate
from coordhub.authorization.context import Asked, Context
from coordhub.authorization.refusal import OAuthError, invalid_request
from coordhub.store import audit, clients, launches, resources
from coordhub.store.clients import Client
from coordhub.store.engine import Connection
from coordhub.store.launches import Launchable, Opened
from coordhub.store.transact import AuditRow
from coordhub.store.visibility import Viewer

LIFETIME: Final = timedelta(minutes=10)
"""In which the person has signed in and said yes."""


async def answer(context: Context, asked: Asked) -> dict[str, Any]:
    """A backend opens an app for somebody of its organization; patient, task: `Patient/id`, `Task/id` that it sees."""
    client = await authenticate(context, asked, oauth.address(context.base, "launch"))
    form, now = asked.form, context.clock()
    view = viewer.on_behalf_of(client.organization, scopes.parse(client.scopes))
    async with context.engine.transaction() as conn:
        app = await clients.read(conn, form["app"]) if _is_name(form.get("app")) else None
        if client.redirect_uris is not None or app is None or app.redirect_uris is None:
            raise _invalid(client, "app is the client_id of an app that is registered here.")
        seen: dict[str, int | None] = {"Patient": None, "Task": None}
        for kind in seen:
            if (text := form.get(kind.lower())) is not None:
                seen[kind] = await _seen(conn, view, kind, text)
                if seen[kind] is None:
                    raise _invalid(client, f"{kind.lower()} is a {kind}/id that you may read.")
        word = await handed_over(
            conn, app.id, client.organization, None, seen["Patient"], seen["Task"], now
        )
        rids = tuple(one for one in seen.values() if one is not None)
        row = AuditRow(
            client.id, client.organization, "app-opened", 200, rids=rids, query=f"app={app.id}",
            request_id=asked.request_id,
        )  # fmt: skip
        await audit.append(conn, row, now)
        begins = {one.client: one for one in await launches.launchable(conn)}.get(app.id)
    told = {"launch": word, "iss": context.base, "expires_in": int(LIFETIME.total_seconds())}
    return told if begins is None else {**told, "address": address(begins, word, context.base)}


async def handed_over(
    conn: Connection,
    app: str,
    organization: int,
    person: str | None,
    patient: int | None,
    task: int | None,
    now: datetime,
) -> str:
    """The word for it. All but app: as `store.launches.Opened` has them."""
    word = secrets.token_urlsafe(32)
    one = Opened(digest(word), app, organization, person, patient, task)
    await launches.keep(conn, one, now, now + LIFETIME)
    return word


def address(app: Launchable, word: str, base: str) -> str:
    """Where a browser opens the app with it."""
    told = urlencode({"iss": base, "launch": word})
    return f"{app.address}{'&' if '?' in app.address else '?'}{told}"


async def _seen(conn: Connection, view: Viewer, kind: str, text: str) -> int | None:
    fhir_id = text.removeprefix(f"{kind}/")
    if not fhir_id.isascii() or not fhir_id.isprintable() or "/" in fhir_id:
        return None
    found = await resources.read(conn, view, kind, fhir_id)
    return found.rid if found is not None and found.body is not None else None


def _is_name(text: str | None) -> bool:
    return text is not None and 0 < len(text) <= 255 and text.isprintable()


def _invalid(client: Client, said: str) -> OAuthError:
    refused = invalid_request(said)
    refused.client, refused.organization = client.id, client.organization
    return refused
