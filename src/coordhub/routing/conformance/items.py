"""Items of the check list, and what is thought of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from coordhub.outbound.client import Unreachable
from coordhub.store.onboarding import Item

PROMPT: Final = timedelta(seconds=5)
"""Within which a server acknowledges what it is sent."""

SKEW: Final = timedelta(seconds=30)
"""By which clocks may differ."""

LASTS: Final = timedelta(days=14)
"""For which a certificate is good at least."""


def passed(name: str, found: str, noted: str = "") -> Item:
    return Item(name, "passed", found, noted=noted)


def failed(name: str, found: str, do: str, noted: str = "") -> Item:
    return Item(name, "failed", found, do, noted)


def not_tried(name: str, why: str, do: str = "", noted: str = "") -> Item:
    return Item(name, "not tried", why, do, noted)


_UNREACHABLE: Final = {
    "refused": ("nothing listens there", "Start the server, or register the address where it is."),
    "timeout": ("it does not answer in time", "Look whether it is up, and whether a firewall holds the hub back."),
    "tls": (
        "its certificate proves nothing: it is expired, of another name, or of an authority that is not trusted",
        "Install a certificate of a public authority for this name, with its chain.",
    ),
    "dns": ("its name leads nowhere", "Register the name, or correct the address."),
    "reset": ("it hangs up", "Look into its log at the time of this report."),
    "blocked": (
        "the address is none that the hub may call",
        "Use https and a public address; the hub's operator can allow a network (COORDHUB_OUTBOUND_NETWORKS).",
    ),
    "too_large": ("its answer does not end", "Answer with less than a megabyte."),
    "protocol": ("what it answers is no HTTP", "Look whether the port is the right one."),
}  # fmt: skip


def unreachable(name: str, why: Unreachable) -> Item:
    found, do = _UNREACHABLE[why.kind]
    return failed(name, f"{found[:1].upper()}{found[1:]}.", do)


def certificate(address: str, ends: datetime | None, now: datetime) -> Item:
    """Of a server that has answered."""
    name = "tls"
    if not address.startswith("https:"):
        return not_tried(
            name,
            "It is spoken to without TLS, inside of a network that the hub's operator named.",
            "Anywhere else use https.",
        )
    if ends is None:
        return not_tried(name, "It is valid; until when could not be seen.")
    left = ends - now
    until = f"{ends:%Y-%m-%d}"
    if left < LASTS:
        return failed(
            name,
            f"The certificate is valid, but only until {until}.",
            f"Renew it now, and by itself from then on: it should have {LASTS.days} days left at any time.",
        )
    return passed(name, f"The certificate is valid until {until}, for {left.days} days.")


def clock(date: str | None, now: datetime, took: timedelta) -> Item:
    """By the header Date of an answer, which is of whole seconds."""
    name = "clock"
    try:
        theirs = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return not_tried(
            name,
            "Its answers have no Date that can be read.",
            "Send one: it tells whose clock is wrong.",
        )
    if theirs.tzinfo is None:
        return not_tried(name, "The Date of its answers has no zone.", "Send it in GMT.")
    off = abs(theirs - now) - took - timedelta(seconds=1)
    if off > SKEW:
        return failed(
            name,
            f"Its clock is {abs(theirs - now).total_seconds():.0f} s away from the hub's.",
            "Let it be set by NTP: assertions and times of referrals are judged by clocks.",
        )
    return passed(name, f"Its clock is within {SKEW.total_seconds():.0f} s of the hub's.")


def acknowledged(took: Sequence[float]) -> Item:
    """took: seconds, of each time that something was sent and taken."""
    name = "acknowledgement"
    if not took:
        return not_tried(name, "It has taken nothing that could be timed.")
    slowest = max(took)
    times = f"{len(took)} times, in {min(took) * 1000:.0f} to {slowest * 1000:.0f} ms"
    if slowest > PROMPT.total_seconds():
        return failed(
            name,
            f"It acknowledged {times}.",
            f"Answer within {PROMPT.total_seconds():.0f} s: take the Bundle, store it, answer, and do what "
            "follows afterwards.",
        )
    return passed(name, f"It acknowledged {times}.")


def capabilities(statement: dict[str, Any]) -> Item:
    """What a CapabilityStatement has to say for deliveries to come."""
    name = "capabilities"
    version = str(statement.get("fhirVersion", ""))
    formats = [str(one) for one in _list(statement.get("format"))]
    servers = [
        one
        for one in _list(statement.get("rest"))
        if isinstance(one, dict) and one.get("mode") == "server"
    ]
    codes = {
        each.get("code")
        for one in servers
        for each in _list(one.get("interaction"))
        if isinstance(each, dict)
    }
    lacking = []
    if not version.startswith("4.0"):
        lacking.append("fhirVersion 4.0.1")
    if not any("json" in one for one in formats):
        lacking.append("format json")
    if not servers:
        lacking.append("rest of mode server")
    elif "transaction" not in codes:
        lacking.append("interaction transaction, as which everything is sent")
    if lacking:
        return failed(
            name,
            f"Its CapabilityStatement does not say {', nor '.join(lacking)}.",
            "Offer it and say so.",
        )
    return passed(name, f"FHIR {version}, JSON, transactions.")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
