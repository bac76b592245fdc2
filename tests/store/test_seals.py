"""Seals: what happens to the audit behind the hub's back is found, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from coordhub.store import seals
from coordhub.store.engine import Engine
from coordhub.store.seals import Checked, Seal

KEY = seals.sealing_key(b"a token key that is long enough!")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)

_INSERT = (
    "insert into audit (at, client, organization, interaction, outcome, fhir_id, rids, query, delivery)"
    " values ($1, 'near', 768, 'read', 200, $2, '{1024}', 'name=x', gen_random_uuid()) returning seq"
)


class Book:
    """The audit of a database, written to as its superuser."""

    def __init__(self, url: str, conn: Any) -> None:
        self.url = url
        self.conn = conn

    async def write(self, count: int = 1, at: datetime = NOW) -> list[int]:
        return [await self.conn.fetchval(_INSERT, at, f"id-{n}") for n in range(count)]

    async def seal(self, now: datetime = NOW, most: int = seals.MOST) -> Seal | None:
        async with self.conn.transaction():
            return await seals.seal(self.conn, KEY, now, most)

    async def verify(self, expected: dict[int, bytes] | None = None) -> Checked:
        return await seals.verify(self.conn, {seals.name_of(KEY): KEY}, expected, now=NOW)

    async def faults(self) -> str:
        return "\n".join((await self.verify()).faults)


@pytest.fixture
async def book(database_url: str) -> AsyncIterator[Book]:
    conn = await asyncpg.connect(database_url)
    yield Book(database_url, conn)
    await conn.close()


async def test_given_rows_when_sealed_and_checked_then_all_are_covered_and_none_is_at_fault(
    book: Book,
) -> None:
    await book.write(3)
    first = await book.seal()
    await book.write(2)
    second = await book.seal()
    assert first is not None
    assert second is not None
    assert (first.rows, second.rows) == (3, 2)
    checked = await book.verify()
    assert (checked.faults, checked.rows, checked.open) == ([], 5, 0)
    assert await book.seal() is None


async def test_given_more_rows_than_a_seal_takes_when_sealed_then_further_seals_take_them(
    book: Book,
) -> None:
    async with book.conn.transaction():
        await book.write(5)
    made = [await book.seal(most=2) for _ in range(3)]
    assert [one.rows for one in made if one] == [2, 2, 1]
    assert (await book.verify()).faults == []


@pytest.mark.parametrize(
    "change",
    [
        "client = 'other'", "organization = 1024", "interaction = 'search-type'", "outcome = 404",
        "type = 3", "fhir_id = null", "rids = '{}'", "query = 'name=y'", "delivery = null",
        "request_id = 'r'", "at = at + interval '1 second'",
    ],
)  # fmt: skip
async def test_given_a_sealed_row_when_altered_then_that_row_is_named(
    book: Book, change: str
) -> None:
    _, row, _ = await book.write(3)
    await book.seal()
    await book.conn.execute(f"update audit set {change} where seq = $1", row)
    assert await book.faults() == f"seal 1 of 2026-05-01 12:00:00+0000: row {row} was altered"


async def test_given_a_sealed_row_when_removed_then_that_row_is_named(book: Book) -> None:
    _, row, _ = await book.write(3)
    await book.seal()
    await book.conn.execute("delete from audit where seq = $1", row)
    assert f"row {row} was removed" in await book.faults()


async def test_given_a_sealed_stretch_when_a_row_is_slipped_in_then_that_row_is_named(
    book: Book,
) -> None:
    await book.write(3)
    await book.seal()
    (row,) = await book.write()
    await book.conn.execute(
        "update audit set xid = (select min(xid) from audit)  where seq = $1", row
    )
    assert f"row {row} was inserted afterwards" in await book.faults()


async def test_given_a_row_moved_out_of_its_seal_when_checked_then_it_is_missed(book: Book) -> None:
    _, row, _ = await book.write(3)
    await book.seal()
    await book.conn.execute("update audit set xid = pg_current_xact_id() where seq = $1", row)
    assert f"row {row} was removed" in await book.faults()


async def test_given_a_row_dated_before_an_earlier_seal_when_sealed_then_it_is_named(
    book: Book,
) -> None:
    await book.write()
    await book.seal()
    (row,) = await book.write(at=NOW - timedelta(days=30))
    await book.seal(NOW + timedelta(minutes=1))
    assert f"row {row} is dated 2026-04-01 12:00:00+0000" in await book.faults()


async def test_given_a_backlog_when_sealed_in_several_seals_then_its_age_is_no_fault(
    book: Book,
) -> None:
    await book.write(5, NOW - timedelta(days=2))
    for minute in range(3):
        await book.seal(NOW + timedelta(minutes=minute), most=2)
    assert (await book.verify()).faults == []


async def test_given_a_seal_while_others_write_when_they_end_then_their_age_is_no_fault(
    book: Book,
) -> None:
    await book.write()
    slow = await asyncpg.connect(book.url)
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(_INSERT, NOW - timedelta(hours=3), "slow")
    await book.seal()
    await transaction.commit()
    await slow.close()
    await book.seal()
    checked = await book.verify()
    assert (checked.faults, checked.rows) == ([], 2)


async def test_given_numbers_lost_in_a_rollback_when_sealed_then_the_gap_is_no_fault(
    book: Book,
) -> None:
    await book.write()
    transaction = book.conn.transaction()
    await transaction.start()
    await book.write(4)
    await transaction.rollback()
    await book.write()
    await book.seal()
    assert (await book.verify()).faults == []


async def test_given_a_row_committed_after_a_later_one_when_sealed_then_each_is_sealed_once(
    book: Book,
) -> None:
    slow = await asyncpg.connect(book.url)
    transaction = slow.transaction()
    await transaction.start()
    late = await slow.fetchval(_INSERT, NOW, "late")
    (early,) = await book.write()
    assert late < early
    assert await book.seal() is None  # `early` waits for what runs beside it
    await transaction.commit()
    await slow.close()
    sealed = await book.seal()
    assert sealed is not None
    assert sealed.rows == 2
    await book.write()
    await book.seal()
    assert (await book.verify()).faults == []


async def test_given_a_seal_altered_with_its_row_when_checked_then_the_seal_is_named(
    book: Book,
) -> None:
    await book.write(3)
    await book.seal()
    await book.conn.execute("delete from audit where seq = (select min(seq) from audit)")
    await book.conn.execute("update audit_seal set rows = 2, leaves = substring(leaves from 25)")
    assert "seal 1 of 2026-05-01 12:00:00+0000: the seal was altered" in await book.faults()


async def test_given_a_seal_and_its_rows_removed_when_checked_then_the_gap_is_named(
    book: Book,
) -> None:
    for _ in range(3):
        await book.write()
        await book.seal()
    await book.conn.execute("delete from audit_seal where number = 2")
    await book.conn.execute("delete from audit where seq = 2")
    assert "seals 2 to 2 are missing" in await book.faults()


async def test_given_the_newest_seal_cut_off_when_checked_against_a_note_of_it_then_it_is_missed(
    book: Book,
) -> None:
    await book.write()
    await book.seal()
    await book.write()
    newest = await book.seal()
    assert newest is not None
    note = {newest.number: newest.mac}
    assert (await book.verify(note)).faults == []
    await book.conn.execute("delete from audit_seal where number = 2")
    await book.conn.execute("delete from audit where seq = 2")
    assert (await book.verify()).faults == []  # nothing else can tell
    assert (await book.verify(note)).faults == ["seal 2: it was written down and is not there"]
    await book.write()
    await book.seal()
    (fault,) = (await book.verify(note)).faults
    assert fault.endswith("it is not the one that was written down")


async def test_given_another_key_when_checked_then_it_is_asked_for_by_name(book: Book) -> None:
    await book.write()
    await book.seal()
    checked = await seals.verify(book.conn, {}, now=NOW)
    assert checked.faults == [
        f"seal 1 of 2026-05-01 12:00:00+0000: made with key {seals.name_of(KEY)}, which is not given"
    ]


async def test_given_an_engine_when_told_to_stop_then_what_is_open_is_sealed_first(
    book: Book,
) -> None:
    await book.write(2)
    engine = await Engine.open(book.url, size=3)
    stop = asyncio.Event()
    stop.set()
    await seals.keep_sealing(engine, lambda: KEY, timedelta(seconds=60), lambda: NOW, stop)
    await engine.close()
    assert (await book.verify()).open == 0
