"""An app that people sign in to, as it asks the authorization server."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2
from open_door import OPERATOR
from open_hub import BASE, House

from coordhub.admin import registering
from coordhub.admin.registering import App as Registered
from coordhub.admin.registering import Keys

BACK = "https://app.example/back"


@dataclass(frozen=True, slots=True)
class App:
    """A public one. verifier: of PKCE, for all that it asks for."""

    house: House
    name: str = "journal"
    back: str = BACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    async def register(
        self,
        scope: str = "launch/patient openid fhirUser offline_access patient/*.cruds user/*.cruds",
    ) -> None:
        await registering.register(
            self.house.engine, OPERATOR, self.name, self.house.clinic.reference, scope, Keys(),
            self.house.clock(), Registered("Journal", (self.back,)),
        )  # fmt: skip

    @property
    def challenge(self) -> str:
        made = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")

    def asked(self, scope: str, **others: str | None) -> str:
        """The query of its request."""
        whole = {
            "response_type": "code",
            "client_id": self.name,
            "redirect_uri": self.back,
            "scope": scope,
            "state": "a state",
            "aud": BASE,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            **others,
        }
        return urlencode({name: value for name, value in whole.items() if value is not None})

    def form(self, code: str, **others: str) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "client_id": self.name,
            "code": code,
            "redirect_uri": self.back,
            "code_verifier": self.verifier,
            **others,
        }

    def again(self, token: str, **others: str) -> dict[str, str]:
        return {
            "grant_type": "refresh_token", "client_id": self.name, "refresh_token": token, **others,
        }  # fmt: skip

    async def tokens(self, http: httpx2.AsyncClient, code: str) -> dict[str, Any]:
        answered = await http.post("/auth/token", data=self.form(code))
        assert answered.status_code == 200, answered.text
        return dict(answered.json())
