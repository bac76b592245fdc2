"""CDS Hooks at the door: who may call, what is refused, whose chart is meant, what is kept of a card."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from ehr import EHR, HOOKS, SIGN, call, draft
from open_hub import House, counted, observation, patient

from coordhub.admin import limiting
from coordhub.admin.acts import Operator
from coordhub.errors import FhirError
from coordhub.record.operations import Create
from coordhub.store import persons
from coordhub.store.clients import Allowance
from coordhub.store.persons import Pair

DAY = timedelta(days=1)
MRN = "urn:test:mrn"
HERE = {"resourceType": "Patient", "id": "77", "identifier": [{"system": MRN, "value": "K-1"}]}

Document = dict[str, Any]


def hba1c(house: House, subject: str, **others: Any) -> Document:
    unit = {"unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
    taken = (house.clock() - 9 * DAY).isoformat(timespec="milliseconds")
    return observation(
        subject,
        **{
            "effectiveDateTime": taken,
            "valueQuantity": {"value": Decimal("7.9"), **unit},
            **others,
        },
    )


async def known(house: House, value: str = "K-1", **result: Any) -> tuple[str, str]:
    """A patient of the kitchen's, with a result of its own."""
    her = (await house.create(house.kitchen, patient(value))).reference
    found = await house.create(house.kitchen, hba1c(house, her, **result))
    return her, found.reference


def signing(code: str = "17856-6", patient: Document | None = HERE) -> Document:
    return call(draft(code, "77"), patient=patient)


async def test_given_the_services_when_discovered_then_each_hook_says_what_it_wants_with_it(
    ehr: EHR,
) -> None:
    answered = await ehr.http.get("/cds-services")
    assert answered.status_code == 200
    services = answered.json()["services"]
    assert {one["id"]: one["hook"] for one in services} == HOOKS
    assert {one["prefetch"]["patient"] for one in services} == {"Patient/{{context.patientId}}"}


async def test_given_a_caller_when_it_cannot_prove_who_it_is_then_it_learns_nothing(
    house: House, ehr: EHR
) -> None:
    await known(house)
    now = house.clock()
    other = replace(ehr, key=EHR("x", ehr.base, ehr.http).key)
    used = ehr.token(SIGN, now)
    assert (await ehr.call(signing(), now, token=used)).json()["cards"] != []
    past = int((now - timedelta(minutes=1)).timestamp())
    tokens = [
        "nonsense",
        used,
        other.token(SIGN, now),
        ehr.token("coordhub-prior-results-select", now),
        ehr.token(SIGN, now, aud="http://hub.example/auth/token"),
        ehr.token(SIGN, now, exp=past),
        ehr.token(SIGN, now, exp=int((now + DAY).timestamp())),
        ehr.token(SIGN, now, jti=None),
        ehr.token(SIGN, now, iss="clinic"),
        ehr.token(SIGN, now, iss="nobody"),
        ehr.token(SIGN, now, sub="clinic"),
    ]
    answers = [await ehr.call(signing(), now, token=one) for one in tokens]
    answers.append(await ehr.http.post(f"/cds-services/{SIGN}", json=signing()))
    answers.append(await ehr.call({"feedback": []}, now, path="/feedback", token="x"))
    assert {one.status_code for one in answers} == {401}
    assert len({json.dumps(one.json()) for one in answers}) == 1


async def test_given_more_calls_than_were_agreed_when_made_then_429_says_when_to_come_again(
    house: House, ehr: EHR
) -> None:
    allowed, now = Allowance(per_second=0.01, burst=2), house.clock()
    await limiting.allow(house.engine, Operator("rosa"), "kitchen", allowed, now)
    answers = [await ehr.call(signing(), now) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"].startswith('"rate";q=2;')
    assert answers[2].json()["issue"][0]["code"] == "throttled"
    assert 0 < int(answers[2].headers["retry-after"]) <= 100


@pytest.mark.parametrize(
    ("change", "expressions"),
    [
        ({"hook": "patient-view"}, ["hook"]),
        ({"hookInstance": "1"}, ["hookInstance"]),
        ({"context": None}, ["context", "context.patientId", "context.draftOrders"]),
        ({"context": {"patientId": "a/b", "draftOrders": []}}, ["context.patientId", "context.draftOrders"]),
        ({"context": {"patientId": {}, "draftOrders": {"resourceType": "Bundle"}}}, ["context.patientId"]),
    ],
)  # fmt: skip
async def test_given_a_call_that_is_none_when_made_then_400_says_which_elements(
    house: House, ehr: EHR, change: Document, expressions: list[str]
) -> None:
    answered = await ehr.call({**signing(), **change}, house.clock())
    assert answered.status_code == 400
    assert [one["expression"][0] for one in answered.json()["issue"]] == expressions


def _odd() -> Iterator[Document]:
    """Bodies that make sense to nobody, and are no fault of ours."""
    for odd in (None, 1, "x", [], {}, [1], {"resourceType": 1}, {"coding": 1}):
        whole = signing()
        whole["prefetch"] = {"patient": odd, "more": odd}
        yield whole
        for name in ("code", "subject", "identifier", "id", "status"):
            whole = signing()
            whole["context"]["draftOrders"]["entry"][0]["resource"][name] = odd
            yield whole
        whole = signing()
        whole["context"]["draftOrders"]["entry"] = odd
        yield whole
        yield {**signing(), "fhirServer": odd, "fhirAuthorization": odd}
        yield {**signing(), "context": odd}


async def test_given_odd_bodies_when_called_then_none_is_a_fault_of_the_hub(
    house: House, ehr: EHR
) -> None:
    await known(house)
    statuses = {(await ehr.call(one, house.clock())).status_code for one in _odd()}
    assert statuses <= {200, 400, 412}
    for told in _odd_feedback():
        answered = await ehr.call(told, house.clock(), path="/feedback")
        assert answered.status_code == 400, told
    headers = {"Authorization": f"Bearer {ehr.token(SIGN, house.clock())}"}
    large = await ehr.http.post(
        f"/cds-services/{SIGN}", content=b"[" * 2_000_000,
        headers={**headers, "Content-Type": "application/json"},
    )  # fmt: skip
    assert large.status_code == 413
    headers = {"Authorization": f"Bearer {ehr.token(SIGN, house.clock())}"}
    form = await ehr.http.post(f"/cds-services/{SIGN}", data={"a": "b"}, headers=headers)
    assert form.status_code == 415
    assert (await ehr.call({}, house.clock(), service="none")).status_code == 404


def _odd_feedback() -> Iterator[Any]:
    card = str(uuid.uuid4())
    for odd in (None, 1, {}, [], [1], [{}], [{"card": 1}], [{"card": card, "outcome": "x"}]):
        yield {"feedback": odd}
    yield {}


async def test_given_a_number_of_its_own_when_called_then_it_is_that_patient_and_no_other(
    house: House, ehr: EHR
) -> None:
    now = house.clock()
    her, _ = await known(house)
    assert len(await ehr.cards(signing(), now)) == 1
    # numbers that hold no more, that are another's, or that are given to two
    old = {**HERE, "identifier": [{"system": MRN, "value": "K-1", "use": "old"}]}
    assert await ehr.cards(signing(patient=old), now) == []
    foreign = {**HERE, "identifier": [{"system": "urn:other", "value": "K-1"}]}
    assert await ehr.cards(signing(patient=foreign), now) == []
    await house.create(house.clinic, patient("C-1"))
    clinics = {**HERE, "identifier": [{"system": MRN, "value": "C-1"}]}
    assert await ehr.cards(signing(patient=clinics), now) == []
    # an order for somebody else than the call is about
    other = call(draft("17856-6", "78"), patient=HERE)
    assert await ehr.cards(other, now) == []
    twin = await house.create(house.kitchen, patient("K-1"))
    assert await ehr.cards(signing(), now) == []
    # until it says that the two are one
    both = {**patient("K-1"), "id": twin.reference.partition("/")[2]}
    both["link"] = [{"other": {"reference": her}, "type": "replaces"}]
    await house.update(house.kitchen, both["id"], both)
    assert len(await ehr.cards(signing(), now)) == 1


@pytest.mark.parametrize(
    ("state", "its_own_word", "cards"),
    [("linked", False, 1), ("review", False, 0), ("apart", False, 0), ("apart", True, 0)],
)
async def test_given_a_pair_of_records_when_the_hub_is_certain_of_it_then_they_are_one_person(
    house: House, ehr: EHR, state: str, its_own_word: bool, cards: int
) -> None:
    """S03: another patient, who is probably the same and not for certain, is another patient."""
    mine = await house.create(house.kitchen, patient("K-1"))
    her = await house.create(house.clinic, patient("C-1"))
    result = await house.create(house.clinic, hba1c(house, her.reference))
    for one in (her, result):
        await show(house, one.rid)
    if its_own_word:
        document = {**patient("K-1"), "id": mine.reference.partition("/")[2]}
        document["link"] = [{"other": {"reference": her.reference}, "type": "seealso"}]
        await house.update(house.kitchen, document["id"], document)
        assert len(await ehr.cards(signing(), house.clock())) == 1
    one, other = sorted((mine.rid, her.rid))
    said = (None, None) if state == "review" else ("a steward", "looked at both")
    pair = Pair(one, other, state, *said, 0.9, "{}", house.clock())
    async with house.engine.pool.acquire() as conn:
        await persons.put(conn, [pair])
    assert len(await ehr.cards(signing(), house.clock())) == cards


async def test_given_the_hub_as_its_server_when_called_then_the_id_is_the_hub_s(
    house: House, ehr: EHR
) -> None:
    her, _ = await known(house)
    fhir_id = her.partition("/")[2]
    asked = call(draft("17856-6", fhir_id))
    asked["context"]["patientId"] = fhir_id
    answered = await ehr.call(asked, house.clock())
    assert answered.status_code == 412
    assert answered.json()["issue"][0]["expression"] == ["prefetch.patient"]
    [card] = await ehr.cards({**asked, "fhirServer": house.hub.base}, house.clock())
    assert card["indicator"] == "warning"


async def test_given_selected_orders_when_asked_then_there_is_one_card_for_each_and_none_for_others(
    house: House, ehr: EHR
) -> None:
    await known(house)
    service = "coordhub-prior-results-select"
    orders = [
        draft("4548-4", "77"),
        draft("17856-6", "77", id="draft-2"),
        draft("2276-4", "77", id="draft-3"),
    ]
    asked = call(*orders, patient=HERE, hook="order-select")
    asked["context"]["selections"] = ["ServiceRequest/draft-2", "ServiceRequest/draft-3"]
    [card] = await ehr.cards(asked, house.clock(), service=service)
    assert card["suggestions"][0]["actions"][0]["resourceId"] == "ServiceRequest/draft-2"


async def test_given_what_is_hidden_when_called_then_the_hub_does_what_it_does_for_what_is_absent(
    house: House, ehr: EHR
) -> None:
    """The same statements, of which none gives a row: nothing to tell by content, nor by time."""
    mine = (await house.create(house.kitchen, patient("K-1"))).reference
    her = await house.create(house.clinic, patient("C-1"))
    document = {**patient("K-1"), "id": mine.partition("/")[2]}
    document["link"] = [{"other": {"reference": her.reference}, "type": "seealso"}]
    with pytest.raises(FhirError, match="not-found"):  # whom it does not see it cannot say it is
        await house.update(house.kitchen, document["id"], document)
    await show(house, her.rid)
    await house.update(house.kitchen, document["id"], document)

    absent = await statements(house, ehr)
    result = await house.create(house.clinic, hba1c(house, her.reference))
    assert await house.read(house.kitchen, result.reference) is None
    assert await statements(house, ehr) == absent
    await show(house, result.rid)
    assert len(await ehr.cards(signing(), house.clock())) == 1


@pytest.mark.parametrize(("code", "most"), [("17856-6", 10), ("2276-4", 7)])
async def test_given_something_or_nothing_to_tell_when_called_then_no_more_statements_are_made_than_needed(
    house: House, ehr: EHR, code: str, most: int
) -> None:
    """Who asks, its kind, the number of its JWT, the person, its records, what is known of it, the audit; of a card
    who has it, and the ledger."""
    await known(house)
    both = [draft(code, "77"), draft(code, "77", id="again")]
    for orders, further in ((both[:1], 0), (both, most - 6)):
        asked, now = call(*orders, patient=HERE), house.clock()
        async with counted(house.engine.pool) as seen:
            cards = await ehr.cards(asked, now)
        assert len(cards) == (len(orders) if code == "17856-6" else 0)
        assert len(seen.queries) <= most + further, seen.queries


async def show(house: House, rid: int) -> None:
    await house.by_owner(
        "insert into access_grant (shard, organization, rid, because, rule, since)"
        f" select shard, {house.kitchen.rid}, rid, rid, 'party', now() from resource where rid = {rid}"
    )


async def statements(house: House, ehr: EHR) -> list[str]:
    asked, now = signing(), house.clock()
    async with counted(house.engine.pool) as seen:
        assert await ehr.cards(asked, now) == []
    return [one for one in seen.queries if "resource" in one]


async def test_given_a_victim_service_provider_when_it_calls_then_it_is_told_and_kept_nothing(
    house: House, ehr: EHR
) -> None:
    await known(house)
    assert len(await ehr.cards(signing(), house.clock())) == 1
    await house.by_owner(f"update party set kind = 'vsp' where organization = {house.kitchen.rid}")
    assert await ehr.cards(signing(), house.clock()) == []
    assert await house.value("select count(*) from card") == 1


async def test_given_feedback_when_of_another_s_card_or_told_again_then_the_first_of_one_s_own_counts(
    house: House, ehr: EHR
) -> None:
    await known(house)
    now = house.clock()
    [card] = await ehr.cards(signing(), now)
    [other] = await ehr.cards(signing(), now)
    assert card["uuid"] != other["uuid"]
    reason = {"system": "urn:own", "code": "she is Ada Water"}
    said = {"card": card["uuid"], "outcome": "overridden", "overrideReason": {"reason": reason}}
    unknown = {"card": str(uuid.uuid4()), "outcome": "accepted"}
    await house.by_owner(f"update card set organization = 1 where id = '{other['uuid']}'")
    foreign = {"card": other["uuid"], "outcome": "accepted"}
    assert await ehr.feeds_back(now, said, unknown, foreign) == 200
    assert await ehr.feeds_back(now, {**said, "outcome": "accepted"}) == 200
    kept = await house.rows("select card::text, outcome, reason from card_feedback")
    assert kept == [(card["uuid"], "overridden", None)]


@dataclass(slots=True)
class Server:
    """The EHR's FHIR server. asked: path and token of each request."""

    address: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, Document] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        path = head[0].split(" ")[1]
        token = next((one for one in head if one.lower().startswith("authorization:")), "")
        self.asked.append((path, token.partition(": ")[2]))
        found = self.answers.get(path)
        body = json.dumps(found).encode()
        status = "404 Not Found" if found is None else "200 OK"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def ehr_server() -> AsyncIterator[Server]:
    kept = Server()
    listening = await asyncio.start_server(kept.serve, "127.0.0.1", 0)
    async with listening:
        kept.address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/fhir"
        yield kept


async def test_given_a_server_the_directory_vouches_for_when_called_then_it_is_asked_and_no_other(
    house: House, ehr: EHR
) -> None:
    await known(house)
    asked = call(draft("17856-6", "77"))
    asked["context"]["patientId"] = "77"
    given = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 300}
    async with ehr_server() as server:
        server.answers["/fhir/Patient/77"] = HERE
        server.answers["/fhir/ServiceRequest/9"] = {**draft("17856-6", "77"), "id": "9"}
        asked |= {"fhirServer": server.address, "fhirAuthorization": given}
        # nobody vouches for it: nothing leaves the house
        assert (await ehr.call(asked, house.clock())).status_code == 412
        assert server.asked == []

        endpoint = {
            "resourceType": "Endpoint",
            "status": "active",
            "connectionType": {"code": "hl7-fhir-rest"},
            "payloadType": [{"text": "any"}],
            "address": server.address,
            "header": ["Authorization: Bearer the hub's own"],
        }
        written = await house.commit(house.steward, Create("Endpoint", endpoint))
        organization = await house.document(house.kitchen.reference)
        organization["endpoint"] = [{"reference": written[0].reference}]
        await house.update(house.steward, organization["id"], organization)
        assert len(await ehr.cards(asked, house.clock())) == 1
        assert server.asked == [("/fhir/Patient/77", "Bearer opaque")]

        # what is sent off is fetched, too; it is no draft that could be removed
        dispatch = {**asked, "hook": "order-dispatch"}
        dispatch["context"] = {"patientId": "77", "dispatched-orders": ["ServiceRequest/9"]}
        service = "coordhub-prior-results-dispatch"
        [card] = await ehr.cards(dispatch, house.clock(), service=service)
        assert "suggestions" not in card
        # and an answer that is another's is none
        server.answers["/fhir/Patient/77"] = {**HERE, "id": "78"}
        assert (await ehr.call(asked, house.clock())).status_code == 412
