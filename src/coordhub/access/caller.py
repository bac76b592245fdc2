"""The Caller: a client, the organization or person it acts for, and what its token allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from coordhub.access.scopes import EVERYTHING, Scopes, parse
from coordhub.errors import forbidden, insufficient_scope
from coordhub.store.clients import Allowance
from coordhub.store.partners import Terms
from coordhub.store.visibility import HUB

LETTERS = {"create": "c", "read": "r", "update": "u", "delete": "d", "search": "s"}


@dataclass(frozen=True, slots=True)
class Caller:
    """client: id of the client, None for the hub itself.

    organization: rid of its Organization; reference: the same as `Organization/<id>`. Of a person's
        app it is the person: `Patient/<id>` or `RelatedPerson/<id>`.
    update_as_create: may choose ids by PUT.
    reference_policy: `refuse`, `warn` or `quarantine`, for references that lead nowhere.
    request_id: correlates log, audit and the partner's own records.
    role: system, privacy-officer (of its organization) or person.
    break_glass: may open a record in an emergency.
    allowance: how much it may ask.
    permission: by which a person (id of its account) lets this app act, if it is one.
    sandbox: its organization is one of the sandbox, among whose test data it stays.
    terms: what was agreed with its organization.
    """

    client: str | None
    organization: int
    reference: str
    scopes: Scopes
    update_as_create: bool = False
    request_id: str | None = None
    reference_policy: str = "refuse"
    role: str = "system"
    break_glass: bool = False
    allowance: Allowance = field(default_factory=Allowance)
    permission: UUID | None = None
    person: str | None = None
    sandbox: bool = False
    terms: Terms = field(default_factory=Terms)

    @property
    def is_person(self) -> bool:
        """A patient, or who acts for one: sees one chart, and may write little."""
        return self.role == "person"

    @property
    def is_hub(self) -> bool:
        return self.client is None and self.organization == HUB

    def require_privacy_officer(self, what: str) -> None:
        """403 unless the client is its organization's privacy officer's."""
        if self.role != "privacy-officer":
            raise forbidden(
                f"{what} is for the privacy officer of your organization. An operator says which client is: "
                "coordhub client --role privacy-officer."
            )

    def require(self, resource_type: str, interaction: str) -> None:
        """403 unless the token's scopes allow `interaction` (create, read, update, delete, search)."""
        if not self.scopes.allow(resource_type, LETTERS[interaction]):
            scope = f"{self.scopes.level}/{resource_type}.{LETTERS[interaction]}"
            raise insufficient_scope(
                f"The token's scopes do not allow to {interaction} {resource_type}: {scope} is needed.",
                scope,
            )

    def require_agreed(self, resource_type: str, at: str) -> None:
        """403 where it was agreed what its organization sends, and this type is none of that."""
        sends = self.terms.sends
        if sends is not None and resource_type not in sends:
            agreed = ", ".join(sorted(sends)) or "nothing"
            raise forbidden(
                f"It was not agreed that your organization sends {resource_type}; agreed is: {agreed}. Leave it "
                "out, or ask the hub's operator to agree on more (coordhub agreement).",
                at,
            )


NOBODY = Caller(None, 0, "", parse(""))
"""Who asks without a token: may do nothing that a scope is needed for, and sees nothing."""


def hub(reference: str) -> Caller:
    """The hub, acting by itself; `reference` is its Organization."""
    return Caller(None, HUB, reference, EVERYTHING)
