"""Random questions about a random store: each criterion as a query writes it, and what it means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import search_words as words
from open_hub import BASE
from search_parameters import COMPOSITES, PARAMETERS, Parameter, concepts, measured
from search_words import UCUM, escaped
from search_world import (
    ADDRESSES,
    CODES,
    DATES,
    ELSEWHERE,
    NAMES,
    NUMBERS,
    POSITIONS,
    SYSTEMS,
    Item,
    World,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PREFIXES = ("", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap", "ap")
WORDS = (*NAMES, "an", "ANN", "zoe", "lee", "1", "20  0", "%", "_", "o", "\\", "anna  l")
TYPES = tuple(PARAMETERS)
_BARE = {"gender": ("female", "other"), "status": ("draft", "active")}
"""Of elements that are bare codes, which have no text and whose system is understood."""

Piece = tuple[str, Callable[[Any], bool]]
"""One alternative, and whether it holds of a value."""
Test = Callable[[str, Item], bool]
"""Whether it holds of an item, for an actor."""


@dataclass(frozen=True)
class Criterion:
    """asks: parameters of the item itself that it is about, which the actor must be shown."""

    name: str
    value: str
    holds: Test
    asks: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """sort: parameters and whether descending."""

    kind: str
    criteria: tuple[Criterion, ...]
    sort: tuple[tuple[str, bool], ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        found = [(each.name, each.value) for each in self.criteria]
        keys = ",".join(f"{'-' if descending else ''}{code}" for code, descending in self.sort)
        return [*found, ("_sort", keys)] if keys else found

    @property
    def asks(self) -> list[str]:
        return [code for each in self.criteria for code in each.asks] + [
            key for key, _ in self.sort
        ]


def question(random: Random, world: World) -> Question:
    """Of each kind of parameter as often, whichever types have it."""
    subject = random.choice((*_PIECES, "composite", "link", "link", "others"))
    if subject in _PIECES:
        ways = [
            (type_, each)
            for type_ in TYPES
            for each in PARAMETERS[type_].values()
            if each.kind == subject
        ]
        kind, parameter = random.choice(ways)
        criteria = [_by_value(random, world, parameter)]
    elif subject == "composite":
        kind, criteria = "Observation", [_composite(random)]
    elif subject == "link":
        kind = random.choice([type_ for from_, _, to in _LINKS for type_ in (from_, to)])
        criteria = [_linked(random, world, kind, 0)]
    else:
        kind, criteria = random.choice(TYPES), []
    further = random.choice((0, 0, 0, 1, 1, 2))
    criteria += [criterion(random, world, kind) for _ in range(further)]
    sortable = [each.code for each in PARAMETERS[kind].values() if each.kind != "special"]
    keys = random.sample([*sortable, "_lastUpdated", "_id"], random.choice((0, 0, 1, 2, 3)))
    return Question(kind, tuple(criteria), tuple((key, random.random() < 0.5) for key in keys))


def criterion(random: Random, world: World, kind: str, hops: int = 0) -> Criterion:
    way = random.random()
    if way < 0.2 and hops < 2:
        return _linked(random, world, kind, hops)
    if way < 0.25:
        return _by_id(random, world)
    if way < 0.3 and hops == 0:
        return _last_updated(random, world)
    if way < 0.4 and kind == "Observation":
        return _composite(random)
    return _by_value(random, world, random.choice(list(PARAMETERS[kind].values())))


def _by_value(random: Random, world: World, parameter: Parameter) -> Criterion:
    of, code = parameter.of, parameter.code
    if random.random() < 0.2:
        stated = random.random() < 0.5
        return Criterion(
            f"{code}:missing",
            "false" if stated else "true",
            lambda _, item: bool(of(item.body)) is stated,
            (code,),
        )
    modifier, draw = _PIECES[parameter.kind](random, world, parameter)
    pieces = [draw() for _ in range(random.choice((1, 1, 1, 2)))]

    def found(_: str, item: Item) -> bool:
        return any(holds(value) for _, holds in pieces for value in of(item.body))

    return Criterion(
        f"{code}:{modifier}" if modifier else code,
        ",".join(text for text, _ in pieces),
        (lambda actor, item: not found(actor, item)) if modifier == "not" else found,
        (code,),
    )


Drawing = tuple[str, Callable[[], Piece]]


def _strings(random: Random, _: World, __: Parameter) -> Drawing:
    modifier = random.choice(("", "", "exact", "contains"))

    def draw() -> Piece:
        word = random.choice(WORDS)
        return escaped(word), lambda value: words.string(value, word, modifier)

    return modifier, draw


def _tokens(random: Random, _: World, parameter: Parameter) -> Drawing:
    modifiers = ["", "", "", "not"]
    if parameter.code not in _BARE:
        modifiers.append("text")
    if parameter.code == "identifier":
        modifiers.append("of-type")
    modifier = random.choice(modifiers)

    def draw() -> Piece:
        if modifier == "text":
            word = random.choice(("al", "BETA", "b", "pha"))
            return word, lambda value: any(words.string(each, word, "") for each in value.texts)
        if parameter.code in _BARE:
            code = random.choice(_BARE[parameter.code])
            return code, lambda value: value.code == code
        code, system = random.choice((*CODES, "1")), random.choice(SYSTEMS)
        if modifier == "of-type":
            type_, at = random.choice(CODES), random.choice(SYSTEMS[:2])
            return (
                f"{at}|{escaped(type_)}|{escaped(code)}",
                lambda value: (at, type_) in value.types and value.code == code,
            )
        shape = random.choice(("code", "both", "system"))
        if shape == "system" and system:
            return f"{system}|", lambda value: value.system == system and value.code is not None
        if shape == "both":
            return (
                f"{system or ''}|{escaped(code)}",
                lambda value: (value.system, value.code) == (system, code),
            )
        return escaped(code), lambda value: value.code == code

    return modifier, draw


def _dates(random: Random, _: World, __: Parameter) -> Drawing:
    def draw() -> Piece:
        prefix, date = random.choice(PREFIXES), random.choice(DATES)
        return f"{prefix}{date}", lambda value: words.date(value, prefix, date, NOW)

    return "", draw


def _numbers(random: Random, _: World, __: Parameter) -> Drawing:
    def draw() -> Piece:
        prefix, number = (
            random.choice(PREFIXES),
            random.choice(("1.0", "2.00", "1.10", "5.0")),
        )
        return f"{prefix}{number}", lambda value: words.number(value, prefix, number)

    return "", draw


def _quantity(random: Random) -> Piece:
    prefix, number = random.choice(PREFIXES), random.choice((*NUMBERS, "0.001", "1.05"))
    system, unit = random.choice(
        ((None, None), (UCUM, "g"), (UCUM, "mg"), (UCUM, "kg"), ("http://u.example", "box"), (None, "mg"))
    )  # fmt: skip
    text = f"{prefix}{number}" + (f"|{system or ''}|{unit}" if unit else "")
    return text, lambda value: words.quantity(value, prefix, number, system, unit)


def _quantities(random: Random, _: World, __: Parameter) -> Drawing:
    return "", lambda: _quantity(random)


def _uris(random: Random, _: World, __: Parameter) -> Drawing:
    modifier = random.choice(("", "above", "below", "below"))

    def draw() -> Piece:
        asked = random.choice((*ADDRESSES, *ADDRESSES[:1] * 3, "http://w.example/a/b/c"))
        if modifier == "below" and asked.startswith("http") and random.random() < 0.3:
            asked += "/"
        return asked, lambda value: words.uri(value, asked, modifier)

    return modifier, draw


def _references(random: Random, world: World, parameter: Parameter) -> Drawing:
    """To what is here by id, by type and id, by address or by the type in the modifier."""
    target = {
        "based-on": "ServiceRequest",
        "partof": "Location",
        "subject": "Patient",
        "patient": "Patient",
    }.get(parameter.code, "Organization")
    known = sorted(world.organizations)
    if target != "Organization":
        known = [each.reference for each in world.of(target)]
    modifier = random.choice(("", "", "", "identifier", target))

    def draw() -> Piece:
        if modifier == "identifier":
            code = random.choice((*CODES, "unknown"))
            system = random.choice((None, SYSTEMS[0]))
            return (
                f"{system}|{escaped(code)}" if system else escaped(code),
                lambda value: (
                    value.get("identifier", {}).get("value") == code
                    and system in (None, value["identifier"].get("system"))
                ),
            )
        if (
            parameter.code in ("performer", "general-practitioner")
            and random.random() < 0.5
            and not modifier
        ):
            address = random.choice(ELSEWHERE)
            return address, lambda value: value.get("reference") == address
        reference = random.choice(known)
        fhir_id = reference.partition("/")[2]
        text = random.choice((fhir_id, reference, f"{BASE}/{reference}"))
        return text, lambda value: value.get("reference") == reference

    return modifier, draw  # fmt: skip


def _places(random: Random, _: World, __: Parameter) -> Drawing:
    def draw() -> Piece:
        latitude, longitude = random.choice(POSITIONS)
        far, metres = random.choice(
            (("", 50_000), ("|1", 1000), ("|12", 12_000), ("|11000|m", 11_000), ("|25|", 25_000), ("|9000|km", 9e6))
        )  # fmt: skip
        text = f"{latitude}|{longitude}{far}"
        return text, lambda value: words.near(value, latitude, longitude, metres)

    return "", draw


_PIECES: dict[str, Callable[[Random, World, Parameter], Drawing]] = {
    "string": _strings,
    "token": _tokens,
    "date": _dates,
    "number": _numbers,
    "quantity": _quantities,
    "uri": _uris,
    "reference": _references,
    "special": _places,
}


def _by_id(random: Random, world: World) -> Criterion:
    ids = {each.id for each in random.sample(list(world.items.values()), 8)} | {"unknown"}
    return Criterion("_id", ",".join(sorted(ids)), lambda _, item: item.id in ids, ("_id",))


def _last_updated(random: Random, world: World) -> Criterion:
    updated = random.choice(list(world.items.values())).updated
    assert updated is not None
    prefix = random.choice(PREFIXES[:-2])
    milli = f"{updated:%Y-%m-%dT%H:%M:%S}.{updated.microsecond // 1000:03}Z"
    asked = random.choice((f"{updated:%Y-%m-%d}", f"{updated:%Y-%m-%dT%H:%M:%S}Z", milli))

    def holds(_: str, item: Item) -> bool:
        assert item.updated is not None
        low = item.updated
        extent = words.Extent(low, low + timedelta(milliseconds=1))
        return words.date(extent, prefix, asked, NOW)

    return Criterion("_lastUpdated", f"{prefix}{asked}", holds, ("_lastUpdated",))


def _composite(random: Random) -> Criterion:
    name = random.choice(list(COMPOSITES))
    system, code = random.choice((*SYSTEMS, "")), random.choice(CODES)
    text, holds = _quantity(random)

    def found(_: str, item: Item) -> bool:
        return any(
            any(one.code == code and system in ("", one.system) for one in concepts(part["code"]))
            and any(map(holds, measured(part)))
            for part in COMPOSITES[name](item.body)
        )

    stated = escaped(code) if system == "" else f"{system or ''}|{escaped(code)}"
    return Criterion(name, f"{stated}${text}", found, (name,))


_LINKS = (
    ("Observation", "patient", "Patient"),
    ("Observation", "subject", "Patient"),
    ("ServiceRequest", "patient", "Patient"),
    ("ServiceRequest", "based-on", "ServiceRequest"),
    ("ServiceRequest", "based-on", "ServiceRequest"),  # which housing is not shown
    ("RiskAssessment", "subject", "Patient"),
    ("Location", "partof", "Location"),
)


def _linked(random: Random, world: World, kind: str, hops: int) -> Criterion:
    """A chain, or `_has`, over a resource that the actor is shown, and shown what is asked of it."""
    way = random.choice([each for each in _LINKS if kind in (each[0], each[2])])
    from_, code, to = way
    of = PARAMETERS[from_][code].of
    forward = from_ == kind and (to != kind or random.random() < 0.5)
    inner = criterion(random, world, to if forward else from_, hops + 1)

    def chained(actor: str, item: Item) -> bool:
        targets = (world.items.get(each.get("reference", "")) for each in of(item.body))
        return any(
            target is not None
            and target.kind == to
            and world.sees(actor, target, *inner.asks)
            and inner.holds(actor, target)
            for target in targets
        )

    def reverse(actor: str, item: Item) -> bool:
        return any(
            any(each.get("reference") == item.reference for each in of(other.body))
            and world.sees(actor, other, code, *inner.asks)
            and inner.holds(actor, other)
            for other in world.of(from_)
        )

    if forward:
        return Criterion(f"{code}:{to}.{inner.name}", inner.value, chained, (code,))
    return Criterion(f"_has:{from_}:{code}:{inner.name}", inner.value, reverse, ())
