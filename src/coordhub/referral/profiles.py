"""What partners speak: which Task.status and businessStatus a profile has, and who may move it where.

http://hl7.org/fhir/R4/task.html#statemachine (r4)
http://hl7.org/fhir/us/sdoh-clinicalcare (sdoh-cc)
http://hl7.org/fhir/us/bser, harmonized with IHE 360X (bser, 360x)
http://hl7.org/fhir/uv/cow (cow)

A profile is what was agreed with an organization; without an agreement it is r4. The hub is lenient in
what it takes: what a profile does not rule out may be written, a businessStatus may be left out, and
one of a vocabulary that the profile does not speak is kept as text is (`transitions`). It is exact in
what it sends: a Task that goes to a partner says what the partner's profile has words for (`wording`).
What is stored is what was written, and that is what everyone reads.

The tables are in profiles.json. `edges`: from -> by whom -> to, in parts that profiles put together.
`business`: vocabularies; of a code: the statuses it goes with, the hub's code that says the same, and
those that may come `next` (absent: any), `only` these, and by whom if not by the owner. `tells`: the
first row that fits the Task's status and the hub's business status says what the partner is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from coordhub.referral.task_machine import OWNER, REQUESTER, STATUSES, Actor

DEFAULT: Final = "r4"


@dataclass(frozen=True, slots=True)
class Code:
    """A businessStatus of a partner's vocabulary; `hub`: the hub's code that says the same."""

    code: str
    display: str
    statuses: frozenset[str]
    hub: str
    next: frozenset[str] | None
    only: bool
    by: Actor


@dataclass(frozen=True, slots=True)
class Tells:
    """A row of what a partner is told: business is empty where any fits, status and code where they stay."""

    statuses: frozenset[str]
    business: frozenset[str]
    status: str
    code: str


@dataclass(frozen=True, slots=True)
class Profile:
    """edges: (from, to) -> who may. system, codes: its vocabulary of businessStatus, if it has one.

    asks_to_stop: statuses from which its owner has to be asked to stop, not told.
    identifier: which one a Task gets that has none: `placer` (number of the referral), `address` (its URL).
    """

    name: str
    title: str
    url: str
    edges: Mapping[tuple[str, str], Actor]
    statuses: frozenset[str]
    system: str
    codes: Mapping[str, Code]
    asks_to_stop: frozenset[str]
    identifier: str
    tells: tuple[Tells, ...]


def named(name: str) -> Profile:
    """The profile of this name; of one that is not known (any more) the default."""
    return profiles().get(name) or profiles()[DEFAULT]


@cache
def profiles() -> dict[str, Profile]:
    """All of them by name."""
    tables = _tables()
    return {name: _profile(tables, name, row) for name, row in tables.profiles.items()}


@cache
def vocabularies() -> dict[str, dict[str, Code]]:
    """By system the codes of businessStatus that partners' profiles have."""
    return {
        vocabulary.system: {
            code: Code(
                code,
                row.display,
                frozenset(row.status.split()),
                row.hub,
                None if row.next is None else frozenset(row.next.split()),
                row.only,
                _ACTORS[row.by],
            )
            for code, row in vocabulary.codes.items()
        }
        for vocabulary in _tables().business.values()
    }


class _CodeRow(msgspec.Struct, forbid_unknown_fields=True):
    status: str
    hub: str
    display: str = ""
    next: str | None = None
    only: bool = False
    by: str = "owner"


class _Vocabulary(msgspec.Struct, forbid_unknown_fields=True):
    system: str
    codes: dict[str, _CodeRow]


class _TellsRow(msgspec.Struct, forbid_unknown_fields=True):
    status: str
    business: str = ""
    as_: str = msgspec.field(name="as", default="")
    code: str = ""


class _ProfileRow(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    url: str
    edges: list[str]
    statuses: str
    business: str = ""
    asks_to_stop: str = "in-progress on-hold"
    identifier: str = ""
    tells: list[_TellsRow] = []
    tells_as: str = ""


class _Tables(msgspec.Struct, forbid_unknown_fields=True):
    edges: dict[str, dict[str, dict[str, str]]]
    business: dict[str, _Vocabulary]
    profiles: dict[str, _ProfileRow]


_ACTORS = {"requester": REQUESTER, "owner": OWNER, "either": REQUESTER | OWNER}


@cache
def _tables() -> _Tables:
    text = files("coordhub.referral").joinpath("profiles.json").read_bytes()
    return msgspec.json.decode(text, type=_Tables)


def _profile(tables: _Tables, name: str, row: _ProfileRow) -> Profile:
    edges: dict[tuple[str, str], Actor] = {}
    for part in row.edges:
        for old, by in tables.edges[part].items():
            for who, targets in by.items():
                for new in targets.split():
                    edges[old, new] = edges.get((old, new), Actor(0)) | _ACTORS[who]
    for old in STATUSES:
        if old != "entered-in-error":
            edges[old, "entered-in-error"] = REQUESTER
    system = tables.business[row.business].system if row.business else ""
    rows = tables.profiles[row.tells_as].tells if row.tells_as else row.tells
    return Profile(
        name,
        row.title,
        row.url,
        edges,
        frozenset(row.statuses.split()),
        system,
        vocabularies().get(system, {}),
        frozenset(row.asks_to_stop.split()),
        row.identifier,
        tuple(
            Tells(frozenset(one.status.split()), frozenset(one.business.split()), one.as_, one.code)
            for one in rows
        ),
    )
