from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from coordhub.record.operations import Delete
from coordhub.store import invariants
from coordhub.store.invariants import Mark
from coordhub.store.tables import metadata

if TYPE_CHECKING:
    from open_hub import House

BREAKS: list[tuple[str, str]] = [
    (
        "everyone who was sent a result that is withdrawn is told of that",
        "delete from delivery d using change c where c.seq = d.change and c.op = 'delete'",
    ),
    (
        "what was expunged is without content, and nobody's rule",
        (
            "insert into expunged (rid, type, fhir_id, version, whole, at)"
            " select rid, type, fhir_id, version, true, updated from resource where version > 1 limit 1"
        ),
    ),
    (
        "every change of a referral is relayed",
        "update change set relayed_at = null, at = at - interval '1 hour' where episode is not null",
    ),
    (
        "an open need has somebody who is asked, a step that is due, or a person who looks",
        (
            "with c as (update candidate set status = 'rejected')"
            " update need set state = 'open', closed_at = null"
        ),
    ),
    (
        "every referral has a need, and it is open exactly as long as one of them",
        "delete from need",
    ),
    (
        "every referral has a need, and it is open exactly as long as one of them",
        "update need set state = 'unmet', closed_at = opened_at",
    ),
    (
        "a need is never won by two",
        (
            "insert into candidate (episode, ordinal, shard, organization, recipient, task, request, status, need,"
            " wave, asked_at) select episode, 1, shard, organization, recipient, task + 256, request, status, need,"
            " wave, asked_at from candidate"
        ),
    ),
    (
        "a Task that both share asks one alone, for the only need, and no victim service provider",
        (
            "insert into candidate (episode, ordinal, shard, organization, recipient, task, request, status, need,"
            " wave, asked_at) select episode, 1, shard, organization, recipient, episode, request, status, need,"
            " wave, asked_at from candidate"
        ),
    ),
    (
        "a need is won as long as somebody is at work on it, and met once it is done",
        "update need set state = 'met', closed_at = opened_at",
    ),
    (
        "a need is won as long as somebody is at work on it, and met once it is done",
        "update need set state = 'unmet', closed_at = opened_at",
    ),
    (
        "every candidate is of a need of its referral, and of a wave that was asked",
        "update candidate set need = 7",
    ),
    (
        "every candidate is of a need of its referral, and of a wave that was asked",
        "update need set wave = 0",
    ),
    (
        "a person is asked about a need only for as long as it waits for that",
        (
            "insert into errand (task, shard, episode, kind, owner, subject, opened_at)"
            " select request, shard, episode, 'find-provider', 1, request, opened_at from need"
        ),
    ),
    (
        "what an open referral waits for from its sender's server is read",
        "update episode set request = 0",
    ),
    (
        "an errand is open as long as its Task is not terminal",
        (
            "insert into errand (task, shard, episode, kind, owner, subject, opened_at, closed_at)"
            " select task, shard, episode, 'abort', organization, task, asked_at, asked_at from candidate"
        ),
    ),
    (
        "everyone concerned by a relayed change has a delivery",
        (
            "delete from delivery where seq = (select max(d.seq) from delivery d"
            " join change c on c.seq = d.change where c.op <> 'delete')"
        ),
    ),
    (
        "every delivery is of a relayed change of its referral",
        "update delivery set version = version + 1",
    ),
    (
        "every delivery is acknowledged, suppressed or dead for a reason, or younger than its budget",
        "delete from attempt",
    ),
    (
        "every delivery is acknowledged, suppressed or dead for a reason, or younger than its budget",
        (
            "update delivery set state = 'queued', settled_at = null, created_at = now() - interval '74 hours',"
            " next_at = now() - interval '2 hours'"
        ),
    ),
    (
        "no lease has run out long ago",
        "update delivery set state = 'leased', settled_at = null, lease_until = created_at - interval '1 h'",
    ),
    (
        "what was delivered has one attempt that says so, and it is the last",
        "delete from attempt",
    ),
    (
        "what was delivered has one attempt that says so, and it is the last",
        "update delivery set state = 'queued', settled_at = null",
    ),
    ("every attempt is of a delivery", "update attempt set delivery = gen_random_uuid()"),
    ("what was delivered is audited as disclosed", "update audit set delivery = null"),
    (
        "deliveries of one referral to one endpoint are settled in the order of its changes",
        (
            "update delivery d set settled_at = settled_at - interval '1 hour'"
            " where seq = (select max(seq) from delivery)"
        ),
    ),
    (
        "deliveries of one referral to one endpoint are settled in the order of its changes",
        (
            "update delivery d set settled_at = null, state = 'queued' where seq ="
            " (select min(seq) from delivery where organization = (select requester from episode))"
        ),
    ),
    (
        "nothing is attempted before what comes first is settled",
        (
            "update attempt set at = at - interval '1 hour' where delivery ="
            " (select id from delivery order by seq desc limit 1)"
        ),
    ),
    ("a candidate's status is that of its Task", "update candidate set status = 'on-hold'"),
    (
        "a referral is closed when its sender's Task is terminal, and only then",
        "update episode set state = 'closed', closed_at = opened_at",
    ),
    (
        "an unanswered candidate of a closed referral is not asked any longer",
        (
            "with e as (update episode set state = 'closed', closed_at = opened_at)"
            " update candidate set status = 'requested'"
        ),
    ),
    ("every resource has all its versions", "delete from resource_version"),
    ("every resource has all its versions", "update resource_version set version = version + 7"),
    (
        "every version is what its predecessor allows",
        "update resource set op = 'create' where version > 1 and body is not null",
    ),
    (
        "every version is what its predecessor allows",
        "update resource_version set op = 'update' where version = 1",
    ),
    (
        "every body says which version it is",
        "update resource set updated = updated + interval '1 ms'",
    ),
    (
        "every body says which version it is",
        "update resource set body = replace(body, fhir_id, 'other') where body is not null",
    ),
    (
        "every body says which version it is",
        'update resource_version set body = replace(body, \'"versionId":"1"\', \'"versionId":"2"\')',
    ),
    ("every version is of a resource", "update resource_version set rid = rid + (1 << 20)"),
    (
        "every version has its change, and every change its version",
        "delete from change where episode is null and op = 'create'",
    ),
    (
        "every version has its change, and every change its version",
        "update change set author = author + 256",
    ),
    ("every change is audited", "update audit set rids = '{}'"),
    (
        "every grant is about something that is there, for a reason that is there",
        "update access_grant set because = because + (1 << 20)",
    ),
    (
        "who is asked may see the Task and the ServiceRequest that ask it, unless a Consent ended it",
        (
            "delete from access_grant g using candidate c where g.rid = c.request"
            " and g.organization = c.organization"
        ),
    ),
    (
        "who is asked may see the Task and the ServiceRequest that ask it, unless a Consent ended it",
        "update access_grant set until = since where rule = 'party'",
    ),
    (
        "a grant is because of a Task that asks its organization, or of a referral of its own",
        "update access_grant set organization = organization + 256",
    ),
    (
        "a grant is because of a Task that asks its organization, or of a referral of its own",
        "update access_grant set rule = 'result'",
    ),
    (
        "what was shared for a referral is shared until its Task is declined, or a time after it is done",
        "update access_grant set until = since where rule = 'referral'",
    ),
    (
        "what was shared for a referral is shared until its Task is declined, or a time after it is done",
        "update candidate set status = 'rejected'",
    ),
    (
        "every timer of a referral is of a Task of it",
        "update timer set subject = 1 where id = (select min(id) from timer)",
    ),
    (
        "no timer waits for what has ended",
        "update candidate set ended_at = now() where task in (select subject from timer)",
    ),
    (
        "whoever is to be reminded has a timer for it",
        (
            "insert into reminder (shard, organization, episode, subject, waited_for, kind, at)"
            " select shard, 1, episode, subject, subject, kind, now() from timer limit 1"
        ),
    ),
    (
        "what a pool is offered several see until one of them has claimed it, and then that one alone",
        (
            "with pool as (update need set strategy = 'pool')"
            " insert into access_grant (organization, rid, because, rule, labels, dataset, since, shard)"
            " select organization + 256, rid, because, rule, labels, dataset, since, shard from access_grant"
            " where rule = 'party' and because in (select task from candidate) limit 1"
        ),
    ),
    (
        "every id that a client chose leads to its resource",
        "insert into assigned_id (type, fhir_id, shard) values (1, 'chosen', 0)",
    ),
    (
        "every number of an order says what it was given to",
        (
            "insert into order_number (organization, type, number, content, request, at)"
            " values (1, 1, 'x', '', '', now())"
        ),
    ),
    (
        "whatever is sent otherwise is of a delivery and an attempt",
        (
            "insert into mending (delivery, number, at, kind, rid) select id, attempts + 1, now(), 'gone', rid"
            " from delivery limit 1"
        ),
    ),
    (
        "every Idempotency-Key that stands says what it wrote",
        "update idempotency set outcome = null",
    ),
    (
        "by what persons are matched is of Patients, and of none that a victim service provider keeps",
        "update idx_person set patient = 1",
    ),
    (
        "names are counted as often as records say them",
        "insert into name_count (param, key, number) values (9, 1, 1)",
    ),
    (
        "a link of two records is of Patients that are there, and of none that a victim service provider keeps",
        (
            "insert into person_link (one, other, state, score, evidence, since)"
            " select 1, max(rid), 'review', 1, '{}', now() from resource"
        ),
    ),
    *(
        (
            f"{name} is of current resources only, and of their owner and patient",
            f"update {name} set {column} = 1",
        )
        for name in metadata.tables
        if name.startswith("idx_")
        for column in ("rid", "source", "patient")
    ),
]


OF_NOTHING = {
    "update resource_version set rid = rid + (1 << 20)",
    "delete from change where episode is null and op = 'create'",
    "insert into name_count (param, key, number) values (9, 1, 1)",
    *(f"update {name} set rid = 1" for name in metadata.tables if name.startswith("idx_")),
}
"""Of `BREAKS`, what leaves rows that belong to no referral or resource: found by looking at everything."""


@pytest.fixture
async def lived_in(house: House) -> House:
    """A house in which one referral was asked, accepted and told, a result withdrawn, and something deleted."""
    due = {"period": {"end": "2999"}}
    sent = await house.asking(house.kitchen.service, restriction=due)
    await house.deliver()
    await sent.answer(house.kitchen, "accepted")
    withdrawn = await house.create(
        house.kitchen, {**unrelated(), "basedOn": [{"reference": sent.request}]}
    )
    await house.relay()
    await house.deliver()
    house.clock.ahead += timedelta(
        seconds=1
    )  # instants are of milliseconds: what was sent, was sent before
    await house.commit(house.kitchen, Delete("Observation", withdrawn.id))
    await house.relay()
    await house.deliver()
    for document in measured():
        await house.create(house.clinic, document)
    written = await house.commit(
        house.clinic,
        Delete("Observation", (await house.create(house.clinic, unrelated())).id),
        key="deleted",
    )
    assert written[0].status == 204
    return house


def measured() -> list[dict[str, Any]]:
    """Something for each table of numbers, quantities, addresses, composites and places."""
    place = {"latitude": Decimal("59.91"), "longitude": Decimal("10.75")}
    return [
        {"resourceType": "Location", "name": "harbour", "position": place},
        {
            **unrelated(),
            "meta": {"profile": ["http://profile.example/weight"]},
            "code": {"coding": [{"code": "weight"}]},
            "valueQuantity": {"value": Decimal("71.5"), "unit": "kg"},
        },
        {
            "resourceType": "RiskAssessment",
            "status": "final",
            "subject": {"display": "somebody"},
            "prediction": [{"probabilityDecimal": Decimal("0.5")}],
        },
    ]


def unrelated() -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "effectiveDateTime": "2026-01-01",
    }


async def violations(house: House, since: Mark | None = None) -> list[str]:
    async with house.engine.pool.acquire() as conn:
        return await invariants.violations(conn, house.clock(), since=since)


async def test_given_a_house_that_was_lived_in_when_examined_then_all_is_as_it_must_be(
    lived_in: House,
) -> None:
    assert await lived_in.value("select count(*) from delivery where state = 'delivered'") >= 3
    assert await violations(lived_in) == []


@pytest.mark.parametrize(("said", "sql"), BREAKS)
async def test_given_an_invariant_broken_when_examined_then_it_is_named(
    lived_in: House, said: str, sql: str
) -> None:
    assert not (await lived_in.by_owner(sql)).endswith(" 0"), "nothing was broken"
    found = await violations(lived_in)
    assert [text for text in found if text.startswith(f"Not so: {said}. ")] != []
    lately = await violations(lived_in, Mark(0, datetime.min.replace(tzinfo=UTC)))
    assert {text.partition(". ")[0] for text in lately} <= {
        text.partition(". ")[0] for text in found
    }
    if "moved." in invariants.INVARIANTS[said] and sql not in OF_NOTHING:
        assert [text for text in lately if text.startswith(f"Not so: {said}. ")] != []


async def test_given_a_mark_when_examined_then_only_what_came_later_is_looked_at(
    lived_in: House,
) -> None:
    async with lived_in.engine.pool.acquire() as conn:
        before = await invariants.mark(conn, lived_in.clock())
    lived_in.clock.ahead += timedelta(seconds=1)
    await lived_in.by_owner("update audit set rids = '{}'")
    assert await violations(lived_in, before._replace(at=lived_in.clock())) == []
    await lived_in.create(lived_in.clinic, unrelated())
    assert await violations(lived_in, before) == []
    await lived_in.by_owner("update audit set rids = '{}'")
    [found] = await violations(lived_in, before)
    assert ". 1, such as change " in found


def test_given_the_invariants_when_listed_then_each_was_broken_once() -> None:
    assert set(invariants.INVARIANTS) == {said for said, _ in BREAKS}


async def test_given_more_broken_than_shown_when_examined_then_all_are_counted(
    lived_in: House,
) -> None:
    await lived_in.by_owner("update audit set rids = '{}'")
    changes = await lived_in.value("select count(*) from change")
    [found] = [text for text in await violations(lived_in) if "is audited" in text]
    assert changes > invariants.SHOWN
    assert f". {changes}, such as change " in found
    assert found.count("change ") == invariants.SHOWN + found.count("every change ")


async def test_given_a_change_that_just_came_when_examined_then_it_may_wait(house: House) -> None:
    await house.refer(house.kitchen.service)
    assert await violations(house) == []
    async with house.engine.pool.acquire() as conn:
        now = house.clock()
        soon = await invariants.violations(conn, now, timedelta(seconds=-1))
    assert [text for text in soon if "is relayed" in text] != []
