"""An authorization server on the house, a backend that asks it, and the place where that keeps its keys."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey, RSAKey
from open_hub import BASE, House
from pydantic import SecretStr

from coordhub.admin import registering
from coordhub.admin.acts import Operator
from coordhub.admin.registering import Keys
from coordhub.app import build
from coordhub.settings import Settings

ORIGIN = BASE.removesuffix("/fhir")
TOKEN = f"{ORIGIN}/auth/token"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OPERATOR = Operator("rosa")

Document = dict[str, Any]


@asynccontextmanager
async def doors(
    house: House, count: int = 1, **settings: Any
) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """As many processes' doors as are asked for, all on the database of the house."""
    given = Settings.model_validate(
        {
            "token_key": SecretStr("a test key that is long enough for it"),
            "outbound_networks": "127.0.0.0/8",
            "failures_per_minute": 1_000_000,
            **settings,
        }
    )
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            app = build(given, house.hub)
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx2.ASGITransport(app=app)
            opened.append(
                await stack.enter_async_context(
                    httpx2.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60)
                )
            )
        yield opened


@dataclass(frozen=True, slots=True)
class Backend:
    """A client with a key of its own. kid: as in its set."""

    house: House
    name: str
    key: RSAKey | ECKey
    algorithm: str
    kid: str = "first"

    def public(self) -> Document:
        return {**self.key.as_dict(private=False), "kid": self.kid, "use": "sig"}

    async def register(self, scope: str = "system/*.cruds", **keys: str) -> None:
        given = Keys(**keys) if keys else Keys(jwks=json.dumps({"keys": [self.public()]}))
        await registering.register(
            self.house.engine, OPERATOR, self.name, self.house.clinic.reference, scope, given,
            self.house.clock(),
        )  # fmt: skip

    def claims(self, **others: Any) -> Document:
        now = self.house.clock()
        whole: Document = {
            "iss": self.name,
            "sub": self.name,
            "aud": TOKEN,
            "exp": int((now + timedelta(minutes=4)).timestamp()),
            "jti": uuid.uuid4().hex,
            **others,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def signed(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Whatever it says: no library is asked whether it makes sense."""
        return self.sealed(json.dumps(claims).encode(), **header)

    def sealed(self, payload: bytes, **header: Any) -> str:
        whole = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT", **header}
        stated = {name: value for name, value in whole.items() if value is not None}
        text = f"{_segment(json.dumps(stated).encode())}.{_segment(payload)}"
        return f"{text}.{_segment(_signature(self.key, text.encode()))}"

    def form(self, **others: str) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": JWT_BEARER,
            "client_assertion": self.signed(self.claims()),
            "scope": "system/*.rs",
            **others,
        }

    async def token(self, http: httpx2.AsyncClient, scope: str = "system/*.rs") -> str:
        answered = await http.post("/auth/token", data=self.form(scope=scope))
        assert answered.status_code == 200, answered.text
        return str(answered.json()["access_token"])


def _segment(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _signature(key: RSAKey | ECKey, text: bytes) -> bytes:
    """RS384 or ES384, by the kind of the key (RFC 7518, 3.3 and 3.4)."""
    private: Any = key.private_key
    if isinstance(key, RSAKey):
        return bytes(private.sign(text, padding.PKCS1v15(), hashes.SHA384()))
    r, s = decode_dss_signature(private.sign(text, ec.ECDSA(hashes.SHA384())))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


@dataclass(slots=True)
class KeyServer:
    """Where a backend keeps its keys. answer: status line and set; asked: how often."""

    address: str = ""
    status: str = "200 OK"
    keys: list[Document] = field(default_factory=list)
    asked: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        body = json.dumps({"keys": self.keys}).encode()
        head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def key_server(*keys: Document) -> AsyncIterator[KeyServer]:
    kept = KeyServer(keys=list(keys))
    listening = await asyncio.start_server(kept.serve, "127.0.0.1", 0)
    async with listening:
        kept.address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/jwks.json"
        yield kept
