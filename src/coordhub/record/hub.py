"""What every write needs to know of the hub it is written to."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from coordhub.record.label_lists import Lists
from coordhub.referral import deadlines
from coordhub.referral.deadlines import Deadlines
from coordhub.store import clock
from coordhub.store.engine import Engine

DIRECTORY_SHARD = 0
"""Where resources live that are not about one patient."""


def system_clock() -> datetime:
    """Now by this machine's clock, for who has no database; else see Engine.now."""
    now = clock.machine()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def random_shard() -> int:
    """A shard for a new patient: 1 to 255."""
    return secrets.randbelow(255) + 1


def random_id(shard: int) -> str:
    """A UUID (version 4) whose first two characters are the shard: no sequence leaks, reads go to one shard."""
    return f"{shard:02x}{str(uuid.uuid4())[2:]}"


@dataclass(frozen=True, slots=True)
class Safeguards:
    """What the deployment sets for sights that no Consent decides.

    break_glass: how long a record stays open in an emergency. break_glass_attempts: tries of one
    organization in an hour. confidential_age: from these years of age on, a minor's sensitive content
    is hidden from its parents. longest_release: how far ahead a victim service provider's release may
    end. read_after: for how long one may read what it was shown after its part is done (record.lapsing).
    """

    break_glass: timedelta = timedelta(hours=1)
    break_glass_attempts: int = 10
    confidential_age: int = 12
    longest_release: timedelta = timedelta(days=30)
    read_after: timedelta = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Hub:
    """base: FHIR base URL without a slash at its end. organization: `Organization/<id>` of the hub itself.

    clock, new_shard, new_id: time and randomness, to be replaced in tests. lists: what content is
    sensitive. deadlines: how long what may take. coordinator: `Organization/<id>` of who looks after referrals
    for all; None: whoever refers looks after its own. most_subscriptions: that an organization has at most.
    """

    engine: Engine
    base: str
    organization: str
    clock: Callable[[], datetime] = system_clock
    new_shard: Callable[[], int] = random_shard
    new_id: Callable[[int], str] = random_id
    lists: Lists = field(default_factory=Lists)
    safeguards: Safeguards = field(default_factory=Safeguards)
    deadlines: Deadlines = field(default_factory=deadlines.read)
    coordinator: str | None = None
    most_subscriptions: int = 100

    @property
    def zone(self) -> ZoneInfo | None:
        """Of services of which the directory says none; None as long as the setting is UTC, no wall's time."""
        stated = self.deadlines.calendar.zone
        return None if stated.key == "UTC" else stated

    @property
    def itself(self) -> frozenset[str]:
        """The references that mean the hub: an owner among these names nobody."""
        return frozenset({self.organization, f"{self.base}/{self.organization}"})


def instant(moment: datetime) -> str:
    """A FHIR instant in UTC with milliseconds.

    http://hl7.org/fhir/R4/datatypes.html#instant
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
