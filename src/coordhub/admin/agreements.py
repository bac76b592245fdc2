"""The trading agreement with a partner, in one place: what it speaks, sends and is sent, how, and how much.

What it is made of is read where it is needed: the profile where a Task is judged and worded, the rate where
deliveries are claimed, what is sent at the write, what is received and by which channel at the delivery, limits and
the policy for references with the client's token.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from coordhub.admin.acts import LEAST_RATE, MOST_AT_ONCE, NothingDone, NotKnown, Operator, note
from coordhub.directory.bases import SERVED
from coordhub.r4 import types
from coordhub.record.hub import Hub
from coordhub.referral import profiles
from coordhub.store import clients, counterparts, partners, resources
from coordhub.store.engine import Connection
from coordhub.store.visibility import EVERYONE

CHANNELS: Final = (SERVED, "email-notice")
"""Connection types by which somebody is spoken to. What waits at the hub to be asked for is no channel."""

POLICIES: Final = ("refuse", "warn", "quarantine")
_KIND: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
NO_KIND: Final = "other"
"""How a kind that no code names is called here."""


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays; null: nothing is agreed about it, anything goes."""

    profile: str | UnsetType = UNSET
    channels: frozenset[str] | UnsetType | None = UNSET
    sends: frozenset[str] | UnsetType | None = UNSET
    sends_kinds: frozenset[str] | UnsetType | None = UNSET
    receives: frozenset[str] | UnsetType | None = UNSET
    receives_kinds: frozenset[str] | UnsetType | None = UNSET
    deliveries_per_second: float | UnsetType | None = UNSET
    deliveries_at_once: int | UnsetType | None = UNSET
    reference_policy: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class ClientTerms:
    """One client of the organization: what it may ask for, and how much; null: as is usual."""

    client: str
    scopes: str
    reference_policy: str
    per_second: float | None
    burst: int | None
    at_once: int | None
    per_day: int | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """null: anything. exchange: about its own server (coordhub exchange)."""

    organization: str
    profile: str
    channels: list[str] | None
    sends: list[str] | None
    sends_kinds: list[str] | None
    receives: list[str] | None
    receives_kinds: list[str] | None
    deliveries_per_second: float | None
    deliveries_at_once: int | None
    exchange: dict[str, Any]
    clients: list[ClientTerms]


async def read(conn: Connection, organization: str) -> Agreement:
    return await _read(conn, organization, await _rid(conn, organization))


async def change(hub: Hub, by: Operator, organization: str, asked: Changes) -> Agreement:
    """What holds from now on, as a whole; for what a process has just served a client, within seconds."""
    _refuse_the_unknown(asked)
    async with hub.engine.transaction() as conn:
        rid, now = await _rid(conn, organization), hub.clock()
        before = await partners.agreed(conn, rid)
        stated = {
            name: _kept(name, value)
            for name, value in _stated(asked).items()
            if name in ("profile", *_KNOWN, *_KINDS)
        }
        await partners.set_terms(conn, rid, replace(before, **stated), now)
        await _set_pace(conn, rid, asked, hub)
        if isinstance(asked.reference_policy, str):
            for one in await _clients(conn, rid):
                await clients.change(conn, one.id, None, asked.reference_policy, None, None)
        said = {name: _said(value) for name, value in _stated(asked).items()}
        await note(conn, by, "agreement-changed", now, {"organization": organization, **said})
        return await _read(conn, organization, rid)


async def _set_pace(conn: Connection, rid: int, asked: Changes, hub: Hub) -> None:
    if asked.deliveries_per_second is UNSET and asked.deliveries_at_once is UNSET:
        return
    before = await partners.pace_of(conn, rid)
    rate, at_once = asked.deliveries_per_second, asked.deliveries_at_once
    if rate is UNSET:
        rate = before.per_second if before else None
    if at_once is UNSET:
        at_once = before.at_once if before else None
    if rate is None:
        if isinstance(asked.deliveries_at_once, int):
            raise NothingDone("deliveries_at_once goes with deliveries_per_second: say both.")
        await partners.set_no_pace(conn, rid)
    else:
        await partners.agree_on_pace(conn, rid, rate, at_once or MOST_AT_ONCE, hub.clock())


def _refuse_the_unknown(asked: Changes) -> None:
    if isinstance(asked.profile, str) and asked.profile not in profiles.profiles():
        raise NothingDone(
            f"there is no profile {asked.profile}. Known are {', '.join(profiles.profiles())}."
        )
    if isinstance(asked.reference_policy, str) and asked.reference_policy not in POLICIES:
        raise NothingDone(f"reference_policy is one of {', '.join(POLICIES)}.")
    for name, known in _KNOWN.items():
        given = getattr(asked, name)
        if isinstance(given, frozenset) and (unknown := sorted(given - set(known))):
            raise NothingDone(f"{name} has {unknown[0]}; there is {_some(known)}.")
    for name in _KINDS:
        given = getattr(asked, name)
        if isinstance(given, frozenset) and any(not _KIND.fullmatch(one) for one in given):
            raise NothingDone(
                f"{name} is of domains of SDOH Clinical Care such as food-insecurity, of laboratory, imaging, "
                f"specialist, and of {NO_KIND} for what no code names."
            )
    rate, at_once = asked.deliveries_per_second, asked.deliveries_at_once
    if isinstance(rate, int | float) and not LEAST_RATE <= rate <= 10_000:
        raise NothingDone(f"deliveries_per_second is at least {LEAST_RATE} and at most 10000.")
    if isinstance(at_once, int) and not 0 < at_once <= 10_000:
        raise NothingDone("deliveries_at_once is at least 1 and at most 10000.")


_KNOWN: Final[dict[str, Collection[str]]] = {
    "channels": CHANNELS,
    "sends": types.NAMES,
    "receives": types.NAMES,
}
_KINDS: Final = ("sends_kinds", "receives_kinds")


def _some(known: Collection[str]) -> str:
    return ", ".join(known) if len(known) < 40 else "each resource type of R4"


def _stated(asked: Changes) -> dict[str, Any]:
    return {
        name: value
        for name in asked.__struct_fields__
        if (value := getattr(asked, name)) is not UNSET
    }


def _kept(name: str, value: Any) -> Any:
    if isinstance(value, frozenset) and name in _KINDS:
        return frozenset("" if one == NO_KIND else one for one in value)
    return value


def _said(value: Any) -> str:
    if isinstance(value, frozenset):
        return " ".join(sorted(value)) or "nothing"
    return "any" if value is None else str(value)


async def _read(conn: Connection, organization: str, rid: int) -> Agreement:
    terms = await partners.agreed(conn, rid)
    pace = await partners.pace_of(conn, rid)
    custom = await counterparts.custom(conn, rid, 0)
    exchange = {
        "own_ids": custom.own_ids,
        "answers_every": custom.answers_every.total_seconds() if custom.answers_every else None,
        "originals_every": custom.originals_every.total_seconds() if custom.originals_every else None,
        "each_state": custom.each_state,
        "knows_repeats": custom.knows_repeats,
        "creates_anew": custom.creates_anew,
    }  # fmt: skip
    return Agreement(
        organization,
        terms.profile,
        _list(terms.channels),
        _list(terms.sends),
        _list(terms.sends_kinds),
        _list(terms.receives),
        _list(terms.receives_kinds),
        pace.per_second if pace else None,
        pace.at_once if pace else None,
        exchange,
        [
            ClientTerms(one.id, one.scopes, one.reference_policy, **asdict(one.allowance))
            for one in await _clients(conn, rid)
        ],
    )


def _list(value: frozenset[str] | None) -> list[str] | None:
    return None if value is None else sorted(one or NO_KIND for one in value)


async def _clients(conn: Connection, rid: int) -> list[clients.Client]:
    return [one for one in await clients.of_all(conn) if one.organization == rid]


async def _rid(conn: Connection, organization: str) -> int:
    kind, _, fhir_id = organization.partition("/")
    found = await resources.read(conn, EVERYONE, kind, fhir_id) if kind == "Organization" else None
    if found is None or found.body is None:
        raise NotKnown(f"there is no {organization} in the directory. Name it as Organization/id.")
    return found.rid
