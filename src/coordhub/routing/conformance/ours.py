"""The check list at the hub: a partner's keys, and what its client has done in the sandbox.

https://www.rfc-editor.org/rfc/rfc7517
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coordhub.access import keys, viewer
from coordhub.errors import FhirError
from coordhub.outbound.client import Outbound, Unreachable
from coordhub.r4 import document, types
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.record.operations import Create
from coordhub.record.validation import structure
from coordhub.referral import profiles
from coordhub.referral.profiles import Profile
from coordhub.routing.conformance.items import failed, not_tried, passed, unreachable
from coordhub.store import onboarding, partners
from coordhub.store.clients import Client
from coordhub.store.onboarding import Item, Partner

MOST: Final = 20
"""Resources that are looked at."""


async def keys_of(
    outbound: Outbound, client: Client | None, before: Sequence[Item]
) -> tuple[Item, Item]:
    """Whether its keys can be had, and whether it can go from one to the next."""
    last = next((one.noted for one in before if one.name == "keys"), "")
    if client is None or client.jwks_uri is None:
        held = keys.read(client.jwks or "") if client is not None else ()
        kids = " ".join(sorted(one.kid for one in held))
        there = passed("keys", f"The hub has {len(held)} of its public keys.", kids)
        return there, _rotates(
            last, kids, "give the hub's operator a set with both, then one without the old"
        )
    answer = await outbound.send("GET", client.jwks_uri, {"Accept": "application/json"})
    if isinstance(answer, Unreachable):
        return unreachable("keys", answer), not_tried("rotation", "Its keys cannot be had.")
    found = keys.read(answer.body.decode("utf-8", "replace")) if answer.status == 200 else ()
    if not found:
        said = f"Its key set was answered with {answer.status}" + (
            " and holds no key that can be used." if answer.status == 200 else "."
        )
        do = "Publish a JSON Web Key Set with a public key that has a kid: RSA of 2048 bits or more, or EC on P-384."
        return failed("keys", said, do), not_tried("rotation", "Its keys cannot be had.")
    kids = " ".join(sorted(one.kid for one in found))
    there = passed("keys", f"Its set can be had and has {len(found)} that can be used.", kids)
    return there, _rotates(last, kids, "put the new one beside the old, then take the old one out")


def _rotates(last: str, kids: str, how: str) -> Item:
    if last and last != kids:
        return passed("rotation", "Its keys are others than in the last report.")
    if " " in kids:
        return passed(
            "rotation", "It has more than one key side by side, as for going over to the next."
        )
    return not_tried(
        "rotation",
        "It has one key" + (", the same as in the last report." if last else "."),
        f"Change it once, to know how: {how}; then have it checked again.",
    )


async def check(hub: Hub, partner: Partner, sample: bytes | None) -> list[Item]:
    async with hub.engine.pool.acquire() as conn:
        done = await onboarding.done(conn, partner)
        eyes = viewer.as_organization(partner.sandbox)
        written = await onboarding.last_written(conn, eyes, partner.sandbox, MOST)
        name = await partners.profile_of(conn, partner.stands_for)
    profile = profiles.named(name)
    return [
        _token(done.tokens),
        _sends(done.writes, [parties.document(one) for one in written], profile),
        _retries(done.keyed),
        *([] if sample is None else [_sample(sample, profile)]),
    ]


def _token(tokens: int) -> Item:
    if tokens:
        return passed("token", f"It has asked for a token {tokens} times and got it.")
    return not_tried(
        "token",
        "It has got no token here by its own key.",
        "Ask for one at the token_endpoint, as docs/integration.md shows.",
    )


def _sends(writes: Sequence[int], written: Sequence[dict[str, Any]], profile: Profile) -> Item:
    name = "sends"
    if not writes:
        return not_tried(
            name,
            "It has written nothing in the sandbox.",
            "Send a referral for a made-up patient there.",
        )
    refused = sum(status >= 400 for status in writes)
    tally = f"{len(writes)} writes, {refused} of them refused"
    if writes[0] >= 400:
        return failed(
            name,
            f"The last of {tally}, with {writes[0]}.",
            "The OperationOutcome of the answer says which element and what to do; send it again put right.",
        )
    faults = [fault for one in written for fault in _outside(one, profile)]
    if faults:
        return failed(
            name,
            f"{tally}; of the last {len(written)} resources {len(faults)} are not as {profile.title} has it: "
            f"{faults[0]}.",
            f"Say what {profile.title} has words for, or agree on another profile (coordhub partner --profile).",
        )
    if not written:
        return not_tried(
            name, f"{tally}; nothing of it stands.", "Send a referral, and let it stand."
        )
    return passed(
        name,
        f"{tally}; the last {len(written)} resources are as R4 and {profile.title} have it.",
    )


def _outside(resource: dict[str, Any], profile: Profile) -> list[str]:
    """What a Task says that its profile has no word for; where, not what of whom."""
    if resource.get("resourceType") != "Task":
        return []
    faults = []
    status = resource.get("status")
    if status not in profile.statuses:
        faults.append(f"Task.status {status}")
    if profile.system:
        business = resource.get("businessStatus")
        codings = business.get("coding", []) if isinstance(business, dict) else []
        own = [one.get("code") for one in codings if one.get("system") == profile.system]
        faults += ["Task.businessStatus" for code in own if code not in profile.codes]
    return faults


def _retries(keyed: int) -> Item:
    name = "safe retries"
    if keyed:
        return passed(
            name, "It says by a key or a number which write it is, so that it may send it again."
        )
    return not_tried(
        name,
        "No write of its said by a key which it is.",
        "Send an Idempotency-Key with each write, or give each order an identifier, so that you can send again "
        "what was not answered.",
    )


def _sample(sample: bytes, profile: Profile) -> Item:
    name = "sample"
    do = "Put it right; POST [base]/[type]/$validate says the same at any time."
    try:
        resource = document.parse(sample)
    except FhirError as error:
        return failed(name, f"It cannot be read: {error.issues[0].diagnostics}", do)
    kind = resource.get("resourceType")
    if kind not in types.NUMBER:
        return failed(name, "It is no resource of R4.", do)
    issues = [one for one in structure.check([Create(kind, resource)]) if one.severity != "warning"]
    faults = [one.expression or kind for one in issues] + _outside(resource, profile)
    if faults:
        return failed(name, f"{len(faults)} faults, the first at {faults[0]}.", do)
    return passed(name, f"The {kind} is as R4 and {profile.title} have it.")
