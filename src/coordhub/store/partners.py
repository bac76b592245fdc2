"""What was agreed with partners: which profile of Task they speak, how fast they are sent to, what and how.

An organization of the sandbox stands for another: what was agreed with that one holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coordhub.store.engine import Connection

UNAGREED: Final = "r4"
"""What is spoken with whom nothing was agreed."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What somebody sends and is sent; None: anything. types: of resources. kinds: of need (referral.kinds), "" where
    no code says which. channels: connection types."""

    profile: str = UNAGREED
    sends: frozenset[str] | None = None
    sends_kinds: frozenset[str] | None = None
    receives: frozenset[str] | None = None
    receives_kinds: frozenset[str] | None = None
    channels: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """Deliveries at most."""

    per_second: float
    at_once: int


TERMS: Final = "p.profile, p.sends, p.sends_kinds, p.receives, p.receives_kinds, p.channels"


def joined(organization: str) -> str:
    """SQL that joins what TERMS are of, as `p`, and the organization's row of the sandbox, as `s`."""
    return (
        f" left join sandbox s on s.organization = {organization}"
        f" left join partner p on p.organization = coalesce(s.stands_for, {organization})"
    )


def terms_of(row: Sequence[object]) -> Terms:
    """Of the columns TERMS; of nulls, where nothing was agreed."""
    profile, *lists = row
    kept = [None if one is None else frozenset(one) for one in lists]  # type: ignore[call-overload]
    return Terms(str(profile or UNAGREED), *kept)


async def agreed(conn: Connection, organization: int) -> Terms:
    row = await conn.fetchrow(
        f"select {TERMS} from (select $1::bigint as organization) one{joined('one.organization')}",
        organization,
    )
    assert row is not None
    return terms_of(tuple(row))


async def set_terms(conn: Connection, organization: int, terms: Terms, now: datetime) -> None:
    """From now on all of this holds with it."""
    lists = (
        terms.sends, terms.sends_kinds, terms.receives, terms.receives_kinds, terms.channels,
    )  # fmt: skip
    await conn.execute(
        "insert into partner (organization, profile, since, sends, sends_kinds, receives, receives_kinds, channels)"
        " values ($1, $2, $3, $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])"
        " on conflict (organization) do update set profile = excluded.profile, since = excluded.since,"
        " sends = excluded.sends, sends_kinds = excluded.sends_kinds, receives = excluded.receives,"
        " receives_kinds = excluded.receives_kinds, channels = excluded.channels",
        organization,
        terms.profile,
        now,
        *(None if one is None else sorted(one) for one in lists),
    )


async def not_asked_for(conn: Connection, kind: str) -> frozenset[int]:
    """rids of the organizations with which it was agreed that they are not asked for this kind of need."""
    rows = await conn.fetch(
        "select organization from partner where not $1 = any(receives_kinds)"
        " union all select s.organization from sandbox s join partner p on p.organization = s.stands_for"
        " where not $1 = any(p.receives_kinds)",
        kind,
    )
    return frozenset(row[0] for row in rows)


async def profiles_of(conn: Connection, organizations: Iterable[int]) -> dict[int, str]:
    """Name of the profile by organization (rid), of those with whom one was agreed."""
    rows = await conn.fetch(
        "select o.organization, p.profile from unnest($1::bigint[]) o(organization)"
        f"{joined('o.organization')} where p.profile is not null",
        sorted(set(organizations)),
    )
    return {row[0]: row[1] for row in rows}


async def profile_of(conn: Connection, organization: int) -> str:
    return (await profiles_of(conn, [organization])).get(organization, UNAGREED)


async def agree(conn: Connection, organization: int, profile: str, now: datetime) -> None:
    """From now on it speaks this profile."""
    await conn.execute(
        "insert into partner (organization, profile, since) values ($1, $2, $3)"
        " on conflict (organization) do update set profile = excluded.profile, since = excluded.since",
        organization,
        profile,
        now,
    )


async def pace_of(conn: Connection, organization: int) -> Pace | None:
    row = await conn.fetchrow(
        "select per_second, at_once from pace where organization = $1", organization
    )
    return None if row is None else Pace(*row)


async def agree_on_pace(
    conn: Connection, organization: int, per_second: float, at_once: int, now: datetime
) -> None:
    """From now on it is sent so many deliveries a second at most, so many of them at the same time."""
    await conn.execute(
        "insert into pace (organization, per_second, at_once, level, at)"
        " values ($1, $2::float8, $3, greatest($2, 1), $4) on conflict (organization) do update"
        " set per_second = excluded.per_second, at_once = excluded.at_once",
        organization,
        per_second,
        at_once,
        now,
    )


async def set_no_pace(conn: Connection, organization: int) -> None:
    """No rate is agreed with it any more."""
    await conn.execute("delete from pace where organization = $1", organization)
