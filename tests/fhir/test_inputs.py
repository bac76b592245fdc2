"""Hand-made inputs, bad ones and tricky good ones, sent to the running hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordhub.store import clients

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "r4-inputs"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the example data is not here")


def cases(name: str) -> list[tuple[str, bytes]]:
    lines = (DATA / name).read_text("utf-8").splitlines()
    return [(case["case"], case["body"].encode()) for case in map(json.loads, lines)]


def content(text: bytes) -> dict[str, Any]:
    """What the sender said: numbers by their digits, without what the hub sets."""
    whole: dict[str, Any] = json.loads(text, parse_float=lambda digits: f"number {digits}")
    meta = {
        key: value
        for key, value in whole.pop("meta", {}).items()
        if key not in ("versionId", "lastUpdated")
    }
    return {**{key: value for key, value in whole.items() if key != "id"}, "meta": meta}


async def test_given_bad_inputs_when_posted_then_each_is_refused_by_its_place_and_none_kept(house):
    before = await house.stored()
    for case, sent in cases("bad.ndjson"):
        kind = json.loads(sent).get("resourceType", "Patient")
        answered = await house.near.ask("POST", f"/{kind}", content=sent)
        assert 400 <= answered.status_code < 500, (case, answered.text)
        assert answered.json()["resourceType"] == "OperationOutcome", case
    assert await house.stored() == before


async def test_given_good_inputs_when_posted_then_each_is_kept_and_comes_back_as_sent(house):
    async with house.context.hub.engine.pool.acquire() as conn:
        await clients.register(
            conn,
            house.near.client,
            house.near.rid,
            "system/*.cruds",
            update_as_create=False,
            now=house.context.hub.clock(),
            reference_policy="warn",
        )
    for case, sent in cases("good.ndjson"):
        kind = json.loads(sent)["resourceType"]
        answered = await house.near.ask("POST", f"/{kind}", content=sent)
        assert answered.status_code == 201, (case, answered.text)
        made = f"/{kind}/{answered.json()['id']}"
        read = await house.near.ask("GET", made, headers={"Accept": "application/fhir+json"})
        assert content(read.content) == content(sent), case
