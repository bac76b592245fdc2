"""The listed matrix: whatever anybody asks for, in whatever way, it gets what the oracle says.

One world of some 1,900 resources: a record for each state of Consent, with a Condition of each
sensitivity class and referrals in every state; 19 roles; three policies. Every (role, resource, policy)
is read in the store and as the reporting role. Over HTTP every path is taken under every policy, by three
or four roles each; with COORDHUB_MATRIX=full (`make matrix`) by all of them, and for each resource.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import paths
import pytest
import pytest_asyncio
from oracle import WHOLE, Held, Oracle, codings, references
from paths import Looker, expected_mark, marked, too_much
from world import POLICIES, World, listed

from coordhub.access import viewer
from coordhub.r4 import document as fhir_json
from coordhub.r4 import types
from coordhub.r4.parameters import patient_parameters
from coordhub.routing import payload
from coordhub.store import reporting, resources
from coordhub.store.clients import Bounds
from coordhub.store.deliveries import Claimed

pytestmark = pytest.mark.asyncio(loop_scope="module")

FULL = os.environ.get("COORDHUB_MATRIX") == "full"
DIRECTORY_ONLY = "system/HealthcareService.rs system/Organization.rs"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(lasting_url: str) -> AsyncIterator[World]:
    async with listed(lasting_url) as written:
        yield written


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def oracles(world: World) -> dict[str, Oracle]:
    return {policy: await world.oracle(policy) for policy in POLICIES}


@pytest.mark.parametrize("policy", POLICIES)
async def test_given_all_there_is_when_each_role_reads_each_then_it_is_shown_what_the_oracle_says(
    world: World, oracles: dict[str, Oracle], policy: str
) -> None:
    oracle = oracles[policy]
    names = [(each.type, each.id) for each in oracle.held.values()]
    looked, seen = 0, 0
    async with world.open(policy) as opened, opened.hub.engine.pool.acquire() as conn:
        for actor in world.actors.values():
            found = await resources.read_names(conn, viewer.of(actor.caller), names)
            got = {
                reference: marked(fhir_json.parse(each.body.encode()))
                for (kind, fhir_id), each in found.items()
                if (reference := f"{kind}/{fhir_id}") and each.body is not None
            }
            expected = {
                each.reference: expected_mark(each, shown)
                for each in oracle.held.values()
                if (shown := oracle.sees(actor.reference, each.reference)) is not None
            }
            assert got == expected, (actor.name, _differing(got, expected))
            for reference in got:
                shown = oracle.sees(actor.reference, reference)
                text = found[tuple(reference.split("/"))].body or ""
                assert not too_much(fhir_json.parse(text.encode()), shown), (actor.name, reference)
            looked, seen = looked + len(names), seen + len(got)
    print(f"\n{policy}: {looked} looks, {seen} shown, no difference")
    assert 0 < seen < looked


def _differing(
    got: dict[str, str], expected: dict[str, str]
) -> list[tuple[str, str | None, str | None]]:
    names = sorted(
        name for name in got.keys() | expected.keys() if got.get(name) != expected.get(name)
    )
    return [(name, got.get(name), expected.get(name)) for name in names[:9]]


@pytest.mark.parametrize("policy", POLICIES)
async def test_given_the_world_when_looked_at_over_http_then_every_path_gives_what_the_oracle_says(
    world: World, oracles: dict[str, Oracle], policy: str
) -> None:
    compared = 0
    async with world.open(policy) as opened:
        for number, actor in enumerate(world.actors.values()):
            looker = Looker(
                world, oracles[policy], opened, actor, opened.token(actor.name),
                every=1 if FULL else 24,
            )  # fmt: skip
            for place, path in enumerate(paths.PATHS):
                if not FULL and (number + place + 2 * POLICIES.index(policy)) % 6:
                    continue
                async for what, got, expected in path(looker):
                    assert got == expected, (actor.name, what)
                    compared += 1
    print(f"\n{policy}: {compared} answers, no difference")


async def test_given_a_token_of_directory_scopes_when_it_looks_then_records_are_not_there(
    world: World, oracles: dict[str, Oracle]
) -> None:
    kinds = frozenset({"HealthcareService", "Organization"})
    async with world.open("opt-out") as opened:
        for name in ("clinic", "accepted", "stranger"):
            token = opened.token(name, DIRECTORY_ONLY)
            looker = Looker(
                world, oracles["opt-out"], opened, world.actors[name], token, kinds, every=24
            )
            for path in (paths.by_type, paths.by_id):
                async for what, got, expected in path(looker):
                    assert got == expected, (name, what)


def _granular(oracle: Oracle, patient: str) -> tuple[str, dict[str, Any]]:
    """Scopes that leave a part of four types, and what that part is, by the FHIR resources."""
    icd, loinc = "http://hl7.org/fhir/sid/icd-10-cm", "http://loinc.org"
    words = [
        f"system/Condition.rs?code={icd}|J45.20,{icd}|F11.20",
        f"system/Observation.rs?code={loinc}|4548-4",
        "system/Observation.r?code=63512-8",
        "system/Observation.s?code=63512-8",
        "system/Task.rs?status=accepted",
        f"system/Task.rs?status=requested&patient={patient}",
        f"system/ServiceRequest.rs?subject={patient}",
        *(f"system/{kind}.rs" for kind in paths.TYPES if kind not in GRANULAR),
    ]

    def coded(*codes: str) -> Any:
        return lambda one: any(code in codes for _, code in codings(one.last["code"]))

    only: dict[str, Any] = {
        "Condition": (coded("J45.20", "F11.20"), ("code",)),
        "Observation": (coded("4548-4", "63512-8"), ("code",)),
        "ServiceRequest": (lambda one: oracle.patient(one) == patient, ("subject",)),
    }
    return " ".join(words), only


GRANULAR = ("Condition", "Observation", "Task", "ServiceRequest")


@pytest.mark.parametrize(
    ("policy", "roles"), [("opt-out", ("food",)), ("by-purpose", ("accepted",))]
)
async def test_given_granular_scopes_when_looked_by_every_path_then_what_they_leave_of_what_is_shown(
    world: World, oracles: dict[str, Oracle], policy: str, roles: tuple[str, ...]
) -> None:
    oracle, compared, hidden = oracles[policy], 0, 0
    patient = world.records["permit-everyone"]
    words, only = _granular(oracle, patient)

    async with world.open(policy) as opened:
        for name in world.actors if FULL else roles:
            actor = world.actors[name]

            def is_told(one: Held, me: str = actor.reference) -> bool:
                # two scopes for Tasks: by its status alone, or also by the patient where that is shown
                status = one.last["status"]
                return status == "accepted" or (
                    status == "requested"
                    and oracle.patient(one) == patient
                    and oracle.finds(me, one.reference, "status", "patient")
                )

            narrowed = {**only, "Task": (is_told, ("status",))}
            token = opened.token(name, words)
            looker = Looker(
                world, oracle, opened, actor, token, frozenset(paths.TYPES), narrowed,
                Bounds(words, "system/*.cruds"), every=24,
            )  # fmt: skip
            for path in (
                paths.by_type, paths.by_id, paths.by_parameters, paths.by_links,
                paths.by_inclusion, paths.by_patient, paths.by_labels, paths.by_feed,
                paths.by_subscription, paths.by_notification,
            ):  # fmt: skip
                async for what, got, expected in path(looker):
                    assert got == expected, (name, what)
                    compared += 1
            hidden += sum(
                oracle.sees(actor.reference, one.reference) is not None
                and looker.sees(one.reference) is None
                for one in looker.all_of()
                if one.type in GRANULAR
            )
    print(f"\n{policy}: {compared} answers, {hidden} left out by scopes, no difference")
    assert hidden > 5


@pytest.mark.parametrize(
    ("policy", "name", "each_type"), [("opt-out", "food", True), ("by-purpose", "accepted", False)]
)
async def test_given_an_app_in_one_chart_when_it_looks_by_every_path_then_what_of_that_is_shown(
    world: World, oracles: dict[str, Oracle], policy: str, name: str, each_type: bool
) -> None:
    oracle, actor, compared = oracles[policy], world.actors[name], 0
    patient = world.records["permit-everyone"]

    def within(one: Held) -> bool:
        whose = oracle.patient(one)
        return whose == patient or (whose is None and one.writer == oracle.steward)

    telling = {
        kind: () if kind == "Patient" else tuple(patient_parameters(kind)[:1])
        for kind in paths.TYPES
    }
    words = [f"patient/{kind}.rs" for kind in paths.TYPES] if each_type else ["patient/*.rs"]
    [[subject]] = await world.owner(
        "select rid from resource where type = $1 and fhir_id = $2",
        types.NUMBER["Patient"],
        patient.partition("/")[2],
    )
    async with world.open(policy) as opened:
        token = await opened.app_token(actor, patient, " ".join(words))
        looker = Looker(
            world, oracle, opened, actor, token, frozenset(paths.TYPES if each_type else types.NUMBER),
            {kind: (within, telling[kind]) for kind in paths.TYPES},
            Bounds(" ".join(words), "patient/*.cruds", of_app=True, patient=subject),
            every=24,
        )  # fmt: skip
        for path in (
            paths.by_type, paths.by_id, paths.by_parameters, paths.by_links, paths.by_inclusion,
            paths.by_patient, paths.by_labels, paths.by_feed, paths.by_subscription,
            paths.by_notification,
        ):  # fmt: skip
            async for what, got, expected in path(looker):
                assert got == expected, (name, what)
                compared += 1
        left = [one for one in looker.all_of() if looker.sees(one.reference) is not None]
        hidden = sum(
            oracle.sees(actor.reference, one.reference) is not None
            and looker.sees(one.reference) is None
            for one in looker.all_of()
        )
    print(
        f"\n{policy}: {compared} answers, {len(left)} of the chart, {hidden} left out, no difference"
    )
    assert hidden > 5
    assert any(oracle.patient(one) == patient for one in left)


@pytest.mark.parametrize("policy", POLICIES)
async def test_given_deliveries_when_composed_then_they_hold_what_their_recipient_is_shown(
    world: World, oracles: dict[str, Oracle], policy: str
) -> None:
    oracle = oracles[policy]
    rows = await world.owner(
        "select d.id, d.episode, d.organization, d.endpoint, d.rid, d.version, d.created_at, r.type, r.fhir_id,"
        " o.fhir_id from delivery d join resource r on r.rid = d.rid join resource o on o.rid = d.organization"
        " order by d.seq"
    )
    # a result is sent by itself, and not beside the Task that names it as well
    by_itself = {
        (f"Organization/{row[-1]}", f"{types.name_of(row[-3])}/{row[-2]}")
        for row in rows
        if types.name_of(row[-3]) != "Task"
    }
    rows = rows if FULL else rows[POLICIES.index(policy) :: 3]
    sent = 0
    async with world.open(policy) as opened, opened.hub.engine.pool.acquire() as conn:
        for *held, created, kind, fhir_id, recipient in rows:
            changed, organization = f"{types.name_of(kind)}/{fhir_id}", f"Organization/{recipient}"
            composed = await payload.compose(
                opened.hub,
                conn,
                Claimed(held[0], *held, 1, created),
                created + timedelta(seconds=1),
            )
            shown = oracle.sees(organization, changed)
            if isinstance(composed, payload.Withheld):
                current = oracle.held[changed]
                said = [code for _, code in codings(current.last.get("statusReason"))]
                # Of what was withdrawn only the withdrawal itself is told.
                assert shown is None or "consent-withdrawn" in said, (changed, organization)
                continue
            sent += 1
            bundle = fhir_json.parse(composed.body)
            got = {marked(entry["resource"]) for entry in bundle["entry"]}
            expected = _travelling(oracle, organization, changed, held[5], by_itself)
            assert got == expected, (organization, changed)
            for entry in bundle["entry"]:
                cut = too_much(
                    entry["resource"], oracle.sees(organization, entry["request"]["url"])
                )
                assert not cut, (organization, entry["request"]["url"])
    print(f"\n{policy}: {sent} of {len(rows)} composed, no difference")
    assert sent > 0


FOLLOWED = {
    "Task": ("focus", "for", "owner", "input", "output"),
    "ServiceRequest": ("subject", "requester", "performer", "supportingInfo", "reasonReference"),
    "DiagnosticReport": ("subject", "result", "performer"),
    "Observation": ("subject", "hasMember", "derivedFrom", "performer"),
}  # fmt: skip


def _travelling(
    oracle: Oracle, recipient: str, changed: str, version: int, by_itself: set[tuple[str, str]]
) -> set[str]:
    """The change and what it names, three steps far, as the recipient is shown each.

    by_itself: what is sent to whom in a delivery of its own.
    """
    found = {changed}
    frontier = [(oracle.held[changed], oracle.held[changed].versions[version - 1] or {})]
    for _ in range(3):
        names: set[str] = set()
        for one, document in frontier:
            shown = oracle.sees(recipient, one.reference)
            elements = set(FOLLOWED.get(one.type, ()))
            if shown not in (WHOLE, None) and one.type != "Task":
                elements &= paths.SHOWN[str(shown)][one.type] or set()
            if shown == "blind":
                elements -= {"for"}
            for element in elements:
                names |= set(references(document.get(element)))
        new = {name for name in names - found if name in oracle.held
               and oracle.sees(recipient, name) and oracle.held[name].current is not None}  # fmt: skip
        if any(one.type == "Task" for one, _ in frontier):
            new = {name for name in new if (recipient, name) not in by_itself}
        found |= new
        frontier = [(oracle.held[name], oracle.held[name].last) for name in new]
    return {
        expected_mark(oracle.held[name], oracle.sees(recipient, name))
        for name in found
        if name == changed or oracle.held[name].writer != recipient
    }


@pytest.mark.parametrize("policy", POLICIES)
async def test_given_a_reporting_role_when_it_reads_tables_then_rows_are_what_is_seen_whole(
    world: World, oracles: dict[str, Oracle], policy: str
) -> None:
    oracle = oracles[policy]
    rids = {
        f"{types.name_of(kind)}/{fhir_id}": rid
        for kind, fhir_id, rid in await world.owner("select type, fhir_id, rid from resource")
    }
    everything = {
        table: await world.owner(f"select rid from {table}") for table in reporting.READABLE
    }
    assert len(everything["resource_version"]) > 100
    for place, actor in enumerate(world.actors.values()):
        if not FULL and place % 3 == POLICIES.index(policy):
            continue
        whole = {
            rids[each.reference]
            for each in oracle.held.values()
            if oracle.sees(actor.reference, each.reference) == WHOLE
        }
        conn = await _reporter(world, policy, str(actor.rid))
        for table, rows in everything.items():
            if not FULL and table != "resource" and (place + 1) % 9 != POLICIES.index(policy):
                continue
            got = sorted(row[0] for row in await conn.fetch(f"select rid from {table}"))
            expected = sorted(rid for (rid,) in rows if rid in whole)
            assert got == expected, (actor.name, table)
        await conn.close()


async def test_given_no_organization_when_a_report_reads_then_it_is_the_directory(
    world: World, oracles: dict[str, Oracle]
) -> None:
    oracle = oracles["opt-out"]
    public = sorted(
        each.id
        for each in oracle.held.values()
        if each.writer == oracle.steward and not oracle.is_test(each)
    )
    for setting in ("", None):
        conn = await _reporter(world, "opt-out", setting)
        assert sorted(row[0] for row in await conn.fetch("select fhir_id from resource")) == public
        await conn.close()


async def _reporter(
    world: World, policy: str, organization: str | None
) -> asyncpg.Connection[asyncpg.Record]:
    said = {} if organization is None else {"coordhub.organization": organization}
    return await asyncpg.connect(
        world.url,
        server_settings={"role": reporting.REPORT, "coordhub.consent_policy": policy, **said},
    )


async def test_given_criteria_that_match_the_hidden_when_writing_then_they_match_nothing(
    world: World, oracles: dict[str, Oracle]
) -> None:
    """Last: it writes. Conditional identity is among one's own, so that what is seen of others is as absent."""
    oracle = oracles["by-purpose"]
    async with world.open("by-purpose") as opened:
        for name in ("clinic", "accepted", "food_accepted", "stranger"):
            actor = world.actors[name]
            looker = Looker(world, oracle, opened, actor, opened.token(name))
            own = name == "clinic"
            person = {"resourceType": "Patient", "name": [{"family": "Made"}]}
            criteria = "identifier=urn:test:mrn|absent"
            made = await looker.ask("POST", "/Patient", person, **{"If-None-Exist": criteria})
            assert made.status_code == (200 if own else 201), name
            order = {
                "resourceType": "Observation", "status": "final", "code": {"text": "x"},
                "subject": {"reference": f"Patient?{criteria}"},
            }  # fmt: skip
            entry = {"fullUrl": f"urn:uuid:{uuid4()}", "resource": order,
                     "request": {"method": "POST", "url": "Observation"}}  # fmt: skip
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
            # A reference means what its writer may find by the criteria, as a search of its does
            means = oracle.finds(actor.reference, world.records["absent"], "identifier")
            status = (await looker.ask("POST", "", bundle)).status_code
            assert status == (200 if means else 422), name
            if not own:
                kept = {**person, "identifier": [{"system": "urn:test:mrn", "value": f"of-{name}"}]}
                updated = await looker.ask("PUT", f"/Patient?{criteria}", kept)
                assert updated.status_code == 201, updated.text
                await looker.ask("DELETE", f"/Patient?{criteria}")
    held = await world.held()
    [still] = [one for one in held if one.reference == world.records["absent"]]
    assert still.current is not None
    assert len(still.versions) == 1
