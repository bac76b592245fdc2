"""Tokens bound to the certificate that a client has shown to the proxy: with another, or none, they are none."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

import pytest
from open_app import App, leave
from open_door import ORIGIN, Backend, doors
from open_hub import House

from coordhub.access.certificates import thumbprint

DER = b"a certificate, as far as anybody here looks"
CODED = base64.b64encode(DER).decode()
PEM = f"-----BEGIN CERTIFICATE-----\n{CODED}\n-----END CERTIFICATE-----\n"
HEADER = "Client-Cert"
MINE = {HEADER: f":{CODED}:"}
OTHERS = {HEADER: f":{base64.b64encode(b'another').decode()}:"}


@pytest.mark.parametrize(
    ("value", "is_read"),
    [
        (f":{CODED}:", True), (quote(PEM), True), (PEM.replace("\n", " "), True),
        ("", False), ("::", False), (":%%%:", False), ("-----BEGIN CERTIFICATE-----", False),
        (CODED, False), ("x" * 40_000, False), (":\u00e9:", False),
    ],
)  # fmt: skip
def test_given_a_header_when_read_then_the_thumbprint_of_what_is_a_certificate(
    value: str, is_read: bool
) -> None:
    headers = [(b"client-cert", value.encode("latin-1"))]
    expected = hashlib.sha256(DER).digest() if is_read else None
    assert thumbprint(headers, HEADER) == expected
    assert thumbprint(headers, None) is None
    assert thumbprint(headers * 2, HEADER) is None


async def test_given_a_token_that_is_bound_when_shown_with_another_certificate_or_none_then_it_is_none(
    house: House, ehr: Backend
) -> None:
    await ehr.register()
    app = App(house)
    await app.register("openid offline_access user/Task.rs")
    async with doors(house, certificate_header=HEADER) as [http], doors(house) as [plain]:
        said = (await http.get("/fhir/.well-known/smart-configuration")).json()
        assert said["tls_client_certificate_bound_access_tokens"] is True
        given = await http.post("/auth/token", data=ehr.form(), headers=MINE)
        code = await leave(http, app, "offline_access user/Task.rs")
        of_app = await http.post("/auth/token", data=app.form(code), headers=MINE)
        for token in (given.json()["access_token"], of_app.json()["access_token"]):
            bearer = {"Authorization": f"Bearer {token}"}
            for shown, status in ((MINE, 200), (OTHERS, 401), ({}, 401), (MINE, 200)):
                answered = await http.get("/fhir/Task", headers={**bearer, **shown})
                assert answered.status_code == status
            assert (await plain.get("/fhir/Task", headers={**bearer, **MINE})).status_code == 401
            assertion = ehr.signed(ehr.claims(aud=f"{ORIGIN}/auth/introspect"))
            form = {**ehr.form(client_assertion=assertion), "token": token}
            seen = (await http.post("/auth/introspect", data=form)).json()
            made = base64.urlsafe_b64encode(hashlib.sha256(DER).digest()).decode().rstrip("=")
            assert seen["cnf"] == {"x5t#S256": made}
        free = await ehr.token(http)
        answered = await http.get("/fhir/Task", headers={"Authorization": f"Bearer {free}", **MINE})
        assert answered.status_code == 200
