"""People of the sample community, who sign in to the portal of the development mode.

https://www.rfc-editor.org/rfc/rfc6238

What they sign in with is made of the key of this development mode, and good nowhere else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from coordhub.access import codes, passwords, totp
from coordhub.record.hub import Hub
from coordhub.sandbox import login
from coordhub.sandbox.community import Seat
from coordhub.store import accounts
from coordhub.store.accounts import Person, Secret

STAFF: Final = {
    "pat@mounds.example.org": ("mounds", "Pat Pantry", "program-staff"),
    "chris@riverside.example.org": ("riverside", "Chris Coordinator", "coordinator"),
    "casey@riverside.example.org": ("riverside", "Casey Clinician", "clinician"),
    "robin@riverside.example.org": ("riverside", "Robin Privacy", "privacy-officer"),
    "ira@riverside.example.org": ("riverside", "Ira Integration", "integration-engineer"),
    "alex@riverside.example.org": ("riverside", "Alex Admin", "admin"),
}
"""By address: key of the organization, name, role."""


async def found(hub: Hub, seats: Mapping[str, Seat], key: bytes) -> dict[str, dict[str, str]]:
    """Make who is missing; by address, what each signs in with."""
    known: dict[str, dict[str, str]] = {}
    for email, (organization, name, role) in STAFF.items():
        password, factor = _made(key, b"password", email), _made(key, b"factor", email)
        words = base64.b32encode(password[:10]).decode().lower()
        one = Person(
            uuid.uuid4().hex, seats[organization].rid, email, name, (role,), True, None, factor
        )
        salt = codes.new_salt()
        async with hub.engine.pool.acquire() as conn:
            if await accounts.by_email(conn, email) is None:
                secret = Secret(salt, passwords.hashed(words, salt))
                await accounts.add(conn, one, secret, hub.clock())
        known[email] = {"password": words, "secret": totp.text_of(totp.secret_of(factor, key))}
    return known


def known_there() -> list[login.Known]:
    """Whom the sample provider knows."""
    return [login.Known(email, name, role) for email, (_, name, role) in STAFF.items()]


def code(secret: str, now: datetime) -> str:
    """What the telephone shows now. secret: as text."""
    return totp.code_at(base64.b32decode(secret), totp.step_at(now))


def told(portal: str, known: Mapping[str, Mapping[str, str]]) -> str:
    """How to sign in, for who starts the development mode."""
    lines = [f"\n  Portal             {portal}"]
    lines += [
        f"    as {STAFF[email][2]:<20} {email:<28} password {each['password']}"
        for email, each in known.items()
    ]
    lines.append("    its code now            coordhub people code [that address]")
    lines.append(f"    or without either       by {login.TITLE}, where you choose one of them")
    return "\n".join(lines) + "\n"


def _made(key: bytes, what: bytes, email: str) -> bytes:
    return hmac.new(key, b"sample " + what + b" " + email.encode(), hashlib.sha256).digest()
