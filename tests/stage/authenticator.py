"""An authenticator and the browser before it, that may lie.

https://www.w3.org/TR/webauthn-3/#sctn-authenticator-data, https://www.w3.org/TR/webauthn-3/#sctn-op-make-cred
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

UP, UV, AT = 0x01, 0x04, 0x40


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def raw(said: str) -> bytes:
    return base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))


@dataclass(slots=True)
class Authenticator:
    """One key. origin, rp: whose page asks. flags: what it saw of the person. uses: that it counts. client: what else
    the browser says."""

    origin: str
    rp: str
    flags: int = UP | UV
    uses: int = 0
    person: bytes = b""
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    client: dict[str, Any] = field(default_factory=dict)
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def makes(self, options: dict[str, Any]) -> str:
        assert options["authenticatorSelection"]["userVerification"] == "required"
        assert options["authenticatorSelection"]["residentKey"] == "required"
        assert options["rp"]["id"] == self.rp
        self.person = raw(options["user"]["id"])
        public = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}
        told = bytes(16) + len(self.id).to_bytes(2) + self.id + cbor2.dumps(cose)
        attested = {"fmt": "none", "attStmt": {}, "authData": self._data(AT) + told}
        client = self._client("webauthn.create", options["challenge"])
        return self._said(attestationObject=cbor2.dumps(attested), clientDataJSON=client)

    def uses_it(self, options: dict[str, Any]) -> str:
        assert options["userVerification"] == "required"
        assert not options.get("allowCredentials")
        data, client = self._data(), self._client("webauthn.get", options["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._said(
            authenticatorData=data, clientDataJSON=client, signature=signature,
            userHandle=self.person,
        )  # fmt: skip

    def _data(self, more: int = 0) -> bytes:
        rp = hashlib.sha256(self.rp.encode()).digest()
        return rp + bytes([self.flags | more]) + self.uses.to_bytes(4)

    def _client(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said | self.client).encode()

    def _said(self, **parts: bytes) -> str:
        answered = {name: text(part) for name, part in parts.items()}
        return json.dumps(
            {
                "id": text(self.id),
                "rawId": text(self.id),
                "type": "public-key",
                "response": answered,
            }
        )
