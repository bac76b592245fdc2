"""The randomised matrix: small worlds that nobody listed, in any order of what happens in them.

Each example is one patient: records of random classes, some derived from others; Consents of random
provisions, written, changed and withdrawn at any time; referrals, answered or not. What everybody is then
shown, under each policy, in the store and as the reporting role, is what the oracle says.
COORDHUB_MATRIX_WORLDS is how many (`make matrix`).
"""

from __future__ import annotations

import dataclasses
import os
from contextlib import AsyncExitStack
from datetime import timedelta
from random import Random
from typing import Any

import asyncpg
import desks
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import ICD10, OVER, WHOLE, Document, Held, Oracle
from paths import expected_mark, marked
from world import CLASSES, POLICIES, World, actors, bare, condition, consent, label, measured

from coordhub.access import viewer
from coordhub.errors import FhirError
from coordhub.r4 import document as fhir_json
from coordhub.r4 import types
from coordhub.record.operations import Create, Update
from coordhub.store import reporting, resources

WORLDS = int(os.environ.get("COORDHUB_MATRIX_WORLDS", "8"))
FULL = os.environ.get("COORDHUB_MATRIX") == "full"
CAST = {
    "clinic": True,
    "spec": True,
    "rival": True,
    "food": False,
    "stranger": True,
    "other": False,
}
RECIPIENTS = ("spec", "rival", "food", "other")
NAMED = ("SUD", "HIV", "PSY", "SEX", "SDV", "RESTRICTED")
REASONS = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


@settings(
    max_examples=WORLDS,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(random=st.randoms(use_true_random=False), policy=st.sampled_from(POLICIES))
async def test_given_any_small_world_when_everybody_looks_then_each_is_shown_what_the_oracle_says(
    lasting_url: str, random: Random, policy: str
) -> None:
    async with bare(lasting_url, policy, _cast(random)) as world:
        happened = await _happen(world, random)
        patient = world.records["one"]
        for looking in POLICIES:
            await _compare(world, await world.oracle(looking), looking, patient, happened)


@settings(
    max_examples=max(1, WORLDS // 8),
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(random=st.randoms(use_true_random=False), policy=st.sampled_from(POLICIES))
async def test_given_any_small_world_when_people_open_pages_then_none_says_what_the_oracle_hides(
    lasting_url: str, random: Random, policy: str
) -> None:
    async with bare(lasting_url, policy, _cast(random)) as world:
        happened = await _happen(world, random)
        oracle, patient = await world.oracle(policy), world.records["one"]
        held = _of(oracle, patient)
        actors_ = list(world.actors.values())
        if not FULL:
            actors_ = random.sample(actors_, 2)
        async with world.open(policy) as opened:
            for actor in actors_:
                cookie = await desks.signed_in(opened, actor)
                async for what, got, expected in desks.by_desks(
                    opened, oracle, actor, held, cookie
                ):
                    assert got == expected, (actor.name, what, policy, happened)


def _of(oracle: Oracle, patient: str) -> list[Held]:
    return [
        each
        for each in oracle.held.values()
        if oracle.patient(each) == patient and each.current is not None
    ]


def _cast(random: Random) -> dict[str, bool]:
    """Organizations of this example alone: names are unique in a database."""
    mark = f"{random.getrandbits(48):x}"
    return {f"{name}-{mark}": treats for name, treats in CAST.items()}


async def _happen(world: World, random: Random) -> list[str]:
    """A record, and then anything that may happen to it; what did."""
    world.actors = {name.partition("-")[0]: actor for name, actor in world.actors.items()}
    if random.random() < 0.5:  # whoever is done sees no more of it at once
        at_once = dataclasses.replace(world.hub.safeguards, read_after=timedelta())
        world.hub = dataclasses.replace(world.hub, safeguards=at_once)
    [record] = await world.record("one")
    record = {name: record[name] for name in record if name != "team"}
    about = {"reference": record["patient"]}
    sent: list[tuple[str, list[str]]] = []
    consents: list[Document] = []
    told: list[str] = []
    for moment in range(random.randint(3, 9)):
        what = random.choice(
            ("consent", "consent", "consent", "refer", "refer", "answer", "change", "write", "team")
        )
        told.append(what)
        try:
            if what == "consent":
                document = _consent(world, random, record, moment)
                who = "clinic" if random.random() < 0.85 else "spec"
                [made] = await world.commit(world.actors[who].caller, Create("Consent", document))
                consents.append({**document, "id": made.id, "who": who})
            elif what == "change" and consents:
                document = dict(random.choice(consents))
                who = world.actors[document.pop("who")].caller
                document["status"] = random.choice(("inactive", "active", "rejected"))
                await world.commit(who, Update("Consent", document["id"], document))
            elif what == "refer":
                asked = random.sample(RECIPIENTS, random.choice((1, 1, 2)))
                parts = random.sample([each for each in record if each != "patient"], 4)
                [task] = await world.refer((record, asked, parts))
                sent.append((task, asked))
            elif what == "answer" and sent:
                task, asked = random.choice(sent)
                await _answer(world, random, task, random.choice(asked))
            elif what == "write":
                await _write(world, random, record, about)
            elif what == "team":
                members = [{"member": {"reference": world.actors[one].reference}} for one in
                           random.sample(("spec", "stranger", "food"), 2)]  # fmt: skip
                team = {"resourceType": "CareTeam", "subject": about, "participant": members,
                        "status": random.choice(("active", "active", "inactive"))}  # fmt: skip
                await world.commit(world.actors["clinic"].caller, Create("CareTeam", team))
        except FhirError as refused:
            told[-1] += f" ({refused.status})"
        await world.relay()
    return told


async def _answer(world: World, random: Random, task: str, name: str) -> None:
    for one in (await world.questions(name, [task])).values():
        if one.task["status"] not in OVER:
            steps = {"requested": ("accepted", "accepted", "rejected"), "accepted": ("in-progress", "rejected"),
                     "in-progress": ("completed", "failed", "on-hold"), "on-hold": ("in-progress",)}  # fmt: skip
            status = random.choice(steps[one.task["status"]])
            document = {**one.task, "status": status}
            if status in ("completed", "in-progress"):
                code = random.choice(list(CLASSES))
                [made] = await world.commit(
                    world.actors[name].caller,
                    Create("Condition", condition({"reference": world.records["one"]}, code)),
                )
                output = {"type": {"text": "x"}, "valueReference": {"reference": made.reference}}
                document["output"] = [output]
            await world.commit(world.actors[name].caller, Update("Task", document["id"], document))


async def _write(world: World, random: Random, record: dict[str, str], about: Document) -> None:
    """A finding derived from a Condition, which may later turn out to be of another class."""
    clinic = world.actors["clinic"].caller
    origin = random.choice(list(CLASSES))
    finding = {**measured(about, "4548-4", "2025-07-01T08:00:00Z"),
               "derivedFrom": [{"reference": record["household"]}]}  # fmt: skip
    [made] = await world.commit(clinic, Create("Observation", finding))
    record[f"finding-{made.id}"] = made.reference
    changed = condition(about, origin)
    changed["id"] = record["none"].partition("/")[2]
    if random.random() < 0.5:
        await world.commit(clinic, Update("Condition", changed["id"], changed))
    else:
        household = {**measured(about, "63512-8", "2025-05-01T08:00:00Z"),
                     "id": record["household"].partition("/")[2]}  # fmt: skip
        household["meta"] = {"security": [label(random.choice(NAMED))]}
        await world.commit(clinic, Update("Observation", household["id"], household))


def _consent(world: World, random: Random, record: dict[str, str], moment: int) -> Document:
    kind = random.choice(("permit", "permit", "deny"))
    root = {"type": kind, **_dimensions(world, random, record, {"label", "code"})}
    free = {"label", "code"} - {
        "label" if "securityLabel" in root else "",
        "code" if "code" in root else "",
    }
    nested = [
        {"type": random.choice(("permit", "deny")), **_dimensions(world, random, record, free)}
        for _ in range(random.randint(0, 3))
    ]
    if nested:
        root["provision"] = nested
    policy = "OPTIN" if kind == "permit" else "OPTOUT"
    document = consent(
        record["patient"], root, policy=policy,
        given=f"2026-01-{random.randint(1, 28):02}T10:00:{moment:02}Z",
    )  # fmt: skip
    if random.random() < 0.1:
        document["policy"] = [{"uri": "https://www.ecfr.gov/current/title-42/part-2"}]
    return document


def _dimensions(
    world: World, random: Random, record: dict[str, str], free: set[str]
) -> dict[str, Any]:
    """Some of what a provision can be about. Of labels and codes one level speaks: two that each name
    some are no product of sets, which is for `tests/access/test_consent.py`."""
    found: dict[str, Any] = {}
    if random.random() < 0.6:
        names = random.sample([*RECIPIENTS, "stranger"], random.randint(1, 3))
        found["actor"] = actors(*(world.actors[one].reference for one in names))
    if "label" in free and random.random() < 0.4:
        found["securityLabel"] = [label(one) for one in random.sample(NAMED, random.randint(1, 6))]
    if "code" in free and random.random() < 0.15:
        code = random.choice(("J45.20", "B20", "F11.20"))
        found["code"] = [{"coding": [{"system": ICD10, "code": code}]}]
    if random.random() < 0.2:
        some = random.sample(("Patient", "Condition", "Observation", "Task", "ServiceRequest"), 2)
        found["class"] = [
            {"system": "http://hl7.org/fhir/resource-types", "code": one} for one in some
        ]
    if random.random() < 0.15:
        found["period"] = random.choice(
            ({"end": "2026-01-31"}, {"start": "2099-01-01"}, {"start": "2026-01-01"})
        )
    if random.random() < 0.15:
        found["dataPeriod"] = {
            "start": "2025-01-01",
            "end": random.choice(("2025-05-31", "2025-12-31")),
        }
    if random.random() < 0.1:
        found["purpose"] = [{"system": REASONS, "code": random.choice(("TREAT", "COC", "CAREMGT"))}]
    if random.random() < 0.1:
        one = random.choice(list(record.values()))
        found["data"] = [{"meaning": "instance", "reference": {"reference": one}}]
    return found


async def _compare(
    world: World, oracle: Oracle, policy: str, patient: str, happened: list[str]
) -> None:
    held = _of(oracle, patient)
    names = [(each.type, each.id) for each in held]
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(world.open(policy))
        conn = await stack.enter_async_context(opened.hub.engine.pool.acquire())
        for actor in world.actors.values():
            found = await resources.read_names(conn, viewer.of(actor.caller), names)
            got = {f"{one.type}/{one.id}": marked(fhir_json.parse((one.body or "").encode()))
                   for one in found.values()}  # fmt: skip
            shown = {each.reference: oracle.sees(actor.reference, each.reference) for each in held}
            expected = {each.reference: expected_mark(each, shown[each.reference])
                        for each in held if shown[each.reference]}  # fmt: skip
            consents = [each.current for each in held if each.type == "Consent"]
            assert got == expected, (actor.name, policy, happened, consents)
            reporter = await asyncpg.connect(world.url, server_settings={
                "role": reporting.REPORT, "coordhub.organization": str(actor.rid),
                "coordhub.consent_policy": policy,
            })  # fmt: skip
            rows = await reporter.fetch(
                "select type, fhir_id from resource where fhir_id = any($1::text[])",
                [each.id for each in held],
            )
            await reporter.close()
            whole = {name for name, how in shown.items() if how == WHOLE}
            assert {f"{types.name_of(row[0])}/{row[1]}" for row in rows} == whole, (
                actor.name,
                policy,
            )
