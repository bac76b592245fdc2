"""An order on its sender's own server changes after it was read: the copy follows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from senders_home import Home

from coordhub.admin import exchanging
from coordhub.admin.acts import UNNAMED


@pytest.fixture
async def home(house) -> Home:
    return Home(house.riverside)


async def _referred(house, home: Home) -> tuple[dict, dict]:
    """What is on Riverside's server, and Lakeside's Task about it."""
    order = await home.order(f"{house.hub.base}/{house.lakeside.reference}")
    made = await house.riverside.ask("POST", "/Task", home.task(order))
    assert made.status_code == 201, made.text

    async def there():
        return await house.lakeside.find(f"Task?part-of=Task/{made.json()['id']}")

    (asked,) = await house.until(there)
    await house.settled()
    return order, asked


async def _read_again(house, body: dict) -> int:
    answered = await house.riverside.ask("POST", "/Task/$read-again", body)
    assert answered.status_code == 200, answered.text
    (found,) = answered.json()["parameter"]
    return found["valueInteger"]


async def _all_read(house) -> None:
    async def done():
        return await house.value(
            "select bool_and(state not in ('queued', 'leased') or next_at > now()) from fetching"
        )

    await house.until(done)


def _parameters(*urls: str) -> dict:
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "original", "valueUri": url} for url in urls],
    }


async def test_given_a_change_when_its_sender_says_so_then_what_changed_is_read_and_no_more(
    house, home
):
    order, asked = await _referred(house, home)
    before = len(await home.paths())
    patient = {**order["Patient"], "birthDate": "1961-04-03"}
    await home.keeps(patient)
    url = f"{home.base}/Patient/{patient['id']}"
    assert await _read_again(house, _parameters(url, f"{home.base}/Patient/unknown")) == 1
    await _all_read(house)
    now = await house.lakeside.read(asked["for"]["reference"])
    assert (now["birthDate"], now["meta"]["versionId"]) == ("1961-04-03", "2")
    assert (await home.paths())[before:] == [f"Patient/{patient['id']}"]

    # Said again of what did not change, it is asked for by its tag, and nothing is written.
    assert await _read_again(house, _parameters(url)) == 1
    await _all_read(house)
    assert (await home.read())[-1]["status"] == 304
    now = await house.lakeside.read(asked["for"]["reference"])
    assert now["meta"]["versionId"] == "2"


async def test_given_a_subscription_at_the_senders_server_when_it_notifies_then_the_same(
    house, home
):
    order, asked = await _referred(house, home)
    await home.keeps({**order["Patient"], "birthDate": "1961-04-03"})
    focus = {
        "name": "focus",
        "valueReference": {"reference": f"{home.base}/Patient/{order['Patient']['id']}"},
    }
    event = {"name": "notification-event", "part": [focus]}
    status = {"resourceType": "Parameters", "parameter": [event]}
    notification = {
        "resourceType": "Bundle", "type": "history",
        "entry": [{"fullUrl": "urn:uuid:9c4ba4b5-2a3c-4d0e-9c3d-5d4a6f1f6a11", "resource": status}],
    }  # fmt: skip
    assert await _read_again(house, notification) == 1
    await _all_read(house)
    now = await house.lakeside.read(asked["for"]["reference"])
    assert now["birthDate"] == "1961-04-03"


async def test_given_an_agreement_to_look_when_time_has_come_then_the_copy_follows_until_it_ends(
    house, home
):
    await exchanging.agree(
        house.hub.engine, UNNAMED, house.riverside.reference, originals_every=timedelta(seconds=10)
    )
    order, asked = await _referred(house, home)
    assert await house.value("select count(*) from fetching where kind = 'original'") == 3
    await home.keeps({**order["Patient"], "birthDate": "1961-04-03"})
    await house.rows("update fetching set next_at = now() where kind = 'original'")
    await _all_read(house)
    now = await house.lakeside.read(asked["for"]["reference"])
    assert now["birthDate"] == "1961-04-03"
    waiting = "select count(*) from fetching where kind = 'original' and state = 'queued'"
    assert await house.value(waiting) == 3

    # The referral ends: nobody looks any more
    await house.lakeside.answers(f"Task/{asked['id']}", "accepted")
    await house.lakeside.answers(f"Task/{asked['id']}", "in-progress")
    await house.lakeside.answers(f"Task/{asked['id']}", "completed")
    await house.rows("update fetching set next_at = now() where kind = 'original'")
    await _all_read(house)
    assert await house.value(waiting) == 0


async def test_given_a_change_that_the_hub_does_not_take_when_read_then_the_copy_stays_and_it_says_why(
    house, home
):
    order, asked = await _referred(house, home)
    url = f"{home.base}/Patient/{order['Patient']['id']}"
    await home.keeps({**order["Patient"], "gender": "Rosalind"})
    assert await _read_again(house, _parameters(url)) == 1
    await _all_read(house)
    now = await house.lakeside.read(asked["for"]["reference"])
    assert (now.get("gender"), now["meta"]["versionId"]) == (order["Patient"].get("gender"), "1")
    reason = await house.value("select reason from fetching where kind = 'original'")
    assert "gender" in reason
    assert "Rosalind" not in reason


async def test_given_anybody_else_or_nothing_named_when_it_says_so_then_nothing_is_read(
    house, home
):
    order, _asked = await _referred(house, home)
    before = await home.paths()
    url = f"{home.base}/Patient/{order['Patient']['id']}"
    other = await house.lakeside.ask("POST", "/Task/$read-again", _parameters(url))
    assert other.json()["parameter"] == [{"name": "found", "valueInteger": 0}]
    for odd in ({"resourceType": "Parameters"}, {"resourceType": "Bundle", "type": "history"}):
        refused = await house.riverside.ask("POST", "/Task/$read-again", odd)
        assert refused.status_code == 400
        assert "original" in refused.json()["issue"][0]["diagnostics"]
    assert await home.paths() == before
