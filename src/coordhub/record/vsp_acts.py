"""The mark of a victim service provider: set by one operator, at once; taken away by two, with a reason.

Setting it puts what the organization has at the hub under its key and out of everyone's sight, takes
from the directory what tells where it is, and from the ledger what it did. Taking it away changes what
is written from then on: what was the provider's stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.r4 import extract
from coordhub.record import commit, parties, veil
from coordhub.record.hub import Hub
from coordhub.record.label_acts import Act
from coordhub.record.label_lists import REFRESH
from coordhub.record.operations import Update
from coordhub.record.rules.organization import kind_of
from coordhub.record.work import Draft, Work
from coordhub.store import index, resources, sharing, vault, vsp
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.transact import AuditRow, Batch, transact
from coordhub.store.visibility import DIRECTORY, HUB

AT_ONCE = 200
"""Resources sealed in one transaction."""

WAIT = timedelta(days=7)
"""How long the removal of a mark may be confirmed."""


class CannotMarkError(ValueError):
    """What was asked cannot be done; the message says what to do instead."""


async def mark(hub: Hub, act: Act, organization: str, *, others_know_after: float = REFRESH) -> int:
    """Make it a victim service provider; returns how many resources were sealed.

    What it writes from the first commit on is sealed, by whichever process; what it has written before
    is after those seconds, when every process knows of the mark. Run again, it seals what an
    interrupted run has left.
    """
    _said(act)
    async with hub.engine.transaction() as conn:
        found = await _named(conn, organization)
        if found.rid in (HUB, DIRECTORY):
            raise CannotMarkError(f"{organization} is the hub's own.")
        if not vault.in_use().has(found.rid):
            raise CannotMarkError(
                f"There is no key for {organization}. Make one first: coordhub vsp key new {organization}"
            )
        await sharing.take_all_back(conn, found.rid)  # which waits for who is asking by it just now
        if await sharing.is_underway(conn, found.rid):
            raise CannotMarkError(
                f"{organization} is at work on Tasks that it shares with who has sent them, who see what it answers. "
                "Have these end first: their senders cancel them, or it answers them."
            )
        await vsp.set_kind(conn, found.rid, "vsp")
        now = hub.clock()
        await vsp.note(conn, vsp.Act(found.rid, "mark", act.by, act.reason, now))
        await vsp.forget_doings(conn, found.rid, now)
        await _audit(hub, conn, act, "vsp-mark", found)
        transaction = await vsp.transaction(conn)
    hub.lists.forget()
    await asyncio.sleep(others_know_after)
    # what was under way does not know of the mark, what begins now does
    while not await _over(hub, transaction):
        await asyncio.sleep(0.05)
    await _unlist(hub, found.rid)
    return await _seal(hub, found.rid)


async def _over(hub: Hub, transaction: int) -> bool:
    async with hub.engine.pool.acquire() as conn:
        return await vsp.is_over(conn, transaction)


async def propose_release(hub: Hub, act: Act, organization: str) -> None:
    """Ask that the mark be taken away; somebody else has to confirm it within WAIT."""
    _said(act)
    async with hub.engine.transaction() as conn:
        found = await _named(conn, organization)
        await _marked(conn, found)
        await vsp.note(conn, vsp.Act(found.rid, "propose", act.by, act.reason, hub.clock()))
        await _audit(hub, conn, act, "vsp-release-proposed", found)


async def confirm_release(
    hub: Hub, act: Act, organization: str, *, also_known_as: Sequence[str] = ()
) -> None:
    """Take the mark away, as another person has proposed. also_known_as: what else who confirms may be called."""
    _said(act)
    async with hub.engine.transaction() as conn:
        found, last, now = *await _proposed(hub, conn, organization), hub.clock()
        if is_same(last.account, (act.by, *also_known_as)):
            raise CannotMarkError("Who has proposed it cannot confirm it: another person has to.")
        directory = parties.document(found) if found.source == DIRECTORY else {}
        await vsp.set_kind(conn, found.rid, kind_of(directory))
        await vsp.note(conn, vsp.Act(found.rid, "confirm", act.by, act.reason, now))
        await _audit(hub, conn, act, "vsp-mark-released", found)
    hub.lists.forget()


async def refuse_release(
    hub: Hub, act: Act, organization: str, *, also_known_as: Sequence[str] = ()
) -> None:
    """The mark stays, whoever proposed otherwise: that takes one person, and it may be proposed anew."""
    _said(act)
    async with hub.engine.transaction() as conn:
        found, _ = await _proposed(hub, conn, organization)
        await vsp.note(conn, vsp.Act(found.rid, "refuse", act.by, act.reason, hub.clock()))
        await _audit(hub, conn, act, "vsp-release-refused", found)


async def _proposed(hub: Hub, conn: Connection, organization: str) -> tuple[Version, vsp.Act]:
    """The marked organization, and the proposal that waits: nobody else decides it before the transaction ends."""
    found = await _named(conn, organization)
    await _marked(conn, found)
    last = await vsp.last_act(conn, found.rid)
    if last is None or last.act != "propose" or last.at + WAIT < hub.clock():
        raise CannotMarkError(
            f"Nobody has proposed it within {WAIT.days} days. Propose it first: coordhub vsp"
            f" release-mark {organization}"
        )
    return found, last


def is_same(account: str, names: Sequence[str]) -> bool:
    """Whether one of these names of a person is that account."""
    return _person(account) in {_person(name) for name in names}


async def new_key(hub: Hub, act: Act, organization: str) -> str:
    """Make the key of an organization; returns where it is."""
    async with hub.engine.transaction() as conn:
        found = await _named(conn, organization)
        try:
            path = vault.in_use().new(found.rid)
        except vault.KeyExistsError:
            raise CannotMarkError(
                f"{organization} has a key; what it seals needs that one."
            ) from None
        except FileNotFoundError:
            raise CannotMarkError(
                "Set COORDHUB_VSP_KEYS to a folder outside of the database."
            ) from None
        await _audit(hub, conn, act, "vsp-key", found)
    return str(path)


async def _unlist(hub: Hub, provider: int) -> None:
    """Write the directory's entries about it anew, which strips them, and hide what they said."""
    steward = Caller(None, DIRECTORY, "", EVERYTHING)
    async with hub.engine.transaction() as conn:
        found = await vsp.entries_of(conn, viewer.deciding(), provider)
        own = await resources.read_rids(conn, viewer.deciding(), [provider])
        if provider in own and own[provider].source != provider:
            found = [own[provider], *(each for each in found if each.rid != provider)]
        writers = {each.source for each in found}
        for source in sorted(writers):
            updates = [
                Update(each.type, each.id, parties.document(each))
                for each in found
                if each.source == source
            ]
            writer = steward if source == DIRECTORY else Caller(None, source, "", EVERYTHING)
            await commit.apply(hub, conn, writer, updates, interaction="transaction")
        rids = [each.rid for each in found]
        await vsp.hide_versions_before(conn, rids)
        await vsp.seal_versions_before(conn, provider, rids)


async def _seal(hub: Hub, provider: int) -> int:
    sealed, after = 0, 0
    while True:
        async with hub.engine.transaction() as conn:
            found = await vsp.open_ones(
                conn, viewer.deciding(), provider, after=after, most=AT_ONCE
            )
            if not found:
                return sealed
            after = found[-1].rid
            open_ones = [each for each in found if each.keeper is None]
            sealed += len(open_ones)
            await vsp.seal(conn, provider, [each.rid for each in open_ones])
            await vsp.forget_persons(conn, [each.rid for each in open_ones])
            await _index_anew(hub, conn, provider, open_ones)


async def _index_anew(hub: Hub, conn: Connection, provider: int, found: list[Version]) -> None:
    """Index rows that say no more than what is sealed."""
    await vsp.forget_index(conn, [each.rid for each in found])
    work = Work(hub, conn, Caller(None, provider, "", EVERYTHING), hub.clock())
    work.apart = frozenset({provider})
    terms = (await hub.lists.current(conn)).terms
    batch = Batch()
    for each in found:
        if each.body is None:
            continue
        extracted = extract.extract(parties.document(each), base=hub.base)
        names = {one.reference.local for one in extracted.references if one.reference.local}
        pairs = [(name.partition("/")[0], name.partition("/")[2]) for name in sorted(names)]
        work.located = await resources.locate(conn, viewer.deciding(), pairs)
        targets = {f"{one.type}/{one.id}": one.rid for one in work.located.values()}
        systems = await hub.engine.systems(index.systems_in([extracted]))
        plain = index.rows_of(
            extracted,
            rid=each.rid,
            source=each.source,
            patient=None,
            systems=systems,
            targets=targets,
        )
        draft = Draft(
            None, each.type, each.id, each.rid, each.version, each.author, each.source, None,
            keeper=provider,
        )  # fmt: skip
        batch.add.update(veil.rows(work, draft, plain, extracted, terms))
    if len(batch.add):
        await transact(conn, batch, now=hub.clock())


async def _named(conn: Connection, text: str) -> Version:
    kind, _, fhir_id = text.partition("/")
    found = (
        await resources.read(conn, viewer.deciding(), kind, fhir_id)
        if kind == "Organization"
        else None
    )
    if found is None or found.deleted:
        raise CannotMarkError(f"There is no {text} here. Name it as Organization/id.")
    return found


async def _marked(conn: Connection, found: Version) -> None:
    if found.rid not in await vsp.marked(conn):
        raise CannotMarkError(f"{found.reference} is not marked.")


def _said(act: Act) -> None:
    if not act.reason.strip():
        raise CannotMarkError("Say why: --reason.")
    if not _person(act.by):
        raise CannotMarkError("Say who you are: --by.")


def _person(account: str) -> str:
    return " ".join(account.split()).casefold()


async def _audit(hub: Hub, conn: Connection, act: Act, interaction: str, about: Version) -> None:
    row = AuditRow(
        act.by, None, interaction, 0, about.type, about.id, (about.rid,), query=act.reason
    )
    await transact(conn, Batch(audit=[row]), now=hub.clock())
