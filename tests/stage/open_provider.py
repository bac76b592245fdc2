"""A small OpenID provider on loopback, that may lie: about itself, about who signs in, about whom it is for."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jws
from joserfc.jwk import RSAKey

from coordhub.authorization.foreign import half

Document = dict[str, Any]

CLIENT = "hub"
SECRET = "between the two of us"
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})


@dataclass(slots=True)
class IdP:
    """subject, email: of who signs in. lies: claims that it tells instead (None: not). key, kid, algorithm: that
    sign. down: it answers 503. posts: forms that the token endpoint took."""

    now: Any
    address: str = ""
    subject: str = "248289761001"
    email: str | None = "ana@clinic.example"
    verified: bool = True
    lies: Document = field(default_factory=dict)
    says: Document = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: KEY)
    kid: str | None = "one"
    algorithm: str = "RS256"
    down: bool = False
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    posts: list[tuple[dict[str, str], str]] = field(default_factory=list)

    def lets_in(self, location: str) -> dict[str, str]:
        """What the browser brings back from where it was sent to: somebody has signed in."""
        asked = dict(parse_qsl(urlsplit(location).query))
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"state": asked["state"], "code": code, "iss": self.address}

    def token(self, asked: dict[str, str], access: str) -> str:
        now: datetime = self.now()
        claims = {
            "iss": self.address, "sub": self.subject, "aud": CLIENT, "nonce": asked["nonce"],
            "iat": int(now.timestamp()), "exp": int(now.timestamp()) + 300,
            "email": self.email, "email_verified": self.verified, "at_hash": half(access, "RS256"),
            **self.lies,
        }  # fmt: skip
        told = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm, **({"kid": self.kid} if self.kid else {})}
        payload = json.dumps(told).encode()
        if self.algorithm == "none":
            parts = (json.dumps(header).encode(), payload, b"")
            return ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts)
        if self.algorithm == "HS256":
            from joserfc.jwk import OctKey

            public = OctKey.import_key(self.key.as_pem(private=False))
            return jws.serialize_compact(header, payload, public, algorithms=["HS256"])
        return jws.serialize_compact(header, payload, self.key, algorithms=[self.algorithm])

    def answer(self, path: str, headers: dict[str, str], body: str) -> tuple[str, Document]:
        if self.down:
            return "503 Service Unavailable", {}
        match path:
            case "/.well-known/openid-configuration":
                return "200 OK", {
                    "issuer": self.address,
                    "authorization_endpoint": f"{self.address}/authorize",
                    "token_endpoint": f"{self.address}/token",
                    "jwks_uri": f"{self.address}/jwks",
                    "authorization_response_iss_parameter_supported": True,
                    **self.says,
                }
            case "/jwks":
                return "200 OK", {"keys": [KEY.as_dict(private=False)]}
            case "/token":
                return self._exchanged(dict(parse_qsl(body)), headers.get("authorization", ""))
        return "404 Not Found", {}

    def _exchanged(self, form: dict[str, str], authorization: str) -> tuple[str, Document]:
        self.posts.append((form, authorization))
        asked = self.codes.pop(form.get("code", ""), None)
        made = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or base64.urlsafe_b64encode(made).decode().rstrip("=") != asked["code_challenge"]
            or form.get("redirect_uri") != asked["redirect_uri"]
            or form.get("client_id") != CLIENT
        ):
            return "400 Bad Request", {"error": "invalid_grant"}
        access = secrets.token_urlsafe(16)
        token = self.token(asked, access)
        return "200 OK", {"access_token": access, "token_type": "Bearer", "id_token": token}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
            if name
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        status, said = self.answer(first.split()[1], headers, body.decode())
        text = json.dumps(said).encode()
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + text
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def provider(now: Any) -> AsyncIterator[IdP]:
    made = IdP(now)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with listening:
        made.address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield made
