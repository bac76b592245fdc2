"""Bad input over HTTP: each refused with a 4xx OperationOutcome, and nothing of it stored."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordhub.fhir.context import Limits

PATIENT = b'{"resourceType":"Patient","active":true}'
BOMB = gzip.compress(b" " * (200 * 1024 * 1024), 9)
DATA = Path(__file__).parents[3] / "shared" / "data" / "r4-inputs"

BODIES: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "broken JSON": (b'{"resourceType":"Patient",', 400),
    "two documents": (PATIENT + PATIENT, 400),
    "an array": (b"[" + PATIENT + b"]", 400),
    "a string": (b'"Patient"', 400),
    "null": (b"null", 400),
    "NaN": (b'{"resourceType":"Patient","multipleBirthInteger":NaN}', 400),
    "broken UTF-8": (b'{"resourceType":"Patient","language":"\xff\xfe"}', 400),
    "overlong UTF-8": (b'{"resourceType":"Patient","language":"\xc0\xaf"}', 400),
    "UTF-16": ('{"resourceType":"Patient"}'.encode("utf-16"), 400),
    "a byte order mark": (b"\xef\xbb\xbf" + PATIENT, 400),
    "NUL escaped": (b'{"resourceType":"Patient","language":"a\\u0000"}', 400),
    "NUL raw": (b'{"resourceType":"Patient","language":"a\x00"}', 400),
    "NUL in a key": (b'{"resourceType":"Patient","a\\u0000":1}', 400),
    "a lone surrogate": (b'{"resourceType":"Patient","language":"\\ud800"}', 400),
    "a lone low surrogate": (b'{"resourceType":"Patient","language":"\\udc00x"}', 400),
    "a surrogate in UTF-8": (b'{"resourceType":"Patient","language":"\xed\xa0\x80"}', 400),
    "duplicate keys": (b'{"resourceType":"Patient","active":true,"active":false}', 400),
    "duplicate resourceType": (b'{"resourceType":"Task","resourceType":"Patient"}', 400),
    "10,000 arrays deep": (b'{"resourceType":"Patient","a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
                           400),
    "10,000 objects deep": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
    "10,000 deep, never closed": (b"[" * 10_000, 400),
    "an absurd number": (b'{"resourceType":"Patient","a":1e999999999}', 400),
    "an absurdly long number": (b'{"resourceType":"Patient","a":' + b"9" * 100_000 + b"}", 400),
    "no resourceType": (b'{"active":true}', 400),
    "resourceType of another": (b'{"resourceType":"Task"}', 400),
    "resourceType a number": (b'{"resourceType":1}', 400),
    "resourceType null": (b'{"resourceType":null}', 400),
    "unknown element": (b'{"resourceType":"Patient","colour":"red"}', 422),
    "text for a boolean": (b'{"resourceType":"Patient","active":"true"}', 422),
    "object for a list": (b'{"resourceType":"Patient","name":{"family":"x"}}', 422),
    "list for an element": (b'{"resourceType":"Patient","active":[true]}', 422),
    "null element": (b'{"resourceType":"Patient","active":null}', 422),
    "empty list": (b'{"resourceType":"Patient","name":[]}', 422),
    "empty object": (b'{"resourceType":"Patient","name":[{}]}', 422),
    "empty string": (b'{"resourceType":"Patient","language":""}', 422),
    "no such code": (b'{"resourceType":"Patient","gender":"F"}', 422),
    "no date": (b'{"resourceType":"Patient","birthDate":"2020-13-45"}', 422),
    "two of one choice": (
        b'{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}', 422),
    "a long id": (b'{"resourceType":"Patient","id":"' + b"a" * 65 + b'"}', 422),
    "id a number": (b'{"resourceType":"Patient","id":1}', 422),
    "meta a text": (b'{"resourceType":"Patient","meta":"x"}', 422),
    "an unknown reference": (
        b'{"resourceType":"Patient","managingOrganization":{"reference":"Organization/no"}}', 422),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
async def test_given_a_bad_body_when_created_then_it_is_refused_and_nothing_stored(house, name):
    content, status = BODIES[name]
    before = await house.stored()
    refused = await house.near.ask("POST", "/Patient", content=content)
    assert refused.status_code == status, refused.text
    assert refused.json()["resourceType"] == "OperationOutcome"
    assert refused.json()["issue"][0]["severity"] == "error"
    in_bundle = (
        b'{"resourceType":"Bundle","type":"transaction","entry":[{"request":'
        b'{"method":"POST","url":"Patient"},"resource":' + content + b"}]}"
    )
    wrapped = await house.near.ask("POST", "", content=in_bundle)
    assert 400 <= wrapped.status_code < 500, wrapped.text
    assert await house.stored() == before


async def test_given_another_id_or_type_when_updated_then_400(house):
    made = (await house.near.ask("POST", "/Patient", content=PATIENT)).json()
    path = f"/Patient/{made['id']}"
    before = await house.stored()
    for document in (
        {**made, "id": "another"},
        {key: value for key, value in made.items() if key != "id"},
        {**made, "id": None},
        {**made, "id": 7},
        {**made, "resourceType": "Person"},
        {"id": made["id"]},
    ):
        refused = await house.near.ask("PUT", path, document)
        assert refused.status_code == 400, refused.text
    for tag in ("3", 'W/"x"', 'W/"1", W/"2"', "*", ""):
        refused = await house.near.ask("PUT", path, made, headers={"If-Match": tag})
        assert refused.status_code == 400, (tag, refused.text)
    huge = await house.near.ask("PUT", path, made, headers={"If-Match": 'W/"9999999999"'})
    assert huge.status_code == 412
    assert await house.stored() == before


async def test_given_too_large_a_body_when_sent_then_413_without_reading_it_all(house):
    limit = house.context.limits.body_bytes
    before = await house.stored()
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 50 * 1024 * 1024:
            read += 65536
            yield b" " * 65536

    refused = await house.near.ask("POST", "/Patient", content=endless())
    assert refused.status_code == 413
    assert refused.json()["issue"][0]["code"] == "too-long"
    declared = await house.near.ask("POST", "/Patient", content=b" " * (limit + 1))
    assert declared.status_code == 413
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    searched = await house.near.ask(
        "POST", "/Patient/_search", content=b"a" * (limit + 1), headers=form
    )
    assert searched.status_code == 413
    whole = b'{"resourceType":"Patient","language":"' + b"a" * (50 * 1024 * 1024) + b'"}'
    for method, path in (("POST", "/Patient"), ("PUT", "/Patient/1"), ("POST", "")):
        refused = await house.near.ask(method, path, content=whole)
        assert refused.status_code == 413, path
    assert await house.stored() == before


async def test_given_no_token_when_a_large_body_is_sent_then_401_and_it_is_not_read(house):
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield PATIENT

    seen: list[dict[str, object]] = []
    received = body()

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": await anext(received), "more_body": True}

    async def send(message: dict[str, object]) -> None:
        seen.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": "/fhir/Patient", "raw_path": b"/fhir/Patient",
        "query_string": b"", "root_path": "", "server": ("hub.example", 80),
        "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    await house.app(scope, receive, send)
    assert seen[0]["status"] == 401
    assert read == 0


async def test_given_gzip_when_sent_then_it_is_opened_within_the_limit(house):
    zipped = {"Content-Encoding": "gzip"}
    made = await house.near.ask("POST", "/Patient", content=gzip.compress(PATIENT), headers=zipped)
    assert made.status_code == 201
    parts = gzip.compress(PATIENT[:10]) + gzip.compress(PATIENT[10:])
    assert (
        await house.near.ask("POST", "/Patient", content=parts, headers=zipped)
    ).status_code == 201
    before = await house.stored()
    for content, status in (
        (BOMB, 413),
        (gzip.compress(BOMB), 400),
        (PATIENT, 400),
        (gzip.compress(PATIENT)[:-4], 400),
        (gzip.compress(PATIENT) + b"rest", 400),
        (zlib.compress(PATIENT), 400),
        (b"", 400),
    ):
        refused = await house.near.ask("POST", "/Patient", content=content, headers=zipped)
        assert refused.status_code == status, refused.text
    for encoding in ("br", "gzip, gzip", "deflate"):
        refused = await house.near.ask(
            "POST", "/Patient", content=PATIENT, headers={"Content-Encoding": encoding}
        )
        assert refused.status_code == 415
    assert await house.stored() == before


async def test_given_another_content_type_when_sent_then_415(house):
    for media in (
        "application/xml",
        "text/turtle",
        "text/plain",
        "application/fhir+json; charset=latin-1",
        "application/fhir+json; fhirVersion=5.0",
        "multipart/form-data",
    ):
        refused = await house.near.ask(
            "POST", "/Patient", content=PATIENT, headers={"Content-Type": media}
        )
        assert refused.status_code == 415, media
    for media in ("application/json", "application/fhir+json; charset=UTF-8", ""):
        made = await house.near.ask(
            "POST", "/Patient", content=PATIENT, headers={"Content-Type": media}
        )
        assert made.status_code == 201, media


async def test_given_odd_addresses_when_asked_then_none_is_a_5xx(house):
    for path in (
        "/Patient/%00", "/Patient/%2e%2e", "/Patient/a%2Fb", "/Patient/%ff", "/%00", "/Patient//",
        "/Patient?family=%00", "/Patient?family=%ff", "/Patient?%00=1", "/Patient?_id=%00",
        "/Patient?_count=-1", "/Patient?_count=1e9", "/Patient?_count=99999999999999999999",
        "/Patient?_cursor=x", "/Patient?_cursor=x.y", "/Patient?_cursor=%C3%A4.%C3%A4",
        "/Patient?_cursor=", "/Patient?birthdate=9999999-01", "/Patient?birthdate=ge0000",
        "/Patient?_lastUpdated=ge9999-12-31", "/Patient?_lastUpdated=lt0001", "/Patient?_sort=",
        "/Patient?family=" + "a" * 6000, "/Patient?" + "a=1&" * 2000, "/Patient?family:x:y=1",
        "/Patient?identifier=||||", "/Patient?general-practitioner=" + "x" * 300,
        "/Patient/1/_history/0", "/Patient/1/_history/-1", "/Patient/1/_history/%00",
        "/Patient/1/_history?_count=0", "/Patient/1/_history?_cursor=x", "/Patient/" + "a" * 65,
        "/Patient?family=\\", "/Patient?family=a\\,b", "/Patient?family=%25_%25",
        "/Patient?_id=" + ",".join("a" for _ in range(1500)),
    ):  # fmt: skip
        for method in ("GET", "PUT", "DELETE", "POST"):
            answered = await house.near.ask(method, path, content=PATIENT)
            assert answered.status_code < 500, (method, path, answered.text)
            if answered.status_code >= 300:
                assert answered.json()["resourceType"] == "OperationOutcome"


async def test_given_odd_headers_when_sent_then_none_is_a_5xx(house):
    for name, value in (
        ("Idempotency-Key", "a" * 256), ("Idempotency-Key", ""), ("Idempotency-Key", "a b"),
        ("If-None-Exist", ""), ("If-None-Exist", "nonsense=1"), ("If-None-Exist", "identifier"),
        ("If-None-Exist", "identifier=%00"), ("If-None-Exist", "?"),
        ("If-None-Exist", "identifier=a&_count=0"),
        ("Authorization", "Bearer x"), ("Authorization", "Basic x"), ("Authorization", "Bearer"),
        ("Authorization", "Bearer a.b.c"), ("Authorization", "Bearer " + "a" * 5000),
    ):  # fmt: skip
        refused = await house.near.ask("POST", "/Patient", content=PATIENT, headers={name: value})
        assert 400 <= refused.status_code < 500, (name, value, refused.text)
        assert refused.json()["resourceType"] == "OperationOutcome"
    made = await house.near.ask(
        "POST", "/Patient", content=PATIENT,
        headers={"If-Modified-Since": "yesterday", "Prefer": "=;,=,", "X-Request-Id": "x" * 999},
    )  # fmt: skip
    assert made.status_code == 201


async def test_given_the_bad_inputs_of_the_reference_when_sent_then_none_is_a_5xx(house):
    source = DATA / "bad.ndjson"
    if not source.exists():
        pytest.skip("the reference inputs are not on this machine")
    for number, document in enumerate(_resources(source)):
        kind = document.get("resourceType", "Patient")
        before = await house.stored()
        answered = await house.near.ask("POST", f"/{kind}", document)
        assert answered.status_code < 500, number
        if answered.status_code >= 400:
            assert await house.stored() == before, number


def _resources(source: Path) -> Iterator[dict[str, object]]:
    for line in source.read_text().splitlines():
        document = json.loads(line)
        inner = document.get("resource", document)
        if isinstance(inner, dict):
            yield inner


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceType", "type", "entry", "request", "method", "url", "resource", "fullUrl",
                 "ifMatch", "ifNoneExist", "id", "meta", "extension", "reference", "contained"]
            ),
            inner | st.sampled_from(["Bundle", "transaction", "batch", "POST", "GET", "Patient"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(entries=st.lists(_anything, max_size=3), kind=st.sampled_from(["batch", "transaction"]))
def test_given_any_bundle_when_read_then_it_is_entries_or_a_refusal(entries, kind):
    from coordhub.access.caller import hub
    from coordhub.errors import FhirError
    from coordhub.fhir import entries as fhir_entries
    from coordhub.fhir.context import Asked
    from coordhub.fhir.dispatch import Target

    document = {"resourceType": "Bundle", "type": kind, "entry": entries}
    asked = Asked(hub("Organization/1"), Target("transaction"), document=document)
    with contextlib.suppress(FhirError):  # any other exception is a failure
        read = fhir_entries.read(asked, base="http://h/fhir", most=Limits().entries)
        assert len(read) == len(entries)
