"""The one write path: everything a commit changes, for one resource or a thousand, in one statement.

One round trip however many resources it carries; `store.statement` is its text. Nothing is decided
here. Whoever calls holds the locks (`resources.lock`), or is ready to be `Overtaken`.

Another kind of rows is: a list in `Batch`, a line in `_rows`, a part in `statement.PARTS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from coordhub import tracing
from coordhub.errors import conflict
from coordhub.r4 import types
from coordhub.store import vault
from coordhub.store.engine import Connection
from coordhub.store.index import IndexRows
from coordhub.store.statement import PARTS, statement


class Overtaken(Exception):
    """Another commit has written a version that this one was to write; nothing of this one is."""


class Write(NamedTuple):
    """A new version of a resource; `body` None deletes. version 1 is an insert, any other an update.

    author: rid of the organization that wrote this version; source: of the one whose resource it is.
    assigned: the id was chosen by the client, not by the hub.
    labels: a bit for each sensitivity class of its content.
    episode: the referral this change belongs to; None: nobody is told of it.
    dangling: a reference of it leads nowhere; quarantined: and so only its source is to see it.
    seen: the state of its row (xmin) that this was made from; None: the row is locked.
    keeper: rid of the organization under whose key it is stored; None: it is stored as it is.
    """

    rid: int
    type: str
    id: str
    version: int
    op: str
    author: int
    source: int
    patient: int | None
    body: str | None
    assigned: bool = False
    episode: int | None = None
    labels: int = 0
    dangling: bool = False
    quarantined: bool = False
    seen: int | None = None
    keeper: int | None = None


class Grant(NamedTuple):
    """`organization` may see `rid`, because of resource `because` by rule `rule`.

    labels: sensitivity classes that it covers. dataset: number of what is shown of it; 0: the whole.
    until: first instant at which it no longer holds; None: while the reason stands.
    """

    organization: int
    rid: int
    because: int
    rule: str
    labels: int = 0
    dataset: int = 0
    until: datetime | None = None


class ResultEnd(NamedTuple):
    """What it came to be by `episode` is no result of that any more: who was shown it is not."""

    rid: int
    episode: int


class GrantEnd(NamedTuple):
    """The grants that resource `because` made by this rule end now."""

    because: int
    rule: str


class ShownLapse(NamedTuple):
    """What the referral named is shown to whom this Task asks until then."""

    task: int
    until: datetime


class GrantLapse(NamedTuple):
    """What one is shown as results of a referral it is shown until then; None: as long as the reason stands."""

    organization: int
    episode: int
    until: datetime | None


class Release(NamedTuple):
    """A provider's written release; columns of vsp_release."""

    consent: int
    task: int
    told: int
    organization: int
    until: datetime


class Rule(NamedTuple):
    """What one actor (or everyone, 0) may see of a patient's chart; columns of access_rule.

    systems, codes: parallel, the systems as numbers of code_system.
    """

    actor: int
    patient: int
    permit: bool
    precedence: int
    since: datetime
    because: int
    rule: str
    until: datetime | None = None
    types: Sequence[int] | None = None
    rids: Sequence[int] | None = None
    only_labels: int | None = None
    covers: int = 0
    systems: Sequence[int] | None = None
    codes: Sequence[str] | None = None
    data_from: datetime | None = None
    data_to: datetime | None = None
    purposes: Sequence[str] | None = None


class RuleEnd(NamedTuple):
    """The rules that resource `because` made end now."""

    because: int


class Party(NamedTuple):
    """What kind of party an organization is: treatment, social, vsp, person."""

    organization: int
    kind: str


class EpisodeRow(NamedTuple):
    id: int
    requester: int
    request: int
    patient: int | None


class EpisodeSupplied(NamedTuple):
    """The ServiceRequest that a Task waited for is here: columns of episode."""

    id: int
    request: int
    patient: int | None


class FetchRow(NamedTuple):
    """What a Task is about is to be read from its sender's server; columns of fetching."""

    subject: int
    organization: int
    endpoint: int
    client: str | None


class NeedRow(NamedTuple):
    """One thing asked for; columns of need. It opens, and nobody is asked yet."""

    episode: int
    ordinal: int
    request: int
    kind: str
    strategy: str


class NeedState(NamedTuple):
    """wave: the last that was asked. reason: code of why nobody else can be asked."""

    episode: int
    ordinal: int
    state: str
    wave: int
    reason: str | None = None


class ProspectRow(NamedTuple):
    """Who could meet a need; columns of prospect. findings: JSON."""

    episode: int
    need: int
    rank: int
    organization: int
    recipient: str
    verdict: str
    score: float
    findings: str


class CandidateRow(NamedTuple):
    episode: int
    ordinal: int
    organization: int
    recipient: str
    task: int
    request: int
    status: str
    need: int = 0
    wave: int = 1


class CandidateStatus(NamedTuple):
    """reason: code of statusReason, None where there is none of the hub's. organization, recipient: who has
    claimed it, where somebody does."""

    task: int
    status: str
    reason: str | None = None
    organization: int | None = None
    recipient: str | None = None


class PoolEnd(NamedTuple):
    """A Task of a pool is claimed: of those who could, only `organization` sees it, and its order, from now on."""

    task: int
    organization: int


class ErrandRow(NamedTuple):
    """columns of errand; episode: None where it is about no referral."""

    task: int
    episode: int | None
    kind: str
    owner: int
    subject: int


class TimerRow(NamedTuple):
    """A timer as it is to be, new or changed; columns of timer."""

    episode: int | None
    kind: str
    subject: int
    since: datetime
    due_at: datetime
    stood_at: datetime | None = None
    fired_at: datetime | None = None


class TimerEnd(NamedTuple):
    """This timer is wanted no more."""

    kind: str
    subject: int


class ResultRow(NamedTuple):
    """`rid` is a result of the referral; columns of result."""

    rid: int
    episode: int
    how: str
    because: int
    version: int


class AuditRow(NamedTuple):
    """One line of the audit. `rids`: the resources written or shown; `fhir_id`: the id asked for.

    person: id of who let the client act, where that is a person's app.
    """

    client: str | None
    organization: int | None
    interaction: str
    outcome: int
    type: str | None = None
    fhir_id: str | None = None
    rids: tuple[int, ...] = ()
    query: str | None = None
    delivery: Any = None
    request_id: str | None = None
    person: str | None = None


class SubscriptionRow(NamedTuple):
    """A Subscription as it was written; see `store.subscriptions`.

    client, scopes, permission: who asks for it, as `clients.Acting`; None: nobody by this.
    """

    rid: int
    organization: int
    channel: str
    state: str
    config: str
    until: datetime | None
    reason: str | None
    client: str | None
    scopes: str | None
    permission: UUID | None


class Foreseen(NamedTuple):
    """A Subscription (rid) that is told of a deletion: of the resource, and which version the deletion is."""

    subscription: int
    rid: int
    version: int


@dataclass(slots=True)
class Batch:
    """All that one commit writes."""

    writes: list[Write] = field(default_factory=list)
    add: IndexRows = field(default_factory=IndexRows)
    remove: IndexRows = field(default_factory=IndexRows)
    grants: list[Grant] = field(default_factory=list)
    grants_ended: list[GrantEnd] = field(default_factory=list)
    shown_lapses: list[ShownLapse] = field(default_factory=list)
    grant_lapses: list[GrantLapse] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    episodes: list[EpisodeRow] = field(default_factory=list)
    planned: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    supplied: list[EpisodeSupplied] = field(default_factory=list)
    fetches: list[FetchRow] = field(default_factory=list)
    needs: list[NeedRow] = field(default_factory=list)
    need_states: list[NeedState] = field(default_factory=list)
    prospects: list[ProspectRow] = field(default_factory=list)
    candidates: list[CandidateRow] = field(default_factory=list)
    statuses: list[CandidateStatus] = field(default_factory=list)
    pools_ended: list[PoolEnd] = field(default_factory=list)
    errands: list[ErrandRow] = field(default_factory=list)
    errands_closed: list[int] = field(default_factory=list)
    errands_of: dict[int, int] = field(default_factory=dict)
    """Of an errand that is closed, the referral that it turned out to be about."""
    timers: list[TimerRow] = field(default_factory=list)
    results: list[ResultRow] = field(default_factory=list)
    results_ended: list[ResultEnd] = field(default_factory=list)
    timers_ended: list[TimerEnd] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    rules_ended: list[RuleEnd] = field(default_factory=list)
    parties: list[Party] = field(default_factory=list)
    subscriptions: list[SubscriptionRow] = field(default_factory=list)
    foreseen: list[Foreseen] = field(default_factory=list)
    to_be_matched: list[int] = field(default_factory=list)
    """Patients (rid) of whom it is to be looked whether somebody else's record is of the same person."""
    audit: list[AuditRow] = field(default_factory=list)


def _rows(batch: Batch) -> dict[str, Sequence[tuple[Any, ...]]]:
    """What there is of each kind, as `statement.PARTS` calls it; without columns of its own: who needs it."""
    writes = [_written(row) for row in batch.writes]
    fresh = [row for row in batch.writes if row.version == 1]
    again = [row for row in batch.writes if row.version > 1]
    withdrawn = [(row.task,) for row in batch.statuses if row.status in _WITHDRAWN]
    return {
        "w": writes,
        "superseded": again,
        "inserted": fresh,
        "updated": again,
        "assigned": [row for row in fresh if row.assigned],
        "changed": writes,
        "traced": _traced(batch.writes),
        **{f"{kind}_removed": rows for kind, rows in batch.remove.flat()},
        **{f"{kind}_added": rows for kind, rows in batch.add.flat()},
        "granted": batch.grants,
        "granted_no_more": batch.grants_ended,
        "shown_for_now": batch.shown_lapses,
        "lapsing": batch.grant_lapses,
        "released": batch.releases,
        "ruled_no_more": batch.rules_ended,
        "ruled": batch.rules,
        "partied": batch.parties,
        "audited": batch.audit,
        "opened": batch.episodes,
        "progressed": [
            (one, one in batch.planned, one in batch.closed)
            for one in sorted({*batch.planned, *batch.closed})
        ],
        "supplied": batch.supplied,
        "awaited": batch.fetches,
        "needed": batch.needs,
        "need_moved": batch.need_states,
        "prospected": batch.prospects,
        "asked": batch.candidates,
        "answered": batch.statuses,
        "errands_opened": batch.errands,
        "errands_closed": [
            (task, batch.errands_of.get(task)) for task in dict.fromkeys(batch.errands_closed)
        ],
        "ended": withdrawn,
        "unpooled": batch.pools_ended,
        "timed": batch.timers,
        "resulted": batch.results,
        "resulted_no_more": batch.results_ended,
        "untimed": batch.timers_ended,
        "subscribed": batch.subscriptions,
        "foreseen": batch.foreseen,
        "to_be_matched": [(rid,) for rid in batch.to_be_matched],
    }


def _traced(writes: Sequence[Write]) -> list[tuple[Any, ...]]:
    """What is told because of these belongs to the trace that is under way, if one is."""
    parent = tracing.current()
    if parent is None:
        return []
    return [(row.rid, row.version, parent) for row in writes if row.episode is not None]


def _written(row: Write) -> tuple[Any, ...]:
    """As the table has it: the type by its number, and sealed where a key is kept for it."""
    *head, body, assigned, episode, labels, dangling, quarantined, seen, keeper = row
    if body is not None and keeper is not None:
        body = vault.in_use().seal(keeper, row.rid, body)
    return (
        row.rid,
        types.NUMBER[row.type],
        *head[2:],
        body,
        assigned,
        episode,
        labels,
        dangling,
        quarantined,
        seen,
    )


_OF_A_VERSION = ("resource_version_pkey", "change_rid_version_key")
"""What holds a version of a resource once: who wrote it at the same moment is met here first."""

_WITHDRAWN = ("rejected", "cancelled", "entered-in-error")
"""Statuses of a Task after which what it shared is no longer to be seen."""


def _json(rows: Sequence[Any]) -> str:
    return msgspec.json.encode([row._asdict() for row in rows]).decode()


def audit_json(rows: Sequence[AuditRow]) -> str:
    return msgspec.json.encode(
        [{**row._asdict(), "type": types.NUMBER[row.type] if row.type else None} for row in rows]
    ).decode()


async def transact(conn: Connection, batch: Batch, *, now: datetime) -> None:
    """Write it all, inside the caller's transaction if there is one.

    now: the instant of this commit, meta.lastUpdated of all it writes. Two creations of one
    client-chosen id: 409 for the second. Overtaken where a resource is not at the version before, or its row not
    as it was seen.
    """
    with tracing.span("transact", resources=len(batch.writes)):
        await _transact(
            conn, {kind: some for kind, some in _rows(batch).items() if some}, batch, now
        )


async def _transact(
    conn: Connection, rows: dict[str, Sequence[tuple[Any, ...]]], batch: Batch, now: datetime
) -> None:
    if not rows:
        return
    arguments: list[Any] = []
    for kind, some in rows.items():
        if PARTS[kind].as_json:
            arguments.append(audit_json(batch.audit) if kind == "audited" else _json(some))
        elif PARTS[kind].columns:
            arguments += (list(column) for column in zip(*some, strict=True))
    try:
        await conn.fetchval(statement(tuple(rows)), now, *arguments)
    except asyncpg.DivisionByZeroError:
        raise Overtaken from None
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name in _OF_A_VERSION:
            raise Overtaken from None
        raise conflict(
            "Another request wrote the same thing at the same moment. Send yours again."
        ) from error
