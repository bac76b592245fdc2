from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from coordhub.outbound.client import Answer, Outbound, Unreachable
from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference
from coordhub.sandbox import parcels
from coordhub.sandbox.load import (
    ANYWHERE,
    ATTEMPTS,
    LONGEST_WAIT,
    Stopped,
    Target,
    load,
    read_answer,
    send,
    wait_before,
)

SYNTHEA = Path(__file__).parents[3] / "shared" / "data" / "synthea"


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, b"" if body is None else json.dumps(body).encode(), 0.1)


@pytest.mark.parametrize(
    ("attempt", "result", "expected"),
    [
        (1, answer(200), None),
        (1, answer(422), None),
        (1, answer(503), 0.5),
        (2, answer(503), 1.0),
        (1, answer(429, retry_after="7"), 7.0),
        (1, answer(429, retry_after="9999"), LONGEST_WAIT),
        (1, answer(503, retry_after="Sun, 22 Nov 2026 03:10:12 GMT"), 0.5),
        (ATTEMPTS, answer(503), None),
        (1, Unreachable("refused", True, ""), 0.5),
        (1, Unreachable("timeout", False, ""), 0.5),
        (1, Unreachable("tls", True, ""), None),
        (ATTEMPTS, Unreachable("reset", False, ""), None),
    ],
)
def test_given_a_result_when_judged_then_only_what_may_pass_is_waited_for(
    attempt: int, result: Answer | Unreachable, expected: float | None
) -> None:
    assert wait_before(attempt, result) == expected


def test_given_a_transaction_response_when_read_then_only_the_created_are_counted() -> None:
    entries = [{"response": {"status": "201 Created"}}, {"response": {"status": "200 OK"}}]
    body = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}

    settled = read_answer("f", answer(200, body))

    assert (settled.resources, settled.replayed, list(settled.refused)) == (1, False, [])
    assert read_answer("f", answer(200, body, idempotency_replayed="true")).replayed


def test_given_a_batch_response_when_read_then_refused_entries_are_named() -> None:
    refusal = {"status": "422 Unprocessable", "outcome": {"resourceType": "OperationOutcome"}}
    entries = [{"response": {"status": "201"}}, {"response": refusal}]
    body = {"resourceType": "Bundle", "type": "batch-response", "entry": entries}

    settled = read_answer("f", answer(200, body))

    assert settled.resources == 1
    (refused,) = settled.refused
    assert refused["file"] == "f entry 1"
    assert refused["status"] == 422


def bundle(number: int, value: str, status: str = "final") -> str:
    """A Patient and an Observation, as a transaction; value is spelled as it is."""
    return (
        '{"resourceType":"Bundle","type":"transaction","entry":['
        f'{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-{number:012}",'
        '"resource":{"resourceType":"Patient","active":true},'
        '"request":{"method":"POST","url":"Patient"}},'
        f'{{"resource":{{"resourceType":"Observation","status":"{status}",'
        '"code":{"coding":[{"system":"http://loinc.org","code":"4548-4"}]},'
        f'"subject":{{"reference":"urn:uuid:00000000-0000-4000-8000-{number:012}"}},'
        f'"valueQuantity":{{"value":{value}}}}},"request":{{"method":"POST","url":"Observation"}}}}]}}'
    )


async def test_given_good_and_bad_when_loaded_twice_then_good_is_stored_once_and_bad_is_told(
    development: Any, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    marked = f"{tmp_path.name}-{id(files)}"
    one = json.dumps({"resourceType": "Patient", "identifier": [{"value": marked}]})
    (files / "a.json").write_text(bundle(1, "7.10").replace('"active"', '"language":"en","active"'))
    (files / "b.ndjson").write_text(f"{one}\n\n{one}\n{bundle(2, '1', 'nonsense')}\n")
    (files / "c.json").write_text("{")
    credentials = development.credentials()
    target = Target(credentials["base"], credentials["organizations"]["metrolab"]["token"])
    refusals = tmp_path / "refusals.ndjson"
    settled: list[int] = []

    first = await load([files], target, refusals=refusals, advance=settled.append)

    assert (first.sent, first.created, first.already_there, first.refused) == (4, 3, 0, 2)
    assert first.resources == 4
    assert sum(settled) == 5
    told = [json.loads(line) for line in refusals.read_text().splitlines()]
    assert sorted((line["file"], line["status"]) for line in told) == [
        ("b.ndjson:4", 422),
        ("c.json", 0),
    ]
    assert {line["outcome"]["resourceType"] for line in told} == {"OperationOutcome"}

    second = await load([files], target, refusals=refusals)

    assert (second.created, second.already_there, second.refused) == (0, 3, 2)
    assert second.resources == 0
    query = f"/Patient?identifier={marked}"
    assert len(development.get(query, "metrolab")["entry"]) == 2


async def test_given_only_good_when_loaded_then_an_old_file_of_refusals_is_gone(
    development: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(bundle(3, "1.0"))
    refusals = tmp_path / "refusals.ndjson"
    refusals.write_text("{}\n")
    credentials = development.credentials()
    target = Target(credentials["base"], credentials["organizations"]["metrolab"]["token"])

    summary = await load([tmp_path / "a.json"], target, refusals=refusals)

    assert summary.refusals is None
    assert not refusals.exists()


async def test_given_a_wrong_token_when_loaded_then_it_stops_and_says_so(
    development: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(bundle(4, "1"))
    target = Target(development.credentials()["base"], "nonsense")

    with pytest.raises(Stopped, match="does not accept the token"):
        await load([tmp_path / "a.json"], target, refusals=tmp_path / "refusals.ndjson")


async def test_given_no_hub_when_loaded_then_it_says_that_nothing_is_sent_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordhub.sandbox.load.ATTEMPTS", 2)
    (tmp_path / "a.json").write_text(bundle(5, "1"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    target = Target(f"http://127.0.0.1:{port}/fhir", "x")

    with pytest.raises(Stopped, match="nothing is sent twice"):
        await load([tmp_path / "a.json"], target, refusals=tmp_path / "refusals.ndjson")


@pytest.mark.skipif(not SYNTHEA.is_dir(), reason="the Synthea bundles are not on this machine")
async def test_given_synthea_when_loaded_then_what_is_read_back_equals_what_was_sent(
    development: Any, tmp_path: Path
) -> None:
    smallest = min((SYNTHEA / "patients").iterdir(), key=lambda path: path.stat().st_size)
    credentials = development.credentials()
    token = credentials["organizations"]["lakeside"]["token"]
    target = Target(credentials["base"], token)

    summary = await load(
        [SYNTHEA / "_prerequisites", smallest], target, refusals=tmp_path / "refusals.ndjson"
    )

    assert summary.refused == 0
    (parcel,) = parcels.read(smallest)
    assert isinstance(parcel, parcels.Parcel)
    sent = fhir_json.parse(parcel.body)["entry"]
    assert summary.resources == 204 + len(sent)
    # The same key again: the hub says where it put what it was sent.
    async with Outbound(allowed_networks=ANYWHERE) as outbound:
        response = json.loads((await send(outbound, target, parcel)).answer.body)
        places = [entry["response"]["location"].split("/")[-4:-2] for entry in response["entry"]]
        moved = {
            entry["fullUrl"]: "/".join(place) for entry, place in zip(sent, places, strict=True)
        }
        for entry, place in zip(sent, places, strict=True):
            found = await outbound.send(
                "GET",
                f"{target.base}/{'/'.join(place)}",
                {"Authorization": f"Bearer {token}", "Accept": "application/fhir+json"},
            )
            assert isinstance(found, Answer)
            stored = fhir_json.parse(found.body)
            expected = fhir_json.with_meta(
                reference.rewrite(entry["resource"], moved.get),
                id=place[1],
                version=1,
                updated=stored["meta"]["lastUpdated"],
            )
            assert fhir_json.encode(stored) == fhir_json.encode(expected)
