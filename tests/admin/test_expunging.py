"""Content removed for ever: gone from every table, and what remains is what has to."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest
from open_hub import observation, patient, service_request, task

from coordhub.admin import expunging
from coordhub.admin.acts import NothingDone, Operator
from coordhub.record import reindex, reproject
from coordhub.record.hub import Hub
from coordhub.record.operations import Create, Delete
from coordhub.routing import deliver, expire, notice, notify, relay
from coordhub.routing.retry import RetryPolicy
from coordhub.store import (
    counterparts,
    deliveries,
    disclosures,
    fetches,
    history,
    invariants,
    resources,
)
from coordhub.store.audit import append
from coordhub.store.emergencies import Note, Use, note
from coordhub.store.engine import Engine
from coordhub.store.transact import AuditRow

if TYPE_CHECKING:
    from open_hub import House, Party

BY = Operator("rosa")
CANARY = "Zyrkonia"
TERMS = "http://terminology.hl7.org/CodeSystem"
REASON = "entered for the wrong person"


@asynccontextmanager
async def as_owner(house: House) -> AsyncIterator[Hub]:
    """The hub of a command that is run as the owner of the tables."""
    engine = await Engine.open(house.url, size=3)
    try:
        yield dataclasses.replace(house.hub, engine=engine)
    finally:
        await engine.close()


async def expunge(house: House, reference: str, what: str = "resource") -> expunging.Outcome:
    async with as_owner(house) as hub:
        number = await expunging.propose(hub, BY, "Rosa", reference, what, REASON)
        return await expunging.confirm(hub, BY, "Omar", number)


async def found_anywhere(url: str, text: str) -> list[str]:
    """Tables (and Postgres' own statistics of them) with a row that holds it, in whichever column."""
    conn = await asyncpg.connect(url)
    try:
        names = [
            row[0] for row in await conn.fetch(
                "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = current_schema"
            )
        ]  # fmt: skip
        assert "public.resource" in names
        return [
            name for name in (*names, "pg_stats")
            if await conn.fetchval(
                f"select exists (select from {name} t where position(lower($1) in lower(t::text)) > 0"
                " or position($2 in t::text) > 0)",
                text, text.encode().hex(),
            )
        ]  # fmt: skip
    finally:
        await conn.close()


async def unbroken(house: House) -> list[str]:
    async with house.engine.pool.acquire() as conn:
        return await invariants.violations(conn, house.hub.clock())


async def read(house: House, who: Party, reference: str) -> int:
    """The status that `who` reads it with."""
    kind, _, fhir_id = reference.partition("/")
    async with house.engine.pool.acquire() as conn:
        found = await resources.read(conn, who.viewer, kind, fhir_id)
    return 404 if found is None else 410 if found.body is None else 200


def canary_patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:test:mrn", "value": f"{CANARY}-1"}],
        "name": [{"family": CANARY, "given": [f"{CANARY}a"]}],
        "address": [{"line": [f"{CANARY} 1"], "city": CANARY}],
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{CANARY}</div>',
        },
    }


def canary_observation(subject: str, **elements: Any) -> dict[str, Any]:
    document = {
        "resourceType": "Observation",
        "status": "final",
        "identifier": [{"system": "urn:test:lab", "value": f"{CANARY}-2"}],
        "code": {"coding": [{"system": "http://loinc.org", "code": f"{CANARY}-3"}], "text": CANARY},
        "subject": {"reference": subject},
        "effectiveDateTime": "2026-01-02",
        "valueQuantity": {"value": 1, "unit": CANARY, "code": CANARY, "system": "urn:test:units"},
        "note": [{"text": f"{CANARY} was here"}],
        "component": [{"code": {"coding": [{"system": "http://loinc.org", "code": CANARY}]},
                       "valueString": CANARY}],
        **elements,
    }  # fmt: skip
    return {name: value for name, value in document.items() if value is not None}


def consent(house: House, subject: str) -> dict[str, Any]:
    coding = {
        "system": f"{TERMS}/consentscope",
        "code": "patient-privacy",
    }
    return {
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [coding]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": subject}, "dateTime": "2026-01-01T00:00:00Z",
        "organization": [{"reference": house.clinic.reference}],
        "policyRule": {"coding": [{"system": f"{TERMS}/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "deny", "code": [{"coding": [{"system": "http://loinc.org", "code": f"{CANARY}-3"}]}]},
    }  # fmt: skip


async def filled(house: House) -> tuple[str, str]:
    """A chart full of the canary, with older versions, sent in a referral that has ended, and seen."""
    who, order = "urn:uuid:patient", "urn:uuid:order"
    written = await house.commit(
        house.clinic,
        Create("Patient", canary_patient(), full_url=who, at="a"),
        Create("Observation", canary_observation(who), full_url="urn:uuid:seen", at="b"),
        Create("ServiceRequest", {
            "resourceType": "ServiceRequest", "status": "active", "intent": "order",
            "code": {"text": CANARY}, "subject": {"reference": who}, "note": [{"text": CANARY}],
            "requester": {"reference": house.clinic.reference},
            "performer": [{"reference": house.kitchen.service}],
            "supportingInfo": [{"reference": "urn:uuid:seen"}],
        }, full_url=order, at="c"),
        Create("Task", {
            "resourceType": "Task", "status": "requested", "intent": "order", "description": CANARY,
            "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
            "focus": {"reference": order}, "for": {"reference": who},
            "requester": {"reference": house.clinic.reference},
        }, at="d"),
    )  # fmt: skip
    patient, observation, _, task = (one.reference for one in written)
    await house.create(house.clinic, consent(house, patient))
    await house.update(house.clinic, written[1].id, canary_observation(patient, status="amended"))
    await house.relay()
    await deliver_all(house)
    row = AuditRow("kitchen", house.kitchen.rid, "read", 200, "Patient", None, (written[0].rid,))
    async with house.engine.transaction() as conn:
        await append(conn, row, house.hub.clock())
        # (the record was opened in an emergency, and somebody noted what it found)
        use = Use(
            written[0].rid,
            written[0].rid,
            house.kitchen.rid,
            house.hub.clock(),
            house.hub.clock(),
            None,
        )
        await note(conn, use, house.clinic.rid, Note("justified", CANARY, "x", house.hub.clock()))
    document = {**await house.document(task), "status": "cancelled"}
    await house.update(house.clinic, document["id"], document)
    await house.relay()  # what is queued now is never sent
    return patient, observation


async def deliver_all(house: House) -> None:
    sending = deliver.Sending(house.hub, {}, RetryPolicy(), Random(1).random)
    while True:
        async with house.engine.pool.acquire() as conn:
            held = await deliveries.claim(conn, house.hub.clock(), 10, timedelta(minutes=1))
        if not held:
            return
        for one in held:
            await deliver.deliver(sending, one)


async def test_given_a_chart_when_expunged_then_its_content_is_in_no_table(house: House) -> None:
    patient, _ = await filled(house)
    await house.by_owner("analyze")
    before = await found_anywhere(house.url, CANARY)
    assert {"pg_stats",
            "public.resource", "public.resource_version", "public.idx_string", "public.idx_token",
            "public.idx_composite", "public.access_rule", "public.emergency_review"} <= set(before)  # fmt: skip
    assert await house.value("select count(*) from delivery where state = 'queued'") > 0

    outcome = await expunge(house, patient, "patient")

    assert await found_anywhere(house.url, CANARY) == []
    assert await unbroken(house) == []
    assert [page.wrong async for page in reindex.reindex(house.hub, mend=False) if page.wrong] == []
    assert [one async for one in reproject.reproject(house.hub, mend=False)] == []
    assert patient in outcome.removed
    assert (
        await house.rows("select distinct state, reason from delivery where settled_at is null")
        == []
    )
    assert ("suppressed", "expunged") in await house.rows("select state, reason from delivery")


async def test_given_a_chart_when_expunged_then_who_has_copies_is_named_and_accounted_still(
    house: House,
) -> None:
    patient, _ = await filled(house)
    outcome = await expunge(house, patient, "patient")

    kitchen = house.kitchen.reference.removeprefix("Organization/")
    assert [one.sent for one in outcome.told if one.resource == patient] == [True]
    assert {one.organization for one in outcome.told if one.resource == patient} == {kitchen}
    assert {one.name for one in outcome.told} == {"kitchen", "clinic"}  # which saw the hub's Task
    rid = await house.value(
        "select rid from resource where fhir_id = $1", patient.partition("/")[2]
    )
    now = house.hub.clock()
    async with house.engine.pool.acquire() as conn:
        told = await disclosures.of_patient(
            conn, house.clinic.viewer, rid, now - timedelta(days=1), now + timedelta(days=1), 100
        )
    assert {"disclosure", "read"} == {one.interaction for one in told}
    assert {one.recipient for one in told} == {house.kitchen.reference}


async def test_given_what_was_expunged_when_read_then_who_saw_it_hears_so_and_nobody_else(
    house: House,
) -> None:
    patient, observation = await filled(house)
    task = await house.value(
        "select 'Task/' || t.fhir_id from candidate c join resource t on t.rid = c.task"
    )
    seen = {who: await read(house, who, task) for who in (house.kitchen, house.pantry)}
    assert seen == {house.kitchen: 200, house.pantry: 404}
    assert await read(house, house.kitchen, patient) == 404  # since the referral was cancelled

    await expunge(house, patient, "patient")

    for reference in (patient, observation):
        assert await read(house, house.clinic, reference) == 410
        assert await read(house, house.stranger, reference) == 404
        assert await read(house, house.pantry, reference) == 404
    assert await read(house, house.kitchen, task) == 410
    assert await read(house, house.pantry, task) == 404
    assert await read(house, house.kitchen, patient) == 404


async def test_given_a_consent_when_what_it_opens_is_expunged_then_only_who_looked_is_told(
    house: House,
) -> None:
    who = await house.create(house.clinic, canary_patient())
    allowed = consent(house, who.reference)
    allowed["provision"] = {
        "type": "permit",
        "actor": [{
            "role": {"coding": [{"system": f"{TERMS}/v3-ParticipationType", "code": "IRCP"}]},
            "reference": {"reference": house.kitchen.reference},
        }],
    }  # fmt: skip
    await house.create(house.clinic, allowed)
    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    opioids = {"coding": [{"system": icd, "code": "F11.20"}]}
    made = [
        await house.create(house.clinic, canary_observation(who.reference, **elements))
        for elements in ({}, {}, {"valueQuantity": None, "valueCodeableConcept": opioids})
    ]
    looked, _, sensitive = made
    row = AuditRow(
        "kitchen", house.kitchen.rid, "read", 200, "Observation", None, (looked.rid, sensitive.rid)
    )
    async with house.engine.transaction() as conn:
        await append(conn, row, house.hub.clock())
    before = [await read(house, house.kitchen, one.reference) for one in made]
    assert before == [200, 200, 404]

    for one in made:
        await expunge(house, one.reference)

    after = [await read(house, house.kitchen, one.reference) for one in made]
    assert after == [410, 404, 404]


async def test_given_what_was_expunged_when_its_history_is_read_then_it_has_no_content_and_no_gap(
    house: House,
) -> None:
    patient, observation = await filled(house)
    numbers = await house.rows("select seq from change order by seq")
    await expunge(house, patient, "patient")

    async with house.engine.searches.acquire() as conn:
        page = await history.history(
            conn, house.clinic.viewer, ["Observation"], observation.partition("/")[2], count=10
        )
    assert [(one.version, one.op, one.body) for one in page.versions] == [
        (3, "delete", None), (2, "delete", None), (1, "delete", None),
    ]  # fmt: skip
    after = await house.rows("select seq from change order by seq")
    assert after[: len(numbers)] == numbers


async def test_given_one_resource_when_its_old_versions_are_expunged_then_the_current_one_stays(
    house: House,
) -> None:
    who = await house.create(house.clinic, canary_patient())
    plain = {"resourceType": "Patient", "name": [{"family": "Water"}]}
    await house.update(house.clinic, who.id, plain)
    assert await found_anywhere(house.url, CANARY) == ["public.resource_version"]

    await expunge(house, who.reference, "versions")

    assert await found_anywhere(house.url, CANARY) == []
    assert await read(house, house.clinic, who.reference) == 200
    assert (await house.document(who.reference))["name"] == plain["name"]
    assert await unbroken(house) == []


async def test_given_an_order_that_was_sent_when_expunged_then_the_hubs_copies_of_it_go_too(
    house: House,
) -> None:
    patient, _ = await filled(house)
    made = await house.rows(
        "select t.fhir_id from episode e join candidate c on c.episode = e.id"
        " join resource t on t.rid = c.request"
    )
    assert CANARY in str(await house.document(f"ServiceRequest/{made[0][0]}"))
    order = await house.value(
        "select r.fhir_id from episode e join resource r on r.rid = e.request"
    )
    outcome = await expunge(house, f"ServiceRequest/{order}")
    assert set(outcome.removed) == {f"ServiceRequest/{order}", f"ServiceRequest/{made[0][0]}"}
    assert await read(house, house.clinic, patient) == 200
    assert outcome.mentioned_by
    assert await unbroken(house) == []


async def test_given_a_deleted_resource_when_expunged_then_nothing_of_it_is_left(
    house: House,
) -> None:
    who = await house.create(house.clinic, canary_patient())
    made = await house.create(
        house.clinic, canary_observation(who.reference, code={"text": "plain"})
    )
    await house.commit(house.clinic, Delete("Observation", made.id))

    await expunge(house, made.reference)

    rows = await house.rows(
        "select body from resource_version where rid = $1"
        " union all select body from resource where rid = $1", made.rid)  # fmt: skip
    assert rows == [(None,), (None,)]
    assert await unbroken(house) == []


async def test_given_an_id_that_was_expunged_when_its_source_writes_it_anew_then_it_stands(
    house: House,
) -> None:
    who = await house.create(house.clinic, canary_patient())
    made = await house.create(house.clinic, canary_observation(who.reference))
    await expunge(house, made.reference)
    await house.update(house.clinic, made.id, canary_observation(who.reference))
    assert await read(house, house.clinic, made.reference) == 200
    assert await unbroken(house) == []
    async with as_owner(house) as hub:
        assert await expunging.replay(hub, BY, await expunging.logged(hub)) == 0


async def test_given_the_criteria_of_a_search_when_the_patient_is_expunged_then_they_stay_in_the_audit(
    house: House,
) -> None:
    who = await house.create(house.clinic, canary_patient())
    row = AuditRow(
        "clinic",
        house.clinic.rid,
        "search-type",
        200,
        "Patient",
        None,
        (who.rid,),
        f"name={CANARY}",
    )
    async with house.engine.transaction() as conn:
        await append(conn, row, house.hub.clock())
    await expunge(house, who.reference, "patient")
    assert await found_anywhere(house.url, CANARY) == ["public.audit"]


async def test_given_one_person_when_both_roles_are_played_then_nothing_is_removed(
    house: House,
) -> None:
    who = await house.create(house.clinic, canary_patient())
    made = await house.create(house.clinic, canary_observation(who.reference))
    async with as_owner(house) as hub:
        number = await expunging.propose(hub, BY, "Rosa", made.reference, "resource", REASON)
        with pytest.raises(NothingDone, match="somebody else"):
            await expunging.confirm(hub, BY, "rosa ", number)
        house.clock.ahead = timedelta(days=7, minutes=1)
        with pytest.raises(NothingDone, match="older than 7 days"):
            await expunging.confirm(hub, BY, "Omar", number)
        house.clock.ahead = timedelta(days=6)
        await expunging.confirm(hub, BY, "Omar", number)
        with pytest.raises(NothingDone, match="no open proposal"):
            await expunging.confirm(hub, BY, "Omar", number)
    acts = await house.rows(
        "select interaction from audit where interaction like 'expunge%' order by seq"
    )
    assert acts == [("expunge-proposed",), ("expunge",)]


async def test_given_a_need_under_way_when_its_order_is_to_be_expunged_then_it_is_refused_and_goes_whole_later(
    house: House,
) -> None:
    together = {"requisition": {"system": "urn:test", "value": "both"}}
    who = await house.create(house.clinic, patient())
    orders = [
        await house.create(
            house.clinic,
            service_request(who.reference, house.clinic.reference, one.service, **together),
        )
        for one in (house.kitchen, house.pantry)
    ]
    second = {"type": {"text": "and"}, "valueReference": {"reference": orders[1].reference}}
    sent = await house.create(
        house.clinic,
        task(orders[0].reference, who.reference, house.clinic.reference, input=[second]),
    )
    await house.relay()
    copies = await house.value(
        "select count(*) from need n join candidate c on c.episode = n.episode and c.need = n.ordinal"
        " where n.ordinal = 1"
    )
    assert copies == 1
    with pytest.raises(NothingDone, match="Cancel it first"):
        await expunge(house, orders[1].reference, "resource")
    document = {**await house.document(sent.reference), "status": "cancelled"}
    await house.update(house.clinic, sent.id, document)
    await house.relay()
    outcome = await expunge(house, orders[1].reference, "resource")
    assert len(outcome.removed) == 2, "the order, and what the hub made of it for the pantry"


async def test_given_a_referral_under_way_when_its_patient_is_to_be_expunged_then_it_is_refused(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    async with as_owner(house) as hub:
        for reference, what in ((sent.patient, "patient"), (sent.task, "resource"),
                                (sent.request, "resource")):  # fmt: skip
            with pytest.raises(NothingDone, match="Cancel it first"):
                await expunging.propose(hub, BY, "Rosa", reference, what, REASON)
        await expunging.propose(hub, BY, "Rosa", sent.result, "resource", REASON)


async def test_given_a_consent_in_force_when_to_be_expunged_then_it_has_to_end_first(
    house: House,
) -> None:
    who = await house.create(house.clinic, canary_patient())
    made = await house.create(house.clinic, consent(house, who.reference))
    async with as_owner(house) as hub:
        with pytest.raises(NothingDone, match="End it first"):
            await expunging.propose(hub, BY, "Rosa", made.reference, "resource", REASON)
        await house.update(
            house.clinic, made.id, {**consent(house, who.reference), "status": "inactive"}
        )
        await expunging.propose(hub, BY, "Rosa", made.reference, "resource", REASON)


async def test_given_the_applications_login_when_it_expunges_then_it_may_not(house: House) -> None:
    who = await house.create(house.clinic, canary_patient())
    with pytest.raises(NothingDone, match="owner of the tables"):
        await expunging.propose(house.hub, BY, "Rosa", who.reference, "patient", REASON)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await house.value(
            "select expunge_content($1::bigint[], true, null, 'expunge', '')", [who.rid]
        )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await house.value("update expunge set confirmed_by = 'x'")


async def test_given_a_backup_of_before_when_restored_and_replayed_then_the_content_is_gone_again(
    house: House, postgres: Any, database_url: str
) -> None:
    patient, _ = await filled(house)
    kept = await house.create(house.clinic, canary_patient() | {"name": [{"family": "Water"}]})
    await house.update(house.clinic, kept.id, {"resourceType": "Patient", "active": True})
    backup = await _copied(postgres, database_url)
    try:
        await expunge(house, patient, "patient")
        await expunge(house, kept.reference, "versions")
        async with as_owner(house) as hub:
            log_of_then = await expunging.logged(hub)
        assert "public.resource" in await found_anywhere(backup, CANARY)

        restored = await Engine.open(backup, size=3)
        try:
            hub = dataclasses.replace(house.hub, engine=restored)
            assert await expunging.replay(hub, BY, log_of_then) > 3
            assert await expunging.replay(hub, BY, log_of_then) == 0
            async with restored.pool.acquire() as conn:
                assert await invariants.violations(conn, house.hub.clock()) == []
                assert await conn.fetchval("select body from resource where rid = $1", kept.rid)
        finally:
            await restored.close()
        assert await found_anywhere(backup, CANARY) == []
    finally:
        await asyncio.to_thread(postgres.drop, backup)


async def test_given_a_backup_with_the_referral_under_way_when_replayed_then_that_is_over(
    house: House, postgres: Any, database_url: str
) -> None:
    sent = await house.asking(house.kitchen.service)
    backup = await _copied(postgres, database_url)
    try:
        await sent.withdraw()
        await house.relay()
        await deliver_all(house)
        await expunge(house, sent.patient, "patient")
        async with as_owner(house) as hub:
            log_of_then = await expunging.logged(hub)
        restored = await Engine.open(backup, size=3)
        try:
            hub = dataclasses.replace(house.hub, engine=restored)
            await expunging.replay(hub, BY, log_of_then)
            while await relay.relay(hub, uuid4):
                pass
            async with restored.pool.acquire() as conn:
                assert await invariants.violations(conn, house.hub.clock()) == []
                assert await conn.fetchval("select state from episode") == "closed"
        finally:
            await restored.close()
    finally:
        await asyncio.to_thread(postgres.drop, backup)


async def _copied(postgres: Any, url: str) -> str:
    """A copy of the database as it is, as a physical backup would restore it."""
    name = url.rpartition("/")[2]
    beside = await asyncio.to_thread(postgres.create)
    conn = await asyncpg.connect(beside)
    await conn.execute(f"alter database {name} allow_connections false")
    await conn.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1", name
    )
    copied: str = await asyncio.to_thread(postgres.create, url)
    await conn.execute(f"alter database {name} allow_connections true")
    await conn.close()
    await asyncio.to_thread(postgres.drop, beside)
    return copied


async def test_given_a_copy_of_an_original_elsewhere_when_expunged_then_its_id_there_goes_too(
    house: House,
) -> None:
    who = await house.create(house.clinic, {"resourceType": "Patient"})
    now = house.hub.clock()
    async with house.engine.pool.acquire() as conn:
        told = counterparts.Told(who.rid, f"Patient/{CANARY}", original=True)
        await counterparts.learn(conn, house.clinic.rid, 1, [told], now)
        await fetches.want(conn, "original", [who.rid], house.clinic.rid, 1, None, now)
    assert await found_anywhere(house.url, CANARY) == ["public.counterpart"]
    await expunge(house, who.reference, "patient")
    assert await found_anywhere(house.url, CANARY) == []
    assert await house.value("select count(*) from fetching") == 0


async def test_given_a_subscription_when_expunged_then_its_secret_goes_and_it_is_told_nothing(
    house: House,
) -> None:
    wish = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": "Observation",
        "channel": {
            "type": "rest-hook",
            "endpoint": "http://127.0.0.1:9/hook",
            "header": [f"Authorization: {CANARY}"],
        },
    }
    made = await house.create(house.clinic, wish)
    await expunge(house, made.reference)
    assert await found_anywhere(house.url, CANARY) == []
    assert await notify.due(house.hub) is None
    await house.create(house.clinic, observation())
    while await notice.follow(house.hub):
        pass
    assert await house.rows("select from subscription_event") == []


async def test_given_an_app_in_a_chart_when_the_patient_is_expunged_then_it_acts_no_more(
    house: House,
) -> None:
    one, other = [await house.create(house.clinic, {"resourceType": "Patient"}) for _ in range(2)]
    for who in (one, other):
        await house.rows(
            "insert into app_permission (id, client, person, organization, patient, asked, scopes, at)"
            " values (gen_random_uuid(), 'app', 'ana', $1, $2, '', '', now())",
            house.clinic.rid,
            who.rid,
        )
        await house.rows("insert into revealed (shard, rid) values (1, $1)", who.rid)
    await expunge(house, one.reference, "patient")
    assert await house.rows("select patient, ended_at is null from app_permission order by 2") == [
        (None, False),
        (other.rid, True),
    ]
    assert await house.rows("select rid from revealed") == [(other.rid,)]


async def test_given_a_link_to_a_task_when_that_is_expunged_then_nothing_leads_there(
    house: House,
) -> None:
    """Who was told by mail that it waits, and who has it open."""
    made = await house.create(house.clinic, observation())
    other = await house.create(house.clinic, observation())
    for one in (made, other):
        await house.rows(
            "insert into link (hash, organization, task, delivery, created_at, until)"
            " values (sha256($1::text::bytea), $2, $3, gen_random_uuid(), now(), now())",
            one.reference,
            house.kitchen.rid,
            one.rid,
        )
        await house.rows(
            "insert into visit (hash, organization, task, until) select hash, organization, task, until"
            " from link where task = $1",
            one.rid,
        )
        await house.rows("insert into trace values ($1, 1, 'x', now())", one.rid)
    await expunge(house, made.reference)
    for table, column in (("link", "task"), ("visit", "task"), ("trace", "rid")):
        assert await house.rows(f"select {column} from {table}") == [(other.rid,)]


async def test_given_an_errand_of_no_referral_when_expunged_then_nothing_is_waited_for(
    house: House,
) -> None:
    unknown = {"identifier": {"system": "urn:order", "value": "1"}}
    await house.create(house.kitchen, observation(basedOn=[unknown]))
    [(errand,)] = await house.rows(
        "select r.fhir_id from errand e join resource r on r.rid = e.task"
    )
    waits = "select count(*) from timer where fired_at is null and due_at is not null"
    assert await house.value(waits) > 0
    await expunge(house, f"Task/{errand}")
    assert await house.value(waits) == 0
    assert await house.value("select count(*) from errand where closed_at is null") == 0
    house.clock.ahead += timedelta(days=60)
    assert await expire.fire(house.hub) is False
    assert await unbroken(house) == []
