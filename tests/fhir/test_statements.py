"""How many statements an interaction costs: each is a round trip that somebody waits for.

What the audit writes of a look is one more, for all that wait for it together.
"""

from __future__ import annotations

from open_hub import counted

from coordhub.store import persons
from coordhub.store.persons import Pair

AUDIT = "with n as materialized ( select * from jsonb_to_recordset"
SUBJECT = {"resourceType": "Patient", "name": [{"family": "Doe", "given": ["Jane"]}]}


def observation(patient: str, day: str = "2026-03-01") -> dict:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": day,
    }


async def _asked(house, who, method: str, path: str, body=None) -> tuple[list[str], dict]:
    """The statements that it took without those of the audit, and the answer."""
    engine = house.context.hub.engine
    async with counted(engine.pool, engine.searches) as statements:
        answered = await who.ask(method, path, body)
    assert answered.status_code < 300, answered.text
    return [each for each in statements.queries if not each.startswith(AUDIT)], answered.json()


async def test_given_each_interaction_when_asked_again_then_it_is_one_statement_and_one_for_what_is_included(
    house,
):
    near = house.near
    patient = (await near.ask("POST", "/Patient", SUBJECT)).json()["id"]
    made = (await near.ask("POST", "/Observation", observation(patient))).json()
    criteria = f"patient=Patient/{patient}&code=http://loinc.org|4548-4"
    costs = [
        (1, "POST", "/Patient", SUBJECT),
        (2, "POST", "/Observation", observation(patient)),  # what it refers to is looked up
        (1, "GET", f"/Observation/{made['id']}", None),
        (1, "GET", f"/Observation/{made['id']}/_history/1", None),
        (1, "GET", f"/Observation?{criteria}&_sort=-date&_count=10", None),
        (1, "GET", f"/Observation?subject=Patient/{patient}", None),
        (1, "GET", f"/Patient/{patient}/Observation?_count=10", None),
        (2, "GET", f"/Observation?{criteria}&_include=Observation:subject", None),
        (2, "GET", f"/Observation?{criteria}&_total=accurate", None),
    ]
    for _, method, path, body in costs:  # what is asked once in a while is known after this
        await near.ask(method, path, body)
    for most, method, path, body in costs:
        statements, _ = await _asked(house, near, method, path, body)
        assert len(statements) == most, (path, statements)


async def test_given_two_records_of_one_person_when_one_is_named_then_what_is_under_both_for_who_sees_both(
    house,
):
    near, far = house.near, house.far
    engine = house.context.hub.engine
    ours = [(await near.ask("POST", "/Patient", SUBJECT)).json()["id"] for _ in range(2)]
    theirs = (await far.ask("POST", "/Patient", SUBJECT)).json()["id"]
    results = [
        (await who.ask("POST", "/Observation", observation(patient))).json()["id"]
        for who, patient in ((near, ours[0]), (near, ours[1]), (far, theirs))
    ]

    async def found(who, path: str) -> tuple[int, set[str], int | None]:
        statements, answered = await _asked(house, who, "GET", path)
        ids = {each["resource"]["id"] for each in answered.get("entry", ())}
        return len(statements), ids, answered.get("total")

    named = f"/Observation?patient={ours[0]}&code=4548-4"
    paths = [named, f"/Patient/{ours[0]}/Observation", f"/Patient/{ours[0]}/*?_type=Observation"]
    alone = [await found(near, path) for path in (paths * 2)[3:] + paths]
    assert [(cost, ids) for cost, ids, _ in alone[3:]] == [(1, {results[0]})] * 3

    # Linked along their record, which Near does not see, and of which it is not told by anything
    async with engine.pool.acquire() as conn:
        rids = [
            await conn.fetchval("select rid from resource where fhir_id = $1", each)
            for each in (*ours, theirs)
        ]
        couples = [sorted((rid, rids[2])) for rid in rids[:1]]
        now = house.context.hub.clock()
        await persons.put(
            conn, [Pair(*each, "linked", None, None, 1.0, "{}", now) for each in couples]
        )
    assert [await found(near, path) for path in paths] == alone[3:]

    async with engine.pool.acquire() as conn:
        couple = sorted(rids[1:])
        await persons.put(conn, [Pair(*couple, "linked", None, None, 1.0, "{}", now)])
    for path in paths:
        _, ids, _ = await found(near, path)
        assert ids == set(results[:2]), path
    _, page, _ = await found(near, f"{named}&_count=1")
    assert len(page) == 1
    assert (await found(near, f"{named}&_total=accurate"))[2] == 2
    assert (await found(near, f"{named}&_summary=count"))[2] == 2
    assert (await found(far, f"/Observation?patient={theirs}"))[1] == {results[2]}
