from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coordhub.r4 import document as fhir_json
from coordhub.sandbox import demo, transcript
from coordhub.sandbox.demo import Demo
from coordhub.sandbox.transcript import Exchange, Failed, Step, Unanswered

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


def test_given_a_run_when_its_bundle_is_made_then_every_reference_leads_to_an_entry() -> None:
    bundle = demo.referral("r1", "Organization/riv", "HealthcareService/endo", NOW)

    patient, hba1c, order, task = [entry["resource"] for entry in bundle["entry"]]
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert hba1c["subject"]["reference"] == order["subject"]["reference"] == urls[0]
    assert order["supportingInfo"] == [{"reference": urls[1]}]
    assert task["focus"]["reference"] == urls[2]
    assert patient["identifier"][0]["value"].endswith("r1")
    assert b'"value":7.9,' in fhir_json.encode(hba1c)
    other = demo.referral("r2", "Organization/riv", "HealthcareService/endo", NOW)
    assert {entry["fullUrl"] for entry in other["entry"]}.isdisjoint(urls)


def test_given_what_arrived_when_listed_then_the_newest_applied_comes_first() -> None:
    def arrived(own: str, source: str, *, applied: bool = True) -> dict[str, Any]:
        resource = {"type": "Task", "id": own, "sourceId": source}
        return {"applied": applied, "resources": [resource, {"type": "Patient", "id": "p"}]}

    received = [
        arrived("a", "1"),
        arrived("b", "2"),
        arrived("a", "1"),
        arrived("c", "3", applied=False),
    ]

    assert demo.arrivals(received, "Task") == [("Task/a", "Task/1"), ("Task/b", "Task/2")]


def test_given_a_transaction_response_when_read_then_references_are_relative() -> None:
    located = "http://127.0.0.1:8000/fhir/Task/t1/_history/1"

    assert demo.located({"entry": [{"response": {"location": located}}]}) == {"Task": "Task/t1"}


def test_given_long_bodies_when_shown_then_they_are_cut_and_digits_stay() -> None:
    document = fhir_json.parse(b'{"a":7.10,"meta":{},"text":{"div":""},"b":[1,2,3,4,5,6,7,8]}')

    shown = transcript.laid_out(transcript.folded(document), 20)

    assert '"a": 7.10' in shown
    assert "... 2 more" in shown
    assert "meta" not in shown
    assert "div" not in shown


async def test_given_a_running_hub_when_played_twice_then_each_referral_comes_to_its_end(
    development: Any,
) -> None:
    credentials = development.credentials()
    for run in ("first", "second"):
        shown: list[Step] = []
        played = Demo(credentials, f"{run}-{id(shown)}", shown.append)

        await played.play()

        assert shown == played.steps
        assert len(shown) == 10
        assert shown[-1].note.endswith("7.10 %")
        told = transcript.as_document(played.run, shown, None)
        assert credentials["organizations"]["riverside"]["token"] not in str(told)
        exchanges = [exchange for step in shown for exchange in step.exchanges]
        assert [e.status for e in exchanges if e.method == "PUT"] == [200, 200, 200]


@pytest.fixture
def lakeside_down(development: Any) -> Iterator[None]:
    behave(development, b'{"mode": "error"}')
    yield
    behave(development, b'{"mode": "ok"}')


def behave(development: Any, habit: bytes) -> None:
    url = f"{development.partners()}/partners/lakeside/behaviour"
    request = urllib.request.Request(url, habit, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


@pytest.mark.usefixtures("lakeside_down")
async def test_given_a_partner_that_fails_when_played_then_the_step_says_what_was_expected(
    development: Any,
) -> None:
    shown: list[Step] = []
    played = Demo(development.credentials(), "down", shown.append, timedelta(seconds=1))

    with pytest.raises(Failed, match=r"expected within 1 s: a Task that is part of Task/"):
        await played.play()

    assert len(shown) == 3
    assert shown[-1].attempts > 1


async def test_given_no_hub_when_played_then_the_first_step_fails(development: Any) -> None:
    shown: list[Step] = []
    credentials = {**development.credentials(), "base": "http://127.0.0.1:9/fhir"}

    with pytest.raises(Unanswered, match="not answered"):
        await Demo(credentials, "none", shown.append).play()

    (exchange,) = shown[0].exchanges
    assert isinstance(exchange, Exchange)
    assert exchange.status == 0
