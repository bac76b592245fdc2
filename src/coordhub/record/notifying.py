"""A notification of a subscription's events, as its organization may see now what they are about.

What may not be seen (any more) is told as an event without its focus: that something happened stays, so
that numbers have no gap. Of a deletion it is told that it was one, to who might see what is no more.

http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from coordhub.access import viewer
from coordhub.r4 import notification
from coordhub.record.hub import Hub, instant
from coordhub.store import resources
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.subscription_events import Event
from coordhub.store.subscriptions import Subscribed


@dataclass(frozen=True, slots=True)
class Composed:
    """rids: of what is told about. path: below the address, of a resource that is put there."""

    body: bytes
    rids: tuple[int, ...]
    path: str = ""


async def compose(
    hub: Hub, conn: Connection, held: Subscribed, reference: str, status: str,
    kind: notification.Kind, events: Sequence[Event], identifier: UUID, level: str | None = None,
) -> Composed:  # fmt: skip
    """The notification as its organization may see it now; by R4's criteria the resource itself, or nothing.

    level: another than the subscription's, not above it.
    """
    level = level or held.config.level
    shown = {}
    if level in ("id-only", "full-resource"):
        view = viewer.as_organization(held.organization)
        shown = await resources.read_rids(conn, view, [one.rid for one in events])
    told = [
        notification.Told(
            one.number,
            instant(one.at),
            _focus(hub, one, shown.get(one.rid), level),
        )
        for one in events
    ]  # fmt: skip
    about = notification.About(
        f"{hub.base}/{reference}",
        "" if level == "empty" else held.config.topic,
        status,
        held.event,
    )
    if not held.config.topic:
        for version in shown.values():
            if version.body is not None:
                return Composed(version.body.encode(), (version.rid,), version.reference)
        return Composed(b"", ())
    body = notification.bundle(str(identifier), instant(hub.clock()), about, kind, told)
    return Composed(body, tuple(one.rid for one in events if one.rid in shown))


def _focus(
    hub: Hub, event: Event, version: Version | None, level: str
) -> notification.Focus | None:
    """version: as it may be seen now."""
    if version is None or (version.body is None and not event.deleted):
        return None
    address = f"{hub.base}/{version.reference}"
    if event.deleted:
        return notification.Focus(address, deleted=True)
    return notification.Focus(address, (version.body or "") if level == "full-resource" else "")
