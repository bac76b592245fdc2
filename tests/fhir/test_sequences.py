"""Any sequence of interactions leaves history, index, grants, projections and change log consistent."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from coordhub.record import reindex, reproject
from coordhub.routing import deliver, expire, relay
from coordhub.routing.retry import RetryPolicy
from coordhub.store import clients, deliveries, invariants

EXAMPLES = int(os.environ.get("COORDHUB_SEQUENCES", "12"))
LENGTH = int(os.environ.get("COORDHUB_SEQUENCE_LENGTH", "40"))
ABSENT = "Patient/00000000-0000-4000-8000-000000000000"
ANSWERS = (
    "received", "accepted", "accepted", "rejected", "in-progress", "on-hold", "completed", "failed",
    "cancelled", "entered-in-error", "ready",
)  # fmt: skip
_STORIES = itertools.count()

Document = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """kind: a method of Story; who: 0 to 2; the rest chooses among what there is."""

    kind: str
    who: int
    pick: int
    other: int
    way: int


@dataclass
class Story:
    """What has happened, as the ones who did it know it."""

    house: Any
    number: int
    made: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    statuses: dict[str, set[int]] = field(default_factory=dict)
    _key: int = 0

    def who(self, step: Step) -> Any:
        return (self.house.near, self.house.far, self.house.third)[step.who]

    def chosen(self, step: Step, kind: str = "") -> str:
        known = [one for one in self.made if one.startswith(kind)]
        return known[step.pick % len(known)] if known else f"{kind or 'Patient'}/unknown"

    def identifier(self, step: Step) -> str:
        return f"identifier=urn:story|{self.number}-{step.other % 3}"

    def patient(self, step: Step) -> Document:
        document: Document = {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:story", "value": f"{self.number}-{step.other % 3}"}],
            "gender": ("female", "male", "other")[step.way % 3],
        }
        if step.way % 2:
            document["name"] = [{"family": f"Ård{step.other % 2}", "given": ["Ada"]}]
        return document

    def observation(self, step: Step, subject: str | None = None) -> Document:
        document: Document = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": f"c{step.other % 2}"}]},
            "effectiveDateTime": f"2026-01-0{step.way % 3 + 1}",
        }
        if step.way % 2:
            kg = {"system": "http://unitsofmeasure.org", "code": "kg"}
            document["valueQuantity"] = {"value": step.pick, **kg}
        named = (subject or self.chosen(step, "Patient"), ABSENT, None)[step.way % 3]
        if named is not None:
            document["subject"] = {"reference": named}
        return document

    def document(self, step: Step) -> Document:
        return (self.patient, self.observation)[step.pick % 2](step)

    async def ask(
        self, step: Step, method: str, path: str, body: Any = None, **headers: str
    ) -> Any:
        """Send it. What is refused changes nothing; now and then it is sent twice with one key."""
        before = await self.state()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        keyed = method != "GET" and step.way % 5 == 0 and path != ""
        if keyed:
            self._key += 1
            named["Idempotency-Key"] = f"{self.number}-{self._key}"
        answered = await self.who(step).ask(method, path, body, headers=named)
        assert answered.status_code < 500, answered.text
        self.statuses.setdefault(step.kind, set()).add(answered.status_code)
        after = await self.state()
        if answered.status_code >= 400 or method == "GET":
            assert after == before, answered.text
        if keyed:
            again = await self.who(step).ask(method, path, body, headers=named)
            assert again.status_code == answered.status_code, again.text
            assert await self.state() == after
        self._learn(answered)
        return answered

    def _learn(self, answered: Any) -> None:
        found = answered.json() if answered.content else {}
        locations = [answered.headers.get("location", "")]
        locations += [one["response"].get("location", "") for one in found.get("entry", ())
                      if "response" in one]  # fmt: skip
        for location in filter(None, locations):
            name = "/".join(location.partition("/_history/")[0].split("/")[-2:])
            if name not in self.made:
                self.made.append(name)

    async def state(self) -> tuple[int, ...]:
        return tuple(
            (
                await self.rows(
                    "select (select count(*) from change), (select count(*) from idempotency),"
                    " (select count(*) from access_grant), (select count(*) from idx_token)"
                )
            )[0]
        )

    async def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        async with self.house.context.hub.engine.pool.acquire() as conn:
            return [tuple(row) for row in await conn.fetch(sql, *arguments)]

    # ---- what somebody may do

    async def create(self, step: Step) -> None:
        document = self.document(step)
        await self.ask(step, "POST", f"/{document['resourceType']}", document)

    async def create_conditionally(self, step: Step) -> None:
        await self.ask(
            step, "POST", "/Patient", self.patient(step), If_None_Exist=self.identifier(step)
        )

    async def update(self, step: Step) -> None:
        """Of its own or of another's; also of what is deleted or was never there."""
        name = self.chosen(step)
        kind, _, fhir_id = name.partition("/")
        if step.way == 0:
            kind, fhir_id = "Patient", f"chosen-{self.number}-{step.other % 2}"
        if kind not in ("Patient", "Observation"):
            return
        document = (self.patient if kind == "Patient" else self.observation)(step)
        stale = {"If_Match": f'W/"{step.other % 4 + 1}"'} if step.way % 4 == 1 else {}
        await self.ask(step, "PUT", f"/{kind}/{fhir_id}", {**document, "id": fhir_id}, **stale)

    async def update_to_the_same(self, step: Step) -> None:
        name = self.chosen(step)
        read = await self.who(step).ask("GET", f"/{name}")
        if read.status_code != 200:
            return
        before = await self.state()
        answered = await self.ask(
            step, "PUT", f"/{name}", read.json(), If_Match=read.headers["etag"]
        )
        if answered.status_code == 200:
            assert (await self.state())[0] == before[0], "a version without a change"
            assert answered.headers["etag"] == read.headers["etag"]

    async def update_conditionally(self, step: Step) -> None:
        await self.ask(step, "PUT", f"/Patient?{self.identifier(step)}", self.patient(step))

    async def patch(self, step: Step) -> None:
        name = self.chosen(step, ("Patient", "Observation")[step.way % 2])
        path, value = (
            ("/gender", "unknown") if name.startswith("Patient") else ("/status", "amended")
        )
        changes = [{"op": "add", "path": path, "value": value if step.other % 4 else "nonsense"}]
        headers = {"Content_Type": "application/json-patch+json"}
        if step.way == 1:
            headers["If_Match"] = f'W/"{step.other % 3 + 1}"'
        await self.ask(step, "PATCH", f"/{name}", changes, **headers)

    async def delete(self, step: Step) -> None:
        await self.ask(step, "DELETE", f"/{self.chosen(step)}")

    async def delete_conditionally(self, step: Step) -> None:
        await self.ask(step, "DELETE", f"/Patient?{self.identifier(step)}")

    async def bundle(self, step: Step) -> None:
        """A batch or a transaction of several of these, not seldom with a fault in it."""
        first = f"urn:uuid:{uuid4()}"
        named = self.chosen(step, "Observation")
        patient, result = self.patient(step), self.observation(step, first)
        entries: list[Document] = [
            {"fullUrl": first, "resource": patient, "request": {"method": "POST", "url": "Patient"}},
            {"resource": result, "request": {"method": "POST", "url": "Observation"}},
            {
                "resource": {**self.observation(step), "id": named.partition("/")[2]},
                "request": {"method": "PUT", "url": named},
            },
            {"request": {"method": "DELETE", "url": self.chosen(step)}},
            {
                "resource": self.patient(step),
                "request": {"method": "PUT", "url": f"Patient?{self.identifier(step)}"},
            },
            {
                "resource": {**self.patient(step), "gender": "nonsense"},
                "request": {"method": "POST", "url": "Patient"},
            },
        ]  # fmt: skip
        kept = [one for place, one in enumerate(entries) if step.other >> place & 1] or entries[:2]
        kind = ("batch", "transaction")[step.way % 2]
        answered = await self.ask(
            step, "POST", "", {"resourceType": "Bundle", "type": kind, "entry": kept}
        )
        if kind == "batch":
            assert answered.status_code == 200

    async def refused(self, step: Step) -> None:
        faults = (
            ("POST", "/Patient", {"resourceType": "Patient", "gender": "nonsense"}),
            ("POST", "/Patient", {"resourceType": "Observation"}),
            ("PUT", "/Patient/x", {"resourceType": "Patient", "id": "y"}),
            ("POST", "/Observation?x", None),
            ("DELETE", "/Patient?gender=", None),
        )
        answered = await self.ask(step, *faults[step.other % len(faults)])
        assert answered.status_code >= 400

    # ---- a referral

    async def refer(self, step: Step) -> None:
        """One asks the two others, or one of them, or nobody, with a patient and a prior result."""
        me = self.who(step)
        others = [one.reference for one in (self.house.near, self.house.far, self.house.third)
                  if one is not me]  # fmt: skip
        asked = (others, others[:1], others[1:], [], others)[step.way % 5]
        urns = [f"urn:uuid:{uuid4()}" for _ in range(3)]
        subject = {"reference": urns[0]}
        order = {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "code": {"text": "food"},
            "subject": subject,
            "requester": {"reference": me.reference},
            "supportingInfo": [{"reference": urns[1]}],
            "performer": [{"reference": one} for one in asked],
        }
        if not asked:
            del order["performer"]
        task = {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "code": {"coding": [{"code": "fulfill",
                                 "system": "http://hl7.org/fhir/CodeSystem/task-code"}]},
            "focus": {"reference": urns[2]},
            "for": subject,
            "requester": {"reference": me.reference},
        }  # fmt: skip
        if step.pick % 3 == 0:
            task["restriction"] = {"period": {"end": ("2026-01-01", "2999")[step.pick % 2]}}
        result = {**self.observation(step), "subject": subject}
        resources = [self.patient(step), result, order, task]
        entries = [
            {
                **({"fullUrl": urn} if urn else {}),
                "resource": resource,
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for urn, resource in zip((*urns, None), resources, strict=True)
        ]
        answered = await self.ask(
            step, "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        )
        if answered.status_code == 200:
            self.sent.append(self.made[-1])
            if step.other % 4:
                await self.relay(step)

    async def answer(self, step: Step) -> None:
        """Who is asked answers, legally or not, now and then with a result as output."""
        tasks = await self._asked(step)
        if not tasks:
            return
        fhir_id, request = tasks[step.pick % len(tasks)]
        task = (await self.who(step).ask("GET", f"/Task/{fhir_id}")).json()
        task["status"] = ANSWERS[step.other % len(ANSWERS)]
        result = {**self.observation(step), "basedOn": [{"reference": request}]}
        if step.way % 3 == 0:
            made = await self.ask(step, "POST", "/Observation", result)
            if made.status_code == 201:
                output = {"type": {"text": "result"},
                          "valueReference": {"reference": f"Observation/{made.json()['id']}"}}  # fmt: skip
                task["output"] = [*task.get("output", ()), output]
        if step.way == 7:
            task["intent"] = "plan"
        await self.ask(step, "PUT", f"/Task/{fhir_id}", task)

    async def _asked(self, step: Step) -> list[tuple[str, str]]:
        """The hub's Tasks for this one: id, and its ServiceRequest."""
        return await self.rows(
            "select t.fhir_id, 'ServiceRequest/' || s.fhir_id from candidate c"
            " join resource t on t.rid = c.task join resource s on s.rid = c.request"
            " where c.organization = $1 order by c.task desc limit 3",
            self.who(step).rid,
        )

    async def withdraw(self, step: Step) -> None:
        if not self.sent:
            return
        name = self.sent[step.pick % len(self.sent)]
        read = await self.who(step).ask("GET", f"/{name}")
        if read.status_code == 200:
            status = ("cancelled", "entered-in-error", "completed")[step.way % 3]
            await self.ask(step, "PUT", f"/{name}", {**read.json(), "status": status})

    async def relay(self, step: Step) -> None:
        while await relay.relay(self.house.context.hub, uuid4):
            pass

    async def deliver(self, step: Step) -> None:
        hub = self.house.context.hub
        sending = deliver.Sending(hub, {}, RetryPolicy(), Random(1).random)
        async with hub.engine.pool.acquire() as conn:
            held = await deliveries.claim(conn, hub.clock(), 5, timedelta(seconds=60))
        for one in held:
            await deliver.deliver(sending, one)

    async def expire(self, step: Step) -> None:
        await expire.fire(self.house.context.hub)

    async def faults(self) -> list[str]:
        """What is not as it must be, of all that is stored."""
        hub = self.house.context.hub
        async with hub.engine.pool.acquire() as conn:
            found = await invariants.violations(conn, hub.clock())
        async for page in reindex.reindex(hub, mend=False):
            found += [f"index of {rid}" for rid in page.wrong]
        async for one in reproject.reproject(hub, mend=False):
            found += one.differences
        return found


KINDS = (
    "create", "create", "create_conditionally", "update", "update", "update", "update_to_the_same",
    "update_conditionally", "patch", "delete", "delete_conditionally", "bundle", "bundle", "refused",
    "refer", "refer", "answer", "answer", "answer", "answer", "withdraw", "relay", "deliver", "expire",
)  # fmt: skip
_small = st.integers(0, 63)
_steps = st.lists(
    st.builds(Step, st.sampled_from(KINDS), st.integers(0, 2), _small, _small, st.integers(0, 9)),
    min_size=LENGTH // 2,
    max_size=LENGTH,
)


@settings(
    max_examples=EXAMPLES,
    phases=(Phase.explicit, Phase.generate),  # a failing example is shown as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=_steps)
async def test_given_any_sequence_of_interactions_when_examined_then_all_is_consistent(
    house, steps
):
    await _agree(house)
    story = Story(house, next(_STORIES))
    for step in steps:
        await getattr(story, step.kind)(step)
    await story.relay(steps[0])
    assert await story.faults() == []


async def test_given_a_long_sequence_when_played_then_every_kind_of_outcome_is_among_it(house):
    """What the property above is worth: its steps do reach what they are to reach."""
    await _agree(house)
    story = Story(house, next(_STORIES))
    random = Random(11)
    for _ in range(350):
        who, pick, other, way = (random.randrange(most) for most in (3, 64, 64, 10))
        step = Step(random.choice(KINDS), who, pick, other, way)
        await getattr(story, step.kind)(step)
    await story.relay(step)
    assert await story.faults() == []
    assert set().union(*story.statuses.values()) >= {
        200,
        201,
        204,
        400,
        403,
        405,
        409,
        412,
        422,
    }
    [counts] = await story.rows(
        "select (select count(*) from candidate where accepted_at is not null),"
        " (select count(*) from episode where state = 'closed'),"
        " (select count(*) from delivery where state = 'delivered'),"
        " (select count(*) from candidate where reason = 'expired'),"
        " (select count(*) from access_grant where rule = 'result'),"
        " (select count(*) from resource where body is null),"
        " (select count(*) from resource where dangling and not quarantined),"
        " (select count(*) from resource where quarantined)"
    )
    assert min(counts) > 0, counts


async def _agree(house) -> None:
    """What becomes of references that lead nowhere: warned of, refused, held back. Two choose ids."""
    hub = house.context.hub
    for who, policy, choosing in (
        (house.near, "warn", True),
        (house.far, "refuse", False),
        (house.third, "quarantine", True),
    ):
        async with hub.engine.pool.acquire() as conn:
            await clients.register(
                conn,
                who.client,
                who.rid,
                "system/*.cruds",
                update_as_create=choosing,
                now=hub.clock(),
                reference_policy=policy,
            )
