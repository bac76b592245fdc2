"""How long what is kept, as operators say it; and holds, which keep a chart whatever they say.

https://www.iso.org/iso-8601-date-and-time-format.html (durations)
"""

from __future__ import annotations

import re
from typing import Final

from coordhub.access import viewer
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.r4 import types
from coordhub.r4.sensitivity import NAMES
from coordhub.record.hub import Hub
from coordhub.store import resources, retention
from coordhub.store.disclosures import SIX_YEARS
from coordhub.store.engine import Connection
from coordhub.store.expunge import may_rewrite
from coordhub.store.retention import TABLES, Hold, Schedule

_DURATION: Final = re.compile(
    r"P(?=.)(\d{1,4}Y)?(\d{1,4}M)?(\d{1,4}W)?(\d{1,5}D)?(T(?=.)(\d{1,4}H)?(\d{1,4}M)?)?"
)

_LEAST: Final = {
    "app_permission": 30,
    "audit": SIX_YEARS.days,
    "delivery": 30,
    "idempotency": 1,
    "subscription_event": 7,
}
"""Days: of the audit what the accounting of disclosures tells, of the others what work needs."""

_LEAST_OF_RESOURCES: Final = 1

MOST_COUNTED: Final = 1_000_000


async def set_schedule(
    hub: Hub, by: Operator, subject: str, keep: str | None, since: str, reason: str
) -> None:
    """Say for how long; None: for ever."""
    of_resources = subject in types.NUMBER or subject in NAMES
    if not of_resources and subject not in TABLES:
        raise NothingDone(
            f"{subject} is no resource type, no sensitivity class ({', '.join(NAMES)}), and none of "
            f"{', '.join(TABLES)}. Attempts go with their deliveries."
        )
    if since not in ("update", "care"):
        raise NothingDone("--since is update or care.")
    if since == "care" and not of_resources:
        raise NothingDone(f"{subject} is of no patient's care: leave out --since.")
    if not reason.strip():
        raise NothingDone("say why, with --reason.")
    if keep is not None and not _DURATION.fullmatch(keep):
        raise NothingDone(f"{keep} is no duration. Write it as P10Y, P18M or P30D.")
    async with hub.engine.transaction() as conn:
        await _as_owner(conn)
        if keep is not None:
            least = _LEAST.get(subject, _LEAST_OF_RESOURCES)
            if await retention.days(conn, keep) < least:
                raise NothingDone(f"{subject} is kept for {least} days at least.")
        await retention.set_schedule(
            conn, subject, types.NUMBER.get(subject), NAMES.get(subject), keep, since
        )
        said = {"subject": subject, "keep": keep or "for ever", "since": since, "reason": reason}
        await note(conn, by, "retention-set", hub.clock(), said)


async def schedules(hub: Hub) -> list[Schedule]:
    async with hub.engine.pool.acquire() as conn:
        return await retention.schedules(conn)


async def run(hub: Hub) -> dict[str, int]:
    """Carry out all schedules now, whenever they ran; how much was removed, by subject."""
    async with hub.engine.pool.acquire() as conn:
        subjects = [one.subject for one in await retention.schedules(conn) if one.keep is not None]
        return {subject: await retention.carry_out(conn, subject) for subject in subjects}


async def due(hub: Hub) -> dict[str, int]:
    """How much `run` would remove at first; a Patient comes due when the last of its chart is gone."""
    async with hub.engine.pool.acquire() as conn:
        subjects = [one.subject for one in await retention.schedules(conn) if one.keep is not None]
        return {subject: await retention.due(conn, subject, MOST_COUNTED) for subject in subjects}


async def hold(hub: Hub, by: Operator, patient: str, reason: str, *, release: bool) -> None:
    """Keep all of a patient's chart, and the audit of it, whatever schedules say; or no longer."""
    if not reason.strip():
        raise NothingDone("say why, with --reason.")
    kind, _, fhir_id = patient.partition("/")
    async with hub.engine.transaction() as conn:
        await _as_owner(conn)
        found = await resources.read(conn, viewer.deciding(), "Patient", fhir_id)
        if kind != "Patient" or found is None:
            raise NothingDone(f"there is no {patient} here. Name it as Patient/id.")
        now = hub.clock()
        if release:
            done = await retention.release(conn, found.rid)
        else:
            done = await retention.hold(conn, found.rid, reason.strip(), by.account, now)
        if not done:
            raise NothingDone(f"{patient} is {'not ' if release else ''}held already.")
        act = "hold-released" if release else "hold"
        await note(conn, by, act, now, {"patient": patient, "reason": reason.strip()})


async def holds(hub: Hub) -> list[Hold]:
    async with hub.engine.pool.acquire() as conn:
        return list(await retention.holds(conn))


async def _as_owner(conn: Connection) -> None:
    if not await may_rewrite(conn):
        raise NothingDone(
            "schedules and holds are the owner's to write. Set DATABASE_URL to the owner of the tables, as "
            "for coordhub migrate."
        )
