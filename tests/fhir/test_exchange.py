"""What is agreed on besides the interaction: formats, bytes of a Binary, compression, origins."""

from __future__ import annotations

import base64
import gzip

import httpx2
import pytest
from pydantic import SecretStr

from coordhub.app import build
from coordhub.fhir import binary
from coordhub.settings import Settings

PATIENT = {"resourceType": "Patient", "name": [{"family": "Water"}]}
PDF = b"%PDF-1.7\n\x00\xff rest"


async def raw(house, method: str, path: str, *, content: bytes | None = None, **headers: str):
    """A request whose answer may be anything."""
    sent = {"Authorization": f"Bearer {house.near.token}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await house.http.request(method, f"/fhir{path}", content=content, headers=sent)


async def test_given_bytes_when_sent_to_binary_then_they_are_stored_and_come_back_as_they_were(
    house,
):
    who = (await house.near.ask("POST", "/Patient", PATIENT)).json()["id"]
    made = await raw(
        house, "POST", "/Binary", content=PDF,
        content_type="application/pdf", x_security_context=f"Patient/{who}",
    )  # fmt: skip
    assert made.status_code == 201, made.text
    resource = made.json()
    assert resource["contentType"] == "application/pdf"
    assert base64.b64decode(resource["data"]) == PDF
    assert resource["securityContext"] == {"reference": f"Patient/{who}"}
    path = f"/Binary/{resource['id']}"
    for accept in ("*/*", "application/pdf", "text/html, application/*;q=0.1"):
        read = await raw(house, "GET", path, accept=accept)
        assert read.content == PDF
        assert read.headers["content-type"] == "application/pdf"
        assert read.headers["etag"] == 'W/"1"'
        assert read.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in read.headers["content-security-policy"]
    for accept in (
        "application/fhir+json",
        "application/json",
        "application/pdf, application/json",
    ):
        read = await raw(house, "GET", path, accept=accept)
        assert read.json() == resource
    assert (await raw(house, "GET", f"{path}?_format=json")).json() == resource
    assert (await raw(house, "GET", f"{path}/_history/1")).content == PDF
    assert (await raw(house, "HEAD", path)).headers["content-length"] == str(len(PDF))
    assert (await raw(house, "GET", path, accept="image/png")).status_code == 406
    assert (await raw(house, "GET", path, if_none_match='W/"1"')).status_code == 304
    far = await house.far.ask("GET", path)
    assert (far.status_code, far.json()["resourceType"]) == (404, "OperationOutcome")


async def test_given_new_bytes_when_put_then_a_version_is_made(house):
    made = await raw(house, "POST", "/Binary", content=b"one", content_type="text/plain")
    path = f"/Binary/{made.json()['id']}"
    put = await raw(house, "PUT", path, content=b"two", content_type="text/plain; charset=utf-8")
    assert put.status_code == 200, put.text
    read = await raw(house, "GET", path)
    assert (read.content, read.headers["content-type"]) == (b"two", "text/plain; charset=utf-8")


async def test_given_large_bytes_when_read_then_they_come_in_pieces_and_as_they_were(house):
    for odd in range(3):
        content = bytes(range(256)) * 1500 + b"x" * odd
        made = await raw(house, "POST", "/Binary", content=content, content_type="image/png")
        read = await raw(house, "GET", f"/Binary/{made.json()['id']}")
        assert read.content == content
        assert read.headers["content-length"] == str(len(content))
        native = binary.native(
            (await raw(house, "GET", f"/Binary/{made.json()['id']}?_format=json")).content, None
        )
        assert max(len(piece) for piece in native.pieces()) <= binary.PIECE


async def test_given_base64_in_lines_when_its_bytes_are_read_then_the_lines_are_no_part(house):
    lines = base64.encodebytes(PDF * 40).decode()
    assert lines.count("\n") > 3
    sent = {"resourceType": "Binary", "contentType": "application/pdf", "data": lines}
    made = await house.near.ask("POST", "/Binary", sent)
    assert made.json()["data"] == lines
    assert (await raw(house, "GET", f"/Binary/{made.json()['id']}")).content == PDF * 40


async def test_given_a_binary_as_a_resource_when_sent_then_it_is_that(house):
    sent = {"resourceType": "Binary", "contentType": "image/png", "data": "AAEC"}
    made = await house.near.ask("POST", "/Binary", sent)
    assert made.status_code == 201
    assert (await raw(house, "GET", f"/Binary/{made.json()['id']}")).content == b"\0\1\2"
    refused = await raw(
        house, "POST", "/Binary", content=b"<x/>", content_type="application/fhir+xml"
    )
    assert refused.status_code == 415
    nowhere = await raw(
        house, "POST", "/Binary", content=b"x",
        content_type="text/plain", x_security_context="Patient/nothing",
    )  # fmt: skip
    assert nowhere.status_code == 422


async def test_given_a_content_type_that_is_no_header_when_read_then_it_is_left_out(house):
    sent = {"resourceType": "Binary", "contentType": "text/h\u00e9", "data": "AAEC"}
    made = await house.near.ask("POST", "/Binary", sent)
    assert made.status_code == 201, made.text
    read = await raw(house, "GET", f"/Binary/{made.json()['id']}")
    assert read.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("accepts", "taken"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("identity", False), ("gzip;q=0", False)],
)
async def test_given_who_takes_gzip_when_the_answer_is_large_then_it_is_compressed(
    house, accepts, taken
):
    for number in range(12):
        await house.near.ask("POST", "/Patient", {**PATIENT, "language": f"en-{number}"})
    request = house.http.build_request(
        "GET",
        "/fhir/Patient",
        headers={"Authorization": f"Bearer {house.near.token}", "Accept-Encoding": accepts},
    )
    answered = await house.http.send(request, stream=True)
    content = b"".join([part async for part in answered.aiter_raw()])
    assert ("content-encoding" in answered.headers) is taken
    assert "Accept-Encoding" in answered.headers["vary"]
    text = gzip.decompress(content) if taken else content
    assert text.startswith(b'{"resourceType":"Bundle"')
    assert answered.headers["content-length"] == str(len(content))
    small = await house.http.send(
        house.http.build_request("GET", "/fhir/Patient/none", headers=request.headers)
    )
    assert "content-encoding" not in small.headers


async def test_given_origins_when_a_page_asks_then_only_those_are_let_in(database_url, house):
    preflight = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,if-match,content-type",
    }
    closed = await house.http.options("/fhir/Patient", headers=preflight)
    assert "access-control-allow-origin" not in closed.headers
    settings = Settings.model_validate(
        {
            "DATABASE_URL": database_url,
            "token_key": SecretStr("a test key that is long enough for it"),
            "cors_origins": "https://app.example, https://other.example",
        }
    )
    app = build(settings, house.context.hub)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://hub.example") as http:
            allowed = await http.options("/fhir/Patient", headers=preflight)
            assert allowed.status_code == 200
            assert allowed.headers["access-control-allow-origin"] == "https://app.example"
            assert "PUT" in allowed.headers["access-control-allow-methods"]
            other = await http.options(
                "/fhir/Patient", headers={**preflight, "Origin": "https://evil.example"}
            )
            assert "access-control-allow-origin" not in other.headers
            stated = await http.get("/fhir/metadata", headers={"Origin": "https://app.example"})
            assert "ETag" in stated.headers["access-control-expose-headers"]
            assert "Warning" in stated.headers["access-control-expose-headers"]
            refused = await http.get("/fhir/Patient", headers={"Origin": "https://app.example"})
            assert refused.status_code == 401
            assert refused.headers["access-control-allow-origin"] == "https://app.example"
