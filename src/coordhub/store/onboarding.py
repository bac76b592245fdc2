"""Partners that come on board: how far each client is, and what the check list found of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible

OUT: Final = ("suspended", "ended")
"""States in which a client is not let in."""


@dataclass(frozen=True, slots=True)
class Partner:
    """stands_for, sandbox, endpoint: rids. software: by its software statement. reason: of the last act that
    takes one."""

    client: str
    stands_for: int
    sandbox: int
    endpoint: int | None
    state: str
    registered_by: str
    registered_at: datetime
    software: str | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    reason: str | None = None


_COLUMNS: Final = (
    "client, stands_for, sandbox, endpoint, state, registered_by, registered_at, software, approved_by, approved_at,"
    " reason"
)


async def read(conn: Connection, client: str) -> Partner | None:
    return _one(await conn.fetchrow(f"select {_COLUMNS} from onboarding where client = $1", client))


async def lock(conn: Connection, client: str) -> Partner | None:
    """The same, for one who is about to change it."""
    return _one(
        await conn.fetchrow(
            f"select {_COLUMNS} from onboarding where client = $1 for update", client
        )
    )


async def everyone(conn: Connection) -> list[Partner]:
    return [
        Partner(*row)
        for row in await conn.fetch(f"select {_COLUMNS} from onboarding order by client")
    ]


async def of_organization(conn: Connection, stands_for: int) -> list[Partner]:
    """Those that act for this one, or are to once they are approved."""
    rows = await conn.fetch(
        f"select {_COLUMNS} from onboarding where stands_for = $1 order by client", stands_for
    )
    return [Partner(*row) for row in rows]


def _one(row: Any) -> Partner | None:
    return None if row is None else Partner(*row)


async def one_by_one(conn: Connection) -> None:
    """No other is registered before the transaction ends."""
    await conn.execute("select pg_advisory_xact_lock(hashtext('coordhub.onboarding'))")


async def waiting(conn: Connection, stands_for: int) -> int:
    """How many of this organization came by a software statement and are not approved."""
    found: int = await conn.fetchval(
        "select count(*) from onboarding where stands_for = $1 and software is not null"
        " and state in ('registered', 'checked', 'suspended')",
        stands_for,
    )
    return found


async def register(conn: Connection, one: Partner) -> None:
    await conn.execute(
        "insert into onboarding (client, stands_for, sandbox, endpoint, state, registered_by, registered_at,"
        " software) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        one.client, one.stands_for, one.sandbox, one.endpoint, one.state, one.registered_by,
        one.registered_at, one.software,
    )  # fmt: skip


async def set_state(conn: Connection, client: str, state: str, reason: str | None) -> None:
    await conn.execute(
        "update onboarding set state = $2, reason = coalesce($3, reason) where client = $1",
        client,
        state,
        reason,
    )


async def end_all(conn: Connection, organization: int, reason: str) -> list[str]:
    """Let none of those in any longer that act for this organization, or are to; those that this ends."""
    rows = await conn.fetch(
        "with ended as (update onboarding set state = 'ended', reason = $2"
        " where stands_for = $1 and state <> 'ended' returning client)"
        " update client c set active = false from ended e where c.id = e.client and c.active returning c.id",
        organization,
        reason,
    )
    return sorted(row[0] for row in rows)


async def approve(
    conn: Connection, one: Partner, by: str, reason: str | None, now: datetime
) -> None:
    """From now on it acts for whom it stands for, and no longer among test data."""
    await conn.execute(
        "with approved as (update onboarding set state = 'approved', approved_by = $2, approved_at = $3,"
        " reason = $4 where client = $1)"
        " update client set organization = $5 where id = $1",
        one.client,
        by,
        now,
        reason,
        one.stands_for,
    )


Result = Literal["passed", "failed", "not tried"]


@dataclass(frozen=True, slots=True)
class Item:
    """One of the check list. found: in words. next: what to do, of what was failed or not tried. noted: what the
    next report is compared with."""

    name: str
    result: Result
    found: str
    next: str = ""
    noted: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """by: account of who had it made."""

    by: str
    at: datetime
    items: tuple[Item, ...]

    @property
    def failed(self) -> int:
        return sum(one.result == "failed" for one in self.items)


async def keep(conn: Connection, client: str, report: Report) -> None:
    await conn.execute(
        'insert into conformance (client, "by", at, failed, items) values ($1, $2, $3, $4, $5)',
        client,
        report.by,
        report.at,
        report.failed,
        msgspec.json.encode(report.items).decode(),
    )


async def newest(conn: Connection, client: str) -> Report | None:
    row = await conn.fetchrow(
        'select "by", at, items from conformance where client = $1 order by id desc limit 1',
        client,
    )
    if row is None:
        return None
    by, at, items = row
    return Report(by, at, msgspec.json.decode(items, type=tuple[Item, ...]))


async def checkers(conn: Connection, client: str) -> frozenset[str]:
    """Accounts of all who ever had it checked."""
    rows = await conn.fetch('select distinct "by" from conformance where client = $1', client)
    return frozenset(row[0] for row in rows)


@dataclass(frozen=True, slots=True)
class Done:
    """What a client did among the test data. tokens: that it asked for itself. writes: HTTP statuses of the last
    ones, newest first. keyed: writes that said by a key which they were."""

    tokens: int
    writes: tuple[int, ...]
    keyed: int


async def done(conn: Connection, one: Partner) -> Done:
    tokens = await conn.fetchval(
        "select count(*) from audit where organization = $1 and client = $2 and interaction = 'token-granted'",
        one.sandbox,
        one.client,
    )
    writes = await conn.fetch(
        "select outcome from audit where organization = $1 and client = $2 and outcome > 0"
        " and interaction in ('create', 'update', 'patch', 'transaction', 'batch') order by seq desc limit 50",
        one.sandbox,
        one.client,
    )
    keyed = await conn.fetchval(
        "select (select count(*) from idempotency where organization = $1)"
        " + (select count(*) from order_number where organization = $1)",
        one.sandbox,
    )
    return Done(tokens, tuple(row[0] for row in writes), keyed)


async def last_written(
    conn: Connection, viewer: Viewer, organization: int, most: int
) -> list[Version]:
    """The newest of what this organization has of its own."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)} from resource r"
        f" where r.source = $1 and r.body is not null and {condition} order by r.updated desc, r.rid desc limit $2",
        organization,
        most,
        *arguments,
    )
    return [version_of(row) for row in rows]
