"""What orders those who could help: the numbers of weights.json, and of an operator's file over it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec


class UnusableWeightsError(ValueError):
    """The file says what cannot be; the message says where."""


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """weights: of the parts of the score (referral.matching), of which only the proportions count.

    capacity, language: what each finding is worth, 0 to 1. capacity_hours: how long a service's own
    word on its capacity counts, rejection_hours: a refusal for want of it. half_...: where a part is
    worth one half. record_least: fewer answers than this say nothing; record_expected: the rate of
    acceptance that is assumed until then. unreachable_minutes: nothing got through for that long.
    urgent_hours: within which it has to be open for what is needed at once.
    """

    weights: dict[str, float]
    capacity: dict[str, float]
    capacity_hours: float
    capacity_hours_by_kind: dict[str, float]
    rejection_hours: float
    language: dict[str, float]
    half_distance_km: float
    half_promptness_hours: float
    half_load: float
    record_days: float
    record_least: int
    record_expected: float
    load_days: float
    unreachable_minutes: float
    unreachable_minutes_urgent: float
    urgent_hours: float


_PARTS = ("capacity", "distance", "acceptance", "language", "promptness", "certainty", "load")


def read(text: bytes | None = None) -> Weights:
    """The weights as shipped, with what an operator's file says over them. Raises UnusableWeightsError."""
    stated: dict[str, Any] = msgspec.json.decode(_shipped())
    try:
        if text is not None:
            own = msgspec.json.decode(text, type=dict[str, Any])
            for name, value in own.items():
                if isinstance(value, dict) and isinstance(stated.get(name), dict):
                    stated[name] = {**stated[name], **value}
                else:
                    stated[name] = value
        found = msgspec.convert(stated, Weights)
    except msgspec.MsgspecError as error:
        raise UnusableWeightsError(str(error)) from None
    _check(found)
    return found


def _check(found: Weights) -> None:
    for name, weight in found.weights.items():
        if name not in _PARTS:
            raise UnusableWeightsError(f"weights: {name} is none of {', '.join(_PARTS)}")
        if weight < 0:
            raise UnusableWeightsError(f"weights: {name} is below 0")
    for table in (found.capacity, found.language):
        if "unknown" not in table or not all(0 <= value <= 1 for value in table.values()):
            raise UnusableWeightsError(
                "capacity and language say `unknown`, and values from 0 to 1"
            )
    for name in ("half_distance_km", "half_promptness_hours", "half_load", "record_least"):
        if getattr(found, name) <= 0:
            raise UnusableWeightsError(f"{name} is above 0")


@cache
def _shipped() -> bytes:
    return files("coordhub.referral").joinpath("weights.json").read_bytes()


_in_use: list[Weights] = []


def in_use() -> Weights:
    """The weights of this process: the shipped ones, unless `use` gave it others."""
    if not _in_use:
        _in_use.append(read())
    return _in_use[0]


def use(chosen: Weights) -> None:
    """Have the whole process order by these; called once, before anything is matched."""
    _in_use[:] = [chosen]
