from __future__ import annotations

import base64

import pytest

from coordhub.record.confidential import NO_TERMS, taken_from

PROVIDER = 7
ACCOUNT = [
    {
        "resourceType": "Location",
        "address": {"line": ["12 Hidden Lane", "Unit B"], "city": "X", "postalCode": "01387"},
        "position": {"latitude": 42.43219, "longitude": -71.87654},
        "telecom": [{"system": "phone", "value": "+1 (555) 777-0199"}],
    },
    {"resourceType": "Practitioner", "name": [{"family": "Mossgrave", "given": ["Iris", "Ann"]}]},
    {
        "resourceType": "Organization",
        "name": "Harbor Advocates",
        "telecom": [{"system": "phone", "value": "+1-555-555-0180"}],
        "contact": [{"telecom": [{"system": "phone", "value": "+1-555-777-0200"}]}],
    },
]
TERMS = taken_from((PROVIDER, each) for each in ACCOUNT)


def note(text: str) -> dict[str, object]:
    return {"resourceType": "Observation", "note": [{"text": text}]}


@pytest.mark.parametrize(
    "document",
    [
        note("she lives at 12 HIDDEN  lane, apt. 4"),
        note("12, Hidden Ln."),
        note("now in Hidden Lane; ZIP 01387"),
        note("ask for Iris Mossgrave"),
        note("Mossgrave, Iris"),
        note("call 5557770199 tonight"),
        note("call 555.777.0199"),
        note("contact 555-777-0200"),
        note("at 42.4319, -71.8771"),
        {"text": {"div": "<div><b>12</b> Hidden&#32;Lane</div>"}},
        {"position": {"latitude": 42.43, "longitude": -71.88}},
        {"contained": [{"name": [{"family": "Mossgrave", "given": ["Iris"]}]}]},
        {"address": [{"line": ["12 Hidden Lane"]}]},
        {"attachment": {"data": base64.b64encode(b"to 12 Hidden Lane").decode()}},
    ],
)
def test_what_tells_where_a_provider_is_or_who_works_there_is_noticed(document) -> None:
    assert TERMS.told_by(document) == PROVIDER


@pytest.mark.parametrize(
    "document",
    [
        note("Harbor Advocates, hotline +1-555-555-0180"),
        note("a hidden lane of traffic"),
        note("112 Hidden Lanes"),
        note("ZIP 01387 is large"),
        note("Iris was here. Mossgrave too."),
        note("order 15557770 of 2026"),
        note("at 42.99, -71.8771"),
        {"attachment": {"data": "not base64!"}},
        {"attachment": {"data": base64.b64encode(b"\xff\xfe\x00").decode()}},
        {"position": {"latitude": "x", "longitude": None}},
    ],
)
def test_what_others_write_of_others_is_not(document) -> None:
    assert TERMS.told_by(document) is None


def test_of_nobody_nothing_is_looked_for() -> None:
    assert not NO_TERMS
    assert NO_TERMS.told_by(note("12 Hidden Lane")) is None
