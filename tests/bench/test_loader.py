"""Patients made by copying: they must be what a POST would have made."""

from __future__ import annotations

from bench.loader import Loader, differences
from open_hub import House

from coordhub.r4 import document as fhir_json


async def test_given_copied_patients_then_their_rows_are_those_of_a_post(house: House) -> None:
    loader = Loader(house.hub, house.clinic.caller)
    await loader.grow(64, lambda number: [house.kitchen.rid] * (number == 40))
    last = loader.patients[-1]
    assert last.number == 63
    assert await differences(house.hub, house.clinic.caller, last) == []

    stored = await house.document(last.reference)
    assert stored["identifier"][0]["value"] == "K000063"
    assert await house.read(house.kitchen, last.reference) is None
    assert await house.read(house.kitchen, loader.patients[40].reference) is not None
    [(text,)] = await house.rows(
        "select body from resource where patient = $1 and body like '%\"Task\"%'", last.rid
    )
    focus = fhir_json.parse(text.encode())["focus"]["reference"]
    assert (await house.document(focus))["subject"]["reference"] == last.reference

    await house.rows(
        "update idx_date set low = low - interval '1 day' where patient = $1 returning rid",
        last.rid,
    )
    assert await differences(house.hub, house.clinic.caller, last) != []
