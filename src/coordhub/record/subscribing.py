"""What a Subscription asks for: by a topic of the R4 backport, or by R4's own criteria.

http://hl7.org/fhir/uv/subscriptions-backport, http://hl7.org/fhir/R4/subscription.html

Read from the resource when it is written, and kept beside it (`store.subscriptions`) as what the relay
needs: searches that say which resources are told of, the address, and how much is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from coordhub.errors import FhirError, Issue
from coordhub.outbound.relay import is_address
from coordhub.r4 import types
from coordhub.r4.search import parse_query
from coordhub.store.subscriptions import Config

BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
LEVELS: Final = ("empty", "id-only", "full-resource")
CHANNELS: Final = ("rest-hook", "websocket", "email")
MOST_EVENTS: Final = 100
"""Events in one notification at most, and when the Subscription does not say."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Topic:
    """resources: types it is about. criteria: of each, `name=value`. filters: names a subscriber may use.
    deletions: whether it is about them, too."""

    title: str
    resources: tuple[str, ...]
    criteria: tuple[str, ...]
    filters: frozenset[str]
    deletions: bool


@cache
def topics() -> Mapping[str, Topic]:
    """By canonical."""
    text = files("coordhub.record").joinpath("subscription_topics.json").read_text()
    return {
        url: Topic(
            one["title"],
            tuple(one["resources"]),
            tuple(one["criteria"]),
            frozenset(one["filters"]),
            one.get("deletions", False),
        )
        for url, one in json.loads(text).items()
    }


def read(document: Document, at: str, base: str, now: datetime) -> tuple[Config, datetime | None]:
    """What it asks for and until when; 422 with everything that the hub cannot honour."""
    issues: list[Issue] = []
    channel: Document = document.get("channel") or {}
    kind, endpoint = channel_of(document), channel.get("endpoint")
    issues.extend(_of_channel(kind, endpoint, f"{at}.channel"))
    if kind == "email":
        issues.extend(_of_mail(channel, f"{at}.channel"))
    criteria = str(document.get("criteria") or "")
    topic = topics().get(criteria)
    level = _level(channel)
    if topic is not None:
        queries = list(_by_topic(document, topic, at, issues))
        if level is None:
            issues.append(
                Issue(
                    "required",
                    f"Say how much is told: extension backport-payload-content with {', '.join(LEVELS)}.",
                    f"{at}.channel.payload",
                )
            )
        elif level != "empty" and "json" not in str(channel.get("payload", "json")):
            issues.append(
                _unsupported(f"{at}.channel.payload", "Payloads are application/fhir+json.")
            )
    elif kind != "rest-hook":
        queries = []
        issues.append(
            Issue(
                "value",
                f"A {kind} tells of a topic: one of {', '.join(topics())}.",
                f"{at}.criteria",
            )
        )
    elif "?" in criteria or criteria in types.NUMBER:
        queries = [criteria]
        payload = channel.get("payload")
        if payload and "json" not in str(payload):
            issues.append(
                _unsupported(f"{at}.channel.payload", "Payloads are application/fhir+json.")
            )
        level = "full-resource" if payload else ""
    else:
        queries = []
        known = ", ".join(topics())
        issues.append(
            Issue(
                "value",
                f"A topic that is known here ({known}), or [type]?[criteria].",
                f"{at}.criteria",
            )
        )
    parsed = list(_parsed(queries, at, base, now, issues))
    numbers = {
        name: _number(channel, extension, lowest, highest, at, issues)
        for name, extension, lowest, highest in (
            ("heartbeat", "backport-heartbeat-period", 10, 86_400),
            ("timeout", "backport-timeout", 1, 60),
            ("most", "backport-max-count", 1, MOST_EVENTS),
        )
    }
    until = _until(document, at, issues)
    if issues:
        raise FhirError(422, *issues)
    return Config(
        topic=criteria if topic is not None else "",
        queries=tuple(parsed),
        endpoint=str(endpoint or ""),
        headers=tuple(str(one) for one in channel.get("header") or ()),
        level=level or "",
        heartbeat=numbers["heartbeat"],
        timeout=numbers["timeout"],
        most=1 if topic is None and level else numbers["most"] or MOST_EVENTS,
        deletions=topic is not None and topic.deletions,
    ), until


def channel_of(document: Document) -> str:
    return str((document.get("channel") or {}).get("type"))


def _of_channel(kind: str, endpoint: object, at: str) -> Iterator[Issue]:
    if kind not in CHANNELS:
        yield _unsupported(f"{at}.type", f"The channels here are {', '.join(CHANNELS)}.")
    if kind == "websocket":
        if endpoint is not None:
            yield Issue(
                "value",
                "A websocket is opened by the subscriber, at the address that $get-ws-binding-token "
                "tells: leave the endpoint out.",
                f"{at}.endpoint",
            )
    elif kind == "email":
        if mailbox_of(str(endpoint)) is None:
            yield Issue("value", "mailto: and one address are needed.", f"{at}.endpoint")
    elif not _is_of_the_web(endpoint):
        yield Issue("value", "An absolute https address is needed.", f"{at}.endpoint")


def _is_of_the_web(endpoint: object) -> bool:
    try:
        parts = urlsplit(endpoint if isinstance(endpoint, str) else "")
        _ = parts.port  # which is read only now
    except ValueError:
        return False
    return bool(parts.scheme in ("http", "https") and parts.hostname and not parts.username)


def mailbox_of(endpoint: str) -> str | None:
    """The address in a `mailto:` of one; https://www.rfc-editor.org/rfc/rfc6068"""
    scheme, _, address = endpoint.partition(":")
    return address if scheme == "mailto" and is_address(address) else None


def _of_mail(channel: Document, at: str) -> Iterator[Issue]:
    """A mail may be read on its way, and nobody answers it: so it says little, and seldom."""
    level = _level(channel)
    if level is not None and level != "empty":
        yield _unsupported(
            f"{at}.payload",
            f"By mail only empty is told, for anybody may read it: not {level}. Ask with $events what happened.",
        )
    if channel.get("header"):
        yield _unsupported(f"{at}.header", "A mail has headers of the hub only: leave it out.")
    for number, extension in enumerate(channel.get("extension") or []):
        if extension.get("url") == f"{BACKPORT}backport-heartbeat-period":
            yield _unsupported(
                f"{at}.extension[{number}]", "No heartbeat goes by mail: leave it out."
            )


def named_owners(config: Config) -> Iterator[str]:
    """References by which its filters name an owner or a requester."""
    for query in config.queries:
        for name, value in parse_qsl(query.partition("?")[2]):
            if name.partition(":")[0] in ("owner", "requester", "performer"):
                yield from value.split(",")


def _by_topic(document: Document, topic: Topic, at: str, issues: list[Issue]) -> Iterator[str]:
    """One search for each resource type of the topic, of its criteria and all filters for it."""
    pairs: dict[str, list[str]] = {kind: list(topic.criteria) for kind in topic.resources}
    element = document.get("_criteria") or {}
    for number, extension in enumerate(element.get("extension") or []):
        if extension.get("url") != f"{BACKPORT}backport-filter-criteria":
            continue
        text = str(extension.get("valueString", ""))
        kind, _, query = text.rpartition("?")
        place = f"{at}.criteria.extension[{number}].valueString"
        meant = [one for one in topic.resources if kind in ("", one)]
        if not meant or not query:
            issues.append(
                Issue("value", f"A filter is {topic.resources[0]}?[name]=[value].", place)
            )
            continue
        foreign = sorted(
            {name.partition(":")[0] for name, _ in parse_qsl(query, keep_blank_values=True)}
            - topic.filters
        )
        if foreign:
            allowed = ", ".join(sorted(topic.filters))
            issues.append(_unsupported(place, f"This topic is filtered by {allowed}."))
            continue
        for one in meant:
            pairs[one].append(query)
        if kind:  # filtered for one type of several: the others are not asked for
            pairs = {one: each for one, each in pairs.items() if one == kind}
    for kind, each in pairs.items():
        yield f"{kind}?{'&'.join(each)}"


def _parsed(
    queries: Sequence[str], at: str, base: str, now: datetime, issues: list[Issue]
) -> Iterator[str]:
    for query in queries:
        kind, _, text = query.partition("?")
        if kind not in types.NUMBER:
            issues.append(Issue("value", "R4 has no such resource type.", f"{at}.criteria"))
            continue
        try:
            read_query = parse_query(
                kind, parse_qsl(text, keep_blank_values=True), base=base, now=now
            )
        except FhirError as refused:
            issues.extend(
                Issue(one.code, one.diagnostics, f"{at}.criteria") for one in refused.issues
            )
            continue
        if read_query.sort or read_query.count is not None:
            issues.append(_unsupported(f"{at}.criteria", "Criteria say which, not in what order."))
            continue
        yield query


def _level(channel: Document) -> str | None:
    for extension in (channel.get("_payload") or {}).get("extension") or []:
        if extension.get("url") == f"{BACKPORT}backport-payload-content":
            code = extension.get("valueCode")
            return code if code in LEVELS else None
    return None


def _number(
    channel: Document, name: str, lowest: int, highest: int, at: str, issues: list[Issue]
) -> int:
    for number, extension in enumerate(channel.get("extension") or []):
        if extension.get("url") == f"{BACKPORT}{name}":
            value = extension.get("valueUnsignedInt", extension.get("valuePositiveInt"))
            if isinstance(value, int) and lowest <= value <= highest:
                return value
            issues.append(
                Issue(
                    "value",
                    f"{name} is a whole number from {lowest} to {highest}.",
                    f"{at}.channel.extension[{number}]",
                )
            )
    return 0


def _until(document: Document, at: str, issues: list[Issue]) -> datetime | None:
    text = document.get("end")
    if text is None:
        return None
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        issues.append(Issue("value", "No instant that can be reckoned with.", f"{at}.end"))
        return None


def _unsupported(at: str, text: str) -> Issue:
    return Issue("not-supported", text, at)
