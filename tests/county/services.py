"""The services of a simulated county, and how each behaves when it is asked.

Nobody here exists. A seed decides everything: how soon a service answers, how often it says nothing, how
many beds a shelter has, when a server is down, and which never works.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.record.commit import commit
from coordhub.record.hub import Hub
from coordhub.routing.channels.channel import Delivered, Message, Outcome, Refused, Unreachable
from coordhub.sandbox.community import founding
from coordhub.sandbox.members import (
    SDOH,
    SERVICE_CATEGORY,
    SERVICE_TYPE,
    SNOMED,
    US_CORE_CATEGORY,
    Code,
    Member,
    documents,
)
from coordhub.store.visibility import DIRECTORY

PARTNERS = "https://partners.example"
BATCH = 10
"""Members founded in one transaction."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of need. share: of all referrals. treats: a specialist's; else a social service's.

    declines: how often somebody who answers declines. silent: how often nobody answers.
    answers, works: hours, in the mean, until an answer, and from there to the outcome.
    """

    name: str
    share: float
    code: Code
    service: Code
    treats: bool
    declines: float
    silent: float
    answers: float
    works: float
    beds: int | None = None

    @property
    def categories(self) -> tuple[Code, ...]:
        if self.treats:
            return ((SERVICE_CATEGORY, "27", "Specialist Medical"),)
        return ((US_CORE_CATEGORY, "sdoh", "SDOH"), self.code)


def _social(
    name: str, share: float, number: str, title: str, *figures: float, beds: int | None = None
) -> Kind:
    declines, silent, answers, works = figures
    code = (SDOH, name, title)
    return Kind(
        name,
        share,
        code,
        (SERVICE_TYPE, number, title),
        False,
        declines,
        silent,
        answers,
        works,
        beds,
    )


KINDS = (
    _social("food-insecurity", 0.30, "548", "Food Insecurity", 0.08, 0.10, 6, 48),
    _social("transportation-insecurity", 0.20, "230", "Transportation Insecurity", 0.20, 0.08, 3, 30),
    _social("homelessness", 0.15, "126", "Homelessness", 0.05, 0.05, 4, 96, beds=6),
    _social("utility-insecurity", 0.15, "537", "Utility Insecurity", 0.25, 0.15, 20, 72),
    Kind("specialist", 0.20, (SNOMED, "306118006", "Referral to endocrinology service"),
         (SERVICE_TYPE, "165", "Endocrinology"), True, 0.06, 0.06, 24, 120),
)  # fmt: skip

REFUSALS = ("no-capacity", "not-eligible", "out-of-area", "insufficient-resources")

Server = Literal["well", "flaky", "broken", "none"]


@dataclass(slots=True)
class Service:
    """rid, organization: of its Organization. reference: of its HealthcareService.

    down: hours at which its server does not answer. taken: beds that are in use.
    """

    key: str
    kind: Kind
    server: Server
    caller: Caller
    reference: str
    down: tuple[tuple[datetime, datetime], ...] = ()
    taken: int = 0

    @property
    def full(self) -> bool:
        return self.kind.beds is not None and self.taken >= self.kind.beds

    def answer(self, now: datetime, rnd: Random) -> Outcome:
        """What its server makes of a message."""
        if self.server == "broken":
            return Refused(401, "auth", None, "the key is not known (any more)")
        if any(since <= now < until for since, until in self.down):
            return Unreachable("refused", False, "nobody listens")
        if self.server == "flaky" and rnd.random() < 0.3:
            return Refused(503, "transient", None, "busy")
        return Delivered(200)


@dataclass(slots=True)
class County:
    """services: by rid of their Organization."""

    senders: list[Caller]
    services: dict[int, Service] = field(default_factory=dict)
    by_address: dict[str, Service] = field(default_factory=dict)

    def of(self, kind: Kind) -> list[Service]:
        return [one for one in self.services.values() if one.kind is kind]


@dataclass(frozen=True, slots=True)
class Partners:
    """The channel to all servers of the county."""

    county: County
    hub: Hub
    rnd: Random

    async def send(self, message: Message) -> Outcome:
        partner = self.county.by_address.get(message.address)
        return Delivered(200) if partner is None else partner.answer(self.hub.clock(), self.rnd)


async def found(hub: Hub, count: int, senders: int, until: datetime, rnd: Random) -> County:
    """Put them into the directory. until: the end of the simulated time."""
    county = County([])
    members = [_clinic(number) for number in range(senders)]
    kinds: dict[str, tuple[Kind, Server]] = {}
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        server: Server = rnd.choices(("well", "flaky", "broken", "none"), (60, 10, 4, 26))[0]
        member = _service(kind, number, server)
        kinds[member.key] = (kind, server)
        members.append(member)
    steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING, update_as_create=True)
    for first in range(0, len(members), BATCH):
        creates = [
            create
            for member in members[first : first + BATCH]
            for create in founding(documents(member, PARTNERS, f"{hub.base}/portal"))
        ]
        written = await commit(hub, steward, creates, interaction="transaction")
        organization: Caller | None = None
        for create, made in zip(creates, written.written, strict=True):
            key = create.document["identifier"][0]["value"]
            reference = f"{create.type}/{made.id}"
            if create.type == "Organization":
                organization = Caller(key, made.rid, reference, EVERYTHING)
                if key not in kinds:
                    county.senders.append(organization)
            elif create.type == "HealthcareService" and organization is not None:
                key = organization.client or ""
                if key in kinds:
                    kind, server = kinds[key]
                    service = Service(key, kind, server, organization, reference)
                    service.down = tuple(_outages(server, hub.clock(), until, rnd))
                    county.services[organization.organization] = service
                    county.by_address[f"{PARTNERS}/partners/{key}/fhir"] = service
    return county


def _outages(
    server: Server, since: datetime, until: datetime, rnd: Random
) -> Iterator[tuple[datetime, datetime]]:
    if server in ("broken", "none"):
        return
    for _ in range(3 if server == "flaky" else 1):
        begun = since + (until - since) * rnd.random()
        yield begun, begun + timedelta(hours=rnd.expovariate(1 / 20))


def hours(mean: float, rnd: Random) -> timedelta:
    """A time until something happens, at least some minutes."""
    return timedelta(hours=max(0.1, min(rnd.expovariate(1 / mean), 12 * mean)))


def _clinic(number: int) -> Member:
    name = f"Clinic {number}"
    return Member(
        key=f"clinic-{number}", name=name, kind="prov", service=name,
        categories=((SERVICE_CATEGORY, "17", "General Practice"),),
        types=((SERVICE_TYPE, "124", "General Practice"),), specialties=(), desk="Desk",
        phone="+1-555-0100", address=("1 Main Street", "Springvale", "01001"),
        hours=("08:00:00", "18:00:00"), server=number % 2 == 0,
    )  # fmt: skip


def _service(kind: Kind, number: int, server: Server) -> Member:
    name = f"{kind.name} {number}"
    return Member(
        key=f"service-{number}", name=name, kind="prov" if kind.treats else "cg", service=name,
        categories=kind.categories, types=(kind.service,), specialties=(), desk="Desk",
        phone=f"+1-555-{number:04d}", address=(f"{number} High Street", "Springvale", f"01{number % 50:03d}"),
        hours=("09:00:00", "17:00:00"), server=server != "none",
    )  # fmt: skip


def spread(total: int, until: timedelta, rnd: Random) -> list[timedelta]:
    """When each referral is sent: by day more than by night."""
    times = []
    while len(times) < total:
        at = until * rnd.random()
        hour = at.total_seconds() / 3600 % 24
        if rnd.random() < 0.1 + 0.9 * max(0.0, math.sin((hour - 6) / 12 * math.pi)):
            times.append(at)
    return sorted(times)
