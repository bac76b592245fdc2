"""A client is registered by a software statement: in the sandbox, for whom its issuer names, and no more than a few."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey
from open_door import doors
from open_hub import House

from coordhub.admin import checking
from coordhub.admin.acts import Operator
from coordhub.admin.registration_http import MOST

ISSUER = "https://issuer.example"


async def test_given_a_trusted_issuer_when_a_statement_is_brought_then_a_client_in_the_sandbox_that_a_person_approves(
    house: House, tmp_path: Path
) -> None:
    key, own = (ECKey.generate_key("P-384", {"kid": kid}) for kid in ("issuer", "own"))
    file = tmp_path / "issuers.json"
    file.write_text(json.dumps({ISSUER: {"keys": [key.as_dict(private=False)]}}))
    claims = {
        "iss": ISSUER,
        "iat": int(house.clock().timestamp()),
        "software_id": "Lakeside EHR",
        "organization": house.clinic.reference,
    }

    def statement(**more: Any) -> str:
        return jwt.encode(
            {"alg": "ES384", "kid": "issuer"}, {**claims, **more}, key, algorithms=["ES384"]
        )

    async def bring(http: httpx2.AsyncClient, **body: Any) -> tuple[int, dict[str, Any]]:
        given = {"software_statement": statement(), "jwks": {"keys": [own.as_dict(private=False)]}}
        answered = await http.post("/auth/register", json={**given, **body})
        assert answered.headers["cache-control"] == "no-store"
        return answered.status_code, answered.json()

    async with doors(house) as [closed]:
        assert (await bring(closed))[0] == 403
        found = (await closed.get("/fhir/.well-known/smart-configuration")).json()
        assert "registration_endpoint" not in found
    async with doors(house, software_issuers=file) as [http]:
        found = (await http.get("/fhir/.well-known/smart-configuration")).json()
        assert found["registration_endpoint"].endswith("/auth/register")
        status, made = await bring(http, scope="system/Task.rs")
        assert (status, made["scope"]) == (201, "system/Task.rs")
        client = made["client_id"]
        assert client.startswith("lakeside-ehr-")
        for body, error in (
            ({"software_statement": "x"}, "invalid_software_statement"),
            ({"software_statement": statement(organization="Organization/none")}, "invalid_client_metadata"),
            ({"jwks": {"keys": []}}, "invalid_client_metadata"),
            ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
            ({"endpoint": "ftp://a.example"}, "invalid_client_metadata"),
            ({"scope": "all"}, "invalid_client_metadata"),
            ({"headers": 7}, "invalid_client_metadata"),
        ):  # fmt: skip
            status, refused = await bring(http, **body)
            assert (status, refused["error"]) == (400, error), body
            assert refused["error_description"]
        assert (await http.post("/auth/register", content=b"[" * 10_000)).status_code == 400
        assert (await http.post("/auth/register", content=b" " * 300_000)).status_code == 400
        brought = await asyncio.gather(*(bring(http) for _ in range(MOST + 1)))
        assert sorted(status for status, _ in brought) == [201] * (MOST - 1) + [403] * 2
    standing = await checking.approve(house.hub, Operator("rosa"), client, in_spite="known")
    assert (standing.registered_by, standing.state) == (f"software:{ISSUER}", "approved")
    assert standing.software == f"Lakeside EHR ({ISSUER})"
    assert await house.value("select count(*) from sandbox") == 1
