"""People who come with an app to their own record, or that of whom they act for: let in by operators."""

from __future__ import annotations

import uuid

from coordhub.access import codes, passwords
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.admin.people import FIRST, as_kept
from coordhub.record import proxies
from coordhub.record.hub import Hub
from coordhub.store import accounts
from coordhub.store.accounts import Person, Secret
from coordhub.store.transact import transact

ROLE = "patient"


async def add(hub: Hub, by: Operator, person: str, email: str, name: str) -> str:
    """An account of a Patient or RelatedPerson (`Type/id`); its first password, told once.

    Whoever makes it has seen that this is the person: nothing else says so.
    """
    meant, now = as_kept(email), hub.clock()
    if "@" not in meant or not name.strip():
        raise NothingDone("a person has an e-mail address and a name.")
    password, salt = passwords.first_password(), codes.new_salt()
    secret = Secret(salt, passwords.hashed(password, salt))
    async with hub.engine.transaction() as conn:
        try:
            rid, batch = await proxies.to_bind(hub, conn, person)
        except proxies.CannotBindError as error:
            raise NothingDone(str(error)) from error
        await transact(conn, batch, now=now)
        one = Person(uuid.uuid4().hex, rid, meant, name.strip(), (ROLE,), True, now + FIRST)
        if not await accounts.add(conn, one, secret, now):
            raise NothingDone(f"{meant} has an account already.")
        await note(conn, by, "person-added", now, {"person": one.id, "of": person, "roles": ROLE})
    return password
