"""Seals of the audit: closed stretches of it under a chain of MACs, so that tampering is found.

A seal covers the rows whose (transaction, seq) lies between the end of the seal before it and its
own. It ends at most at the oldest transaction that still runs: below that all is committed or
rolled back, whatever numbers its rows took, so nothing can arrive in a stretch that is sealed, and
the gaps that rollbacks leave in `seq` mean nothing. Of each row a seal holds its seq and half of
its MAC, and over all of these and the MAC of the seal before it stands the seal's own. The key is
not in the database: who can write there can remove, alter and insert rows and seals, not make them
fit. What a cut at the very end would hide, the newest seal written down elsewhere shows (the log
line `audit.sealed`; `coordhub audit verify --expect`).

https://www.rfc-editor.org/rfc/rfc2104, https://www.postgresql.org/docs/current/functions-info.html
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import hashlib
import hmac
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from coordhub.store.disclosures import SIX_YEARS
from coordhub.store.engine import Connection, Engine
from coordhub.store.retention import AUDIT_MARK
from coordhub.store.visibility import HUB
from coordhub.telemetry import log

LOCK: Final = 0x636F6F7264736561
"""Advisory lock (`coordsea` in ASCII): of several processes one seals at a time."""

MOST: Final = 10_000
"""Rows of one seal at most."""

SLACK: Final = timedelta(hours=1)
"""How much earlier than a seal a row may be dated whose transaction began after it: its request may
have waited, and clocks differ."""

_START: Final = b"coordhub audit seal 1"
_LEAF: Final = struct.Struct(">q16s")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_ROWS = (
    "select seq, at, client, organization, interaction, outcome, type, fhir_id, rids, query,"
    " delivery, request_id, person, xid::text::bigint as xid from audit"
    " where (xid, seq) >= ($1::text::xid8, $2) and (xid, seq) < ($3::text::xid8, $4)"
    " order by xid, seq"
)


@dataclass(frozen=True, slots=True)
class Seal:
    """until: (transaction, seq) of the first row that it does not cover any more.

    own: the transaction that made it; all after it began later.
    """

    number: int
    sealed_at: datetime
    until: tuple[int, int]
    own: int
    leaves: bytes
    mac: bytes
    key: str

    @property
    def rows(self) -> int:
        return len(self.leaves) // _LEAF.size


GENESIS: Final = Seal(0, _EPOCH, (0, 0), 0, b"", _START, "")


def sealing_key(token_key: bytes) -> bytes:
    """The key of the seals, derived from the hub's token key."""
    return hmac.digest(token_key, _START, "sha256")


def name_of(key: bytes) -> str:
    """Tells keys apart; gives nothing of the key away."""
    return hashlib.sha256(key).hexdigest()[:16]


async def seal(conn: Connection, key: bytes, now: datetime, most: int = MOST) -> Seal | None:
    """Seal what is closed since the last seal, in a transaction that is open; None: there is nothing.

    None too where another process is at it.
    """
    if not await conn.fetchval("select pg_try_advisory_xact_lock($1)", LOCK):
        return None
    last = await _last(conn)
    horizon = await conn.fetchval("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    if horizon < last.until[0]:
        log("audit.seal.behind", level="error", seal=last.number, horizon=horizon)
        return None
    until = (horizon, 0)
    rows = await conn.fetch(
        f"{_ROWS} limit $5", str(last.until[0]), last.until[1], str(horizon), 0, most + 1
    )
    if not rows:
        return None
    if len(rows) > most:
        until = (rows[most][-1], rows[most][0])
        del rows[most:]
    own = await conn.fetchval("select pg_current_xact_id()::text::bigint")
    made = _made(last, now, until, own, b"".join(_leaf(key, row) for row in rows), key)
    await conn.execute(
        "insert into audit_seal"
        " (number, sealed_at, until_xid, until_seq, own_xid, rows, leaves, mac, key)"
        " values ($1, $2, $3::text::xid8, $4, $5::text::xid8, $6, $7, $8, $9)",
        made.number,
        made.sealed_at,
        str(made.until[0]),
        made.until[1],
        str(made.own),
        made.rows,
        made.leaves,
        made.mac,
        made.key,
    )
    return made


async def keep_sealing(
    engine: Engine,
    key: Callable[[], bytes],
    every: timedelta,
    clock: Callable[[], datetime],
    stop: asyncio.Event,
) -> None:
    """Seal again and again until told to stop, and once more then; a database that is away is waited for.

    key: what it is now, at each seal.
    """
    while True:
        ending = stop.is_set()
        try:
            while True:
                async with engine.transaction() as conn:
                    made = await seal(conn, key(), clock())
                if made is None:
                    break
                log("audit.sealed", seal=made.number, rows=made.rows, mac=made.mac.hex())
        except Exception as error:  # a worker goes on, whatever it was
            log("audit.seal.failed", level="error", error=type(error).__name__)
        if ending:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every.total_seconds()):
                await stop.wait()


@dataclass(frozen=True, slots=True)
class Checked:
    """faults: a sentence for each seal or row that is not as it was; empty if all is.

    last: the newest seal. rows: how many were checked; open: how many no seal covers yet, since
    open_since. retained: under how many seals retention removed the rows.
    """

    faults: Sequence[str]
    last: Seal
    rows: int
    open: int
    open_since: datetime | None
    retained: int = 0


async def verify(
    conn: Connection,
    keys: Mapping[str, bytes],
    expected: Mapping[int, bytes] | None = None,
    *,
    now: datetime,
) -> Checked:
    """Walk all seals and their rows in one snapshot.

    keys: by name. expected: MACs of seals that were written down elsewhere.
    """
    faults: list[str] = []
    before, rows, retained = GENESIS, 0, 0
    made: list[Seal] = []
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        removed_until = await _removed_until(conn)
        async for one in _seals(conn):
            said = f"seal {one.number} of {one.sealed_at:%Y-%m-%d %H:%M:%S%z}"
            if one.number != before.number + 1:
                faults.append(f"{said}: seals {before.number + 1} to {one.number - 1} are missing")
            key = keys.get(one.key)
            if key is None:
                faults.append(f"{said}: made with key {one.key}, which is not given")
            elif not hmac.compare_digest(
                one.mac, _made(before, one.sealed_at, one.until, one.own, one.leaves, key).mac
            ):
                faults.append(f"{said}: the seal was altered, or the one before it replaced")
            found = await conn.fetch(
                _ROWS, str(before.until[0]), before.until[1], str(one.until[0]), one.until[1]
            )
            if not found and one.number <= removed_until and one.sealed_at < now - SIX_YEARS:
                retained += 1
            elif key is not None:
                faults.extend(f"{said}: {fault}" for fault in _differences(one, made, found, key))
            rows += len(found)
            before = one
            made.append(replace(one, leaves=b""))
            if expected is not None and not hmac.compare_digest(
                expected.get(one.number, one.mac), one.mac
            ):
                faults.append(f"{said}: it is not the one that was written down")
        faults.extend(
            f"seal {number}: it was written down and is not there"
            for number in sorted(expected or ())
            if number > before.number
        )
        left = await conn.fetchrow(
            "select count(*), min(at) from audit where (xid, seq) >= ($1::text::xid8, $2)",
            str(before.until[0]),
            before.until[1],
        )
        horizon = await conn.fetchval(
            "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        )
    if horizon < before.until[0]:
        faults.append(
            f"the database counts transactions from {horizon}, behind seal {before.number}: it was "
            "restored from a dump and cannot be sealed on (docs/operations.md, Audit)"
        )
    assert left is not None
    return Checked(faults, before, rows, left[0], left[1], retained)


async def _removed_until(conn: Connection) -> int:
    """The seal up to which the audit says that its rows were removed by a retention schedule."""
    number: int | None = await conn.fetchval(
        "select max(substring(query from '^until=([0-9]{1,18})$')::bigint) from audit"
        " where interaction = $1 and organization = $2 and client is null",
        AUDIT_MARK,
        HUB,
    )
    return number or 0


def _differences(one: Seal, made: Sequence[Seal], found: Sequence[Any], key: bytes) -> list[str]:
    """What is not as it was sealed, row by row. made: the seals before it."""
    sealed = dict(_LEAF.iter_unpack(one.leaves))
    there = {row["seq"]: row for row in found}
    faults = [f"row {seq} was removed" for seq in sealed if seq not in there]
    for seq, row in there.items():
        # the newest seal that was there before the row's transaction began
        known = bisect.bisect_right(made, row["xid"], key=lambda each: each.own)
        if seq not in sealed:
            faults.append(f"row {seq} was inserted afterwards")
        elif not hmac.compare_digest(sealed[seq], _leaf(key, row)[8:]):
            faults.append(f"row {seq} was altered")
        elif known and row["at"] < made[known - 1].sealed_at - SLACK:
            earlier = made[known - 1]
            faults.append(
                f"row {seq} is dated {row['at']:%Y-%m-%d %H:%M:%S%z} and was written after seal "
                f"{earlier.number} of {earlier.sealed_at:%Y-%m-%d %H:%M:%S%z}"
            )
    return faults


def _made(
    before: Seal, now: datetime, until: tuple[int, int], own: int, leaves: bytes, key: bytes
) -> Seal:
    number = before.number + 1
    head = struct.pack(">qqqqq", number, (now - _EPOCH) // _MICROSECOND, *until, own)
    mac = hmac.digest(key, head + before.mac + hashlib.sha256(leaves).digest(), "sha256")
    return Seal(number, now, until, own, leaves, mac, name_of(key))


def _leaf(key: bytes, row: Any) -> bytes:
    """By names and without what is null, so that a column added later leaves old seals whole."""
    stated = {name: value for name, value in row.items() if value is not None}
    stated["at"] = (row["at"] - _EPOCH) // _MICROSECOND
    if "delivery" in stated:
        stated["delivery"] = str(stated["delivery"])
    text = msgspec.json.encode(stated, order="sorted")
    return _LEAF.pack(row["seq"], hmac.digest(key, text, "sha256")[:16])


_SEAL = (
    "select number, sealed_at, until_xid::text::bigint, until_seq, own_xid::text::bigint,"
    " leaves, mac, key from audit_seal"
)


async def _last(conn: Connection) -> Seal:
    row = await conn.fetchrow(f"{_SEAL} order by number desc limit 1")
    return GENESIS if row is None else _of(row)


async def _seals(conn: Connection) -> AsyncIterator[Seal]:
    async for row in conn.cursor(f"{_SEAL} order by number", prefetch=20):
        yield _of(row)


def _of(row: Any) -> Seal:
    return Seal(row[0], row[1], (row[2], row[3]), row[4], row[5], row[6], row[7])
