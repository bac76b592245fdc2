"""The change feed: with writers that commit late, and with sight that is given later."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from open_hub import House, observation, patient

from coordhub.store import feed, sensitive
from coordhub.store.feed import Position
from coordhub.store.visibility import Viewer

RESOURCE = (
    "insert into resource (shard, rid, type, fhir_id, version, op, updated, author, source, body)"
    " select $1::bigint & 255, $1, type, 'made-' || $1, 1, 'create', now(), author, coalesce($3, source), body"
    " from resource where rid = $2"
)
CHANGE = (
    "insert into change (at, shard, rid, version, type, op, author)"
    " select now(), shard, rid, version, type, op, author from resource where rid = $1"
)
GRANT = (
    "insert into access_grant (shard, organization, rid, because, rule, since)"
    " values ($2::bigint & 255, $1, $2, $2, 'party', now())"
)


@dataclass(slots=True)
class Poller:
    """Reads the feed as a partner does; told: (rid, version) in the order in which they came.
    held: a transaction of the test's own is still running."""

    house: House
    viewer: Viewer
    position: Position | None = None
    told: list[tuple[int, int]] = field(default_factory=list)
    held: bool = False

    async def page(self, count: int = 50, since: Any = None) -> bool:
        """Whether there is more."""
        async with self.house.engine.searches.acquire() as conn:
            position = self.position or await feed.begin(conn, self.viewer, since)
            position = feed.position_of(position.as_values())
            page = await feed.read(conn, self.viewer, None, position, count=count, since=since)
        assert page is not None
        assert len(page.versions) <= count
        self.told += [(one.rid, one.version) for one in page.versions]
        self.position = page.position
        return page.more

    async def poll(self, count: int = 50, since: Any = None) -> list[tuple[int, int]]:
        """All pages there are, once no transaction of another database holds them back; what they told."""
        before = len(self.told)
        newest = await self.house.value("select pg_current_xact_id()")
        while not self.held and newest >= await self.house.value(
            "select pg_snapshot_xmin(pg_current_snapshot())"
        ):
            await asyncio.sleep(0.01)
        while await self.page(count, since):
            pass
        return self.told[before:]


@pytest.fixture
async def poller(house: House) -> Poller:
    """The stranger, to whom all there is so far was told."""
    made = Poller(house, house.stranger.viewer)
    await made.poll()
    return made


@pytest.fixture
async def model(house: House) -> int:
    """rid of a resource of the clinic's, about nobody, which others are made like."""
    return (await house.create(house.clinic, {"resourceType": "Basic", "code": {"text": "x"}})).rid


async def late_writers(house: House, stack: AsyncExitStack, count: int) -> list[Any]:
    connections = [await asyncpg.connect(house.url) for _ in range(count)]
    for conn in connections:
        stack.push_async_callback(conn.close)
    return connections


async def test_given_a_commit_that_is_late_when_polled_meanwhile_then_it_is_told_afterwards(
    house: House, model: int
) -> None:
    own = Poller(house, house.clinic.viewer)
    await own.poll()
    async with AsyncExitStack() as stack:
        [late] = await late_writers(house, stack, 1)
        await late.execute("begin")
        await late.execute(RESOURCE, 1 << 40, model, None)
        await late.execute(CHANGE, 1 << 40)
        early = await house.create(house.clinic, patient("Early"))
        own.held = True
        assert await own.poll() == []
        await late.execute("commit")
        own.held = False
    assert await own.poll() == [(1 << 40, 1), (early.rid, 1)]
    assert await own.poll() == []


@pytest.mark.parametrize("seed", range(4))
async def test_given_writers_and_grants_in_any_order_when_polled_between_then_none_is_missed(
    house: House, poller: Poller, model: int, seed: int
) -> None:
    rnd = Random(seed)
    stranger = house.stranger.rid
    versions: dict[int, int] = {}
    granted: set[int] = set()
    touched: list[list[int]] = [[] for _ in range(4)]
    async with AsyncExitStack() as stack:
        writers = await late_writers(house, stack, 4)
        for step in range(120):
            which = rnd.randrange(4)
            conn, open_rows = writers[which], touched[which]
            idle = [rid for rid in versions if not any(rid in rows for rows in touched)]
            match rnd.choice(("make", "change", "grant", "end", "poll")):
                case "poll":
                    await poller.page(rnd.randint(1, 3))
                    continue
                case "end":
                    if conn.is_in_transaction():
                        keeps = rnd.random() < 0.8
                        await conn.execute("commit" if keeps else "rollback")
                        open_rows.clear()
                    continue
                case "make":
                    rid = (step + 1) << 40
                    await _begun(conn)
                    own = rnd.random() < 0.5
                    granted |= {rid} if own else set()
                    await conn.execute(RESOURCE, rid, model, stranger if own else None)
                case "change":
                    if not idle:
                        continue
                    rid = rnd.choice(idle)
                    await _begun(conn)
                    await conn.execute(
                        "insert into resource_version (shard, rid, version, op, updated, author, source, body)"
                        " select shard, rid, version, op, updated, author, source, body from resource where rid = $1",
                        rid,
                    )
                    await conn.execute(
                        "update resource set version = version + 1, op = 'update' where rid = $1",
                        rid,
                    )
                case _:
                    hidden = [rid for rid in idle if rid not in granted]
                    if not hidden:
                        continue
                    rid = rnd.choice(hidden)
                    granted.add(rid)
                    await _begun(conn)
                    await conn.execute(GRANT, stranger, rid)
                    open_rows.append(rid)
                    continue
            await conn.execute(CHANGE, rid)
            versions[rid] = 1
            open_rows.append(rid)
        for conn in writers:
            if conn.is_in_transaction():
                await conn.execute("commit")
    await poller.poll(2)
    expected = dict(
        await house.rows(
            "select r.rid, r.version from resource r where r.fhir_id like 'made-%' and (r.source = $1"
            " or exists (select from access_grant g where g.rid = r.rid and g.organization = $1))",
            stranger,
        )
    )
    assert expected
    newest: dict[int, int] = {}
    for rid, version in poller.told:
        if rid >= 1 << 40:
            assert version >= newest.get(rid, 0), "an older version after a newer one"
            newest[rid] = version
    assert newest == expected


async def _begun(conn: Any) -> None:
    if not conn.is_in_transaction():
        await conn.execute("begin")


async def chart(house: House) -> list[tuple[int, int]]:
    """A patient of the clinic's, and an observation: rid and version of each."""
    person = await house.create(house.clinic, patient("Hidden"))
    seen = await house.create(house.clinic, observation(person.reference))
    return [(person.rid, 1), (seen.rid, 1)]


RULE = (
    "insert into access_rule (actor, patient, permit, precedence, since, because, rule, until)"
    " values ($1, $2, $3, $4, now() + $5, $2, 'consent', null)"
)


async def test_given_a_chart_that_is_opened_later_when_polled_then_it_is_told_whole(
    house: House, poller: Poller
) -> None:
    hidden = await chart(house)
    who = hidden[0][0]
    assert await poller.poll() == []
    await house.rows(RULE, house.stranger.rid, who, True, 1, timedelta())
    assert await poller.poll(1) == hidden
    assert await poller.poll() == []
    await house.rows(RULE, 0, who, False, 2, timedelta())
    assert await poller.poll() == []
    # as the write of a Consent that ends does
    await house.rows(
        "update access_rule set until = now(), xid = pg_current_xact_id() where not permit"
    )
    assert await poller.poll() == hidden


async def test_given_a_rule_that_begins_or_ends_by_itself_when_its_time_has_come_then_it_is_told(
    house: House, poller: Poller
) -> None:
    hidden = await chart(house)
    who = hidden[0][0]
    await house.rows(RULE, house.stranger.rid, who, True, 1, timedelta(hours=1))
    assert await poller.poll() == []
    await house.rows("update access_rule set since = now()")  # an hour later
    assert await poller.poll() == hidden
    await house.rows(RULE, 0, who, False, 2, timedelta())
    assert await poller.poll() == []
    await house.rows("update access_rule set until = now() where not permit")  # its end has come
    assert await poller.poll() == hidden


async def test_given_a_label_that_is_taken_away_when_polled_then_what_it_hid_is_told(
    house: House, poller: Poller, model: int
) -> None:
    await house.rows("update resource set labels = 2 where rid = $1", model)
    await house.rows(
        "insert into access_grant (shard, organization, rid, because, rule, since)"
        " values ($2::bigint & 255, $1, $2, $2, 'party', now())",
        house.stranger.rid,
        model,
    )
    assert await poller.poll() == []
    async with house.engine.transaction() as conn:
        await sensitive.lower_labels(conn, model, 2)
    assert await poller.poll() == [(model, 1)]


async def test_given_a_time_when_begun_then_what_was_written_or_shown_since_is_told(
    house: House, model: int
) -> None:
    house.clock.ahead += timedelta(hours=3)
    since = house.clock()
    shown = await house.create(house.clinic, patient("Shown"))
    await house.rows(GRANT, house.stranger.rid, shown.rid)
    await house.rows(GRANT, house.stranger.rid, model)
    told = await Poller(house, house.stranger.viewer).poll(since=since)
    assert (shown.rid, 1) in told
    assert (model, 1) in told
    assert all(rid in (shown.rid, model) for rid, _ in told)


async def test_given_a_change_when_its_kind_is_not_asked_for_then_only_others_are_told(
    house: House, poller: Poller
) -> None:
    made = await house.create(house.stranger, patient("A"))
    await house.create(house.stranger, {"resourceType": "Basic", "code": {"text": "x"}})
    assert poller.position is not None
    async with house.engine.searches.acquire() as conn:
        page = await feed.read(conn, poller.viewer, ["Patient"], poller.position, count=9)
    assert page is not None
    assert [one.rid for one in page.versions] == [made.rid]


async def test_given_more_than_one_page_looks_at_when_read_then_pages_are_short_and_go_on(
    house: House, poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "LOOKED_AT", 2)
    monkeypatch.setattr(feed, "CHARTS", 1)
    hidden = [await chart(house), await chart(house)]
    for _ in range(5):
        await house.create(house.clinic, patient("Other"))
    for [(who, _), _] in hidden:
        await house.rows(RULE, house.stranger.rid, who, True, 1, timedelta())
        await house.rows(GRANT, house.stranger.rid, who)
    told = await poller.poll()
    assert {*told} == {*hidden[0], *hidden[1]}


async def test_given_a_position_of_another_log_or_another_kind_of_party_when_read_then_there_is_none(
    house: House, poller: Poller
) -> None:
    assert poller.position is not None
    beyond = feed.position_of([10**15, *poller.position.as_values()[1:]])
    async with house.engine.searches.acquire() as conn:
        assert await feed.read(conn, poller.viewer, None, beyond, count=9) is None
        await house.rows("delete from party where organization = $1", house.stranger.rid)
        assert await feed.read(conn, poller.viewer, None, poller.position, count=9) is None
