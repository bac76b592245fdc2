from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from coordhub.outbound.client import Answer, Outbound
from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference, sensitivity
from coordhub.sandbox import parcels
from coordhub.sandbox.load import ANYWHERE, Target, load, send

SYNTHEA = Path(__file__).parents[3] / "shared" / "data" / "synthea"
PATIENTS = int(os.environ.get("COORDHUB_SYNTHEA_PATIENTS", "6"))
"""How many patients, the smallest first; there are 39."""

AT_ONCE = 8

LABELS = {coding["code"] for coding in sensitivity.codings(sensitivity.ALL)}
"""Codes of the labels that the hub gives."""

Document = dict[str, Any]


class Member(NamedTuple):
    name: str
    value: Any


def spelled(value: Any) -> Any:
    """JSON as parsed, with every number as the text it was written as, members in their order."""
    if isinstance(value, dict):
        return [Member(name, spelled(item)) for name, item in value.items()]
    if isinstance(value, list):
        return [spelled(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return fhir_json.encode(value)  # bytes, so never equal to a text


def without_what_the_hub_sets(document: Document) -> Document:
    """The document without id, and without meta's version, time and the hub's own labels; meta
    itself if nothing is left.

    Synthea sends no label: each that is found is the hub's, and must be one of its code lists'.
    """
    labels = document.get("meta", {}).get("security", [])
    assert all(label["code"] in LABELS for label in labels), labels
    meta = {
        name: value
        for name, value in document.get("meta", {}).items()
        if name not in ("versionId", "lastUpdated", "security")
    }
    kept = {name: value for name, value in document.items() if name not in ("id", "meta")}
    return {**kept, "meta": meta} if meta else kept


def differences(sent: Any, found: Any, at: str) -> Iterator[str]:
    """Where two spelled values differ: paths only."""
    if not (isinstance(sent, list) and isinstance(found, list)):
        if sent != found:
            yield at
        return
    if len(sent) != len(found):
        yield f"{at} (length)"
    for number, (one, other) in enumerate(zip(sent, found, strict=False)):
        if isinstance(one, Member) and isinstance(other, Member):
            if one.name == other.name:
                yield from differences(one.value, other.value, f"{at}.{one.name}")
            else:
                yield f"{at}.{one.name} (order)"
        else:
            yield from differences(one, other, f"{at}.{number}")


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry of a file that was loaded, and what the hub said of it.

    sent: with references as the hub must have rewritten them. place: its `Type/id`. created: it was
    not there before (ifNoneExist).
    """

    sent: Document
    place: str
    created: bool


async def placed(outbound: Outbound, target: Target, path: Path) -> list[Placed]:
    """The entries of a file, by the answer that its key is given again."""
    (parcel,) = parcels.read(path)
    assert isinstance(parcel, parcels.Parcel)
    settled = await send(outbound, target, parcel)
    assert settled.replayed
    entries = fhir_json.parse(parcel.body)["entry"]
    answers = [entry["response"] for entry in fhir_json.parse(settled.answer.body)["entry"]]
    at = ["/".join(one["location"].split("/_history/")[0].split("/")[-2:]) for one in answers]
    known = {entry["fullUrl"]: place for entry, place in zip(entries, at, strict=True)}
    return [
        Placed(
            reference.rewrite(entry["resource"], known.get), place, answer["status"][:3] == "201"
        )
        for entry, place, answer in zip(entries, at, answers, strict=True)
    ]


async def faults(outbound: Outbound, target: Target, resources: list[Placed]) -> list[str]:
    """What is read back otherwise than it was sent."""
    limit = asyncio.Semaphore(AT_ONCE)
    headers = {"Authorization": f"Bearer {target.token}"}

    async def compare(one: Placed) -> list[str]:
        address = f"{target.base}/{one.place}"
        async with limit:
            answer = await outbound.send("GET", address, headers, b"")
            while isinstance(answer, Answer) and answer.status == 429:  # as much as was agreed
                await asyncio.sleep(float(answer.headers["retry-after"]))
                answer = await outbound.send("GET", address, headers, b"")
        assert isinstance(answer, Answer)
        if answer.status != 200:
            return [f"{one.place}: {answer.status}"]
        found = fhir_json.parse(answer.body)
        assert found["id"] == one.place.partition("/")[2]
        assert found["meta"]["versionId"] == "1"
        sent, kept = (spelled(without_what_the_hub_sets(each)) for each in (one.sent, found))
        return list(differences(sent, kept, one.place))

    found = await asyncio.gather(*(compare(one) for one in resources))
    return [fault for several in found for fault in several]


@pytest.mark.skipif(not SYNTHEA.is_dir(), reason="the Synthea bundles are not on this machine")
async def test_given_patients_of_synthea_when_read_back_then_each_resource_equals_what_was_sent(
    development: Any, tmp_path: Path
) -> None:
    credentials = development.credentials()
    target = Target(credentials["base"], credentials["organizations"]["metrolab"]["token"])
    before = sorted((SYNTHEA / "_prerequisites").iterdir())
    patients = sorted((SYNTHEA / "patients").iterdir(), key=lambda one: one.stat().st_size)[
        :PATIENTS
    ]
    refusals = tmp_path / "refusals.ndjson"

    first = [await load([one], target, refusals=refusals) for one in [*before, *patients]]
    again = await load([*before, *patients], target, refusals=refusals)

    assert sum(one.refused for one in first) == 0
    assert (again.created, again.already_there) == (0, len(before) + len(patients))
    async with Outbound(allowed_networks=ANYWHERE) as outbound:
        loaded = [
            one for path in [*before, *patients] for one in await placed(outbound, target, path)
        ]
        created = [one for one in loaded if one.created]
        assert len({one.place for one in loaded}) == len(created)
        assert len(created) == sum(one.resources for one in first)
        assert await faults(outbound, target, created) == []


def test_given_documents_that_differ_when_compared_then_each_place_is_named() -> None:
    def parsed(text: str) -> Any:
        return spelled(fhir_json.parse(text.encode()))

    sent = '{"resourceType":"X","a":[{"v":1.0,"b":true},{"v":2}],"c":"d"}'
    other = '{"resourceType":"X","a":[{"v":1.00,"b":1},{"v":2}],"c":"e"}'
    assert list(differences(parsed(sent), parsed(sent), "X")) == []
    assert list(differences(parsed(sent), parsed(other), "X")) == ["X.a.0.v", "X.a.0.b", "X.c"]
    turned = '{"a":[{"v":1.0,"b":true},{"v":2}],"resourceType":"X","c":"d"}'
    assert list(differences(parsed(sent), parsed(turned), "X")) != []
    shorter = '{"resourceType":"X","a":[{"v":1.0,"b":true}],"c":"d"}'
    assert list(differences(parsed(sent), parsed(shorter), "X")) == ["X.a (length)"]
