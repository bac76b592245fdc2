"""Signatures of notifications, as Standard Webhooks has them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID


def headers(
    secrets: Sequence[bytes], identifier: UUID, now: datetime, body: bytes
) -> dict[str, str]:
    """The three headers of one attempt; without a secret there is no signature.

    identifier: the same at each attempt. now: of this attempt. While two secrets are valid, there is a
    signature by each, and a receiver takes either.
    """
    about = {"webhook-id": str(identifier), "webhook-timestamp": str(int(now.timestamp()))}
    signed = f"{about['webhook-id']}.{about['webhook-timestamp']}.".encode() + body
    signatures = [
        f"v1,{b64encode(hmac.digest(secret, signed, 'sha256')).decode()}" for secret in secrets
    ]
    return about | ({"webhook-signature": " ".join(signatures)} if signatures else {})
