"""How long things may take, as data: by kind of need, by priority, by what an errand is about.

http://hl7.org/fhir/R4/valueset-request-priority.html

`deadlines.json`, and a file of the operator's over it: for all, for a kind of need, for a priority, and
for both; of these the later in that order counts. `null` takes a deadline away. In the same way, when somebody
counts as not to be reached (`unreachable`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec

from coordhub.referral import hours
from coordhub.referral.calendar import Calendar, Duration, duration
from coordhub.referral.reaching import Term

NAMES: Final = (
    "receipt", "accept-within", "accept-grace", "first-contact", "progress", "progress-again",
    "progress-buffer", "appointment", "consult-note", "result", "waitlist", "whole", "errand",
    "errand-escalation",
)  # fmt: skip
"""What a file may say the length of."""

Lengths = Mapping[str, Duration]

Said = Mapping[str, Duration | None]
"""Lengths as one layer says them; None takes away what a layer before it has said."""


class UnusableDeadlinesError(ValueError):
    """A file of deadlines says what cannot be; the message says where."""


@dataclass(frozen=True, slots=True)
class OfKind:
    """What is told of one kind of need, for all and by priority."""

    default: Said = field(default_factory=dict)
    priority: Mapping[str, Said] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """calendar: of whom the directory says nothing. quiet: minutes from and to which nobody is reminded."""

    calendar: Calendar
    quiet: tuple[int, int]
    default: Said
    priority: Mapping[str, Said]
    kind: Mapping[str, OfKind]
    errand: Mapping[str, Said]
    unreachable: _Terms

    def lengths(self, kind: str, priority: str) -> Lengths:
        """Of a need of this kind and a referral of this priority."""
        own = self.kind.get(kind, OfKind())
        return _laid(
            self.default,
            own.default,
            self.priority.get(priority, {}),
            own.priority.get(priority, {}),
        )

    def of_errand(self, kind: str, priority: str) -> Lengths:
        return _laid(self.default, self.priority.get(priority, {}), self.errand.get(kind, {}))

    def unreached(self, kind: str, priority: str) -> Term:
        """When the person counts as not to be reached, for a need of this kind and this priority."""
        return self.unreachable.term(kind, priority)


def _laid(*layers: Said) -> Lengths:
    merged: dict[str, Duration | None] = {}
    for layer in layers:
        merged |= layer
    return {name: length for name, length in merged.items() if length is not None}


Count = Annotated[int, msgspec.Meta(ge=1, le=100)]


class _TermFile(msgspec.Struct, forbid_unknown_fields=True):
    """What one layer says of it; None: nothing."""

    attempts: Count | None = None
    days: Count | None = None
    channels: Count | None = None
    within: str | None = None


class _TermsOfKind(msgspec.Struct, forbid_unknown_fields=True):
    default: _TermFile = msgspec.field(default_factory=_TermFile)
    priority: dict[str, _TermFile] = {}


class _Terms(_TermsOfKind, forbid_unknown_fields=True):
    kind: dict[str, _TermsOfKind] = {}

    def term(self, kind: str, priority: str) -> Term:
        own, nothing = self.kind.get(kind, _TermsOfKind()), _TermFile()
        found: dict[str, Any] = {}
        for layer in (
            self.default,
            own.default,
            self.priority.get(priority, nothing),
            own.priority.get(priority, nothing),
        ):
            found |= {
                name: value
                for name, value in msgspec.structs.asdict(layer).items()
                if value is not None
            }
        return Term(**{**found, "within": duration(found["within"])})


class _Open(msgspec.Struct, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    days: list[str]
    start: str
    end: str


class _Calendar(msgspec.Struct, forbid_unknown_fields=True):
    open: list[_Open] | None = None
    holidays: list[str] | None = None


class _Quiet(msgspec.Struct, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    start: str
    end: str


Layer = dict[str, str | None]


class _KindFile(msgspec.Struct, forbid_unknown_fields=True):
    default: Layer = {}
    priority: dict[str, Layer] = {}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    calendar: _Calendar = msgspec.field(default_factory=_Calendar)
    quiet: _Quiet | None = None
    default: Layer = {}
    priority: dict[str, Layer] = {}
    kind: dict[str, _KindFile] = {}
    errand: dict[str, Layer] = {}
    unreachable: _Terms = msgspec.field(default_factory=_Terms)


@cache
def read(text: bytes | None = None, zone: str = "UTC") -> Deadlines:
    """The deadlines as shipped, with those of an operator's file over them, value by value.

    zone: of whom the directory names none. Raises UnusableDeadlinesError.
    """
    there = hours.zone(zone)
    if there is None:
        raise UnusableDeadlinesError(f"{zone} is no time zone of the IANA database")
    shipped = _decoded(files("coordhub.referral").joinpath("deadlines.json").read_bytes())
    return _read(shipped, _File() if text is None else _decoded(text), there)


def _decoded(text: bytes) -> _File:
    try:
        return msgspec.json.decode(text, type=_File)
    except msgspec.MsgspecError as error:
        raise UnusableDeadlinesError(str(error)) from None


def _read(shipped: _File, own: _File, zone: ZoneInfo) -> Deadlines:
    opened = own.calendar.open if own.calendar.open is not None else shipped.calendar.open
    holidays = [*(shipped.calendar.holidays or ()), *(own.calendar.holidays or ())]
    quiet = own.quiet or shipped.quiet
    kinds = shipped.kind.keys() | own.kind.keys()
    nothing = _KindFile()
    return Deadlines(
        _calendar(opened or [], holidays, zone),
        (_minutes(quiet.start), _minutes(quiet.end)) if quiet else (0, 0),
        _lengths(shipped.default, own.default),
        _by_name(shipped.priority, own.priority),
        {
            name: OfKind(
                _lengths(
                    shipped.kind.get(name, nothing).default, own.kind.get(name, nothing).default
                ),
                _by_name(
                    shipped.kind.get(name, nothing).priority, own.kind.get(name, nothing).priority
                ),
            )
            for name in sorted(kinds)
        },
        _by_name(shipped.errand, own.errand),
        _terms(shipped.unreachable, own.unreachable),
    )


def _terms(shipped: _Terms, own: _Terms) -> _Terms:
    nothing = _TermsOfKind()
    laid = _Terms(
        **_layered(shipped, own),
        kind={
            name: _TermsOfKind(
                **_layered(shipped.kind.get(name, nothing), own.kind.get(name, nothing))
            )
            for name in sorted(shipped.kind.keys() | own.kind.keys())
        },
    )
    priorities = {""}.union(laid.priority, *(one.priority for one in laid.kind.values()))
    for kind in ("", *laid.kind):
        for priority in sorted(priorities):
            try:
                term = laid.term(kind, priority)
            except ValueError as error:
                raise UnusableDeadlinesError(str(error)) from None
            if max(term.days, term.channels) > term.attempts:
                raise UnusableDeadlinesError(
                    f"unreachable: {term.attempts} attempts are on no more days and by no more channels"
                )
    return laid


def _layered(shipped: _TermsOfKind, own: _TermsOfKind) -> dict[str, Any]:
    def laid(under: _TermFile, over: _TermFile) -> _TermFile:
        said = {k: v for k, v in msgspec.structs.asdict(over).items() if v is not None}
        return msgspec.structs.replace(under, **said)

    nothing = _TermFile()
    names = sorted(shipped.priority.keys() | own.priority.keys())
    return {
        "default": laid(shipped.default, own.default),
        "priority": {
            name: laid(shipped.priority.get(name, nothing), own.priority.get(name, nothing))
            for name in names
        },
    }


def _by_name(first: Mapping[str, Layer], over: Mapping[str, Layer]) -> dict[str, Said]:
    names = sorted(first.keys() | over.keys())
    return {name: _lengths(first.get(name, {}), over.get(name, {})) for name in names}


def _lengths(first: Layer, over: Layer) -> Said:
    merged = {**first, **over}
    for name in merged:
        if name not in NAMES:
            raise UnusableDeadlinesError(f"{name} is no deadline; there are {', '.join(NAMES)}")
    try:
        return {name: None if text is None else duration(text) for name, text in merged.items()}
    except ValueError as error:
        raise UnusableDeadlinesError(str(error)) from None


def _calendar(opened: list[_Open], holidays: list[str], zone: ZoneInfo) -> Calendar:
    for each in opened:
        for day in each.days:
            if day not in hours.WEEK:
                raise UnusableDeadlinesError(f"{day} is no day; there are {', '.join(hours.WEEK)}")
    try:
        closed = tuple(hours.holiday(day) for day in sorted(set(holidays)))
    except ValueError:
        raise UnusableDeadlinesError("a holiday is a day such as 2026-12-25") from None
    weekly = hours.weekly((each.days, _minutes(each.start), _minutes(each.end)) for each in opened)
    return Calendar(zone, weekly, closed)


def _minutes(text: str) -> int:
    found = hours.minutes(text)
    if found is None:
        raise UnusableDeadlinesError(f"{text} is no time of day such as 08:00:00")
    return found
