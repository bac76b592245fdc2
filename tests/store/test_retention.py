"""What is kept for how long: removed when it is due, never when it may not be, and once."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from coordhub.routing import deliver
from coordhub.routing.retry import RetryPolicy
from coordhub.store import deliveries, invariants, retention, seals

if TYPE_CHECKING:
    from open_hub import House, Referral

KEY = seals.sealing_key(b"a token key that is long enough!")
OBSERVATION = "Observation"


async def schedule(house: House, subject: str, keep: str, since: str = "update") -> None:
    from coordhub.r4 import types
    from coordhub.r4.sensitivity import NAMES

    conn = await asyncpg.connect(house.url)
    await retention.set_schedule(
        conn, subject, types.NUMBER.get(subject), NAMES.get(subject), keep, since
    )
    await conn.close()


async def run(house: House, subject: str) -> int:
    """As a worker does it: by the application's role."""
    async with house.engine.pool.acquire() as conn:
        due = await retention.due(conn, subject, 1000)
        done = await retention.carry_out(conn, subject)
        assert due == done, "the dry run says another number"
        return done


async def unbroken(house: House) -> list[str]:
    async with house.engine.pool.acquire() as conn:
        return await invariants.violations(conn, house.hub.clock())


_AGED = (
    "update {} set updated = updated - $, body = jsonb_set(body::jsonb, '{{meta,lastUpdated}}',"
    " to_jsonb(to_char((updated - $) at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')))::text"
)


async def age(house: House, days: int) -> None:
    """Let all that is there have happened so long ago."""
    for text in (
        _AGED.format("resource"),
        _AGED.format("resource_version"),
        "update change set at = at - $, relayed_at = relayed_at - $",
        "update audit set at = at - $",
        "update episode set opened_at = opened_at - $, closed_at = closed_at - $, planned_at = planned_at - $",
        "update delivery set created_at = created_at - $, next_at = next_at - $, settled_at = settled_at - $",
        "update attempt set at = at - $",
        "update idempotency set at = at - $",
    ):
        await house.by_owner(text.replace("$", f"interval '{days} days'"))


async def ended(house: House) -> Referral:
    """A referral that was answered and told to the end."""
    sent = await house.asking(house.kitchen.service)
    await deliver_all(house)
    await sent.answer(house.kitchen, "accepted")
    await sent.answer(house.kitchen, "in-progress")
    await sent.answer(house.kitchen, "completed")
    await house.relay()
    await deliver_all(house)
    return sent


async def deliver_all(house: House) -> None:
    sending = deliver.Sending(house.hub, {}, RetryPolicy(), Random(1).random)
    while True:
        async with house.engine.pool.acquire() as conn:
            held = await deliveries.claim(conn, house.hub.clock(), 10, timedelta(minutes=1))
        if not held:
            return
        for one in held:
            await deliver.deliver(sending, one)


async def content(house: House, *references: str) -> list[bool]:
    ids = [one.partition("/")[2] for one in references]
    rows = await house.rows(
        "select fhir_id, body is not null from resource where fhir_id = any($1)", ids
    )
    found: dict[str, bool] = dict(rows)  # type: ignore[arg-type]
    return [found[one] for one in ids]


async def test_given_a_type_with_a_schedule_when_due_then_it_is_removed_and_nothing_else(
    house: House,
) -> None:
    old = await ended(house)
    await age(house, 400)
    new = await ended(house)
    await schedule(house, OBSERVATION, "P1Y")

    assert await run(house, OBSERVATION) == 1

    assert await content(house, old.result, new.result, old.patient) == [False, True, True]
    assert await unbroken(house) == []
    assert await run(house, OBSERVATION) == 0
    [(rids, query)] = await house.rows(
        "select rids, query from audit where interaction = 'retention'"
    )
    assert len(rids) == 1
    assert query == "subject=Observation"


async def test_given_an_open_referral_when_old_then_nothing_of_its_patient_is_removed(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await age(house, 4000)
    await schedule(house, OBSERVATION, "P1Y")
    assert await run(house, OBSERVATION) == 0
    assert await content(house, sent.result) == [True]


async def test_given_a_hold_when_due_then_nothing_of_its_patient_is_removed_until_released(
    house: House,
) -> None:
    sent = await ended(house)
    await age(house, 400)
    await schedule(house, OBSERVATION, "P1Y")
    conn = await asyncpg.connect(house.url)
    patient = await house.value(
        "select rid from resource where fhir_id = $1", sent.patient.partition("/")[2]
    )
    await retention.hold(conn, patient, "a lawsuit", "rosa", house.hub.clock())
    assert await run(house, OBSERVATION) == 0
    assert await retention.release(conn, patient)
    await conn.close()
    assert await run(house, OBSERVATION) == 1


async def test_given_a_patient_when_due_then_only_after_all_else_of_the_chart(house: House) -> None:
    sent = await ended(house)
    await age(house, 400)
    others = ("Task", "ServiceRequest", OBSERVATION, "Provenance")
    for subject in ("Patient", *others):
        await schedule(house, subject, "P1Y")
    assert await run(house, "Patient") == 0
    for subject in others:
        assert await run(house, subject) > 0
    assert await run(house, "Patient") == 1
    assert await content(house, sent.patient, sent.task, sent.request) == [False] * 3
    assert await unbroken(house) == []


async def test_given_care_that_goes_on_when_counted_from_its_end_then_older_things_stay(
    house: House,
) -> None:
    sent = await ended(house)
    await age(house, 400)
    await schedule(house, OBSERVATION, "P1Y", "care")
    document = await house.document(sent.patient)
    await house.update(house.clinic, document["id"], {**document, "gender": "female"})
    assert await run(house, OBSERVATION) == 0
    await age(house, 400)
    assert await run(house, OBSERVATION) == 1


async def test_given_the_ledger_when_due_then_whole_referrals_go_with_their_attempts(
    house: House,
) -> None:
    await ended(house)
    await age(house, 100)
    await ended(house)
    await house.rows("insert into told_by_mail select id, id, created_at from delivery")
    await house.rows(
        "insert into link (hash, organization, task, delivery, created_at, until)"
        " select sha256(id::text::bytea), organization, 1, id, created_at, created_at from delivery"
    )
    await schedule(house, "delivery", "P90D")
    before = await house.value("select count(*) from delivery")
    assert await run(house, "delivery") == before / 2
    assert await house.value("select count(*) from attempt") > 0
    for table in ("told_by_mail", "link"):
        assert await house.value(f"select count(*) from {table}") == before / 2
    assert await unbroken(house) == []


async def test_given_idempotency_keys_when_due_then_they_go(house: House) -> None:
    from open_hub import patient

    from coordhub.record.operations import Create

    await house.commit(house.clinic, Create("Patient", patient()), key="old")
    await age(house, 10)
    await house.commit(house.clinic, Create("Patient", patient()), key="new")
    await schedule(house, "idempotency", "P7D")
    assert await run(house, "idempotency") == 1
    assert await house.rows("select key from idempotency") == [("new",)]


async def sealed(house: House, now: Any, most: int = seals.MOST) -> None:
    conn = await asyncpg.connect(house.url)
    while True:
        async with conn.transaction():
            if await seals.seal(conn, KEY, now, most) is None:
                break
    await conn.close()


async def verified(house: House) -> seals.Checked:
    async with house.engine.pool.acquire() as conn:
        return await seals.verify(conn, {seals.name_of(KEY): KEY}, now=house.hub.clock())


async def test_given_an_old_audit_when_due_then_whole_seals_go_and_the_chain_holds(
    house: House,
) -> None:
    await ended(house)
    await age(house, 2500)
    old = house.hub.clock() - timedelta(days=2500)
    await sealed(house, old, most=5)
    await ended(house)
    await sealed(house, house.hub.clock())
    await schedule(house, "audit", "P1D")  # six years all the same
    rows = await house.value("select count(*) from audit where at < now() - interval '1000 days'")

    assert await run(house, "audit") == rows
    checked = await verified(house)
    assert checked.faults == []
    assert checked.retained > 1
    assert await unbroken(house) == []
    await sealed(house, house.hub.clock())
    assert (await verified(house)).faults == []


async def test_given_an_audit_younger_than_six_years_when_due_then_nothing_goes(
    house: House,
) -> None:
    await ended(house)
    await age(house, 2000)
    await sealed(house, house.hub.clock() - timedelta(days=2000))
    await schedule(house, "audit", "P1D")
    assert await run(house, "audit") == 0


async def test_given_old_rows_under_a_young_seal_when_due_then_they_stay_as_verify_would_miss_them(
    house: House,
) -> None:
    await ended(house)
    await age(house, 2500)
    await sealed(house, house.hub.clock())
    await schedule(house, "audit", "P1D")
    assert await run(house, "audit") == 0


async def test_given_rows_that_somebody_removed_when_it_says_retention_then_verify_is_not_deceived(
    house: House,
) -> None:
    await ended(house)
    await sealed(house, house.hub.clock())
    await house.by_owner("delete from audit")
    await house.by_owner(
        "insert into audit (at, organization, interaction, outcome, rids, query)"
        f" values (now(), 256, '{retention.AUDIT_MARK}', 0, '{{}}', 'until=1')"
    )
    assert any("was removed" in fault for fault in (await verified(house)).faults)


async def test_given_events_and_permissions_with_schedules_when_due_then_what_is_over_goes_and_no_more(
    house: House,
) -> None:
    await house.by_owner(
        "insert into subscription (rid, shard, organization, state, config, event, sent, failures)"
        " values (256, 0, 1, 'active', '{}', 3, 2, 0)"
    )
    await house.by_owner(
        "insert into subscription_event (subscription, number, shard, at, rid, version) select 256, n, 0,"
        " now() - interval '20 days' * (3 - n), 1, 1 from generate_series(0, 3) n"
    )
    await house.by_owner(
        "insert into app_permission (id, client, person, organization, asked, scopes, at, ended_at)"
        " select gen_random_uuid(), 'app', 'ana', 1, '', '', now(), e from unnest(array["
        " now() - interval '90 days', now() - interval '9 days', null]) e"
    )
    for subject in ("subscription_event", "app_permission"):
        await schedule(house, subject, "P30D")
        assert await run(house, subject) == (2 if subject == "subscription_event" else 1)
        assert await run(house, subject) == 0
    numbers = await house.rows("select number from subscription_event order by number")
    assert numbers == [(2,), (3,)], "2 is too young"
    await house.by_owner("update subscription_event set at = at - interval '90 days'")
    assert await run(house, "subscription_event") == 1
    assert await house.rows("select number from subscription_event") == [(3,)], "it was not told"
    assert await house.value("select count(*) from app_permission") == 2


async def test_given_the_application_when_it_would_change_a_schedule_then_it_may_not(
    house: House,
) -> None:
    for text in ("update retention set keep = 'PT0S'", "delete from legal_hold",
                 "insert into retention (subject, keep, since) values ('audit', 'PT0S', 'update')"):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await house.rows(text)


async def test_given_two_workers_when_both_are_at_it_then_one_removes(house: House) -> None:
    await ended(house)
    await age(house, 400)
    await schedule(house, OBSERVATION, "P1Y")
    async with house.engine.pool.acquire() as one, house.engine.pool.acquire() as other:
        async with one.transaction():
            assert await retention.step(one, OBSERVATION, 10) == 1
            assert await retention.step(other, OBSERVATION, 10) is None
        assert await retention.to_run(other) == []  # done for today


async def test_given_a_worker_when_a_schedule_is_to_run_then_it_runs_until_told_to_stop(
    house: House,
) -> None:
    await ended(house)
    await age(house, 400)
    await schedule(house, OBSERVATION, "P1Y")
    stop = asyncio.Event()
    worker = asyncio.create_task(retention.keep_retaining(house.engine, stop))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while await house.value("select ran_at from retention") is None:
                await asyncio.sleep(0.01)
    stop.set()
    await worker
    assert await house.value("select count(*) from expunged") == 1
