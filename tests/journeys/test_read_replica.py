"""Searches on a replica: what a withdrawn Consent has closed is never shown, however far behind it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import standby
from pydantic import SecretStr

from coordhub.sandbox import demo
from coordhub.store import replica as replicas
from coordhub.store import roles
from coordhub.store.engine import Engine
from coordhub.telemetry import REGISTRY


def served_by(server: str) -> float:
    return REGISTRY.get_sample_value("coordhub_searches_total", {"server": server}) or 0.0


async def test_given_a_replica_that_lags_when_the_patient_withdraws_then_no_search_shows_what_is_closed(
    house, database_url, monkeypatch
):
    monkeypatch.setattr(replicas, "REST", 0.0)
    monkeypatch.setattr(replicas, "MOST", 1.0)
    riverside, rides = house.riverside, house.rides
    bundle = house.referral(riverside, rides.reference, agreed=False)
    permit = demo.consent(
        bundle["entry"][0]["fullUrl"],
        riverside.reference,
        [rides.reference],
        "2026-01-05T09:00:00Z",
    )
    bundle["entry"].append({"resource": permit, "request": {"method": "POST", "url": "Consent"}})
    sent = await riverside.refers(bundle)
    await house.until(lambda: rides.asked(sent))
    [made] = await riverside.find(f"Consent?patient={sent.patient}")
    patient = sent.patient.partition("/")[2]

    async with standby.of(database_url) as beside:
        settings = house.settings.model_copy(update={"replica_database_url": SecretStr(beside.url)})
        async with house.another_server(settings) as http:
            headers = {"Authorization": f"Bearer {rides.token}"}

            async def found() -> list[int]:
                """How much each look shows: a search, a history, $everything."""
                shown = []
                for path in (
                    f"Patient?_id={patient}&_total=accurate",
                    f"Patient/{patient}/_history",
                    f"Patient/{patient}/$everything",
                ):
                    answered = await http.get(f"/fhir/{path}", headers=headers)
                    assert answered.status_code in (200, 404), answered.text
                    body = answered.json()
                    shown.append(len(body.get("entry", [])) if answered.status_code == 200 else 0)
                return shown

            before = served_by("replica")
            assert all(await found())
            assert served_by("replica") == before + 3
            looks = await house.value(
                "select count(*) from audit where interaction = 'search-type'"
            )
            assert looks, "who has looked is in the primary's audit"

            # It stands still, and the patient withdraws
            await beside.pause()
            document = {**made, "status": "inactive"}
            done = await riverside.ask("PUT", f"/Consent/{document['id']}", document)
            assert done.status_code == 200, done.text
            monkeypatch.setattr(replicas, "MOST", 0.05)
            stale = await beside.conn.fetchval(
                "select count(*) from access_grant g join resource r on r.rid = g.rid"
                " where r.fhir_id = $1 and (g.until is null or g.until > now())",
                patient,
            )
            assert stale, "the replica does not know of it"
            assert await found() == [0, 0, 0]
            assert served_by("replica") == before + 3

            # It goes on, and is asked again
            await beside.resume()
            monkeypatch.setattr(replicas, "MOST", 5.0)
            assert await found() == [0, 0, 0]
            assert served_by("replica") == before + 6

            await of_another_history_or_clock(database_url, beside, monkeypatch)

            # It is no replica any more, then gone
            assert await beside.conn.fetchval("select pg_promote()")
            before = served_by("replica")
            assert await found() == [0, 0, 0]
            assert served_by("replica") == before
        async with house.another_server(
            settings.model_copy(
                update={"replica_database_url": SecretStr("postgresql://nobody@127.0.0.1:1/gone")}
            )
        ) as http:
            answered = await http.get("/fhir/Task", headers=headers)
            assert answered.status_code == 200


async def of_another_history_or_clock(url, beside, monkeypatch) -> None:
    """A replica whose history or clock is not the primary's is asked nothing."""
    engine = await Engine.open(
        await roles.application(url), size=3, replica=roles.as_application(beside.url)
    )
    try:
        async with engine.pool.acquire() as conn:
            known = await replicas.mark(conn)
        assert await passes(engine, known)
        monkeypatch.setattr(replicas, "MOST", 0.1)
        for other in (
            replace(known, timeline=known.timeline + 1),
            replace(known, server=known.server + 1),
            replace(known, at=known.at - timedelta(seconds=60)),
            replace(known, at=known.at + timedelta(seconds=60)),
            replace(known, lsn="FFFF/0"),
        ):
            assert not await passes(engine, other), other
    finally:
        await engine.close()


async def passes(engine: Engine, known: replicas.Mark) -> bool:
    async with engine._replica.past(known) as conn:
        return conn is not None
