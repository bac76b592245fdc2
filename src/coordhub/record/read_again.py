"""The owner of originals says that they have changed: the copies are compared with them soon.

http://hl7.org/fhir/R4/subscription.html
"""

from __future__ import annotations

from collections.abc import Collection

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.r4 import reference
from coordhub.record.hub import Hub
from coordhub.store import counterparts, fetches


async def read_again(hub: Hub, caller: Caller, urls: Collection[str]) -> int:
    """How many of these absolute URLs the hub has copies of; these are read as soon as may be."""
    names = {
        f"{found.type}/{found.id}"
        for url in urls
        if (found := reference.parse(url)).kind == "absolute" and found.id is not None
    }
    bare = {url.partition("#")[0].partition("/_history/")[0] for url in urls}
    async with hub.engine.transaction() as conn:
        known = [
            one
            for one in await counterparts.meant(conn, viewer.of(caller), names)
            if one.original and f"{one.address.rstrip('/')}/{one.theirs}" in bare
        ]
        for endpoint in {one.endpoint for one in known}:
            await fetches.want(
                conn, "original", [one.rid for one in known if one.endpoint == endpoint],
                caller.organization, endpoint, caller.client, hub.clock(),
            )  # fmt: skip
    hub.engine.wake()
    return len(known)
