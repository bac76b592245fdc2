"""Partners come on board: in the sandbox, where they see and reach nobody else, and nobody them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey
from open_hub import House, Party, patient, referral
from terminal import Terminal, terminal

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.token import Tokens
from coordhub.admin import offboarding, onboarding
from coordhub.admin.acts import NothingDone, Operator
from coordhub.admin.onboarding import Registration, Standing
from coordhub.admin.registering import Keys
from coordhub.directory import services
from coordhub.errors import FhirError
from coordhub.r4 import document as fhir_json
from coordhub.r4.search import parse_query
from coordhub.record import linking
from coordhub.record.break_glass import Emergency, Named, open_record
from coordhub.record.operations import Written
from coordhub.routing import resolve
from coordhub.sandbox import simulator
from coordhub.store import measures, resources, search
from coordhub.store.transact import Batch, Grant, Rule, transact
from coordhub.store.visibility import ANYONE, DIRECTORY

__all__ = ["terminal"]

KEY = b"a test key that is long enough for it"
ROSA, OMAR = Operator("rosa"), Operator("operator:omar")


def public_keys() -> str:
    key = ECKey.generate_key("P-384", {"kid": "one"})
    return json.dumps({"keys": [key.as_dict(private=False)]})


async def registered(house: House, client: str, of: Party, **more: Any) -> Standing:
    asked = Registration(client, of.reference, Keys(jwks=public_keys()), **more)
    return await onboarding.register(house.hub, ROSA, asked)


async def caller(house: House, client: str) -> Caller:
    """As whom a token of its lets it in."""
    tokens = Tokens(KEY, house.engine)
    token = tokens.issue(client, "system/*.cruds", now=house.clock(), lifetime=timedelta(hours=1))
    return await tokens.caller(f"Bearer {token}", None)


@dataclass(frozen=True, slots=True)
class Box:
    """The house with a sandbox of two: a clinic and a kitchen in the places of the real ones."""

    house: House
    clinic: Caller
    kitchen: Caller

    async def refer(self) -> list[Written]:
        sent = referral([self.kitchen.reference], requester=self.clinic.reference)
        written = await self.house.commit(self.clinic, *sent)
        await self.house.relay()
        return list(written)

    async def names(self, *, test: bool) -> list[tuple[str, str]]:
        """Type and id of all that is of the sandbox, or of nothing that is."""
        return [
            (kind, fhir_id)
            for kind, fhir_id, labels in [
                (one.type, one.id, one.labels) for one in await self._all()
            ]
            if bool(labels >> 20 & 1) == test
        ]

    async def _all(self) -> list[resources.Version]:
        rows = await self.house.rows("select rid from resource where body is not null")
        async with self.house.engine.pool.acquire() as conn:
            found = await resources.read_rids(conn, viewer.deciding(), [row[0] for row in rows])
        return list(found.values())

    async def seen(self, who: Caller, names: list[tuple[str, str]]) -> set[str]:
        """Which of these are shown to who reads them and which its searches find."""
        async with self.house.engine.pool.acquire() as conn:
            read = await resources.read_names(conn, viewer.of(who), names)
        found = {f"{kind}/{fhir_id}" for kind, fhir_id in read}
        async with self.house.engine.searches.acquire() as conn:
            for kind in sorted({kind for kind, _ in names}):
                page = await search.search(
                    conn, self.house.engine, viewer.searching(who), parse_query(kind, []), limit=500
                )
                found |= {one.reference for one in page.versions}
        return found & {f"{kind}/{fhir_id}" for kind, fhir_id in names}


@pytest.fixture
async def box(house: House) -> Box:
    await registered(house, "clinic-ehr", house.clinic)
    await registered(house, "kitchen-app", house.kitchen)
    return Box(house, await caller(house, "clinic-ehr"), await caller(house, "kitchen-app"))


async def test_given_a_referral_in_the_sandbox_when_it_goes_its_way_then_all_of_it_is_a_test_and_seen_there_only(
    box: Box,
) -> None:
    house = box.house
    live = await house.asking(house.kitchen.service)
    _, _, _, sent = await box.refer()
    [(fhir_id,)] = await house.rows(
        "select r.fhir_id from candidate c join resource r on r.rid = c.task where c.episode = $1",
        sent.rid,
    )
    asks = await house.document(f"Task/{fhir_id}")
    await house.update(box.kitchen, fhir_id, {**asks, "status": "accepted"})
    await house.relay()
    assert (await house.document(sent.reference))["status"] == "in-progress"

    tests, others = await box.names(test=True), await box.names(test=False)
    assert {"Patient", "Observation", "ServiceRequest", "Task", "Organization"} <= {
        kind for kind, _ in tests
    }
    assert {author for author, in await house.rows(
        "select distinct source from resource where labels & (1 << 20) <> 0 and body is not null"
    )} <= {box.clinic.organization, box.kitchen.organization, DIRECTORY, 1 << 8}  # fmt: skip
    for party in (house.clinic, house.kitchen, house.pantry, house.van, house.stranger):
        assert await box.seen(party.caller, tests) == set(), party.name
    public = await box.seen(house.stranger.caller, others)
    for who in (box.clinic, box.kitchen):
        assert await box.seen(who, others) == public, "of the life outside it sees the directory"
        assert sent.reference in await box.seen(who, tests) or who is box.kitchen
        assert f"Task/{fhir_id}" in await box.seen(who, tests) or who is box.clinic
    assert live.task not in {f"{kind}/{one}" for kind, one in tests}
    async with house.engine.pool.acquire() as conn:
        day = timedelta(days=1)
        areas = await measures.areas(conn, house.clock() - day, house.clock() + day)
    assert sum(one.needs for one in areas) == 1, "the one outside"
    shown = await house.read(viewer.of(box.clinic), sent.reference)
    assert shown is not None
    assert shown.body is not None
    assert "HTEST" in {
        one["code"] for one in fhir_json.parse(shown.body.encode())["meta"]["security"]
    }


async def test_given_anything_that_would_show_one_to_the_other_when_looked_then_the_wall_stands(
    box: Box,
) -> None:
    house = box.house
    real = await house.create(house.clinic, patient("7"))
    made = await house.create(box.clinic, patient("7"))
    rids = {real.rid: box.kitchen.organization, made.rid: house.kitchen.rid}
    now = house.clock()
    async with house.engine.transaction() as conn:
        batch = Batch(
            rules=[
                Rule(actor, rid, True, 1 << 60, now, rid, "consent")
                for rid, other in rids.items()
                for actor in (ANYONE, other)
            ],
            grants=[Grant(other, rid, rid, "party", 127) for rid, other in rids.items()],
        )
        await transact(conn, batch, now=now)
    assert await house.read(house.kitchen, real.reference) is not None, "among themselves it shows"
    assert await house.read(viewer.of(box.kitchen), made.reference) is not None
    assert await house.read(house.kitchen, made.reference) is None
    assert await house.read(viewer.of(box.kitchen), real.reference) is None


async def test_given_the_life_outside_when_one_of_the_sandbox_is_named_or_the_other_way_round_then_nobody_is_there(
    box: Box,
) -> None:
    house = box.house
    for who, whom in (
        (box.clinic, house.kitchen.service),
        (box.clinic, house.kitchen.reference),
        (house.clinic.caller, box.kitchen.reference),
    ):
        with pytest.raises(FhirError) as refused:
            await house.commit(who, *referral([whom], requester=who.reference))
        assert refused.value.status == 422
    quarantining = dataclasses.replace(house.clinic.caller, reference_policy="warn")
    with pytest.raises(FhirError):
        await house.commit(
            quarantining, *referral([box.kitchen.reference], requester=house.clinic.reference)
        )
    assert await house.value("select count(*) from episode") == 0
    for sandbox, met in ((False, False), (True, True)):
        async with house.engine.pool.acquire() as conn:
            with services.within(sandbox=sandbox):
                found = await services.recipient(conn, box.kitchen.reference, house.hub.base)
        assert (found is not None) == met


async def test_given_services_of_both_when_the_hub_looks_for_one_then_in_the_world_of_who_asks(
    box: Box,
) -> None:
    house = box.house
    meals = {"category": [{"coding": [{"system": "urn:test:kind", "code": "meals"}]}]}
    steward = Caller(None, DIRECTORY, "", house.steward.scopes)
    for writer, whose in (
        (steward, house.pantry.reference),
        (dataclasses.replace(steward, sandbox=True), box.kitchen.reference),
    ):
        offered = {"resourceType": "HealthcareService", "active": True, **meals}
        await house.create(writer, {**offered, "providedBy": {"reference": whose}})
    for who, whom in (
        (house.clinic.caller, house.pantry.rid),
        (box.clinic, box.kitchen.organization),
    ):
        sent = referral([], requester=who.reference)
        order = dataclasses.replace(sent[2], document={**sent[2].document, **meals})
        written = await house.commit(who, sent[0], sent[1], order, sent[3])
        await house.relay()
        rows = await house.rows(
            "select organization from candidate where episode = $1", written[3].rid
        )
        asked = {row[0] for row in rows}
        assert whom in asked
        tested = {box.clinic.organization, box.kitchen.organization}
        assert asked <= tested if who is box.clinic else not asked & tested


async def test_given_the_same_person_in_both_when_matched_or_opened_in_an_emergency_then_the_test_does_not_count(
    box: Box,
) -> None:
    house = box.house
    who = {"birthDate": "1980-02-03"}
    real = await house.create(house.clinic, patient("9", **who))
    await house.create(box.clinic, patient("9", **who))
    while await linking.link(house.hub):
        pass
    assert await house.value("select count(*) from person_link") == 0
    rescuer = dataclasses.replace(house.stranger.caller, break_glass=True)
    await house.rows(
        "insert into party (organization, kind) values ($1, 'treatment')"
        " on conflict (organization) do update set kind = 'treatment'",
        house.stranger.rid,
    )
    doctor = await house.create(house.stranger, {"resourceType": "Practitioner"})
    named = Named(("urn:test:mrn", "9"), "1980-02-03", None)
    emergency = Emergency("BTG", "found", doctor.reference, None)
    opened = await open_record(house.hub, rescuer, named, emergency)
    assert opened is not None
    assert opened.patient == real.reference
    await house.rows("update client set break_glass = true where id = 'clinic-ehr'")
    assert not (await caller(house, "clinic-ehr")).break_glass


async def test_given_a_partner_when_suspended_resumed_and_ended_then_it_is_let_in_accordingly_and_it_is_noted(
    terminal: Terminal,
) -> None:
    house, keys = terminal.house, terminal.folder / "keys.json"
    keys.write_text(public_keys())
    to = ("--organization", house.clinic.reference, "--jwks", str(keys))
    server = ("--endpoint", "https://ehr.example/fhir")
    printed = await terminal.does("onboard", "register", "ehr", *to, *server)
    assert "state\tregistered" in printed
    assert "there already" in await terminal.is_refused("onboard", "register", "ehr", *to)
    again = await terminal.does("onboard", "register", "lab", *to)
    [place] = {line for line in (printed + again).splitlines() if line.startswith("sandbox")}
    assert f"ehr\tregistered\t{house.clinic.reference}\t{place.partition(chr(9))[2]}" in (
        await terminal.does("onboard", "list")
    )
    assert await house.value(
        "select count(*) from resource where type = (select type from resource where rid = $1)"
        " and labels & (1 << 20) <> 0", house.clinic.rid,
    ) == 1  # fmt: skip

    why = ("--reason", "ticket 4711")
    await terminal.does("onboard", "suspend", "ehr", *why)
    with pytest.raises(FhirError):
        await caller(house, "ehr")
    assert "not registered" in await terminal.is_refused("onboard", "suspend", "ehr", *why)
    assert "onboard resume" in await terminal.is_refused("clients", "enable", "ehr")
    assert "state\tregistered" in await terminal.does("onboard", "resume", "ehr", *why)
    await caller(house, "ehr")
    await terminal.does("onboard", "end", "ehr", *why)
    with pytest.raises(FhirError):
        await caller(house, "ehr")
    assert "ended" in await terminal.is_refused("onboard", "resume", "ehr", *why)
    noted = await house.rows(
        "select query from audit where interaction like 'partner-%' order by seq"
    )
    assert ["state=suspended" in noted[2][0], "ticket" in noted[2][0]] == [True, True]
    assert len(noted) == 5


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"client": "a/b"}, "letters"),
        ({"organization": "Organization/none"}, "in the directory"),
        ({"organization": "Patient/1"}, "Organization/id"),
        ({"keys": Keys()}, "keys"),
        ({"scope": "all"}, "system/Task.cruds"),
    ],
)
async def test_given_what_cannot_be_registered_when_tried_then_it_says_what_to_do(
    house: House, asked: dict[str, Any], said: str
) -> None:
    given = {"client": "ehr", "organization": house.clinic.reference, "keys": Keys("{}"), **asked}
    with pytest.raises(NothingDone, match=said):
        await onboarding.register(house.hub, ROSA, Registration(**given))
    for address in ("ftp://a.example", "https://u:p@a.example", "https://a.example?x=1", "a"):
        with pytest.raises(NothingDone):
            onboarding.server_of(address)
    with pytest.raises(NothingDone, match="Authorization"):
        onboarding.server_of("https://a.example", ["Bearer"])


async def test_given_the_commands_when_one_registers_and_checks_then_another_approves_and_it_is_reached_there(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, keys = terminal.house, terminal.folder / "keys.json"
    keys.write_text(public_keys())
    header = terminal.folder / "header"
    header.write_text("Authorization: Bearer x\n")
    monkeypatch.setenv("COORDHUB_OUTBOUND_NETWORKS", "127.0.0.0/8")
    async with simulator.serving("127.0.0.1", 0) as root:
        address = f"{root}/partners/ehr/fhir"
        to = ("--organization", house.clinic.reference, "--jwks", str(keys))
        await terminal.does(
            "onboard", "register", "ehr", *to, "--endpoint", address, "--header-file", str(header)
        )
        code, printed, _ = await terminal.type("onboard", "check", "ehr")
        assert code == 2
        assert "failed     authentication   It lets in who shows nothing." in printed
        assert "-> Refuse with 401" in printed
        assert await terminal.type("onboard", "report", "ehr") == (2, printed, "")
        async with httpx2.AsyncClient() as http:
            guards = [{"mode": "guarded"}, {"mode": "guarded", "of": "read"}]
            await http.put(f"{root}/partners/ehr/behaviour", json=guards)
        assert "passed     once" in await terminal.does("onboard", "check", "ehr")
    assert "cannot be read" in await terminal.is_refused(
        "onboard", "check", "ehr", "--sample", "no"
    )
    assert "another person" in await terminal.is_refused("onboard", "approve", "ehr")
    monkeypatch.setenv("LOGNAME", "omar")
    assert "approved_by\tomar" in await terminal.does("onboard", "approve", "ehr", "--same-server")
    async with house.engine.pool.acquire() as conn:
        rid = await resolve.endpoint_of(conn, house.clinic.reference, house.hub.base, house.clock())
        there = await resources.read_rids(conn, viewer.deciding(), [rid])
    document = fhir_json.parse((there[rid].body or "").encode())
    assert (document["address"], document["header"]) == (address, ["Authorization: Bearer x"])
    assert not there[rid].labels
    assert (await caller(house, "ehr")).reference == house.clinic.reference
    assert not (await caller(house, "ehr")).sandbox


async def test_given_an_organization_that_leaves_when_offboarded_then_whoever_was_to_act_for_it_is_ended(
    box: Box,
) -> None:
    house = box.house
    left = await offboarding.offboard(
        house.hub, ROSA, house.clinic.reference, "contract ended", withdraw=False
    )
    assert left.clients == ["clinic", "clinic-ehr"]
    async with house.engine.pool.acquire() as conn:
        standing = await onboarding.standing(conn, "clinic-ehr")
        other = await onboarding.standing(conn, "kitchen-app")
    assert (standing.state, standing.reason) == ("ended", "contract ended")
    assert other.state == "registered"
    with pytest.raises(FhirError):
        await caller(house, "clinic-ehr")
