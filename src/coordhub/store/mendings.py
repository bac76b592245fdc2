"""What is sent otherwise after a partner refused a delivery over its own copy: kept with the delivery."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from coordhub.store.deliveries import Claimed
from coordhub.store.engine import Connection


class Mending(NamedTuple):
    """kind: conflict: the copy of `rid` was read, its entity tag is `tag`; gone: `rid` is to be made anew."""

    kind: Literal["conflict", "gone"]
    rid: int
    tag: str | None = None


async def of(conn: Connection, delivery: UUID) -> list[Mending]:
    """Oldest first."""
    rows = await conn.fetch(
        "select kind, rid, tag from mending where delivery = $1 order by number", delivery
    )
    return [Mending(*row) for row in rows]


async def mend(conn: Connection, held: Claimed, one: Mending, now: datetime) -> None:
    """From the next attempt on it is another message, so it has another key.

    Of what is gone there, the id that it had there is forgotten.
    """
    await conn.execute(
        "with held as (update delivery set key = gen_random_uuid()"
        "  where id = $1 and attempts = $2 and state = 'leased' returning id),"
        " forgotten as (delete from counterpart c using held"
        "  where $4 = 'gone' and c.organization = $7 and c.endpoint = $8 and c.rid = $5)"
        " insert into mending (delivery, number, at, kind, rid, tag)"
        " select id, $2, $3, $4, $5, $6 from held on conflict do nothing",
        held.id,
        held.attempt,
        now,
        one.kind,
        one.rid,
        one.tag,
        held.organization,
        held.endpoint,
    )
