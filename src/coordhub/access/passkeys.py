"""Passkeys: keys that an authenticator of a person keeps for this hub, and uses when it has seen that it is the person.

https://www.w3.org/TR/webauthn-3/#sctn-registering-a-new-credential,
https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion, https://pages.nist.gov/800-63-4/sp800-63b.html#sec3

What a browser answers is for this hub's own pages, for what was asked, with the person verified; what is wrong with it
is told to nobody. Nothing is asked about the maker of an authenticator (attestation `none`). The library is loaded
when a passkey is used first: what it brings along reads certificates, which nothing else of the hub needs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

LONGEST_ID: Final = 1023
"""Bytes of a credential's id, https://www.w3.org/TR/webauthn-3/#credential-id"""

TITLE: Final = "coordhub"


@dataclass(frozen=True, slots=True)
class Place:
    """Whose passkeys these are: the RP ID and the origin of the pages."""

    id: str
    origin: str

    @classmethod
    def of(cls, base: str) -> Place | None:
        """By the address that people know of the hub; None where browsers have no passkeys: by an IP address, or
        by http anywhere but on the machine itself."""
        parts = urlsplit(base)
        host = parts.hostname or ""
        try:
            ip_address(host)
        except ValueError:
            pass
        else:
            return None
        if not host or (parts.scheme != "https" and host != "localhost"):
            return None
        return cls(host, f"{parts.scheme}://{parts.netloc}".lower())


@dataclass(frozen=True, slots=True)
class Made:
    """A new passkey. uses: what its authenticator counts."""

    id: bytes
    key: bytes
    uses: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a browser answers who signs in. person: whom the authenticator takes it to be."""

    id: bytes
    person: str
    text: str


def to_make(
    place: Place, challenge: bytes, person: str, email: str, name: str, known: Sequence[bytes]
) -> str:
    """What a browser is asked for; JSON. known: what the person has already, so that no authenticator makes two."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    return options_to_json(
        generate_registration_options(
            rp_id=place.id, rp_name=TITLE, user_id=person.encode(), user_name=email,
            user_display_name=name, challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
        )
    )  # fmt: skip


def to_use(place: Place, challenge: bytes) -> str:
    """What a browser is asked for, whoever there is; JSON."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import UserVerificationRequirement

    return options_to_json(
        generate_authentication_options(
            rp_id=place.id,
            challenge=challenge,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def made(place: Place, challenge: bytes, text: str) -> Made | None:
    """What the browser has made, if it is what was asked for. text: JSON."""
    from webauthn import verify_registration_response

    said = _said(text)
    if said is None:
        return None
    try:
        found = verify_registration_response(
            credential=said, expected_challenge=challenge, expected_rp_id=place.id,
            expected_origin=place.origin, require_user_verification=True,
        )  # fmt: skip
    except Exception:  # the library raises whatever what it is sent leads it to
        return None
    if not 0 < len(found.credential_id) <= LONGEST_ID:
        return None
    return Made(found.credential_id, found.credential_public_key, found.sign_count)


def shown(text: str) -> Shown | None:
    """Which passkey somebody says that it has. text: JSON."""
    from webauthn.helpers import base64url_to_bytes

    said = _said(text)
    if said is None:
        return None
    try:
        known = base64url_to_bytes(said["rawId"])
        person = base64url_to_bytes(said["response"]["userHandle"]).decode("ascii")
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not 0 < len(known) <= LONGEST_ID or not person.isalnum():
        return None
    return Shown(known, person, text)


def uses_of(place: Place, challenge: bytes, one: Shown, key: bytes, uses: int) -> int | None:
    """How often it was used, with this; None where it does not prove that the person is there.

    key, uses: as they are known. An authenticator that counts must have counted on: else there are two of it.
    """
    from webauthn import verify_authentication_response

    try:
        found = verify_authentication_response(
            credential=one.text, expected_challenge=challenge, expected_rp_id=place.id,
            expected_origin=place.origin, credential_public_key=key,
            credential_current_sign_count=uses, require_user_verification=True,
        )  # fmt: skip
    except Exception:  # the library raises whatever what it is sent leads it to
        return None
    return found.new_sign_count


def _said(text: str) -> dict[str, Any] | None:
    """What a page of another origin had made within its frame is none."""
    from webauthn.helpers import base64url_to_bytes

    try:
        said = json.loads(text)
        client = json.loads(base64url_to_bytes(said["response"]["clientDataJSON"]))
        if client.get("crossOrigin", False) is not False or "topOrigin" in client:
            return None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return dict(said)
