"""S01, where the sender keeps the order on its own server: the hub reads it there, and what it names.

The server is the partner simulator's, over HTTP. Each way in which it can fail has its outcome.
"""

from __future__ import annotations

import pytest
from senders_home import Home

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.record.commit import commit
from coordhub.record.operations import Update
from coordhub.record.reproject import reproject
from coordhub.store.invariants import violations
from coordhub.store.visibility import DIRECTORY


@pytest.fixture
def home(house) -> Home:
    return Home(house.riverside)


async def _posted(house, task: dict) -> str:
    made = await house.riverside.ask("POST", "/Task", task)
    assert (made.status_code, made.headers.get("etag")) == (201, 'W/"1"'), made.text
    document = made.json()
    assert document["businessStatus"]["coding"][0]["code"] == "screening"
    return f"Task/{document['id']}"


async def _ended(house, task: str) -> dict:
    """The Task once it is rejected."""

    async def rejected():
        found = await house.riverside.read(task)
        return found if found["status"] == "rejected" else None

    return await house.until(rejected)


async def _asked(house, who, task: str) -> dict:
    async def there():
        return await who.find(f"Task?part-of={task}")

    (found,) = await house.until(there)
    return found


async def test_s01_given_an_order_on_the_senders_server_when_its_task_is_posted_then_it_is_read_there(
    house, home
):
    riverside, lakeside = house.riverside, house.lakeside
    service = await house.service_of(lakeside)
    order = await home.order(f"{house.hub.base}/{service}")

    task = await _posted(house, home.task(order))
    asked = await _asked(house, lakeside, task)
    await house.settled()

    # Each was read once, and nothing else
    names = {f"{kind}/{one['id']}" for kind, one in order.items()}
    assert sorted(await home.paths()) == sorted(names)

    # Lakeside has the copies, linked to each other and to where they come from
    copied = await lakeside.read(house.target(asked["focus"]))
    prior = await lakeside.read(house.target(copied["supportingInfo"][0]))
    assert prior["subject"] == copied["subject"] == asked["for"]
    assert prior["meta"]["source"] == f"{home.base}/Observation/{order['Observation']['id']}"
    assert str(prior["valueQuantity"]["value"]) == "7.9"
    held = await lakeside.hub.get(f"{lakeside.own}/fhir/{copied['supportingInfo'][0]['reference']}")
    assert b'"value":7.9,' in held.content.replace(b" ", b"")

    # The copies are Riverside's, at the version that was read
    mine = await riverside.read(task)
    assert mine["status"] == "accepted"
    copy = await riverside.read(mine["focus"]["reference"])
    assert copy["code"] == order["ServiceRequest"]["code"]
    known = await house.rows(
        "select c.theirs, c.original, c.seen from counterpart c order by c.theirs"
    )
    assert [(row["theirs"], row["original"], row["seen"]) for row in known] == sorted(
        (name, True, 'W/"1"') for name in names
    )
    # and on its own server its Task names what it has itself
    told = await riverside.holds(task)
    assert told["focus"]["reference"] == f"ServiceRequest/{order['ServiceRequest']['id']}"
    assert told["for"]["reference"] == f"Patient/{order['Patient']['id']}"


async def test_s01_given_a_result_of_it_when_it_comes_home_then_it_is_about_the_senders_own_order(
    house, home
):
    lakeside = house.lakeside
    order = await home.order(f"{house.hub.base}/{lakeside.reference}")
    task = await _posted(house, home.task(order))
    asked = await _asked(house, lakeside, task)
    await lakeside.answers(f"Task/{asked['id']}", "accepted")
    result = await lakeside.reports(asked["for"]["reference"], asked["focus"]["reference"])
    await house.settled()
    held = await house.riverside.holds(result)
    assert held["subject"]["reference"] == f"Patient/{order['Patient']['id']}"


async def test_given_a_second_referral_of_one_patient_when_read_then_nothing_is_copied_twice(
    house, home
):
    lakeside = house.lakeside
    order = await home.order(f"{house.hub.base}/{lakeside.reference}")
    await _asked(house, lakeside, await _posted(house, home.task(order)))
    patient = {**order["Patient"], "birthDate": "1961-04-03"}
    await home.keeps(patient)
    asked = await _asked(house, lakeside, await _posted(house, home.task(order)))

    now = await lakeside.read(asked["for"]["reference"])
    assert (now["birthDate"], now["meta"]["versionId"]) == ("1961-04-03", "2")
    assert await house.value("select count(*) from counterpart") == 3


async def _says(house, task: str, code: str) -> dict:
    """The Task once it says why it waits."""

    async def said():
        found = await house.riverside.read(task)
        codings = (found.get("statusReason") or {}).get("coding") or [{}]
        return found if codings[0].get("code") == code else None

    return await house.until(said)


async def _endpoint(house, **changes: object) -> None:
    """Riverside's Endpoint as the directory's steward changes it."""
    found = await house.riverside.find(
        "Endpoint?identifier=urn:coordhub:sandbox%7Criverside-endpoint"
    )
    document = {**found[0], **changes}
    steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
    update = Update("Endpoint", document["id"], document)
    await commit(house.hub, steward, [update], interaction="update")


async def test_given_a_url_outside_of_its_own_base_when_posted_then_nobody_goes_there(house, home):
    riverside, lakeside = house.riverside, house.lakeside
    order = await home.order(f"{house.hub.base}/{lakeside.reference}")
    number = order["ServiceRequest"]["id"]
    for base in (
        f"{lakeside.own}/fhir",  # another's
        f"{riverside.own}/fhir/..",
        f"{riverside.own}/fhirx",
        "http://169.254.169.254/latest",
        f"{riverside.own}".replace("127.0.0.1", "localhost") + "/fhir",
    ):
        task = home.task(order) | {"focus": {"reference": f"{base}/ServiceRequest/{number}"}}
        refused = await riverside.ask("POST", "/Task", task)
        assert refused.status_code == 422, base
        (issue,) = refused.json()["issue"]
        assert issue["expression"] == ["Task.focus.reference"]
        assert "Endpoint" in issue["diagnostics"]
    # nor for another, whose server has it under the same address
    stranger = await lakeside.ask("POST", "/Task", home.task(order))
    assert stranger.status_code == 422
    assert await home.read() == []


async def test_given_what_names_other_servers_when_read_then_these_are_left_alone(house, home):
    lakeside = house.lakeside
    order = await home.order(f"{house.hub.base}/{lakeside.reference}")
    elsewhere = f"{lakeside.own}/fhir/Observation/1"
    await home.keeps(
        {
            **order["ServiceRequest"],
            "supportingInfo": [
                {"reference": elsewhere},
                {"reference": f"{home.base}/Observation/{order['Observation']['id']}"},
            ],
            "encounter": {"reference": "http://169.254.169.254/fhir/Encounter/1"},
        }
    )
    asked = await _asked(house, lakeside, await _posted(house, home.task(order)))
    copied = await lakeside.read(asked["focus"]["reference"])
    assert copied["supportingInfo"][0] == {"reference": elsewhere}
    assert copied["supportingInfo"][1]["reference"].startswith("Observation/")
    assert (await lakeside.hub.get(f"{lakeside.own}/read")).json() == []


async def test_given_resources_that_refer_to_each_other_when_read_then_each_once(house, home):
    lakeside = house.lakeside
    order = await home.order(f"{house.hub.base}/{lakeside.reference}")
    first = order["Observation"]
    second = {
        **first, "id": "second",
        "hasMember": [{"reference": f"Observation/{first['id']}"}],
    }  # fmt: skip
    await home.keeps(second)
    await home.keeps({**first, "hasMember": [{"reference": "Observation/second"}]})
    asked = await _asked(house, lakeside, await _posted(house, home.task(order)))
    copied = await lakeside.read(asked["focus"]["reference"])
    one = await lakeside.read(copied["supportingInfo"][0]["reference"])
    other = await lakeside.read(one["hasMember"][0]["reference"])
    assert other["hasMember"][0]["reference"] == f"Observation/{one['id']}"
    assert len(await home.paths()) == len(set(await home.paths())) == 4


async def test_given_a_server_that_is_away_when_it_is_back_then_the_referral_goes_its_way(
    house, home
):
    riverside, lakeside = house.riverside, house.lakeside
    order = await home.order(f"{house.hub.base}/{lakeside.reference}")
    await riverside.behaves({"mode": "down", "of": "read"})
    task = await _posted(house, home.task(order))
    waiting = await _says(house, task, "source-unreachable")
    assert waiting["status"] == "requested"
    assert "ServiceRequest: " in waiting["statusReason"]["text"]
    assert await lakeside.find(f"Task?part-of={task}") == []

    await riverside.behaves()
    await _asked(house, lakeside, task)
    await house.settled()
    mine = await riverside.read(task)
    assert mine["status"] == "accepted"
    assert "statusReason" not in mine


@pytest.mark.parametrize(
    ("habit", "said"),
    [
        ({"mode": "slow", "delay_ms": 2500}, "timeout"),
        ({"mode": "rate", "retry_after": 0}, "status 429"),
        ({"mode": "error"}, "status 500"),
        ({"mode": "garbage"}, "not understood"),
    ],
)
async def test_given_a_server_that_falters_when_read_then_it_is_asked_again(
    house, home, habit, said
):
    order = await home.order(f"{house.hub.base}/{house.lakeside.reference}")
    await house.riverside.behaves({**habit, "of": "read", "until_count": 2})
    task = await _posted(house, home.task(order))
    waiting = await _says(house, task, "source-unreachable")
    assert said in waiting["statusReason"]["text"]
    await _asked(house, house.lakeside, task)


async def test_given_a_server_that_wants_to_know_who_asks_when_the_directory_has_the_token_then_it_reads(
    house, home
):
    order = await home.order(f"{house.hub.base}/{house.lakeside.reference}")
    await house.riverside.behaves({"mode": "guarded", "of": "read"}, {"mode": "guarded"})
    task = await _posted(house, home.task(order))
    waiting = await _says(house, task, "source-unreachable")
    assert "status 401" in waiting["statusReason"]["text"]

    await _endpoint(house, header=["Authorization: Bearer for-riverside"])
    await _asked(house, house.lakeside, task)
    assert [one["authorized"] for one in await home.read()][-3:] == [True] * 3


@pytest.mark.parametrize("which", ["order", "patient", "prior"])
async def test_given_what_is_not_there_when_read_then_the_task_is_rejected_and_says_which(
    house, home, which
):
    riverside = house.riverside
    order = await home.order(f"{house.hub.base}/{house.lakeside.reference}")
    task = home.task(order)
    kind = {"order": "ServiceRequest", "patient": "Patient", "prior": "Observation"}[which]
    absent = {"reference": f"{kind}/absent"}
    if which == "order":
        task["focus"] = {"reference": f"{home.base}/ServiceRequest/absent"}
    elif which == "patient":
        await home.keeps({**order["ServiceRequest"], "subject": absent})
    else:
        await home.keeps({**order["ServiceRequest"], "supportingInfo": [absent]})
    ended = await _ended(house, await _posted(house, task))
    assert ended["statusReason"]["coding"][0]["code"] == "source-refused"
    assert f"{kind}: status 404" in ended["statusReason"]["text"]
    # It is told, and asked to do something about it; nothing of what was read is kept.
    (errand,) = await riverside.find("Task?code=urn:coordhub:errand%7Csend-again")
    assert errand["focus"]["reference"] == f"Task/{ended['id']}"
    assert await house.value("select count(*) from counterpart") == 0
    await house.settled()
    assert (await riverside.holds(f"Task/{ended['id']}"))["status"] == "rejected"
    assert await house.lakeside.received() == []


async def test_given_a_client_that_may_dangle_when_something_beside_is_missing_then_it_is_named_there(
    house, home
):
    await house.rows("update client set reference_policy = 'warn' where id = 'riverside'")
    order = await home.order(f"{house.hub.base}/{house.lakeside.reference}")
    await home.keeps(
        {**order["ServiceRequest"], "supportingInfo": [{"reference": "Observation/absent"}]}
    )
    asked = await _asked(house, house.lakeside, await _posted(house, home.task(order)))
    copied = await house.lakeside.read(asked["focus"]["reference"])
    assert copied["supportingInfo"] == [{"reference": f"{home.base}/Observation/absent"}]


async def test_given_more_than_may_be_when_read_then_the_task_is_rejected(house, home):
    riverside = house.riverside
    order = await home.order(f"{house.hub.base}/{house.lakeside.reference}")
    await riverside.behaves({"mode": "huge", "of": "read", "until_count": 1})
    ended = await _ended(house, await _posted(house, home.task(order)))
    assert "too large" in ended["statusReason"]["text"]

    many = [{"reference": f"Observation/{number}"} for number in range(100)]
    await home.keeps({**order["ServiceRequest"], "supportingInfo": many})
    ended = await _ended(house, await _posted(house, home.task(order)))
    assert "names more than" in ended["statusReason"]["text"]


async def test_given_what_the_hub_does_not_take_when_read_then_the_task_says_where_and_nothing_of_it(
    house, home
):
    order = await home.order(f"{house.hub.base}/{house.lakeside.reference}")
    await home.keeps({**order["Patient"], "gender": "Rosalind"})
    ended = await _ended(house, await _posted(house, home.task(order)))
    text = ended["statusReason"]["text"]
    assert "gender" in text
    assert "Rosalind" not in text
    nobody = await home.order("Organization/nobody-here")
    ended = await _ended(house, await _posted(house, home.task(nobody)))
    assert ended["statusReason"]["coding"][0]["code"] == "source-refused"


async def test_given_a_version_that_is_named_when_there_is_a_newer_one_then_the_named_one_is_read(
    house, home
):
    order = await home.order(f"{house.hub.base}/{house.lakeside.reference}")
    newer = {**order["ServiceRequest"], "priority": "stat"}
    await home.keeps(newer)
    url = f"{home.base}/ServiceRequest/{newer['id']}/_history/1"
    task = await _posted(house, home.task(order) | {"focus": {"reference": url}})
    asked = await _asked(house, house.lakeside, task)
    assert (await house.lakeside.read(asked["focus"]["reference"])).get("priority") != "stat"


async def test_given_a_task_that_waits_when_its_sender_cancels_it_then_nothing_is_read_any_more(
    house, home
):
    riverside = house.riverside
    order = await home.order(f"{house.hub.base}/{house.lakeside.reference}")
    await riverside.behaves({"mode": "down", "of": "read"})
    task = await _posted(house, home.task(order))
    await _says(house, task, "source-unreachable")
    assert (await riverside.tries(task, "accepted")).status_code in (403, 409)
    assert (await riverside.tries(task, "cancelled")).status_code == 200
    await riverside.behaves()

    async def done():
        return await house.value("select state = 'done' from fetching")

    await house.until(done)
    assert await house.lakeside.find(f"Task?part-of={task}") == []
    assert await house.value("select state from episode") == "closed"


async def test_given_a_task_that_waits_when_its_sender_brings_the_order_then_it_goes_its_way(
    house, home
):
    riverside, lakeside = house.riverside, house.lakeside
    order = await home.order(f"{house.hub.base}/{lakeside.reference}")
    await riverside.behaves({"mode": "down", "of": "read"})
    task = await _posted(house, home.task(order))
    await _says(house, task, "source-unreachable")
    sent = await riverside.refers(house.referral(riverside, lakeside.reference))
    known = await riverside.read(task)
    known |= {"focus": {"reference": sent.order}, "for": {"reference": sent.patient}}
    put = await riverside.ask("PUT", f"/{task}", known)
    assert put.status_code == 200, put.text
    await _asked(house, lakeside, task)


async def test_given_every_outcome_when_looked_at_then_rows_and_resources_say_the_same(house, home):
    order = await home.order(f"{house.hub.base}/{house.lakeside.reference}")
    await _asked(house, house.lakeside, await _posted(house, home.task(order)))
    absent = {"focus": {"reference": f"{home.base}/ServiceRequest/absent"}}
    await _ended(house, await _posted(house, home.task(order) | absent))
    await house.riverside.behaves({"mode": "down", "of": "read"})
    await _says(house, await _posted(house, home.task(order) | absent), "source-unreachable")
    await house.settled()
    found = [one async for one in reproject(house.hub)]
    assert [one.differences for one in found] == [()] * 3
    async with house.hub.engine.pool.acquire() as conn:
        assert await violations(conn, house.hub.clock()) == []
