"""Two organizations that share nothing, and one that shares a referral and nothing else.

Whatever Metro Lab asks about a patient of Riverside, it gets what it gets about one that never was:
the same status, headers and body, after the same time.
"""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

MRN = "urn:oid:2.16.840.1.113883.19.5"
UNLIKE = frozenset({"date", "x-request-id", "ratelimit"})
"""The last is how much the caller has left, of all that it asks."""
ROUNDS = 60

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Traces:
    """By what somebody may be looked for. Those of a person that never was have the same lengths."""

    patient: str
    observation: str
    order: str
    task: str
    deleted: str
    mrn: str
    family: str
    born: str

    def words(self) -> tuple[str, ...]:
        return (self.patient, self.observation, self.order, self.task, self.deleted, self.mrn,
                self.family, self.born)  # fmt: skip


def never_was(like: Traces) -> Traces:
    def another(fhir_id: str) -> str:
        return fhir_id[:2] + str(uuid.uuid4())[2:]

    return Traces(
        another(like.patient), another(like.observation), another(like.order), another(like.task),
        another(like.deleted), "mrn-ghost-00", "Ghostly", "1911-11-11",
    )  # fmt: skip


async def riversides_patient(house) -> Traces:
    riverside = house.riverside
    person: Document = {
        "resourceType": "Patient",
        "identifier": [{"system": MRN, "value": "mrn-hidden-0"}],
        "name": [{"family": "Hiddens", "given": ["Demo"]}],
        "birthDate": "1922-02-22",
        "gender": "female",
    }
    patient = await made(riverside, person)
    observation = await made(
        riverside,
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
            "subject": {"reference": f"Patient/{patient}"},
        },
    )
    # A referral of it, which Metro Lab is no party to
    bundle = house.referral(riverside, house.lakeside.reference)
    bundle["entry"] = [
        entry
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] in ("ServiceRequest", "Task")
    ]
    order, task = (entry["resource"] for entry in bundle["entry"])
    order["subject"] = task["for"] = {"reference": f"Patient/{patient}"}
    order["supportingInfo"] = [{"reference": f"Observation/{observation}"}]
    answered = await riverside.posts(bundle, "riverside-1")
    assert answered.status_code == 200, answered.text
    located = [entry["response"]["location"].split("/") for entry in answered.json()["entry"]]
    deleted = await made(riverside, {**person, "identifier": [{"system": MRN, "value": "gone"}]})
    gone = await riverside.ask("DELETE", f"/Patient/{deleted}")
    assert gone.status_code == 204
    await house.settled()
    ids = {parts[-4]: parts[-3] for parts in located}
    return Traces(
        patient, observation, ids["ServiceRequest"], ids["Task"], deleted,
        "mrn-hidden-0", "Hiddens", "1922-02-22",
    )  # fmt: skip


async def made(organization, document: Document) -> str:
    answered = await organization.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return str(answered.json()["id"])


Request = tuple[str, str, Document | None, dict[str, str]]


def looks(who: Traces, base: str) -> Iterator[Request]:
    """method, path, body, headers: every way to look for somebody without leaving anything."""
    named = (
        f"Patient/{who.patient}", f"Observation/{who.observation}", f"ServiceRequest/{who.order}",
        f"Task/{who.task}", f"Patient/{who.deleted}",
    )  # fmt: skip
    for name in named:
        for method, path in (
            ("GET", f"/{name}"), ("HEAD", f"/{name}"), ("GET", f"/{name}/_history/1"),
            ("GET", f"/{name}/_history/2"), ("GET", f"/{name}/_history"),
            ("GET", f"/{name}/_history?_count=1"), ("GET", f"/{name}?_pretty=true"),
            ("GET", f"/{name}?_summary=true"), ("GET", f"/{name}?_elements=id"),
            ("GET", f"/{name}/$everything"), ("POST", f"/{name}/$validate"),
            ("GET", f"/{name}/$meta"), ("GET", f"/{name}/$status-of-referral"),
            ("GET", f"/{name}/$route"),
            ("GET", f"/{name}/Observation"), ("POST", f"/{name}"), ("PATCH", f"/{name}"),
        ):  # fmt: skip
            yield method, path, None, {}
        yield "GET", f"/{name}", None, {"If-None-Match": 'W/"1"'}
        yield "GET", f"/{name}", None, {"If-Modified-Since": "Sat, 01 Jan 2050 00:00:00 GMT"}
    patient, task, order = who.patient, who.task, who.order
    for criteria in (
        f"Patient?_id={patient}", f"Patient?_id={patient},{who.deleted}",
        f"Patient?identifier={MRN}|{who.mrn}", f"Patient?identifier={who.mrn}",
        f"Patient?identifier={MRN}|", f"Patient?identifier:not={MRN}|{who.mrn}",
        f"Patient?family={who.family}", f"Patient?name={who.family}",
        f"Patient?family:exact={who.family}", f"Patient?family:contains={who.family}",
        f"Patient?birthdate={who.born}", f"Patient?birthdate=ge{who.born}&birthdate=le{who.born}",
        f"Patient?gender=female&birthdate={who.born}", f"Patient?_lastUpdated=gt{who.born}",
        f"Patient?_id={patient}&_sort=family", f"Patient?family={who.family}&_sort=-birthdate",
        f"Patient?_id={patient}&_count=1", f"Patient?_id={patient}&_summary=count",
        f"Patient?_id={patient}&_total=accurate", f"Patient?_id={patient}&_revinclude=Task:patient",
        f"Patient?_has:Observation:patient:_id={who.observation}",
        f"Observation?subject=Patient/{patient}", f"Observation?patient={patient}",
        f"Observation?subject={base}/Patient/{patient}", f"Observation?subject:Patient={patient}",
        f"Observation?patient.identifier={who.mrn}", f"Observation?_id={who.observation}",
        f"Observation?code=http://loinc.org|4548-4&patient={patient}",
        f"Observation?patient={patient}&_include=Observation:patient",
        f"ServiceRequest?subject=Patient/{patient}", f"ServiceRequest?based-on={order}",
        f"ServiceRequest?patient={patient}&status=active", f"Task?patient={patient}",
        f"Task?focus=ServiceRequest/{order}", f"Task?part-of=Task/{task}", f"Task?_id={task}",
        f"Task?group-identifier={task}", f"Task?subject=Patient/{patient}",
        f"AuditEvent?patient={patient}", f"Provenance?target=Patient/{patient}",
        f"Patient/_search?_id={patient}", f"Patient?link=Patient/{patient}",
    ):  # fmt: skip
        yield "GET", f"/{criteria}", None, {}
    yield "GET", f"/Patient?nonsense={patient}", None, {"Prefer": "handling=lenient"}
    yield "POST", f"/Patient/_search?_id={patient}", None, {}
    for kind in ("batch", "transaction"):
        yield "POST", "", asking(kind, [f"Patient/{patient}", f"Patient?identifier={who.mrn}",
                                        f"Task/{task}/_history", f"Patient/{who.deleted}"]), {}  # fmt: skip


def asking(kind: str, urls: list[str]) -> Document:
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def refused_writes(who: Traces, base: str) -> Iterator[Request]:
    """Writes that name what its writer does not see; none is to leave anything."""
    person = {"resourceType": "Patient", "id": who.patient, "active": True}
    for headers in ({}, {"If-Match": 'W/"1"'}, {"If-Match": 'W/"7"'}, {"Idempotency-Key": "k-1"}):
        yield "PUT", f"/Patient/{who.patient}", person, headers
        yield "DELETE", f"/Patient/{who.patient}", None, headers
        yield "DELETE", f"/Task/{who.task}", None, headers
    yield "PUT", f"/Patient/{who.deleted}", {**person, "id": who.deleted}, {}
    yield "PUT", f"/Patient?identifier={who.mrn}", person, {}
    yield "DELETE", f"/Patient?identifier={who.mrn}", None, {}
    for text in (
        f"Patient/{who.patient}", f"{base}/Patient/{who.patient}", f"Patient/{who.deleted}",
        f"Patient/{who.patient}/_history/1", f"Patient?identifier={MRN}|{who.mrn}",
        f"Patient?family={who.family}&birthdate={who.born}", f"Patient?_id={who.patient}",
    ):  # fmt: skip
        yield "POST", "/Observation", about(text), {}
        yield "POST", "", writing(about(text)), {}
    for name, text in (
        ("basedOn", f"ServiceRequest/{who.order}"),
        ("partOf", f"Task/{who.task}"),
        ("focus", f"ServiceRequest/{who.order}"),
        ("for", f"Patient/{who.patient}"),
        ("output", f"Observation/{who.observation}"),
    ):
        yield "POST", "/Task", naming(name, {"reference": text}), {}
    for method, url in (
        ("PUT", f"Patient/{who.patient}"),
        ("DELETE", f"Patient/{who.patient}"),
        ("PUT", f"Patient?identifier={who.mrn}"),
    ):
        entry: Document = {"request": {"method": method, "url": url, "ifMatch": 'W/"1"'}}
        if method == "PUT":
            entry["resource"] = person
        for kind in ("batch", "transaction"):
            yield "POST", "", {"resourceType": "Bundle", "type": kind, "entry": [entry]}, {}


def about(text: str) -> Document:
    code = {"text": "HbA1c"}
    subject = {"reference": text}
    return {"resourceType": "Observation", "status": "final", "code": code, "subject": subject}


def naming(name: str, reference: Document) -> Document:
    value: Any = {"focus": reference, "for": reference}.get(name, [reference])
    if name == "output":
        value = [{"type": {"text": "result"}, "valueReference": reference}]
    return {"resourceType": "Task", "status": "requested", "intent": "order", name: value}


def writing(document: Document) -> Document:
    entry = {
        "fullUrl": "urn:uuid:6f2f1ac7-6571-410a-8b83-0a00585d7743",
        "resource": document,
        "request": {"method": "POST", "url": document["resourceType"]},
    }
    return {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}


def said(answered: Any, who: Traces, cover: Traces) -> tuple[int, list[tuple[str, str]], str]:
    """Status, headers and body, with the traces of one covered by those of the other."""
    text = answered.text
    headers = sorted((n, v) for n, v in answered.headers.items() if n not in UNLIKE)
    for word, other in zip(who.words(), cover.words(), strict=True):
        text = text.replace(word, other)
        headers = [(name, value.replace(word, other)) for name, value in headers]
    return answered.status_code, headers, text


async def test_given_two_that_share_nothing_when_one_looks_everywhere_then_it_finds_no_trace(house):
    hidden = await riversides_patient(house)
    ghost = never_was(hidden)
    metro = house.metrolab
    before = await house.stored()
    asked = 0
    for real, fake in zip(looks(hidden, house.hub.base), looks(ghost, house.hub.base), strict=True):
        answers = []
        for (method, path, body, headers), who in ((real, hidden), (fake, ghost)):
            answered = await metro.ask(method, path, body, headers=headers)
            assert answered.status_code < 500, (method, path, answered.text)
            answers.append(said(answered, who, ghost))
        assert answers[0] == answers[1], real
        assert not json.loads(answers[0][2] or "{}").get("total")
        asked += 1
    assert await house.stored() == before
    print(f"\n{asked} looks, no trace")


async def test_given_two_that_share_nothing_when_one_writes_to_the_others_then_it_learns_nothing(
    house,
):
    hidden = await riversides_patient(house)
    ghost = never_was(hidden)
    metro = house.metrolab
    before = await house.stored()
    tried = 0
    writes = zip(
        refused_writes(hidden, house.hub.base), refused_writes(ghost, house.hub.base), strict=True
    )
    for number, (real, fake) in enumerate(writes):
        answers = []
        for (method, path, body, headers), who in ((real, hidden), (fake, ghost)):
            key = (
                {"Idempotency-Key": f"{who.family}-{number}"}
                if "Idempotency-Key" in headers
                else {}
            )
            answered = await metro.ask(method, path, body, headers={**headers, **key})
            assert answered.status_code < 500, (method, path, answered.text)
            answers.append(said(answered, who, ghost))
        assert answers[0] == answers[1], real
        tried += 1
    left = await house.stored()
    # A delete of what is not there is no error, and its key is kept; nothing else is left.
    assert {**left, "idempotency": 0} == {**before, "idempotency": 0}
    assert (await house.riverside.read(f"Patient/{hidden.patient}"))["meta"]["versionId"] == "1"
    print(f"\n{tried} writes, no trace")


async def test_given_an_identity_of_the_others_when_one_creates_it_then_it_gets_its_own(house):
    hidden = await riversides_patient(house)
    ghost = never_was(hidden)
    metro = house.metrolab
    answers = []
    for who in (hidden, ghost):
        person = {
            "resourceType": "Patient",
            "identifier": [{"system": MRN, "value": who.mrn}],
            "name": [{"family": who.family}],
            "birthDate": who.born,
        }
        for headers in (
            {"If-None-Exist": f"identifier={MRN}|{who.mrn}"},
            {"If-None-Exist": f"family={who.family}&birthdate={who.born}"},
            {"Idempotency-Key": "riverside-1" if who is hidden else "nobodys-1"},
        ):
            made_here = await metro.ask("POST", "/Patient", person, headers=headers)
            document = made_here.json()
            own = document.pop("id")
            document.pop("meta")
            text = json.dumps(document)
            for word, other in zip(who.words(), ghost.words(), strict=True):
                text = text.replace(word, other)
            names = sorted(set(made_here.headers) - UNLIKE)
            answers.append((made_here.status_code, names, text, own not in hidden.words()))
    assert answers[:3] == answers[3:]
    # The first makes it, the second finds it among its own, the third has a new key.
    assert [answer[0] for answer in answers[:3]] == [201, 200, 201]


async def test_given_a_cursor_of_the_others_when_one_uses_it_then_it_is_as_good_as_an_invented_one(
    house,
):
    await riversides_patient(house)
    await made(house.riverside, {"resourceType": "Patient", "name": [{"family": "Second"}]})
    first = (await house.riverside.ask("GET", "/Patient?_sort=family&_count=1")).json()
    path = next(link["url"] for link in first["link"] if link["relation"] == "next")
    path = path.partition("/fhir")[2]
    assert (await house.riverside.ask("GET", path)).json()["entry"]
    start, _, cursor = path.partition("_cursor=")
    stolen = await house.metrolab.ask("GET", path)
    invented = await house.metrolab.ask("GET", f"{start}_cursor=A{cursor[1:]}")
    assert stolen.status_code == 400
    for answered in (stolen, invented):
        assert "Hiddens" not in answered.text
    assert stolen.text == invented.text


async def test_given_hidden_patients_when_one_counts_or_pages_then_it_counts_its_own(house):
    metro = house.metrolab
    for number in range(3):
        await made(metro, {"resourceType": "Patient", "name": [{"family": f"Own{number}"}]})
    queries = ("Patient", "Patient?_count=2", "Patient?_sort=-_lastUpdated&_count=1",
               "Patient?gender:missing=true", "Patient?_lastUpdated=gt2020")  # fmt: skip
    kept = [query for query in queries
            if (await metro.ask("GET", f"/{query}")).status_code == 200]  # fmt: skip
    before = [[each["id"] for each in await metro.find(query)] for query in kept]
    await riversides_patient(house)
    after = [[each["id"] for each in await metro.find(query)] for query in kept]
    assert after == before
    assert len(kept) >= 4


@pytest.mark.parametrize("way", ["read", "search", "history", "put", "reference"])
async def test_given_a_hidden_and_an_absent_one_when_timed_then_nothing_is_learnt(house, way):
    """A leak shows every time it is measured; a busy machine does not."""
    hidden = await riversides_patient(house)
    for _ in range(3):
        one, other = await medians(house.metrolab, hidden, way)
        print(f"\n{way}: hidden {one:.2f} ms, absent {other:.2f} ms, {abs(one / other - 1):.1%}")
        if abs(one - other) < 0.3 * min(one, other):
            return
    pytest.fail(f"{way} of what is hidden takes another time than of what is absent")


async def medians(organization, hidden: Traces, way: str) -> tuple[float, float]:
    """Milliseconds for what is hidden and for what never was, asked in turn."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 5):
        for kind in ((0, 1), (1, 0))[number % 2]:
            who = never_was(hidden) if kind else hidden
            method, path, body = {
                "read": ("GET", f"/Patient/{who.patient}", None),
                "history": ("GET", f"/Patient/{who.patient}/_history", None),
                "search": ("GET", f"/Patient?identifier={MRN}|{who.mrn}", None),
                "put": (
                    "PUT",
                    f"/Patient/{who.patient}",
                    {"resourceType": "Patient", "id": who.patient},
                ),
                "reference": ("POST", "/Observation", about(f"Patient/{who.patient}")),
            }[way]
            begun = time.perf_counter()
            await organization.ask(method, path, body)
            if number >= 5:
                taken[kind].append(time.perf_counter() - begun)
    return statistics.median(taken[0]) * 1000, statistics.median(taken[1]) * 1000


async def test_given_a_referral_when_its_recipient_looks_then_it_sees_what_was_shared_and_no_more(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    # What Riverside has besides
    others = [
        await riverside.reports(sent.patient, None, "5.10"),
        await riverside.reports(sent.patient, sent.order, "5.20"),
        f"Patient/{await made(riverside, {'resourceType': 'Patient', 'active': True})}",
    ]
    unasked, _ = await house.given_asked(riverside, house.northgate)
    await house.settled()
    order = house.target((await lakeside.read(t2))["focus"])
    [made_from] = await lakeside.find(f"Provenance?target={t2}")
    shared = {sent.patient, sent.order, order, t2, sent.prior, f"Provenance/{made_from['id']}"}

    rows = await house.rows("select r.type, r.fhir_id from resource r where r.source <> $1", 2 << 8)
    everything = {f"{house.type_name(row['type'])}/{row['fhir_id']}" for row in rows}
    assert {*shared, *others, sent.task, unasked.task, unasked.patient} <= everything
    assert {name for name in everything if await lakeside.sees(name)} == shared

    # And the same through search
    found = {
        f"{kind}/{document['id']}"
        for kind in sorted({name.partition("/")[0] for name in everything})
        for document in await lakeside.find(kind)
    }
    directory = {
        f"{house.type_name(row['type'])}/{row['fhir_id']}"
        for row in await house.rows("select type, fhir_id from resource where source = $1", 2 << 8)
    }
    assert found - directory == shared
    by_patient = await lakeside.find(f"Observation?patient={sent.patient.partition('/')[2]}")
    assert [f"Observation/{each['id']}" for each in by_patient] == [sent.prior]
    tasks = await lakeside.find(f"Task?patient={sent.patient.partition('/')[2]}")
    assert [f"Task/{each['id']}" for each in tasks] == [t2]
    # What it sees it may not change, but for its answer
    for name in sorted(shared - {t2}):
        document = await lakeside.read(name)
        changed = await lakeside.ask("PUT", f"/{name}", {**document, "language": "fr"})
        assert changed.status_code == 403, (name, changed.text)
        assert (await lakeside.ask("DELETE", f"/{name}")).status_code in (403, 409), name
