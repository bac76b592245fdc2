"""People of organizations who come with a browser: let in, let in anew, let out, by operators or their own admins.

An admin acts `within` its organization (rid): nobody of another is there for it, nor a patient, and it leaves an
admin behind, so that the organization does not lock itself out. An operator acts on everybody.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from coordhub.access import codes, passwords, viewer
from coordhub.admin.acts import NothingDone, NotKnown, Operator, note
from coordhub.store import accounts, elsewhere, passkeys, resources
from coordhub.store.accounts import Person, Secret
from coordhub.store.engine import Connection, Engine
from coordhub.store.visibility import EVERYONE

ROLES: Final = {
    "program-staff": "answers what its organization is asked",
    "coordinator": "the same, and follows what its organization has sent",
    "clinician": "refers patients, and reads what came of it",
    "privacy-officer": "accounts for disclosures, and reads why something was shown",
    "integration-engineer": "follows what is delivered to its organization, and has it sent again",
    "admin": "says who works for its organization here, and reads its figures",
}

FIRST: Final = timedelta(days=7)
"""So long a first password is good."""

LAST_ADMIN: Final = "Your organization would have no admin. Make somebody else an admin first."

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


async def add(
    engine: Engine,
    by: Operator,
    organization: str,
    email: str,
    name: str,
    roles: Sequence[str],
    now: datetime,
) -> str:
    """An account of somebody who works for `organization` (`Organization/id`); its first password, told once."""
    kept = _roles(roles)
    meant = as_kept(email)
    if not _EMAIL.fullmatch(meant) or not name.strip():
        raise NothingDone("a person has an e-mail address and a name.")
    kind, _, fhir_id = organization.partition("/")
    password = passwords.first_password()
    async with engine.transaction() as conn:
        found = (
            await resources.read(conn, EVERYONE, kind, fhir_id) if kind == "Organization" else None
        )
        if found is None or found.body is None:
            raise NothingDone(
                f"{organization} is not in the directory. Name it as Organization/id."
            )
        one = Person(uuid.uuid4().hex, found.rid, meant, name.strip(), kept, True, now + FIRST)
        if not await accounts.add(conn, one, _secret(password), now):
            raise NothingDone(
                f"{meant} has an account already. To let it in anew: coordhub people reset {meant}"
            )
        said = {"person": one.id, "organization": organization, "roles": " ".join(kept)}
        await note(conn, by, "person-added", now, said)
    return password


async def reset(
    engine: Engine, by: Operator, email: str, now: datetime, within: int | None = None
) -> str:
    """A new first password for who has lost password, telephone or passkey, or was let out; told once."""
    password = passwords.first_password()
    async with engine.transaction() as conn:
        await _is_there(conn, email, within)
        found = await accounts.reset(conn, as_kept(email), _secret(password), now + FIRST)
        await _noted(conn, by, "person-reset", email, found, now)
    return password


async def take_on(
    engine: Engine,
    by: Operator,
    email: str,
    roles: Sequence[str],
    now: datetime,
    within: int | None = None,
) -> None:
    """These are its roles from now on, also where it has signed in already."""
    kept = _roles(roles)
    async with engine.transaction() as conn:
        await _is_there(conn, email, within)
        found = await accounts.take_on(conn, as_kept(email), kept)
        await _has_admin(conn, within)
        await _noted(conn, by, "person-roles", email, found, now, roles=" ".join(kept))


async def deactivate(
    engine: Engine, by: Operator, email: str, now: datetime, within: int | None = None
) -> None:
    """It is out, at once."""
    async with engine.transaction() as conn:
        await _is_there(conn, email, within)
        found = await accounts.deactivate(conn, as_kept(email))
        await _has_admin(conn, within)
        await _noted(conn, by, "person-deactivated", email, found, now)


async def remove_passkeys(
    engine: Engine, by: Operator, email: str, now: datetime, within: int | None = None
) -> None:
    """None of its passkeys lets it in any more; its sessions end. Who had no password needs a first one again."""
    async with engine.transaction() as conn:
        await _is_there(conn, email, within)
        known = await accounts.by_email(conn, as_kept(email))
        if known is not None:
            if not await passkeys.remove_all(conn, known[0].id):
                raise NothingDone(f"{email} has no passkey.")
            await accounts.out(conn, [known[0].id])
        await _noted(conn, by, "person-passkeys-removed", email, known and known[0].id, now)


async def practitioner(
    engine: Engine, by: Operator, email: str, record: str, now: datetime
) -> None:
    """This (`Practitioner/id`, `PractitionerRole/id`) is its record in the directory, which apps are told of."""
    kind, _, fhir_id = record.partition("/")
    async with engine.transaction() as conn:
        known = await accounts.by_email(conn, as_kept(email))
        found = None
        if known is not None and kind in ("Practitioner", "PractitionerRole"):
            view = viewer.as_organization(known[0].organization)
            found = await resources.read(conn, view, kind, fhir_id)
        if known is not None and (found is None or found.body is None):
            raise NothingDone(
                f"there is no {record} that its organization sees. Name it as Practitioner/id or "
                "PractitionerRole/id."
            )
        person = None
        if found is not None:
            person = await accounts.is_practitioner(conn, as_kept(email), found.rid)
        await _noted(conn, by, "person-is-practitioner", email, person, now)


async def bind(
    engine: Engine, by: Operator, email: str, issuer: str, subject: str, now: datetime
) -> None:
    """From now on it signs in at the provider `issuer`, too, as `subject`."""
    if not 0 < len(subject) <= 255 or not subject.isprintable():
        raise NothingDone(
            "the subject is what the provider calls the person: up to 255 characters."
        )
    async with engine.transaction() as conn:
        found = await accounts.by_email(conn, as_kept(email))
        if found is not None and not await elsewhere.bind(conn, found[0].id, issuer, subject, now):
            raise NothingDone(
                f"{email} is bound at {issuer} already, or another account is bound to this subject. To change "
                "it: coordhub people unbind"
            )
        await _noted(conn, by, "person-bound", email, found and found[0].id, now)


async def unbind(engine: Engine, by: Operator, email: str, issuer: str, now: datetime) -> None:
    """It does not sign in at that provider any more; sessions end."""
    async with engine.transaction() as conn:
        found = await accounts.by_email(conn, as_kept(email))
        if found is not None:
            if not await elsewhere.unbind(conn, found[0].id, issuer):
                raise NothingDone(f"{email} is not bound at {issuer}.")
            await accounts.out(conn, [found[0].id])
        await _noted(conn, by, "person-unbound", email, found and found[0].id, now)


async def _is_there(conn: Connection, email: str, within: int | None) -> None:
    """Whoever is somebody else's is nobody's. Who else changes who its admins are, waits."""
    if within is None:
        return
    await accounts.hold_admins(conn, within)
    found = await accounts.by_email(conn, as_kept(email))
    if found is None or found[0].organization != within or found[0].roles == ("patient",):
        raise NotKnown(f"nobody of this organization has the address {email}.")


async def _has_admin(conn: Connection, within: int | None) -> None:
    if within is not None and not await accounts.hold_admins(conn, within):
        raise NothingDone(LAST_ADMIN)


def _roles(named: Sequence[str]) -> tuple[str, ...]:
    for role in named:
        if role not in ROLES:
            raise NothingDone(f"there is no role {role}. Known are {', '.join(ROLES)}.")
    if not named:
        raise NothingDone(f"a person has a role, or several: {', '.join(ROLES)}.")
    return tuple(role for role in ROLES if role in named)


def as_kept(email: str) -> str:
    return email.strip().lower()


def _secret(password: str) -> Secret:
    salt = codes.new_salt()
    return Secret(salt, passwords.hashed(password, salt))


async def _noted(
    conn: Connection,
    by: Operator,
    act: str,
    email: str,
    found: str | None,
    now: datetime,
    **more: str,
) -> None:
    if found is None:
        raise NothingDone(f"nobody has the address {email}. See: coordhub people list")
    await note(conn, by, act, now, {"person": found, **more})
