"""Signatures of notifications, as a receiver's library verifies them."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from coordhub.routing import signing

OLD, NEW, OTHER = b"o" * 24, b"n" * 32, b"x" * 32
MESSAGE = UUID(int=7)
BODY = '{"resourceType":"Bundle","note":"\u00e9"}'.encode()


def verified(secret: bytes, body: bytes, headers: dict[str, str]) -> None:
    Webhook("whsec_" + b64encode(secret).decode()).verify(body.decode(), headers)


def signed(*secrets: bytes) -> dict[str, str]:
    return signing.headers(secrets, MESSAGE, datetime.now(UTC), BODY)


def test_given_a_secret_when_signed_then_its_holder_verifies_it_and_nobody_else() -> None:
    headers = signed(NEW)
    verified(NEW, BODY, headers)
    for secret, body, changed in (
        (OTHER, BODY, {}),
        (NEW, BODY + b" ", {}),
        (NEW, BODY, {"webhook-id": str(UUID(int=8))}),
        (NEW, BODY, {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            verified(secret, body, headers | changed)


def test_given_two_secrets_when_signed_then_the_holder_of_either_verifies_it() -> None:
    headers = signed(NEW, OLD)
    verified(NEW, BODY, headers)
    verified(OLD, BODY, headers)
    with pytest.raises(WebhookVerificationError):
        verified(OTHER, BODY, headers)


def test_given_no_secret_when_sent_then_there_is_an_identity_but_no_signature() -> None:
    assert sorted(signed()) == ["webhook-id", "webhook-timestamp"]
