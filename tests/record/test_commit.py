"""What may be written, what is kept as it came, and where it is put."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from open_hub import LOINC, House, observation, patient, referral

from coordhub.errors import FhirError, Issue
from coordhub.r4 import document as fhir_json
from coordhub.record.operations import Create, Delete, Operation, Update


async def refused(house: House, who: object, *operations: Operation) -> FhirError:
    before = await house.value("select count(*) from change")
    with pytest.raises(FhirError) as error:
        await house.commit(who, *operations)  # type: ignore[arg-type]
    assert await house.value("select count(*) from change") == before, "something was stored"
    return error.value


def said(error: FhirError) -> list[tuple[str, str]]:
    return [(issue.code, issue.expression) for issue in error.issues]


# ---- the document is kept as it came

SENT = (
    b'{"resourceType":"Observation","meta":{"tag":[{"system":"urn:t","code":"x"}],"profile":'
    b'["http://example.org/p"],"versionId":"77","lastUpdated":"2001-01-01T00:00:00.1234567Z",'
    b'"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},'
    b'"valueQuantity":{"unit":"%","value":7.50,"extension":[{"url":"urn:x","valueDecimal":1.0E-2}]},'
    b'"issued":"2026-01-01T10:00:00.671Z","status":"final",'
    b'"code":{"text":"a","coding":[{"system":"http://loinc.org","code":"4548-4"}]},'
    b'"extension":[{"url":"http://unknown.example/e","valueString":"kept"}]}'
)


async def test_given_a_document_when_stored_then_only_id_and_two_elements_of_meta_differ(
    house: House,
) -> None:
    made = await house.create(house.clinic, fhir_json.parse(SENT))
    assert made.body is not None
    stored = made.body.encode()
    wanted = SENT.replace(
        b'"Observation",', b'"Observation","id":"' + made.id.encode() + b'",', 1
    ).replace(b'"versionId":"77"', b'"versionId":"1"')
    updated = msgspec.json.decode(stored)["meta"]["lastUpdated"].encode()
    assert stored == wanted.replace(b"2001-01-01T00:00:00.1234567Z", updated)
    read = await house.read(house.clinic, made.reference)
    assert read is not None
    assert read.body == made.body


async def test_given_an_update_that_changes_nothing_when_sent_then_no_version_is_made(
    house: House,
) -> None:
    made = await house.create(house.clinic, fhir_json.parse(SENT))
    assert made.body is not None
    again = await house.update(house.clinic, made.id, fhir_json.parse(made.body.encode()))
    assert (again.status, again.version, again.body) == (200, 1, made.body)
    stored = fhir_json.parse(made.body.encode())
    turned = {key: stored[key] for key in reversed(stored)}
    again = await house.update(house.clinic, made.id, turned)
    assert (again.status, again.version, again.body) == (200, 1, made.body), "keys have no order"
    changed = fhir_json.parse(made.body.replace("7.50", "7.5").encode())
    other = await house.update(house.clinic, made.id, changed)
    assert (other.status, other.version) == (200, 2), "a digit more or less is a change"
    assert await house.value("select count(*) from change where rid = $1", made.rid) == 2


# ---- shards, owners, patients


async def test_given_a_patient_s_record_when_stored_then_all_of_it_lies_in_one_shard(
    house: House,
) -> None:
    written = await house.commit(
        house.clinic, *referral([house.kitchen.service], requester=house.clinic.reference)
    )
    later = await house.create(house.clinic, observation(written[0].reference))
    rows = await house.rows(
        "select rid, shard, fhir_id, patient, source from resource where rid = any($1)",
        [one.rid for one in (*written, later)],
    )
    assert len(rows) == 5
    for rid, shard, fhir_id, about, source in rows:
        assert shard == written[0].rid & 255 == rid & 255 == int(fhir_id[:2], 16)
        assert about == written[0].rid
        assert source == house.clinic.rid
    for table in ("idx_token", "idx_reference", "idx_string"):
        owners = await house.rows(
            f"select distinct shard, patient, source from {table} where rid = any($1)",
            [one.rid for one in written],
        )
        assert owners == [(written[0].rid & 255, written[0].rid, house.clinic.rid)]


async def test_given_what_is_about_no_patient_when_stored_then_it_lies_in_the_first_shard(
    house: House,
) -> None:
    made = await house.create(house.clinic, {"resourceType": "Location", "name": "here"})
    [(shard, about)] = await house.rows(
        "select shard, patient from resource where rid = $1", made.rid
    )
    assert (shard, about) == (0, None)
    assert made.id.startswith("00")


async def test_given_a_patient_and_its_results_put_by_chosen_ids_when_committed_then_one_shard(
    house: House,
) -> None:
    who = house.clinic.choosing_ids()
    written = await house.commit(
        who,
        Update("Patient", "ada", patient()),
        Update("Observation", "prior", observation("Patient/ada")),
        Create("Observation", observation("Patient/ada")),
    )
    assert len({one.rid & 255 for one in written}) == 1
    for one in written[:2]:
        assert await house.read(house.clinic, one.reference) is not None, "found without its shard"
    [later] = await house.commit(who, Create("Observation", observation("Patient/ada")))
    assert later.rid & 255 == written[0].rid & 255
    found = await house.rows(
        "select count(*) from resource where patient = $1 and type <> 0", written[0].rid
    )
    assert found == [(4,)]


# ---- references


async def test_given_a_hidden_target_and_an_absent_one_when_named_then_the_answers_are_alike(
    house: House,
) -> None:
    hidden = await house.create(house.clinic, patient())
    gone = await house.create(house.stranger, patient())
    await house.commit(house.stranger, Delete("Patient", gone.id))
    answers = []
    for fhir_id in (hidden.id, "ab000000-0000-4000-8000-000000000000", gone.id):
        sent = observation(f"Patient/{fhir_id}")
        error = await refused(house, house.stranger, Create("Observation", sent))
        answers.append(
            (
                error.status,
                [
                    Issue(i.code, i.diagnostics.replace(fhir_id, "?"), i.expression)
                    for i in error.issues
                ],
            )
        )
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 422
    assert answers[0][1][0].expression == "Observation.subject.reference"


async def test_given_several_references_that_lead_nowhere_when_sent_then_each_is_told(
    house: House,
) -> None:
    sent = observation(
        "Patient/none",
        derivedFrom=[{"reference": "Observation/none"}, {"reference": "urn:uuid:none"}],
        performer=[{"reference": "no reference at all"}],
    )
    error = await refused(
        house, house.clinic, Create("Observation", sent, at="Bundle.entry[0].resource")
    )
    assert sorted(said(error)) == [
        ("not-found", "Bundle.entry[0].resource.derivedFrom[0].reference"),
        ("not-found", "Bundle.entry[0].resource.derivedFrom[1].reference"),
        ("not-found", "Bundle.entry[0].resource.subject.reference"),
        ("value", "Bundle.entry[0].resource.performer[0].reference"),
    ]


async def test_given_references_that_lead_elsewhere_when_sent_then_they_are_kept(
    house: House,
) -> None:
    elsewhere = {"reference": "http://elsewhere.example/fhir/Patient/1"}
    named = {"identifier": {"system": "urn:x", "value": "1"}}
    made = await house.create(
        house.clinic, observation(subject=None, focus=[elsewhere], performer=[named])
    )
    stored = await house.document(made.reference)
    assert stored["focus"] == [elsewhere]
    assert stored["performer"] == [named]


async def test_given_a_transaction_when_committed_then_urns_and_relative_references_lead_inside(
    house: House,
) -> None:
    who = house.clinic.choosing_ids()
    written = await house.commit(
        who,
        Create("Observation", observation("urn:uuid:p"), full_url="urn:uuid:o"),
        Create(
            "DiagnosticReport",
            {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "code": {"text": "report"},
                "subject": {"reference": "urn:uuid:p"},
                "result": [{"reference": "urn:uuid:o"}, {"reference": "Observation/put"}],
            },
        ),
        Update("Observation", "put", observation("urn:uuid:p")),
        Create("Patient", patient(), full_url="urn:uuid:p"),
    )
    one, report, put, who_it_is = written
    assert (await house.document(one.reference))["subject"]["reference"] == who_it_is.reference
    assert (await house.document(put.reference))["subject"]["reference"] == who_it_is.reference
    assert (await house.document(report.reference))["result"] == [
        {"reference": one.reference},
        {"reference": "Observation/put"},
    ]
    targets = await house.rows(
        "select distinct target from idx_reference where rid = $1 and target <> $2 order by 1",
        report.rid,
        who_it_is.rid,
    )
    assert targets == sorted([(one.rid,), (put.rid,)])


async def test_given_two_entries_for_one_resource_when_committed_then_400_names_both(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    error = await refused(
        house,
        house.clinic,
        Update("Patient", made.id, patient(active=True), at="Bundle.entry[0].resource"),
        Delete("Patient", made.id, at="Bundle.entry[1]"),
    )
    assert error.status == 400
    assert "entry[0]" in error.issues[0].diagnostics
    assert "entry[1]" in error.issues[0].diagnostics


async def test_given_bad_structure_in_several_entries_when_committed_then_all_is_told_at_once(
    house: House,
) -> None:
    error = await refused(
        house,
        house.clinic,
        Create("Patient", patient(birthDate="yesterday"), at="Bundle.entry[0].resource"),
        Create("Observation", {"resourceType": "Observation"}, at="Bundle.entry[1].resource"),
    )
    assert error.status == 422
    places = {expression.split(".")[1] for _, expression in said(error)}
    assert places == {"entry[0]", "entry[1]"}


# ---- whose resource it is


async def test_given_a_resource_of_another_when_updated_then_403_if_seen_405_as_unknown_if_not(
    house: House,
) -> None:
    error = await refused(
        house,
        house.clinic,
        Update(
            "Organization",
            house.kitchen.reference.removeprefix("Organization/"),
            {"resourceType": "Organization", "name": "mine now"},
        ),
    )
    assert error.status == 403
    hidden = await house.create(house.clinic, patient())
    answers = []
    for who in (house.stranger.caller, house.stranger.choosing_ids()):
        error = await refused(house, who, Update("Patient", hidden.id, patient()))
        answers.append((error.status, error.issues))
    absent = "ab000000-0000-4000-8000-000000000000"
    error = await refused(house, house.stranger, Update("Patient", absent, patient()))
    unknown = (
        error.status,
        (Issue(error.issues[0].code, error.issues[0].diagnostics.replace(absent, hidden.id), ""),),
    )
    assert answers == [unknown, unknown]
    assert unknown[0] == 405


async def test_given_a_hidden_resource_when_deleted_then_as_if_it_was_not_there(
    house: House,
) -> None:
    hidden = await house.create(house.clinic, patient())
    done = await house.commit(
        house.stranger, Delete("Patient", hidden.id), Delete("Patient", "absent")
    )
    assert [(one.status, one.version) for one in done] == [(204, 0), (204, 0)]
    assert await house.read(house.clinic, hidden.reference) is not None
    seen = await house.value("select body is not null from resource where rid = $1", hidden.rid)
    assert seen


async def test_given_a_resource_of_the_directory_when_deleted_by_a_member_then_403(
    house: House,
) -> None:
    fhir_id = house.clinic.reference.removeprefix("Organization/")
    error = await refused(house, house.clinic, Delete("Organization", fhir_id))
    assert error.status == 403


async def test_given_a_chosen_id_when_put_then_only_by_whom_it_is_permitted(house: House) -> None:
    error = await refused(house, house.clinic, Update("Patient", "chosen", patient()))
    assert error.status == 405
    who = house.clinic.choosing_ids()
    made = await house.update(who, "chosen", patient())
    assert (made.status, made.id, made.version) == (201, "chosen", 1)
    again = await house.update(house.clinic, "chosen", patient(active=True))
    assert (again.status, again.version) == (200, 2), "who owns it may change it"
    error = await refused(
        house, house.stranger.choosing_ids(), Update("Patient", "chosen", patient())
    )
    assert error.status == 405, "an id that another holds"


async def test_given_if_match_for_what_is_unknown_or_hidden_when_put_then_412_alike(
    house: House,
) -> None:
    hidden = await house.create(house.clinic, patient())
    for fhir_id in (hidden.id, "absent"):
        error = await refused(
            house, house.stranger, Update("Patient", fhir_id, patient(), if_match=1)
        )
        assert error.status == 412
        assert fhir_id in error.issues[0].diagnostics
        assert "not known" in error.issues[0].diagnostics


async def test_given_another_version_in_if_match_when_put_then_412_with_the_current_one(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    error = await refused(
        house, house.clinic, Update("Patient", made.id, patient(active=True), if_match=2)
    )
    assert (error.status, error.headers["ETag"]) == (412, 'W/"1"')
    done = await house.update(house.clinic, made.id, patient(active=True), if_match=1)
    assert done.version == 2


async def test_given_scopes_when_an_operation_exceeds_them_then_403_and_nothing_of_it_is_stored(
    house: House,
) -> None:
    narrow = house.clinic.with_scopes("system/Patient.cu")
    error = await refused(
        house,
        narrow,
        Create("Patient", patient()),
        Create("Observation", observation(code="1-1")),
    )
    assert error.status == 403
    assert "system/Observation.c" in error.issues[0].diagnostics


async def test_given_a_write_when_committed_then_it_is_audited_with_its_author(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    row = (
        await house.rows(
            "select client, organization, interaction, fhir_id, rids from audit order by seq desc"
            " limit 1"
        )
    )[0]
    assert row == ("clinic", house.clinic.rid, "transaction", made.id, [made.rid])


async def test_given_a_moved_clock_when_written_then_last_updated_is_the_hub_s_time(
    house: House,
) -> None:
    house.clock.ahead = timedelta(days=3)
    made = await house.create(house.clinic, patient())
    assert abs(made.updated - house.clock()) < timedelta(seconds=20)
    stored = await house.document(made.reference)
    assert stored["meta"]["lastUpdated"][:16] == made.updated.isoformat()[:16]
    assert LOINC not in str(stored)
