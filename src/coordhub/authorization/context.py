"""Parts of the running authorization server, the same for every request of a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from coordhub.access import oauth
from coordhub.authorization.identity import Signer
from coordhub.authorization.key_sets import KeySets
from coordhub.authorization.refusals import Refusals
from coordhub.store.engine import Engine


@dataclass(frozen=True, slots=True)
class Context:
    """base: the FHIR base as clients see it. lifetime: of a token.

    signer: of identity tokens; None: none are given. registers: clients that bring a software statement.
    certificate_header: see `access.certificates`.
    app_lifetime: of an app's token. refresh_lifetime: of one by which an app gets the next, unused.
    """

    engine: Engine
    clock: Callable[[], datetime]
    base: str
    key_sets: KeySets
    lifetime: timedelta
    app_lifetime: timedelta
    refresh_lifetime: timedelta
    signer: Signer | None = None
    refusals: Refusals = field(default_factory=Refusals)
    registers: bool = False
    certificate_header: str | None = None

    @property
    def audience(self) -> str:
        """Whom an assertion must name, whatever it is sent to."""
        return oauth.address(self.base, "token")


@dataclass(frozen=True, slots=True)
class Asked:
    """A form as it was sent, each name once. certificate: thumbprint of the one that was shown with it."""

    form: dict[str, str]
    request_id: str | None
    certificate: bytes | None = None
