"""From a Caller to the Viewer that the store reads for."""

from __future__ import annotations

from coordhub.access.caller import Caller
from coordhub.store.visibility import HUB, Viewer


def of(caller: Caller) -> Viewer:
    """What this caller may look at: its organization's view, narrowed to its token's types."""
    return Viewer(caller.organization, caller.scopes.readable())


def as_organization(organization: int) -> Viewer:
    """What an organization may look at, whoever asks on its behalf: for payloads and grants."""
    return Viewer(organization)


def deciding() -> Viewer:
    """The hub while it decides: sees all. Never on behalf of someone, never for an answer."""
    return Viewer(HUB, everything=True)
