"""S20: one patient with three numbers becomes one, as far as each may see it; twins stay two."""

from __future__ import annotations

from coordhub.admin import persons
from coordhub.admin.acts import Operator

STEWARD = Operator("steward")


def patient(given, family, born, phone, **elements):
    return {
        "resourceType": "Patient",
        "name": [{"family": family, "given": given.split()}],
        "birthDate": born,
        "gender": "female",
        "telecom": [{"system": "phone", "value": phone}],
        **elements,
    }


def part(bundle, kind):
    return next(
        one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind
    )


async def made(who, document):
    answered = await who.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


async def opens(holder, subject, to):
    """Whoever holds the record says that `to` belongs to the patient's team."""
    member = {"member": {"reference": to.reference}}
    team = {"resourceType": "CareTeam", "status": "active", "subject": {"reference": subject}}
    await made(holder, {**team, "participant": [member]})


async def result(who, subject):
    code = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}
    return await made(
        who,
        {"resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": subject}},
    )  # fmt: skip


async def looked(house):
    async def nothing_due():
        return not await house.value("select exists (select from person_due)")

    await house.until(nothing_due)


async def everything(who, subject):
    answered = await who.ask("GET", f"/{subject}/$everything")
    assert answered.status_code == 200, answered.text
    return {
        f"{each['resource']['resourceType']}/{each['resource']['id']}"
        for each in answered.json()["entry"]
    }


async def test_s20_given_three_numbers_when_matched_reviewed_and_parted_then_views_follow_and_twins_stay_two(
    house,
):
    riverside, lakeside, lab = house.riverside, house.lakeside, house.metrolab
    phone = "+1-918-555-0101"
    riv = await made(riverside, patient("JANE", "DOE", "1961-04-02", phone))
    endo = await made(lakeside, patient("Jane A.", "Doe", "1961-04-02", phone))
    l9 = await made(lab, patient("JANE", "DOE-SMITH", "1961-02-04", phone))
    home = [{"line": ["12 Elm Street"], "postalCode": "74101"}]
    ana = await made(
        riverside, patient("Ana", "Ruiz", "2015-05-05", "+1-918-555-0199", address=home)
    )
    anna = await made(
        riverside, patient("Anna", "Ruiz", "2015-05-05", "+1-918-555-0199", address=home)
    )
    at_lakeside, at_lab = await result(lakeside, endo), await result(lab, l9)
    await opens(lakeside, endo, riverside)
    await opens(lab, l9, riverside)
    await looked(house)

    # Then what is certain is linked, and a steward is asked about the rest
    [linked] = await persons.listed(house.hub, "linked")
    assert (linked.one, linked.other, round(linked.score, 7)) == (riv, endo, 0.9999988)
    review = {frozenset((each.one, each.other)): each for each in await persons.listed(house.hub)}
    assert set(review) == {frozenset(pair) for pair in ((riv, l9), (endo, l9), (ana, anna))}
    assert round(review[frozenset((riv, l9))].score, 3) == 0.961
    assert review[frozenset((ana, anna))].score > 0.99999998
    assert review[frozenset((ana, anna))].held == ("household",)

    # And Riverside finds what Lakeside wrote by its own number, not yet what the laboratory wrote
    async def found(who=riverside, subject=riv):
        return {
            f"Observation/{each['id']}" for each in await who.find(f"Observation?patient={subject}")
        }

    assert await found() == {at_lakeside}

    # When a steward links the laboratory's
    assert await persons.decide(house.hub, STEWARD, riv, l9, "linked", "asked her") == []
    assert await found() == await found(subject=l9) == {at_lakeside, at_lab}
    assert {riv, endo, l9, at_lakeside, at_lab} <= await everything(riverside, riv)
    newest = await riverside.ask("GET", f"/Observation/$lastn?patient={riv}&max=5")
    assert len(newest.json()["entry"]) == 2
    of_chart = {f"Observation/{each['id']}" for each in await riverside.find(f"{riv}/Observation")}
    assert of_chart == {at_lakeside, at_lab}
    # Then who sees one of them only is answered as before
    assert await found(lakeside, endo) == {at_lakeside}
    assert await found(lakeside, riv) == set()
    assert await everything(lakeside, endo) & {riv, l9, at_lab} == set()

    # When it turns out to be wrong
    saw = await persons.decide(house.hub, STEWARD, l9, riv, "apart", "another Jane")
    assert saw == [riverside.reference]
    await looked(house)
    # Then Riverside, which saw both, is told so, and nobody else
    [notice] = await riverside.find("Communication?category=alert")
    assert {each["reference"] for each in notice["about"]} == {riv, l9}
    for other in (lakeside, lab, house.northgate):
        assert not await other.sees(f"Communication/{notice['id']}")
    # And views are as they were
    assert await found() == {at_lakeside}
    assert await everything(riverside, riv) & {l9, at_lab} == set()
    assert await riverside.sees(at_lab)  # as before there was a link
    acts = await house.rows(
        "select interaction from audit where interaction like 'person-%' order by seq"
    )
    assert [each["interaction"] for each in acts] == [
        "person-linked", "person-linked", "person-unlinked", "person-kept-apart",
    ]  # fmt: skip


async def test_s20_given_a_laboratory_with_numbers_of_its_own_when_its_results_name_no_order_then_it_is_asked(
    house,
):
    riverside, lakeside, lab = house.riverside, house.lakeside, house.metrolab
    phone, code = "+1-918-555-0142", {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}
    mary = patient("MARY", "WATERS", "1958-11-30", phone)
    bundle = house.referral(riverside, lab.reference)
    part(bundle, "Patient").update({n: v for n, v in mary.items() if n != "resourceType"})
    part(bundle, "ServiceRequest")["code"] = code
    sent = await riverside.refers(bundle)
    t2 = await house.until(lambda: lab.asked(sent))
    await looked(house)

    # When it writes a result with its own record, of which nobody knows yet whose it is
    theirs = {
        "resourceType": "Observation", "status": "final", "code": code,
        "subject": {"reference": "urn:uuid:l"}, "valueQuantity": {"value": 7.1, "unit": "%"},
    }  # fmt: skip
    entries = [
        {"fullUrl": "urn:uuid:l", "resource": mary, "request": {"method": "POST", "url": "Patient"}},
        {"resource": theirs, "request": {"method": "POST", "url": "Observation"}},
    ]  # fmt: skip
    answered = await lab.posts({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answered.status_code == 200, answered.text
    l9, first = ["/".join(each["response"]["location"].split("/")[-4:-2])
                 for each in answered.json()["entry"]]  # fmt: skip
    await looked(house)
    linked = await persons.listed(house.hub, "linked")
    assert {l9, sent.patient} in [{each.one, each.other} for each in linked]
    # Then it is asked once it is known, by an errand that guesses nothing
    [asked] = await lab.find("Task?code=match-result&status=requested")
    assert house.target(asked["focus"]) == first
    said = "same person by a linked record, same code, ordered before it"
    assert [(house.target(one["valueReference"]), one["type"]["text"]) for one in asked["input"]] == [
        (t2, said)
    ]  # fmt: skip
    assert not await riverside.sees(first)
    # And at once of what it writes from then on; of what nobody asked for it is not asked
    second = await result(lab, l9)
    other = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}
    await made_of(lab, l9, other)
    errands = await lab.find("Task?code=match-result&status=requested")
    assert {house.target(one["focus"]) for one in errands} == {first, second}

    # When it says which order that answers
    task = await lab.read(f"Task/{asked['id']}")
    output = [{"type": {"text": "order"}, "valueReference": {"reference": t2}}]
    done = await lab.ask("PUT", f"/Task/{asked['id']}", {**task, "status": "completed", "output": output})  # fmt: skip
    assert done.status_code == 200, done.text
    await house.settled()
    # Then it comes home
    assert await riverside.sees(first)
    assert await riverside.holds(first)
    assert not await riverside.sees(second)

    # A result that names its order is that order's, also by the record of a third
    endo = await made(lakeside, mary)
    await opens(lakeside, endo, lab)
    await looked(house)
    named = {
        "resourceType": "Observation", "status": "final", "code": code,
        "subject": {"reference": endo}, "basedOn": [{"reference": sent.order}],
    }  # fmt: skip
    third = await made(lab, named)
    await house.settled()
    assert await riverside.sees(third)
    # and is not, where a person has said that these are two
    await persons.decide(house.hub, STEWARD, endo, sent.patient, "apart", "her twin")
    await persons.decide(house.hub, STEWARD, endo, l9, "apart", "her twin")
    fourth = await made(lab, named)
    assert not await riverside.sees(fourth)
    [asked] = await lab.find(f"Task?code=match-result&status=requested&focus={fourth}")
    assert asked["statusReason"]["coding"][0]["code"] == "order-of-another"


async def made_of(who, subject, code):
    return await made(
        who,
        {"resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": subject}},
    )  # fmt: skip
