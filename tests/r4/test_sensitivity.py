from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.r4 import document as fhir_json
from coordhub.r4 import sensitivity as s


def meta(*codings: dict[str, str]) -> dict[str, object]:
    return {"resourceType": "Basic", "meta": {"security": list(codings)}}


@pytest.mark.parametrize(
    ("system", "code", "bits"),
    [
        (s.CONFIDENTIALITY, "N", 0),
        (s.CONFIDENTIALITY, "R", s.RESTRICTED),
        (s.CONFIDENTIALITY, "V", s.RESTRICTED),
        (s.CONFIDENTIALITY, "no such", s.RESTRICTED),
        (s.ACT_CODE, "ETH", s.SUD),
        (s.ACT_CODE, "42CFRPart2", s.SUD),
        ("http://hl7.org/fhir/v3/ActCode", "HIV", s.HIV),
        (s.ACT_CODE, "BH", s.SUD | s.PSY),
        (s.ACT_CODE, "PSYTHPN", s.PSY | s.RESTRICTED),
        (s.ACT_CODE, "SDV", s.SDV),
        (s.ACT_CODE, "GDIS", s.RESTRICTED),
        (s.ACT_CODE, "NORDSCLCD", 0),
        (s.ACT_CODE, "NODSCLCD", s.RESTRICTED),
        (s.OWN, "VSP", s.VSP),
        (s.NOTICE, "42CFRPart2", s.SUD),
        ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HTEST", 0),
        ("https://example.org/labels", "ours", s.RESTRICTED),
        (None, "R", s.RESTRICTED),
        (None, "HIV", s.HIV),
        (None, "N", 0),
    ],
)
def test_a_senders_label_is_its_class_and_an_unknown_one_is_restricted(
    system: str | None, code: str, bits: int
) -> None:
    coding = {"code": code} | ({"system": system} if system else {})
    assert s.bits_of_meta(meta(coding)) == bits


@pytest.mark.parametrize(
    "document",
    [{}, {"meta": "x"}, {"meta": {"security": {}}}, {"meta": {"security": ["x", {}, {"code": 1}]}}],
)
def test_what_is_no_label_says_nothing(document: dict[str, object]) -> None:
    assert s.bits_of_meta(document) == 0


@pytest.mark.parametrize("name", [name for name in s.NAMES if name != "VSP"])
def test_what_the_hub_shows_for_a_class_is_read_as_that_class(name: str) -> None:
    bit = s.NAMES[name]
    assert s.codings(bit)
    assert s.bits_of_meta(meta(*s.codings(bit))) == bit
    assert s.names(bit) == [name]


def test_what_tells_of_a_victim_service_provider_is_labelled_to_nobody() -> None:
    body = '{"resourceType":"Basic"}'
    assert s.splice(body, s.VSP) == body
    assert s.splice(body, s.VSP | s.SDV) == s.splice(body, s.SDV)


def test_substance_use_carries_its_law_and_forbids_redisclosure() -> None:
    assert {one["code"] for one in s.codings(s.SUD)} == {"SUD", "42CFRPart2", "NORDSCLCD"}
    assert s.PART_2_NOTICE in [one["display"] for one in s.codings(s.SUD)]


def test_splice_adds_to_what_the_sender_wrote_and_says_nothing_twice() -> None:
    body = (
        '{"meta":{"versionId":"1","security":[{"code":"HIV","system":"' + s.ACT_CODE + '"},'
        '{"system":"'
        + s.CONFIDENTIALITY
        + '","code":"V"}],"tag":[]},"resourceType":"Basic","n":1.00}'
    )
    shown = s.splice(body, s.HIV | s.SEX | s.RESTRICTED)
    assert shown == body.replace(
        "}]", "}," + fhir_json.encode(s.codings(s.SEX)).decode()[1:-1] + "]", 1
    )
    assert s.splice(body, s.HIV | s.RESTRICTED) == body
    assert s.splice(body, 0) is body


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
    | st.sampled_from([fhir_json.SpelledDecimal("1e3"), fhir_json.SpelledDecimal("-0")]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3),
    max_leaves=12,
)  # fmt: skip
LABELS = st.lists(
    st.sampled_from([*s.codings(s.ALL), {"system": s.ACT_CODE, "code": "GDIS", "display": "x"}]),
    unique_by=lambda one: (one["system"], one["code"]),
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, object]:
    names = TEXT.filter(lambda name: name != "meta")
    before = draw(st.dictionaries(names, VALUES, max_size=3))
    inner = draw(st.dictionaries(TEXT.filter(lambda name: name != "security"), VALUES))
    labels = draw(LABELS)
    return (
        before
        | {"meta": {**inner, "security": labels} if labels else inner}
        | {"z": Decimal("1.00")}
    )


@given(documents(), st.integers(0, s.ALL))
def test_splice_keeps_every_other_character_and_unspliced_is_its_inverse(
    document: dict[str, object], bits: int
) -> None:
    body = fhir_json.encode(document).decode()
    shown = s.splice(body, bits)
    read = fhir_json.parse(shown.encode())
    meta_before, meta_after = dict(document["meta"]), dict(read["meta"])  # type: ignore[call-overload]
    before, after = meta_before.pop("security", []), meta_after.pop("security", [])
    assert after[: len(before)] == before
    assert len({(one.get("system"), one["code"]) for one in after}) == len(after)
    assert s.bits_of_meta(read) & bits & ~s.VSP == bits & ~s.VSP
    without = fhir_json.encode(
        read | {"meta": meta_after | ({"security": before} if before else {})}
    )
    again = fhir_json.encode(
        document | {"meta": meta_before | ({"security": before} if before else {})}
    )
    assert without == again
    if after == before:
        assert shown == body
    assert fhir_json.encode(s.unspliced(read, bits, document)) == body.encode()


def test_a_label_that_the_hub_did_not_show_is_the_senders_own() -> None:
    stored = meta()
    raised = meta(*s.codings(s.HIV | s.SEX))
    assert s.bits_of_meta(s.unspliced(raised, s.HIV, stored)) == s.SEX
    assert s.unspliced(raised, s.HIV, None) is raised
    assert s.unspliced(raised, 0, stored) is raised
