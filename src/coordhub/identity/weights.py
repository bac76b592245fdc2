"""The numbers of matching: those of weights.json, and of an operator's file over it.

m: how often a field agrees at this level in two records of one person; u: in records of two persons.
Rivals are what two records of one house may be else than of one person: twins, namesakes, others of the house.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from math import log2
from typing import Any, Final

import msgspec

from coordhub.identity.compare import COARSER, FIELDS

Bits = dict[str, dict[str, float]]
"""By field and level."""


class UnusableWeightsError(ValueError):
    """The file says what cannot be; the message says where."""


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    m: float
    u: float


class Rival(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """prior: that two records taken at random are of such two. fields: how often each level agrees then."""

    prior: float
    fields: dict[str, dict[str, float]]


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """prior: that two records taken at random are of one person. certain, probable, possible: the least
    posterior of each grade. independent: how many independent facts have to agree for certainty.
    fields: m and u by field and level. rivals: by name. family_alike, given_alike: the least Jaro-Winkler
    likeness that is close. rarest, most_common: bounds of a name's frequency where that stands for its u.
    shared_by_most: a phone or an address of more records than this says nothing. generation_years: of which
    two births in one household are of two persons.
    """

    prior: float
    certain: float
    probable: float
    possible: float
    independent: int
    fields: dict[str, dict[str, Level]]
    rivals: dict[str, Rival]
    family_alike: float
    given_alike: float
    rarest: float
    most_common: float
    shared_by_most: int
    generation_years: int

    def bits(self, field: str, level: str, u: float | None = None) -> float:
        """What this field says at this level, as a power of two. u: in place of the level's own."""
        if level == "missing":
            return 0.0
        m, usual = self.shares(field, level)
        return log2(m / (usual if u is None else u))

    def shares(self, field: str, level: str) -> tuple[float, float]:
        """m and u of a level, or of the coarser one that it is part of."""
        levels = self.fields[field]
        return (
            _of({name: each.m for name, each in levels.items()}, level),
            _of({name: each.u for name, each in levels.items()}, level),
        )


_LEAST: Final = 1e-9


def _of(levels: Mapping[str, float], level: str) -> float:
    """The share of a level, of the coarser one that it is part of, or of what agrees at none."""
    for name in (level, COARSER[level]):
        if name in levels:
            return levels[name]
    return max(1 - sum(levels.values()), _LEAST)


class Odds:
    """What a Weights says, worked out once.

    bits: for one person against strangers. rivals: of each the log of its prior against that of one person, and
    by field and level what speaks for it against one person, in bits.
    """

    def __init__(self, of: Weights) -> None:
        self.weights = of
        self.prior = log2(of.prior / (1 - of.prior))
        self.bits: Bits = {}
        self.m: Bits = {}
        self.rivals: list[tuple[float, Bits]] = []
        for name, finest in FIELDS.items():
            levels = (*finest, "other")
            m = {each: share.m for each, share in of.fields[name].items()}
            self.m[name] = {each: _of(m, each) for each in levels}
            self.bits[name] = {each: of.bits(name, each) for each in levels}
            self.bits[name]["missing"] = 0.0
        for rival in of.rivals.values():
            against = {
                name: {
                    **{
                        each: log2(_of(rival.fields[name], each) / m)
                        for each, m in self.m[name].items()
                    },
                    "missing": 0.0,
                }
                for name in FIELDS
            }
            self.rivals.append((log2(rival.prior / of.prior), against))


_worked_out: list[Odds] = []


def odds(of: Weights) -> Odds:
    """The last one asked for is kept: a process matches by one."""
    if not _worked_out or _worked_out[0].weights is not of:
        _worked_out[:] = [Odds(of)]
    return _worked_out[0]


def read(text: bytes | None = None) -> Weights:
    """The numbers as shipped, with what an operator's file says over them. Raises UnusableWeightsError."""
    stated: dict[str, Any] = msgspec.json.decode(_shipped())
    try:
        own = {} if text is None else msgspec.json.decode(text, type=dict[str, Any])
        fields, rivals = own.pop("fields", {}), own.pop("rivals", {})
        stated = {
            **stated,
            **own,
            "fields": {**stated["fields"], **fields},
            "rivals": {**stated["rivals"], **rivals},
        }
        found = msgspec.convert(stated, Weights)
    except (msgspec.MsgspecError, TypeError) as error:
        raise UnusableWeightsError(str(error)) from None
    _check(found)
    return found


def _check(found: Weights) -> None:
    for name, levels in found.fields.items():
        if name not in FIELDS:
            raise UnusableWeightsError(f"fields: {name} is none of {', '.join(FIELDS)}")
        for one in ("m", "u"):
            shares = {level: getattr(each, one) for level, each in levels.items()}
            _check_levels(f"fields.{name}", name, shares)
    for said, rival in found.rivals.items():
        for name in {**found.fields, **rival.fields}:
            if name not in FIELDS or name not in rival.fields:
                raise UnusableWeightsError(f"rivals.{said}: has each field, and has not {name}")
            _check_levels(f"rivals.{said}.{name}", name, rival.fields[name])
    if not 0 < found.prior < 1 or any(not 0 < each.prior < 1 for each in found.rivals.values()):
        raise UnusableWeightsError("prior is between 0 and 1, a rival's too")
    if not 0 < found.possible <= found.probable <= found.certain < 1:
        raise UnusableWeightsError("possible, probable, certain rise from above 0 to below 1")
    if not 0 < found.rarest <= found.most_common < 1:
        raise UnusableWeightsError("rarest is above 0 and at most most_common, which is below 1")
    if found.independent < 1 or found.shared_by_most < 1 or found.generation_years < 1:
        raise UnusableWeightsError("independent, shared_by_most, generation_years are at least 1")


def _check_levels(at: str, field: str, shares: Mapping[str, float]) -> None:
    allowed = {*FIELDS[field], *(COARSER[level] for level in FIELDS[field])}
    if set(shares) - allowed or "exact" not in shares:
        raise UnusableWeightsError(f"{at}: has `exact`, and may have {', '.join(sorted(allowed))}")
    fine = {level for level in shares if COARSER[level] != level}
    if "close" in shares and fine:
        raise UnusableWeightsError(f"{at}: has `close`, or the finer {', '.join(sorted(fine))}")
    if any(not 0 < each < 1 for each in shares.values()) or sum(shares.values()) >= 1:
        raise UnusableWeightsError(f"{at}: each share is between 0 and 1, and so is their sum")


@cache
def _shipped() -> bytes:
    return files("coordhub.identity").joinpath("weights.json").read_bytes()


_in_use: list[Weights] = []


def in_use() -> Weights:
    """The numbers of this process: the shipped ones, unless `use` gave it others."""
    if not _in_use:
        _in_use.append(read())
    return _in_use[0]


def use(chosen: Weights) -> None:
    """Have the whole process match by these; called once, before anything is matched."""
    _in_use[:] = [chosen]
