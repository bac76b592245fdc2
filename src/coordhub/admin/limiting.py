"""How much a client may ask, agreed with whoever it is of."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from coordhub.admin.acts import LEAST_RATE, NothingDone, NotKnown, Operator, note
from coordhub.store import clients
from coordhub.store.clients import Allowance
from coordhub.store.engine import Connection, Engine

MOST = 1_000_000


async def allow(
    engine: Engine, by: Operator, client: str, asked: Allowance, now: datetime
) -> Allowance:
    """What holds from now on: what is None stays, 0 is what the settings say. Counts from the client's next token
    or, for one that a process has just served, within seconds."""
    for name, value in asdict(asked).items():
        if value is not None and not 0 <= value <= MOST:
            raise NothingDone(f"{name} is more than 0 and at most {MOST}; 0 is what is usual.")
    if asked.per_second and asked.per_second < LEAST_RATE:
        raise NothingDone(
            f"per_second is at least {LEAST_RATE}; suspend a client that may ask nothing."
        )
    async with engine.transaction() as conn:
        before = await of(conn, client)
        after = Allowance(
            **{
                name: value if asked_for is None else (asked_for or None)
                for (name, value), asked_for in zip(
                    asdict(before).items(), asdict(asked).values(), strict=True
                )
            }
        )
        await clients.allow(conn, client, after)
        said = {name: str(value or "usual") for name, value in asdict(after).items()}
        await note(conn, by, "client-limits-agreed", now, {"client": client, **said})
    return after


async def of(conn: Connection, client: str) -> Allowance:
    found = await clients.read(conn, client)
    if found is None:
        raise NotKnown(f"the client {client} is not known.")
    return found.allowance
