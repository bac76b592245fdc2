"""By which strategy a need is asked for, as data: by kind of need and by priority.

`strategies.json`, and a file of the operator's over it: for all, for a priority, for a kind of need,
and for a priority of that kind; of these the later in that order counts.

- direct: the one who is named, and nobody else. So it is wherever exactly one is named.
- sequential: one after the other, until one accepts.
- broadcast: all at once, and the first to accept has it.
- broadcast-choose: all at once, they offer, and a person chooses.
- pool: one Task without owner that all of them see, and the first to claim it has it.
- waves: some at once, after a while some more, and the first to accept has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Final, Literal, get_args

import msgspec

Name = Literal["direct", "sequential", "broadcast", "broadcast-choose", "pool", "waves"]
NAMES: Final = get_args(Name)


class UnusableStrategiesError(ValueError):
    """A file of strategies says what cannot be; the message says where."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """How one need is asked for.

    hops: how often somebody is asked at most, those who are asked together once. days: from when the
    referral was sent nobody new is asked after this. at_once: how many are asked together at most,
    where all are. waves: how many in the first, the second ...; the last counts for all that follow.
    every: from one wave to the next; how long offers are collected. chooser: who chooses
    one of them, the sender or the patient.
    """

    name: str
    hops: int
    days: timedelta
    at_once: int
    waves: tuple[int, ...]
    every: timedelta
    chooser: str = "sender"


class _Layer(
    msgspec.Struct,
    forbid_unknown_fields=True,
    rename={"at_once": "at-once", "wave_hours": "wave-hours"},
):
    strategy: Name | None = None
    hops: int | None = None
    days: float | None = None
    at_once: int | None = None
    waves: list[int] | None = None
    wave_hours: float | None = None
    chooser: Literal["sender", "patient"] | None = None


class _Kind(msgspec.Struct, forbid_unknown_fields=True):
    default: _Layer = msgspec.field(default_factory=_Layer)
    priority: dict[str, _Layer] = msgspec.field(default_factory=dict)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    default: _Layer = msgspec.field(default_factory=_Layer)
    priority: dict[str, _Layer] = msgspec.field(default_factory=dict)
    kind: dict[str, _Kind] = msgspec.field(default_factory=dict)


class Strategies:
    """What is told of each kind and priority, in the order in which the later counts."""

    def __init__(self, *told: _File) -> None:
        self._told = told

    def of(self, kind: str, priority: str, name: str | None = None) -> Strategy:
        """For a need of this kind. name: of the strategy, where it was decided before."""
        merged: dict[str, object] = {}
        for each in self._layers(kind, priority):
            merged |= {
                field: value
                for field in each.__struct_fields__
                if (value := getattr(each, field)) is not None
            }
        layer = _Layer(**merged)  # type: ignore[arg-type]
        assert layer.strategy is not None
        assert layer.hops is not None
        assert layer.days is not None
        assert layer.at_once is not None
        assert layer.waves is not None
        assert layer.wave_hours is not None
        assert layer.chooser is not None
        return Strategy(
            name or layer.strategy, layer.hops, timedelta(days=layer.days), layer.at_once,
            tuple(layer.waves), timedelta(hours=layer.wave_hours),
            layer.chooser,
        )  # fmt: skip

    def _layers(self, kind: str, priority: str) -> list[_Layer]:
        nothing = _Layer()
        kinds = [each.kind.get(kind, _Kind()) for each in self._told]
        return [
            *(each.default for each in self._told),
            *(each.priority.get(priority, nothing) for each in self._told),
            *(each.default for each in kinds),
            *(each.priority.get(priority, nothing) for each in kinds),
        ]

    def named(self, kind: str, priority: str, names: Sequence[str]) -> str:
        """The strategy of a need whose sender names these. One CareTeam is many, where they are asked as a pool."""
        usual = self.of(kind, priority).name
        if len(names) != 1 or (usual == "pool" and names[0].startswith("CareTeam/")):
            return usual
        return "direct"


_in_use: list[Strategies] = []


def in_use() -> Strategies:
    """The strategies of this process: the shipped ones, unless `use` gave it others."""
    if not _in_use:
        _in_use.append(Strategies(_shipped()))
    return _in_use[0]


def use(chosen: Strategies) -> None:
    """Have the whole process go by these; called once, before anything is sent."""
    _in_use[:] = [chosen]


def read(text: bytes) -> Strategies:
    """As shipped, with an operator's file over it. Raises UnusableStrategiesError."""
    try:
        own = msgspec.json.decode(text, type=_File)
    except msgspec.MsgspecError as error:
        raise UnusableStrategiesError(str(error)) from None
    for layer in _all_layers(own):
        for name, value in (("hops", layer.hops), ("at-once", layer.at_once)):
            if value is not None and value < 1:
                raise UnusableStrategiesError(f"{name} is 1 or more, not {value}")
        if layer.waves is not None and (not layer.waves or min(layer.waves) < 1):
            raise UnusableStrategiesError(
                "waves says how many are asked: one number or more, each 1 or more"
            )
        for name, length in (("days", layer.days), ("wave-hours", layer.wave_hours)):
            if length is not None and length <= 0:
                raise UnusableStrategiesError(f"{name} is more than nothing, not {length}")
    return Strategies(_shipped(), own)


def _all_layers(own: _File) -> list[_Layer]:
    kinds = own.kind.values()
    return [
        own.default,
        *own.priority.values(),
        *(each.default for each in kinds),
        *(layer for each in kinds for layer in each.priority.values()),
    ]


@cache
def _shipped() -> _File:
    text = files("coordhub.referral").joinpath("strategies.json").read_bytes()
    return msgspec.json.decode(text, type=_File)
