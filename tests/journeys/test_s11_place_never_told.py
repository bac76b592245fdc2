"""S11: where a victim service provider is, and who works there, occurs nowhere outside of its own session.

The strings below stand in every place that could tell them; every read path is asked as every role.
"""

from __future__ import annotations

import base64
import json
import logging

import pytest

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.r4 import document as fhir_json
from coordhub.record import vsp_acts
from coordhub.record.commit import commit
from coordhub.record.label_acts import Act
from coordhub.record.operations import Create, Update
from coordhub.store import vault
from coordhub.store.visibility import DIRECTORY

STREET, POSTAL, CITY = "12 Hidden Lane", "QW01387", "Quietwater"
LATITUDE, LONGITUDE = 82.43219, -171.87654
PRIVATE_PHONE = "+1-555-777-0199"
FAMILY, GIVEN = "Mossgrave", "Iris"
SECRETS = ("Hidden Lane", "hidden lane", POSTAL, CITY, "82.43", "171.87", "777-0199", FAMILY)

ACT = Act("A. Operator", "keeps its place confidential")
ADDRESS = {
    "line": [STREET], "city": CITY, "district": "Franklin", "state": "MA", "postalCode": POSTAL,
    "country": "US",
}  # fmt: skip
POSITION = {"latitude": LATITUDE, "longitude": LONGITUDE}
STAFF = [{"family": FAMILY, "given": [GIVEN]}]

ROLES = ("riverside", "lakeside", "mounds", "rides")
"""Who must not learn it; Metro Lab is whose records told it."""


def told(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


async def steward_writes(house, *documents):
    steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
    documents = [fhir_json.parse(json.dumps(each).encode()) for each in documents]
    operations = [
        Update(each["resourceType"], each["id"], each)
        if "id" in each
        else Create(each["resourceType"], each)
        for each in documents
    ]
    done = await commit(house.hub, steward, operations, interaction="transaction")
    return [f"{one.type}/{one.id}" for one in done.written]


async def entries(house, safe):
    """What the directory said of it before it was marked, and what somebody writes again later."""
    own = {"reference": safe.reference}
    [place, person] = await steward_writes(
        house,
        {
            "resourceType": "Location", "status": "active", "name": f"House at {STREET}",
            "address": ADDRESS, "position": POSITION, "managingOrganization": own,
            "telecom": [{"system": "phone", "value": PRIVATE_PHONE, "use": "mobile"}],
        },
        {"resourceType": "Practitioner", "name": STAFF},
    )  # fmt: skip
    organization = await safe.read(safe.reference)
    organization.pop("meta")
    organization |= {
        "address": [ADDRESS],
        "contact": [{"name": STAFF[0], "address": ADDRESS}],
        "telecom": [{"system": "phone", "value": "+1-555-0180", "use": "work"}],
    }
    [role, _] = await steward_writes(
        house,
        {
            "resourceType": "PractitionerRole", "active": True, "organization": own,
            "practitioner": {"reference": person, "display": f"{GIVEN} {FAMILY}"},
            "location": [{"reference": place}],
            "telecom": [{"system": "phone", "value": PRIVATE_PHONE, "use": "mobile"}],
        },
        organization,
    )  # fmt: skip
    return place, person, role


async def keeps(safe):
    """Its own account."""
    for document in (
        {
            "resourceType": "Location", "status": "active", "name": "The house", "address": ADDRESS,
            "position": POSITION,
            "telecom": [{"system": "phone", "value": PRIVATE_PHONE, "use": "work"}],
        },
        {"resourceType": "Practitioner", "name": STAFF},
    ):  # fmt: skip
        made = await safe.ask("POST", f"/{document['resourceType']}", document)
        assert made.status_code == 201, made.text


def documents(safe, patient):
    """What another organization writes that tells it."""
    text = f"Discharge to {GIVEN} {FAMILY} at {STREET}, {CITY} {POSTAL}, call {PRIVATE_PHONE}"
    subject = {"reference": patient}
    return [
        {
            "resourceType": "DocumentReference", "status": "current", "subject": subject,
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain",
                        "data": base64.b64encode(text.encode()).decode(),
                    }
                }
            ],
        },
        {
            "resourceType": "Observation", "status": "final", "code": {"text": "note"},
            "subject": subject, "note": [{"text": f"Lives at {STREET.upper()} now"}],
        },
        {
            "resourceType": "Appointment", "status": "proposed", "comment": f"at {STREET}, {CITY}",
            "participant": [{"actor": subject, "status": "accepted"}],
        },
        {
            "resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
            "subject": subject,
            "contained": [
                {"resourceType": "Location", "id": "l", "position": POSITION, "address": ADDRESS}
            ],
            "location": [{"location": {"reference": "#l"}}],
        },
        {
            "resourceType": "Provenance", "target": [subject], "recorded": "2026-11-22T09:00:00Z",
            "agent": [{"who": {"display": f"{GIVEN} {FAMILY}"}}],
        },
        {
            "resourceType": "Location", "status": "active", "address": ADDRESS,
            "managingOrganization": {"reference": safe.reference},
        },
        {
            "resourceType": "Communication", "status": "completed", "subject": subject,
            "payload": [{"contentString": f"her number is (555) 777 0199, {CITY}"}],
        },
    ]  # fmt: skip


@pytest.fixture
async def told_everywhere(house, operators, tmp_path):
    """SAFE known to the directory, then marked, then told of by Metro Lab and by an import."""
    vault.use(vault.Vault(tmp_path / "keys"))
    safe = house.harbor
    before = await entries(house, safe)
    await vsp_acts.new_key(operators, ACT, safe.reference)
    await vsp_acts.mark(operators, ACT, safe.reference, others_know_after=0)
    house.hub.lists.forget()
    await keeps(safe)
    house.hub.lists.forget()
    again = await entries(house, safe)

    sent = await house.riverside.refers(house.referral(house.riverside, safe.reference))
    task = await house.until(lambda: safe.asked(sent))
    await safe.answers(task, "accepted")
    order = house.target((await safe.read(task))["focus"])
    for text in (f"She is at {STREET}, {CITY}", f"{FAMILY} took her in"):
        result = {
            "resourceType": "Observation", "status": "final", "code": {"text": "stay"},
            "basedOn": [{"reference": order}], "subject": {"reference": sent.patient},
            "note": [{"text": text}],
        }  # fmt: skip
        assert (await safe.ask("POST", "/Observation", result)).status_code == 201
    lab = await house.metrolab.refers(house.referral(house.metrolab, house.mounds.reference))
    for document in documents(safe, lab.patient):
        made = await house.metrolab.ask("POST", f"/{document['resourceType']}", document)
        assert made.status_code == 201, made.text
        assert "VSP" not in made.text
    bundle = house.referral(house.metrolab, house.mounds.reference)
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "ServiceRequest":
            entry["resource"]["note"] = [{"text": f"now at {STREET}, {POSTAL} {CITY}"}]
    await house.metrolab.refers(bundle)
    [imported] = await steward_writes(
        house,
        {"resourceType": "Location", "status": "active", "address": ADDRESS, "position": POSITION},
    )
    await house.settled()
    yield safe, (*before, *again, imported), sent
    vault.use(vault.Vault())


async def paths(house, role):
    """Every way to read; of kinds of which nothing is stored, by the first role alone."""
    statement = (await house.riverside.ask("GET", "/metadata")).json()
    rows = await house.rows("select fhir_id, type, version from resource order by rid")
    kinds = [each["type"] for each in statement["rest"][0]["resource"]]
    if role != ROLES[0]:
        stored = {house.type_name(row["type"]) for row in rows}
        kinds = [kind for kind in kinds if kind in stored]
    yield "/_history?_count=200"
    yield "/metadata"
    for kind in kinds:
        yield f"/{kind}?_count=200&_include=*&_revinclude=*"
        yield f"/{kind}/_history?_count=200"
        yield f"/{kind}?_summary=count"
    for kind in ("Location", "Organization"):
        yield f"/{kind}?address=Hidden%20Lane"
        yield f"/{kind}?address-postalcode={POSTAL}"
    yield f"/Location?near={LATITUDE}|{LONGITUDE}|5|km".replace("|", "%7C")
    yield f"/Practitioner?name={FAMILY}"
    yield f"/PractitionerRole?practitioner.family={FAMILY}"
    for row in rows:
        reference = f"{house.type_name(row['type'])}/{row['fhir_id']}"
        yield f"/{reference}"
        yield f"/{reference}/_history"
        for version in range(1, row["version"] + 1):
            yield f"/{reference}/_history/{version}"
        if reference.startswith("Patient/"):
            yield f"/{reference}/$everything?_count=200"
            yield f"/{reference}/*?_count=200"
        if reference.startswith("Task/"):
            yield f"/{reference}/$status-of-referral"
        if reference.startswith("ServiceRequest/"):
            yield f"/{reference}/$route"


async def test_s11_given_its_place_told_everywhere_when_every_role_reads_everything_then_it_is_nowhere(
    house, told_everywhere, caplog
):
    caplog.set_level(logging.DEBUG)
    asked, leaks = 0, []
    for role in ROLES:
        async for path in paths(house, role):
            answered = await house.members[role].ask("GET", path)
            assert answered.status_code < 500, (path, answered.text)
            asked += 1
            query = path.partition("?")[2].replace("%20", " ")
            text = answered.text.replace(path, "")
            found = [each for each in told(text) if each not in query and each not in path]
            if found:
                leaks.append((role, path, found))
    assert asked > 500
    assert leaks == []
    # the test's own HTTP client logs the addresses that the test asks for
    lines = [
        f"{each.getMessage()} {getattr(each, 'coordhub', '')}"
        for each in caplog.records
        if each.name.startswith("coordhub")
    ]
    assert len(lines) > 500
    assert told("\n".join(lines)) == []


async def test_s11_given_its_place_told_everywhere_when_deliveries_arrive_then_they_do_not_tell_it(
    house, told_everywhere
):
    for role in ROLES:
        assert told(json.dumps(await house.members[role].received())) == []
    assert told((await house.http.get("/openapi.json")).text) == []


async def test_s11_given_a_search_by_its_place_when_anyone_asks_then_nothing_is_found(
    house, told_everywhere
):
    for role in ROLES:
        member = house.members[role]
        near = f"{LATITUDE}%7C{LONGITUDE}%7C5%7Ckm"
        assert await member.find(f"Location?near={near}") == []
        assert await member.find("Location?address=12%20Hidden") == []
        assert await member.find(f"Practitioner?family={FAMILY}") == []


async def test_s11_given_its_entries_when_anyone_reads_them_then_name_hotline_and_region_are_told(
    house, told_everywhere
):
    safe, _, _ = told_everywhere
    seen = await house.riverside.read(safe.reference)
    assert seen["name"] == "Harbor Advocates"
    assert seen["telecom"] == [{"system": "phone", "value": "+1-555-0180", "use": "work"}]
    assert seen["address"] == [{"district": "Franklin", "state": "MA", "country": "US"}]
    assert "contact" not in seen
    assert await house.service_of(safe)


async def test_s11_given_its_own_session_when_it_reads_its_account_then_all_is_there(
    house, told_everywhere
):
    safe, _, _ = told_everywhere
    mine = [each for each in await safe.find("Location") if each.get("name") == "The house"]
    assert [each["address"]["line"] for each in mine] == [[STREET]]
    assert mine[0]["position"] == POSITION
    notes = [each["note"][0]["text"] for each in await safe.find("Observation")]
    assert f"{FAMILY} took her in" in notes


async def test_s11_given_an_author_whose_text_tells_its_place_when_it_looks_then_nothing_says_so(
    house, told_everywhere
):
    lab = house.metrolab
    for kind, note in (("Observation", "Lives at"), ("Communication", "her number")):
        telling = [each for each in await lab.find(kind) if note in json.dumps(each)]
        assert len(telling) == 1
        assert "security" not in telling[0]["meta"]
        labelled = await lab.find(f"{kind}?_security:missing=false")
        assert telling[0]["id"] not in [each["id"] for each in labelled]
        meta = await lab.ask("GET", f"/{kind}/{telling[0]['id']}/$meta")
        assert "VSP" not in meta.text
        why = await lab.ask(
            "GET", f"/{kind}/{telling[0]['id']}/$why?recipient={house.mounds.reference}"
        )
        assert why.status_code == 200
        plain = await lab.ask(
            "GET",
            f"/{lab_result(await lab.find('Observation'))}/$why?recipient={house.rides.reference}",
        )
        said = [each["name"] for each in why.json()["parameter"]]
        assert said == [each["name"] for each in plain.json()["parameter"]]


def lab_result(observations):
    """One that tells nothing, and that nobody is shown."""
    return next(f"Observation/{each['id']}" for each in observations if "note" not in each)


async def test_s11_given_a_dump_of_every_table_when_it_is_read_without_the_key_then_it_does_not_tell_it(
    house, told_everywhere
):
    tables = await house.rows(
        "select c.relname from pg_class c where c.relkind = 'r'"
        " and c.relnamespace = current_schema::regnamespace"
    )
    assert len(tables) > 20
    lines = [
        (table["relname"], row["line"])
        for table in tables
        for row in await house.rows(f'select t::text as line from "{table["relname"]}" t')
    ]
    assert [(name, told(line), line[:300]) for name, line in lines if told(line)] == []


async def test_s11_given_the_key_is_away_when_read_then_its_owner_is_told_so_and_others_see_nothing(
    house, told_everywhere, tmp_path
):
    safe, _, _ = told_everywhere
    [row] = await house.rows(
        "select r.fhir_id from resource r join resource o on o.rid = r.source"
        " where o.fhir_id = $1 and r.type = $2",
        safe.id,
        house.type_number("Practitioner"),
    )
    assert await safe.sees(f"Practitioner/{row['fhir_id']}")
    for key in (tmp_path / "keys").iterdir():
        key.rename(key.with_suffix(".away"))

    mine = await safe.ask("GET", f"/Practitioner/{row['fhir_id']}")
    assert mine.status_code == 503
    assert told(mine.text) == []
    assert not await house.riverside.sees(f"Practitioner/{row['fhir_id']}")
    refused = await safe.ask("POST", "/Practitioner", {"resourceType": "Practitioner"})
    assert refused.status_code == 503
