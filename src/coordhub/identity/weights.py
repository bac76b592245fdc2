"""The numbers of matching: those of weights.json, and of an operator's file over it.

m: how often a field agrees at this level in two records of one person; u: in records of two persons.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from math import log2
from typing import Any, Final

import msgspec

LEVELS: Final = ("exact", "close")
"""Levels that have numbers; what agrees at neither is `other`, and where one record is silent `missing`."""


class UnusableWeightsError(ValueError):
    """The file says what cannot be; the message says where."""


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    m: float
    u: float


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """prior: that two records taken at random are of one person. certain, probable, possible: the least
    posterior of each grade. independent: how many independent facts have to agree for certainty.
    fields: m and u by field and level. family_alike, given_alike: the least Jaro-Winkler likeness that is
    close. rarest, most_common: bounds of a name's frequency where that stands for its u. shared_by_most:
    a phone or an address of more records than this says nothing. generation_years: of which two births in
    one household are of two persons.
    """

    prior: float
    certain: float
    probable: float
    possible: float
    independent: int
    fields: dict[str, dict[str, Level]]
    family_alike: float
    given_alike: float
    rarest: float
    most_common: float
    shared_by_most: int
    generation_years: int

    def bits(self, field: str, level: str, u: float | None = None) -> float:
        """What this field says at this level, as a power of two. u: in place of the level's own."""
        levels = self.fields[field]
        if level == "missing":
            return 0.0
        if level in levels:
            return log2(levels[level].m / (levels[level].u if u is None else u))
        m = 1 - sum(each.m for each in levels.values())
        return log2(m / (1 - sum(each.u for each in levels.values())))


def read(text: bytes | None = None) -> Weights:
    """The numbers as shipped, with what an operator's file says over them. Raises UnusableWeightsError."""
    stated: dict[str, Any] = msgspec.json.decode(_shipped())
    try:
        own = {} if text is None else msgspec.json.decode(text, type=dict[str, Any])
        fields = own.pop("fields", {})
        stated = {**stated, **own, "fields": {**stated["fields"], **fields}}
        found = msgspec.convert(stated, Weights)
    except (msgspec.MsgspecError, TypeError) as error:
        raise UnusableWeightsError(str(error)) from None
    _check(found)
    return found


def _check(found: Weights) -> None:
    shipped = msgspec.json.decode(_shipped())["fields"]
    for name, levels in found.fields.items():
        if name not in shipped:
            raise UnusableWeightsError(f"fields: {name} is none of {', '.join(shipped)}")
        if set(levels) - set(LEVELS) or "exact" not in levels:
            raise UnusableWeightsError(f"fields.{name}: has `exact`, and may have `close`")
        if any(not (0 < each.m < 1 and 0 < each.u < 1) for each in levels.values()) or any(
            sum(getattr(each, one) for each in levels.values()) >= 1 for one in ("m", "u")
        ):
            raise UnusableWeightsError(
                f"fields.{name}: every m and u is between 0 and 1, and so are their sums"
            )
    if not 0 < found.prior < 1:
        raise UnusableWeightsError("prior is between 0 and 1")
    if not 0 < found.possible <= found.probable <= found.certain < 1:
        raise UnusableWeightsError("possible, probable, certain rise from above 0 to below 1")
    if not 0 < found.rarest <= found.most_common < 1:
        raise UnusableWeightsError("rarest is above 0 and at most most_common, which is below 1")
    if found.independent < 1 or found.shared_by_most < 1 or found.generation_years < 1:
        raise UnusableWeightsError("independent, shared_by_most, generation_years are at least 1")


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
