"""Labels as they are stored: given at once, inherited, kept, lowered by an officer only."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from open_hub import House, Party, observation, patient, service_request

from coordhub.r4 import document as fhir_json
from coordhub.r4 import sensitivity as s
from coordhub.record import label_acts
from coordhub.record.label_acts import Act, CannotLabelError
from coordhub.record.operations import Create, Update, Written

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
OFFICER = Act("cli:officer", "reviewed")


def condition(code: str, subject: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition", "code": {"coding": [{"system": ICD, "code": code}]},
        "subject": {"reference": subject}, **more,
    }  # fmt: skip


def report(subject: str, *results: str) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"},
        "subject": {"reference": subject}, "result": [{"reference": one} for one in results],
    }  # fmt: skip


async def labels_of(house: House, reference: str) -> int:
    fhir_id = reference.partition("/")[2]
    return int(await house.value("select labels from resource where fhir_id = $1", fhir_id))


def shown(written: Written) -> list[str]:
    meta = fhir_json.parse((written.body or "").encode())["meta"]
    return [one["code"] for one in meta.get("security", [])]


async def ada(house: House, who: Party | None = None) -> str:
    return (await house.create(who or house.clinic, patient())).reference


async def test_given_a_sensitive_code_when_written_then_it_is_labelled_and_the_text_is_as_sent(
    house: House,
) -> None:
    made = await house.create(house.clinic, condition("F11.20", await ada(house)))
    assert await labels_of(house, made.reference) == s.SUD
    assert shown(made) == ["SUD", "42CFRPart2", "NORDSCLCD", "42CFRPart2"]
    assert "security" not in (await house.document(made.reference))["meta"]
    read = await house.read(house.clinic, made.reference)
    assert read is not None
    assert read.body == made.body


async def test_given_what_was_read_when_sent_back_then_the_hubs_labels_are_no_change(
    house: House,
) -> None:
    made = await house.create(house.clinic, condition("F11.20", await ada(house)))
    whole = fhir_json.parse((made.body or "").encode())
    again = await house.update(house.clinic, made.id, whole)
    assert (again.status, again.version, again.body) == (200, 1, made.body)
    changed = await house.update(house.clinic, made.id, whole | {"recordedDate": "2026-01-01"})
    assert changed.version == 2
    assert shown(changed) == shown(made)
    assert "security" not in (await house.document(made.reference))["meta"]


async def test_given_a_version_that_says_less_when_written_then_the_label_stays(
    house: House,
) -> None:
    who = await ada(house)
    labelled = {"meta": {"security": [{"system": s.ACT_CODE, "code": "HIV"}]}}
    made = await house.create(house.clinic, condition("F11.20", who, **labelled))
    assert await labels_of(house, made.reference) == s.SUD | s.HIV
    await house.update(house.clinic, made.id, condition("E11.9", who, id=made.id))
    assert await labels_of(house, made.reference) == s.SUD | s.HIV


async def test_given_what_is_derived_when_written_with_or_after_its_origin_then_it_inherits(
    house: House,
) -> None:
    who = await ada(house)
    audit = observation(who, "72109-2")
    first, second = await house.commit(
        house.clinic,
        Create("Observation", audit, full_url="urn:uuid:a"),
        Create("DiagnosticReport", report(who, "urn:uuid:a")),
    )
    later = await house.create(house.clinic, report(who, first.reference))
    further = await house.create(
        house.clinic,
        {
            "resourceType": "Provenance", "target": [{"reference": later.reference}],
            "recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"reference": house.clinic.reference}}],
        },
    )  # fmt: skip
    for one in (first, second, later, further):
        assert await labels_of(house, one.reference) == s.SUD, one.type
    plain = await house.create(house.clinic, observation(who))
    assert await labels_of(house, plain.reference) == 0


async def test_given_an_origin_that_came_later_when_sent_again_then_it_inherits_from_then_on(
    house: House,
) -> None:
    writer = dataclasses.replace(house.clinic.choosing_ids(), reference_policy="warn")
    who = await ada(house)
    made = await house.create(writer, report(who, "Observation/later"))
    await house.update(writer, "later", observation(who, "72109-2", id="later"))
    assert await labels_of(house, made.reference) == 0
    again = await house.update(writer, made.id, report(who, "Observation/later") | {"id": made.id})
    assert shown(again) == ["SUD", "42CFRPart2", "NORDSCLCD", "42CFRPart2"]
    assert await labels_of(house, made.reference) == s.SUD


async def test_given_an_origin_that_its_writer_does_not_see_when_written_then_no_label_tells_of_it(
    house: House,
) -> None:
    """Also beside one that was derived from the same when that was shown, and rightly keeps its label."""
    writer = dataclasses.replace(house.clinic.choosing_ids(), reference_policy="warn")
    who = await ada(house)
    origin = await house.create(
        house.stranger, observation(await ada(house, house.stranger), "75622-1")
    )
    await house.rows(
        "insert into access_grant (shard, organization, rid, because, rule, labels, since)"
        " select shard, $1, rid, rid, 'release', -1, now() from resource where rid = $2",
        house.clinic.rid,
        origin.rid,
    )
    knew = await house.create(writer, report(who, origin.reference))
    await house.rows("update access_grant set until = since")
    again = report(who, origin.reference) | {"id": knew.id, "issued": "2026-01-01T00:00:00Z"}
    _, other = await house.commit(
        writer,
        Update("DiagnosticReport", knew.id, again),
        Create("DiagnosticReport", report(who, origin.reference)),
    )
    assert await labels_of(house, knew.reference) == s.HIV
    assert await labels_of(house, other.reference) == 0


async def test_given_an_origin_that_rises_when_updated_then_all_derived_from_it_rises(
    house: House,
) -> None:
    who = await ada(house)
    origin = await house.create(house.clinic, observation(who))
    panel = await house.create(
        house.clinic, observation(who, hasMember=[{"reference": origin.reference}])
    )
    rep = await house.create(house.clinic, report(who, panel.reference))
    reason = await house.create(house.clinic, condition("E11.9", who))
    order = await house.create(
        house.clinic,
        service_request(
            who, house.clinic.reference,
            reasonReference=[{"reference": reason.reference}],
            supportingInfo=[{"reference": origin.reference}],
        ),
    )  # fmt: skip
    await house.update(
        house.clinic,
        rep.id,
        report(who, panel.reference) | {"id": rep.id, "issued": "2026-01-01T00:00:00Z"},
    )
    await house.update(house.clinic, origin.id, observation(who, "75622-1", id=origin.id))
    for one in (origin, panel, rep):
        assert await labels_of(house, one.reference) == s.HIV
    assert await house.value("select labels from resource_version where rid = $1", rep.rid) == s.HIV
    assert await labels_of(house, order.reference) == 0
    await house.update(house.clinic, reason.id, condition("F32.9", who, id=reason.id))
    assert await labels_of(house, order.reference) == s.PSY


async def test_given_a_part_2_program_when_it_writes_about_someone_then_that_is_labelled(
    house: House,
) -> None:
    await label_acts.set_source(house.hub, OFFICER, house.van.reference, s.SUD)
    who = await house.create(house.van, patient())
    made = await house.create(house.van, observation(who.reference))
    other = await house.create(house.clinic, observation(await ada(house)))
    assert await labels_of(house, who.reference) == s.SUD
    assert await labels_of(house, made.reference) == s.SUD
    assert await labels_of(house, other.reference) == 0
    await label_acts.set_source(house.hub, OFFICER, house.van.reference, 0)
    later = await house.create(house.van, observation(who.reference))
    assert await labels_of(house, later.reference) == 0
    assert await labels_of(house, made.reference) == s.SUD


async def test_given_a_privacy_officer_when_lowering_then_it_stays_low_until_an_author_says_so(
    house: House,
) -> None:
    who = await ada(house)
    made = await house.create(house.clinic, condition("F11.20", who))
    await house.update(
        house.clinic, made.id, condition("F11.20", who, id=made.id, recordedDate="2026")
    )
    assert await label_acts.lower(house.hub, OFFICER, made.reference, "SUD") == 0
    assert await labels_of(house, made.reference) == 0
    assert await house.value("select labels from resource_version where rid = $1", made.rid) == 0
    await house.update(house.clinic, made.id, condition("F11.20", who, id=made.id))
    assert await label_acts.apply(house.hub, OFFICER) == 0
    assert await labels_of(house, made.reference) == 0
    said = {"meta": {"security": [{"system": s.ACT_CODE, "code": "SUD"}]}}
    await house.update(house.clinic, made.id, condition("F11.20", who, id=made.id, **said))
    assert await labels_of(house, made.reference) == s.SUD
    rows = await house.rows(
        "select client, fhir_id, query from audit where interaction = 'labels-lower'"
    )
    assert rows == [("cli:officer", made.id, "SUD: reviewed")]


@pytest.mark.parametrize(
    ("reference", "name", "reason", "says"),
    [
        ("Condition/none", "SUD", "x", "no Condition/none"),
        ("nonsense", "SUD", "x", "Type/id"),
        ("made", "HIV", "x", "not labelled"),
        ("made", "SUDD", "x", "no class"),
        ("made", "VSP", "x", "victim service"),
        ("made", "SUD", " ", "Say why"),
    ],
)
async def test_given_nothing_to_lower_or_no_reason_when_asked_then_it_is_refused(
    house: House, reference: str, name: str, reason: str, says: str
) -> None:
    made = await house.create(house.clinic, condition("F11.20", await ada(house)))
    reference = made.reference if reference == "made" else reference
    with pytest.raises(CannotLabelError, match=says):
        await label_acts.lower(house.hub, Act("cli:x", reason), reference, name)
    assert await labels_of(house, made.reference) == s.SUD


async def test_given_a_list_that_grows_when_applied_then_what_is_stored_rises_with_all_derived(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_acts, "AT_ONCE", 2)
    who = await ada(house)
    origin = await house.create(house.clinic, observation(who, "99999-9"))
    rep = await house.create(house.clinic, report(who, origin.reference))
    once = await house.create(house.clinic, condition("E11.9", who))
    await house.update(house.clinic, once.id, condition("I10", who, id=once.id))
    await label_acts.change_list(house.hub, OFFICER, "SEX", "http://loinc.org", "99999-*", add=True)
    await label_acts.change_list(house.hub, OFFICER, "PSY", ICD, "E11*", add=True)
    assert await labels_of(house, origin.reference) == 0
    assert await label_acts.apply(house.hub, OFFICER) == 3
    assert await labels_of(house, origin.reference) == s.SEX
    assert await labels_of(house, rep.reference) == s.SEX
    assert await labels_of(house, once.reference) == s.PSY, "an older version holds the code"
    assert await label_acts.apply(house.hub, OFFICER) == 0


async def test_given_a_shipped_code_when_removed_then_it_labels_no_more_and_can_be_put_back(
    house: House,
) -> None:
    who = await ada(house)
    await label_acts.change_list(house.hub, OFFICER, "SUD", ICD, "F11*", add=False)
    made = await house.create(house.clinic, condition("F11.20", who))
    assert await labels_of(house, made.reference) == 0
    with pytest.raises(CannotLabelError, match="not on the list"):
        await label_acts.change_list(house.hub, OFFICER, "SUD", ICD, "F11*", add=False)
    await label_acts.change_list(house.hub, OFFICER, "SUD", ICD, "F11*", add=True)
    again = await house.create(house.clinic, condition("F11.20", who))
    assert await labels_of(house, again.reference) == s.SUD
    with pytest.raises(CannotLabelError, match="end of the code"):
        await label_acts.change_list(house.hub, OFFICER, "SUD", ICD, "F*1", add=True)


async def test_given_an_origin_rising_while_it_is_reported_when_both_commit_then_none_is_missed(
    house: House,
) -> None:
    who = await ada(house)
    for _ in range(8):
        origin = await house.create(house.clinic, observation(who))
        _, made = await asyncio.gather(
            house.update(house.clinic, origin.id, observation(who, "75622-1", id=origin.id)),
            house.create(house.clinic, report(who, origin.reference)),
        )
        assert await labels_of(house, made.reference) == s.HIV


async def test_given_another_process_when_the_lists_changed_then_it_reads_them_anew(
    house: House,
) -> None:
    elsewhere = dataclasses.replace(house.hub, lists=type(house.hub.lists)())
    async with house.engine.pool.acquire() as conn:
        before = await elsewhere.lists.current(conn)
        await label_acts.change_list(house.hub, OFFICER, "SEX", "urn:x", "1", add=True)
        assert await elsewhere.lists.current(conn) is before
        elsewhere.lists.forget()
        assert (await elsewhere.lists.current(conn)).codes.bits("urn:x", "1") == s.SEX
