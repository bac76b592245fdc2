"""What the hub makes says where it comes from, to whom it asks and to nobody else."""

from __future__ import annotations

from typing import Any

from coordhub.r4 import document as fhir_json
from coordhub.r4 import structure


async def made(house: Any) -> list[tuple[str, dict[str, Any]]]:
    rows = await house.rows("select fhir_id, body from resource where body like '%\"Provenance\"%'")
    return [(f"Provenance/{row[0]}", fhir_json.parse(row[1].encode())) for row in rows]


async def test_given_two_that_are_asked_when_the_hub_asks_then_each_is_told_where_it_comes_from(
    house,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    found = await made(house)
    assert len(found) == 2
    parties = (house.kitchen, house.pantry)
    seen = {name: [who for who in parties if await house.read(who, name)] for name, _ in found}
    assert sorted(len(who) for who in seen.values()) == [1, 1]
    for name, document in found:
        assert structure.check(document) == []
        [who] = seen[name]
        task, request = (target["reference"] for target in document["target"])
        assert await house.read(who, task)
        assert await house.read(who, request)
        assert [one["what"]["reference"] for one in document["entity"]] == [sent.task, sent.request]
        assert document["agent"][0]["who"] == {"reference": house.hub.organization}
        assert await house.read(house.stranger, name) is None
        times = await house.rows(
            "select count(distinct updated) from resource where fhir_id = any($1)",
            [one.partition("/")[2] for one in (name, task, request)],
        )
        assert times == [(1,)], "one commit"
