"""From a Caller to the Viewer that the store reads for."""

from __future__ import annotations

from coordhub.access.caller import Caller
from coordhub.access.scopes import Scopes
from coordhub.store.visibility import HUB, Viewer


def of(caller: Caller, letters: str = "r") -> Viewer:
    """What this caller may look at: its organization's view, narrowed to what its token's scopes allow.

    letters: for which interactions of SMART (c r u d s), all of them at once.
    """
    whole, parts = caller.scopes.looking(letters)
    return Viewer(caller.organization, whole, parts=parts, sandbox=caller.sandbox)


def searching(caller: Caller) -> Viewer:
    """What a search of the caller's may find: what it may both look at and search for."""
    return of(caller, "rs")


def on_behalf_of(organization: int, scopes: Scopes, letters: str = "r") -> Viewer:
    """The same for whom nobody calls just now."""
    whole, parts = scopes.looking(letters)
    return Viewer(organization, whole, parts=parts)


def as_organization(organization: int, *, sandbox: bool = False) -> Viewer:
    """What an organization may look at, whoever asks on its behalf: for payloads and grants.

    sandbox: it is of the sandbox, and sees that one's directory, too.
    """
    return Viewer(organization, sandbox=sandbox)


def deciding() -> Viewer:
    """The hub while it decides: sees all. Never on behalf of someone, never for an answer."""
    return Viewer(HUB, everything=True)
