"""Grades of pairs of records, as a table: the worked vectors, and what no sum of agreements may decide."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from coordhub.identity import weights
from coordhub.identity.likeness import are_one_name, jaro_winkler, soundex
from coordhub.identity.match import Known, judge
from coordhub.identity.normalise import SSN, Traits, traits

WEIGHTS = weights.read()


def person(**said: Any) -> dict[str, Any]:
    """A Patient; given, family, born, sex, phone, member, street, zip, mrn (system, value), ssn and others."""
    found: dict[str, Any] = {"resourceType": "Patient", "name": [{}]}
    if "given" in said:
        found["name"][0]["given"] = said["given"].split()
    if "family" in said:
        found["name"][0]["family"] = said["family"]
    if "suffix" in said:
        found["name"][0]["suffix"] = [said["suffix"]]
    if "maiden" in said:
        found["name"].append({"use": "maiden", "family": said["maiden"]})
    if "born" in said:
        found["birthDate"] = said["born"]
    if "sex" in said:
        found["gender"] = said["sex"]
    telecom = [("phone", said.get("phone")), ("email", said.get("email"))]
    found["telecom"] = [{"system": kind, "value": value} for kind, value in telecom if value]
    if "street" in said or "zip" in said:
        found["address"] = [{"line": [said.get("street", "")], "postalCode": said.get("zip", "")}]
    identifiers = []
    if "mrn" in said:
        identifiers.append(dict(zip(("system", "value"), said["mrn"], strict=True)))
    if "member" in said:
        identifiers.append(
            {"type": {"coding": [{"code": "MB"}]}, "system": "urn:plan", "value": said["member"]}
        )
    if "ssn" in said:
        identifiers.append({"system": SSN, "value": said["ssn"]})
    found["identifier"] = identifiers
    if said.get("twin"):
        found["multipleBirthBoolean"] = True
    return found


JANE = {"given": "Jane", "family": "Doe", "born": "1961-04-02", "sex": "female",
        "phone": "+1-918-555-0101"}  # fmt: skip
SWAPPED = {**JANE, "family": "DOE-SMITH", "born": "1961-02-04"}
RUIZ = {"family": "Ruiz", "born": "2015-05-05", "sex": "female", "phone": "918-555-0199",
        "street": "12 Elm Street", "zip": "74101"}  # fmt: skip


VECTORS = {
    "two numbers of one person": (JANE, {**JANE, "given": "JANE A."}, 39.7, 0.9999988, "certain"),
    "day and month swapped, half of a new surname": (JANE, SWAPPED, 24.6, 0.961, "probable"),
    "the same, and one insurance number": (
        {**JANE, "member": "M1"}, {**SWAPPED, "member": "m-1"}, 37.7, 0.9999955, "certain"),
    "name, birth and sex only": (
        {**JANE, "phone": ""}, {**JANE, "phone": ""}, 29.4, 0.9986, "probable"),
    "twins with names alike": (
        {**RUIZ, "given": "Ana"}, {**RUIZ, "given": "Anna"}, 46.6, 0.99999999, "probable"),
}  # fmt: skip


@pytest.mark.parametrize("case", VECTORS)
def test_given_the_worked_vectors_when_judged_then_bits_posterior_and_grade_are_the_tables(
    case: str,
) -> None:
    one, other, bits, score, grade = VECTORS[case]
    verdict = judge(traits(person(**one)), traits(person(**other)), WEIGHTS)
    assert verdict.bits == pytest.approx(bits, abs=0.06)
    assert 1 - verdict.score == pytest.approx(1 - score, rel=0.09)
    assert verdict.grade == grade


GRADES = {
    "twins under one insurance": (
        {**RUIZ, "given": "Ana", "member": "7"}, {**RUIZ, "given": "Anna", "member": "7"}, "probable"),
    "twins with other names": ({**RUIZ, "given": "Ana"}, {**RUIZ, "given": "Lucia"}, "possible"),
    "twins with other names, of whom each has two": (
        {**RUIZ, "given": "Ana Maria", "member": "7"}, {**RUIZ, "given": "Lucia Rosa", "member": "7"},
        "certainly-not"),
    "names alike, and one that follows": (
        {**RUIZ, "given": "Ana Lucia", "email": "a@x"}, {**RUIZ, "given": "Anna Lucia", "email": "a@x"}, "probable"),
    "names alike, and others that follow": (
        {**RUIZ, "given": "Ana Lucia"}, {**RUIZ, "given": "Anna Maria"}, "possible"),
    "one name, and others that follow, alike": (
        {**RUIZ, "given": "Maria Ana"}, {**RUIZ, "given": "Maria Lia"}, "probable"),
    "another surname in the same house": (
        {**JANE, "street": "1 Oak St", "zip": "74101"}, {**JANE, "family": "Poe", "street": "1 Oak St", "zip": "74101"},
        "certain"),
    "another surname in another house": (
        {**JANE, "phone": "", "email": "j@x"}, {**JANE, "family": "Poe", "phone": "", "email": "j@x"}, "probable"),
    "a mistaken sex": (
        {**JANE, "street": "1 Oak St", "zip": "74101"}, {**JANE, "sex": "male", "street": "1 Oak St", "zip": "74101"},
        "certain"),
    "brother and sister whose names are alike": (
        {**RUIZ, "given": "Ana"}, {**RUIZ, "given": "Anan", "sex": "male"}, "possible"),
    "husband and wife": (
        {**RUIZ, "given": "Luis", "sex": "male", "born": "1960-07-01", "member": "7"},
        {**RUIZ, "given": "Rosa", "born": "1961-11-29", "member": "7"}, "certainly-not"),
    "father and son, one digit of the year apart": (
        {**RUIZ, "given": "Luis", "born": "1990-01-02"}, {**RUIZ, "given": "Luis", "born": "1960-01-02"},
        "certainly-not"),
    "an initial": ({**RUIZ, "given": "A"}, {**RUIZ, "given": "Ana"}, "probable"),
    "a twin that says so": (
        {**RUIZ, "given": "Ana", "twin": True}, {**RUIZ, "given": "Anna", "ssn": "1"}, "probable"),
    "one number of one system": (
        {"mrn": ("urn:a", "1"), "born": "2015-05-05", "given": "Ana"},
        {"mrn": ("urn:a", "1"), "born": "2015-05-05", "given": "Ana"}, "certain"),
    "a number by itself": ({"mrn": ("urn:a", "1")}, {"mrn": ("urn:a", "1")}, "probable"),
    "two numbers of one system": (
        {**JANE, "email": "j@x", "mrn": ("urn:a", "1")}, {**JANE, "email": "j@x", "mrn": ("urn:a", "2")},
        "probable"),
    "a nickname": (
        {**JANE, "given": "Elizabeth", "email": "e@x"}, {**JANE, "given": "Beth", "email": "e@x"}, "certain"),
    "a maiden name": ({**JANE, "family": "Smith", "maiden": "Doe"}, JANE, "certain"),
    "one who moved": (
        {**JANE, "street": "1 Oak St", "zip": "74101"}, {**JANE, "street": "2 Fir Rd", "zip": "97201"}, "certain"),
    "another middle name": ({**JANE, "given": "Jane A"}, {**JANE, "given": "Jane B"}, "probable"),
    "junior and senior": (
        {**RUIZ, "given": "Luis", "sex": "male", "suffix": "Jr", "born": "1990-01-02"},
        {**RUIZ, "given": "Luis", "sex": "male", "suffix": "Sr.", "born": "1961-01-02"}, "certainly-not"),
    "father and son without it": (
        {**RUIZ, "given": "Luis", "born": "1990-01-02"}, {**RUIZ, "given": "Luis", "born": "1961-05-22"},
        "certainly-not"),
    "a junior whose birth is a senior's": (
        {**RUIZ, "given": "Luis", "suffix": "Jr"}, {**RUIZ, "given": "Luis", "suffix": "II"}, "probable"),
    "brother and sister": (
        {**RUIZ, "given": "Ana"}, {**RUIZ, "given": "Leo", "sex": "male", "born": "2012-11-23"}, "certainly-not"),
    "a newborn and its twin": (
        {**RUIZ, "given": "Baby"}, {**RUIZ, "given": "Baby Girl"}, "probable"),
    "strangers": (JANE, {**RUIZ, "given": "Ana"}, "certainly-not"),
    "nothing": ({}, {}, "certainly-not"),
}  # fmt: skip


@pytest.mark.parametrize("case", GRADES)
def test_given_two_records_when_judged_then_the_grade_is_the_tables_whichever_comes_first(
    case: str,
) -> None:
    one, other, grade = GRADES[case]
    a, b = traits(person(**one)), traits(person(**other))
    assert judge(a, b, WEIGHTS).grade == judge(b, a, WEIGHTS).grade == grade
    assert judge(a, b, WEIGHTS) == judge(b, a, WEIGHTS)


def test_given_a_rare_name_when_judged_then_it_says_more_than_a_common_one() -> None:
    one = traits(person(**JANE))
    rare = judge(one, one, WEIGHTS, Known({("family", "doe"): 0.00001}))
    usual = judge(one, one, WEIGHTS)
    common = judge(one, one, WEIGHTS, Known({("family", "doe"): 0.02}))
    assert [a.bits > b.bits for a, b in pairwise((rare, usual, common))] == [True, True]
    assert rare.bits == judge(one, one, WEIGHTS, Known({("family", "doe"): 0.0002})).bits


def test_given_how_common_first_names_are_when_judged_then_second_ones_and_the_sex_are_weighed_by_it_too() -> (
    None
):
    one = traits(person(**{**JANE, "given": "Jane Ann"}))

    def bits(**frequency: float) -> dict[str, float]:
        names = {("given", name): often for name, often in frequency.items()}
        verdict = judge(one, one, WEIGHTS, Known(names))
        return {each.field: each.bits for each in verdict.evidence}

    unknown, common, rare = bits(), bits(jane=0.05, ann=0.04), bits(jane=0.05, ann=0.001)
    assert unknown["sex"] > 0 == common["sex"]  # who is called Jane is female: said already
    assert common["middle"] < unknown["middle"] < rare["middle"]
    assert rare["middle"] - common["middle"] == pytest.approx(5.32, abs=0.01)  # 40 times as rare
    assert bits(ann=0.04)["sex"] == unknown["sex"]
    other = traits(person(**{**JANE, "sex": "male"}))
    said = judge(one, other, WEIGHTS, Known({("given", "jane"): 0.05})).evidence
    assert next(each.bits for each in said if each.field == "sex") < 0


@pytest.mark.parametrize(
    ("given", "further", "grade"),
    [
        ("Maria", {}, "probable"),  # both may be called so, and go by what follows
        ("Maria Elena", {}, "certain"),
        ("Maria", {"ssn": "555-12-3456"}, "certain"),
    ],
)
def test_given_one_of_twins_when_only_the_first_name_is_the_same_then_a_person_decides(
    given: str, further: dict[str, Any], grade: str
) -> None:
    one = traits(person(**{**RUIZ, "given": given, **further}))
    verdict = judge(replace(one, multiple=True), one, WEIGHTS)
    assert (verdict.grade, "multiple-birth" in verdict.held) == (grade, grade != "certain")
    assert judge(one, one, WEIGHTS).grade == "certain"


def test_given_a_phone_of_many_when_judged_then_it_says_nothing() -> None:
    one = traits(person(**JANE))
    verdict = judge(one, one, WEIGHTS, Known(shared=frozenset({("phone", "9185550101")})))
    assert verdict.level("phone") == "missing"
    assert verdict.grade == "probable"


def test_given_a_verdict_when_its_evidence_is_read_then_no_value_is_in_it() -> None:
    one = traits(
        person(**JANE, street="1 Oak St", zip="74101", mrn=("urn:a", "88"), ssn="555-12-3456")
    )
    said = str(judge(one, replace(one, given=frozenset({"june"})), WEIGHTS)).casefold()
    assert not [each for each in ("jane", "june", "doe", "1961", "918", "oak", "74101", "3456", "urn")
                if each in said]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("doe", "doe smith", 0.844), ("ana", "anna", 0.933), ("martha", "marhta", 0.961), ("a", "", 0.0),
     ("", "", 0.0), ("abc", "xyz", 0.0), ("dixon", "dicksonx", 0.813)],
)  # fmt: skip
def test_given_two_names_when_compared_by_letters_then_jaro_winkler_says_how_alike(
    one: str, other: str, alike: float
) -> None:
    assert round(jaro_winkler(one, other), 3) == round(jaro_winkler(other, one), 3) == alike


@pytest.mark.parametrize(
    ("name", "sound"),
    [("robert", "R163"), ("rupert", "R163"), ("ashcraft", "A261"), ("tymczak", "T522"),
     ("pfister", "P236"), ("honeyman", "H555"), ("lee", "L000"), ("", ""), ("張", "")],
)  # fmt: skip
def test_given_a_name_when_heard_then_its_code_is_soundex(name: str, sound: str) -> None:
    assert soundex(name) == sound


def test_given_what_people_call_each_other_when_compared_then_twins_names_are_not_one() -> None:
    assert are_one_name("bob", "robert")
    assert are_one_name("bobby", "rob")
    assert not are_one_name("ana", "anna")
    assert not are_one_name("bob", "bob")


def test_given_an_operators_file_when_read_then_it_stands_over_what_is_shipped_or_is_refused() -> (
    None
):
    changed = weights.read(
        b'{"certain": 0.99999, "fields": {"sex": {"exact": {"m": 0.9, "u": 0.5}}}}'
    )
    assert changed.certain == 0.99999
    assert changed.fields["sex"]["exact"].m == 0.9
    assert changed.fields["birth"] == WEIGHTS.fields["birth"]
    for text in (b"{", b"[]", b'{"prior": 0}', b'{"certain": 1}', b'{"fields": 1}', b'{"other": 1}',
                 b'{"fields": {"shoe": {"exact": {"m": 0.9, "u": 0.5}}}}',
                 b'{"fields": {"sex": {"close": {"m": 0.9, "u": 0.5}}}}',
                 b'{"fields": {"sex": {"exact": {"m": 1, "u": 0.5}}}}',
                 b'{"rarest": 0.6}', b'{"shared_by_most": 0}'):  # fmt: skip
        with pytest.raises(weights.UnusableWeightsError):
            weights.read(text)


def test_given_nothing_known_of_somebody_when_read_then_there_are_no_traits() -> None:
    assert traits({"resourceType": "Patient"}) == Traits()
