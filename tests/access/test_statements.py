"""Software statements: one that is right is read, and anything else is refused in the same words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from coordhub.access import statements
from coordhub.access.statements import InvalidStatement, UnusableIssuersError

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
THEN = int(NOW.timestamp())
KEY = ECKey.generate_key("P-384", {"kid": "one"})
OTHER = ECKey.generate_key("P-384", {"kid": "one"})
TRUSTED = statements.issuers(
    json.dumps({"https://issuer.example": {"keys": [KEY.as_dict(private=False)]}})
)
CLAIMS: dict[str, Any] = {
    "iss": "https://issuer.example",
    "iat": THEN,
    "software_id": "ehr",
    "software_version": "4.2",
    "organization": "Organization/1",
    "jwks_uri": "https://ehr.example/jwks.json",
}


def signed(key: Any = KEY, header: dict[str, Any] | None = None, **claims: Any) -> str:
    whole = {name: one for name, one in {**CLAIMS, **claims}.items() if one is not None}
    stated = {"alg": "ES384", "kid": "one", **(header or {})}
    return jwt.encode(stated, whole, key, algorithms=[stated["alg"]])


def test_given_a_statement_of_a_trusted_issuer_when_read_then_what_it_says() -> None:
    found = statements.read(signed(), TRUSTED, NOW)
    assert (found.issuer, found.software) == ("https://issuer.example", "ehr 4.2")
    assert (found.organization, found.keys) == ("Organization/1", "https://ehr.example/jwks.json")
    inline = statements.read(signed(jwks={"keys": []}, exp=THEN + 1, scope="s"), TRUSTED, NOW)
    assert (json.loads(inline.keys), inline.scope) == ({"keys": []}, "s")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "a.b.c",
        "ä",
        signed(OTHER),
        signed(header={"kid": "two"}),
        signed(RSAKey.generate_key(2048), {"alg": "RS384"}),
        signed(OctKey.generate_key(256), {"alg": "HS256"}),
        signed(iss="https://other.example"),
        signed(iss=None),
        signed(iat=THEN + 60),
        signed(iat=None),
        signed(iat="now"),
        signed(exp=THEN),
        signed(exp="never"),
        signed(exp=True),
        signed(software_id=None),
        signed(software_id="a\nb"),
        signed(organization=None),
        signed(organization=7),
        signed(jwks_uri=7),
        signed(scope=7),
        signed()[:-4] + "AAAA",
        signed().rpartition(".")[0] + ".",
    ],
)
def test_given_anything_else_when_read_then_it_is_refused_in_the_same_words(text: object) -> None:
    with pytest.raises(InvalidStatement, match="Send as software_statement a JWT"):
        statements.read(text, TRUSTED, NOW)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": 1}', '{"a": {"keys": []}}'])
def test_given_a_file_that_names_no_issuer_with_a_key_when_read_then_it_says_what_to_write(
    text: str,
) -> None:
    with pytest.raises(UnusableIssuersError):
        statements.issuers(text)
