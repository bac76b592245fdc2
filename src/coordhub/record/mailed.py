"""Whether an organization may be told of its Subscriptions by mail, at an address.

Where somebody else reads is not the subscriber's to say: an address is one that the directory's steward wrote as a
mailbox of its organization. So nobody has the hub write to strangers, and no mail has to ask for a confirmation.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from coordhub.directory import bases
from coordhub.store import parties
from coordhub.store.engine import Connection

NOT_ITS: Final = (
    "The directory does not have this address as a mailbox of your organization (an Endpoint with connectionType "
    "email-notice). Ask the directory's steward to enter it, or use another channel."
)
NOT_BY_MAIL: Final = (
    "Your organization is told nothing by mail, for anybody may read a mail. Use another channel."
)


async def why_not(
    conn: Connection, organization: int, address: str, base: str, now: datetime
) -> str | None:
    """None where mail may go there. organization: rid. base: of the hub."""
    if await parties.kind_of(conn, organization) == "vsp":
        return NOT_BY_MAIL
    if address not in await bases.mailboxes(conn, organization, base, now):
        return NOT_ITS
    return None
