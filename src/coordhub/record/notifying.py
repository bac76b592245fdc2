"""A notification of a subscription's events, as who asked for it may see now what they are about.

That is its organization, narrowed to the scopes of the client that asked for it last: those of its token then,
as far as it is registered for them now.

What may not be seen (any more) is told as an event without its focus: that something happened stays, so
that numbers have no gap. Of a deletion it is told that it was one, to who might see what is no more.

http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from coordhub.access import scopes, viewer
from coordhub.access.caller import NOBODY
from coordhub.r4 import notification
from coordhub.record.hub import Hub, instant
from coordhub.store import resources
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.subscription_events import Event
from coordhub.store.subscriptions import Subscribed
from coordhub.store.visibility import Viewer


@dataclass(frozen=True, slots=True)
class Composed:
    """rids: of what is told about. path: below the address, of a resource that is put there."""

    body: bytes
    rids: tuple[int, ...]
    path: str = ""


def viewer_of(held: Subscribed) -> Viewer:
    """Who a subscription tells."""
    if held.bounds is None:
        return viewer.on_behalf_of(held.organization, NOBODY.scopes)
    return viewer.on_behalf_of(held.organization, scopes.within(held.bounds))


def by_eyes(told: Iterable[Subscribed]) -> Iterator[list[Subscribed]]:
    """Those together that see the same."""
    found: dict[object, list[Subscribed]] = {}
    for one in sorted(told, key=lambda one: (one.organization, one.rid)):
        found.setdefault((one.organization, one.bounds), []).append(one)
    yield from found.values()


async def compose(
    hub: Hub, conn: Connection, held: Subscribed, reference: str, status: str,
    kind: notification.Kind, events: Sequence[Event], identifier: UUID, level: str | None = None,
    asker: Viewer | None = None,
) -> Composed:  # fmt: skip
    """The notification as who asked for it may see it now; by R4's criteria the resource itself, or nothing.

    level: another than the subscription's, not above it. asker: who has it told to itself, and may see it, too.
    """
    level = level or held.config.level
    shown = {}
    if level in ("id-only", "full-resource"):
        eyes = [viewer_of(held)] if asker is None else [viewer_of(held), asker]
        rids = [one.rid for one in events]
        for view in eyes:
            shown = await resources.read_rids(conn, view, rids)
            rids = list(shown)
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
