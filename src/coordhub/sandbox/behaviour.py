"""How a simulated partner (mis)behaves: the ways of failing that a hub meets, told in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any

MODES: dict[str, str] = {
    "ok": "takes it and answers as FHIR says",
    "slow": "takes it after delay_ms",
    "down": "closes the connection unread",
    "error": "answers 500, takes nothing",
    "rate": "answers 429 with Retry-After, takes nothing",
    "reject": "answers 422 with an OperationOutcome, takes nothing",
    "lost": "takes it, then closes the connection without an answer",
    "garbage": "takes it, then answers 200 with something that is not FHIR",
    "half": "takes it, then closes the connection in the middle of the answer",
    "guarded": "answers 401 to who shows no Authorization",
    "huge": "answers with more than anybody wants to read",
    "doubles": "takes it under ids of its own, and what comes again once more",
}
"""Mode -> what the partner does; `takes it` also stands for having it read."""

OF = ("write", "read")
"""What a habit shows at."""

TAKING = frozenset({"ok", "slow", "lost", "garbage", "half", "guarded", "doubles"})
"""Modes in which what was sent has an effect."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One habit of a partner.

    delay_ms: waits so long before anything else, in every mode; `slow` waits 2000 unless told.
    probability: how often the habit shows; otherwise the next habit is asked, at last `ok`.
    retry_after: seconds, for `rate`. until_count: ends after having shown so often; None: never.
    idempotent: knows a repeated Idempotency-Key and applies it once.
    of: what it shows at, `write` or `read`.
    """

    mode: str = "ok"
    delay_ms: int = 0
    probability: float = 1.0
    retry_after: int = 1
    until_count: int | None = None
    idempotent: bool = True
    of: str = "write"


def read(stated: object) -> tuple[Behaviour, ...]:
    """Habits from JSON: one object, or a list of which the first that shows counts.

    Raises ValueError that says what is wrong.
    """
    items = stated if isinstance(stated, list) else [stated]
    return tuple(_read_one(item) for item in items)


def as_json(habits: Sequence[Behaviour]) -> list[dict[str, Any]]:
    """The habits as `read` takes them."""
    return [{f.name: getattr(habit, f.name) for f in fields(Behaviour)} for habit in habits]


def choose(
    habits: Sequence[Behaviour], shown: Mapping[int, int], rnd: Random, of: str = "write"
) -> tuple[int, Behaviour]:
    """Which habit shows this time at a write or a read, and its position (-1: none, so `ok`).

    shown: position -> how often that habit has shown.
    """
    for position, habit in enumerate(habits):
        if habit.of != of:
            continue
        if habit.until_count is not None and shown.get(position, 0) >= habit.until_count:
            continue
        if rnd.random() < habit.probability:
            return position, habit
    idempotent = all(habit.idempotent for habit in habits)
    return -1, Behaviour(idempotent=idempotent)


def _read_one(item: object) -> Behaviour:
    if not isinstance(item, dict):
        raise ValueError("a behaviour is a JSON object")
    known = {f.name for f in fields(Behaviour)}
    if unknown := sorted(set(map(str, item)) - known):
        raise ValueError(f"unknown: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    habit = Behaviour(**item)
    if habit.mode not in MODES:
        raise ValueError(f"mode is one of {', '.join(MODES)}")
    _number("delay_ms", habit.delay_ms, 600_000)
    _number("retry_after", habit.retry_after, 86_400)
    if habit.until_count is not None:
        _number("until_count", habit.until_count, 1_000_000_000)
    if isinstance(habit.probability, bool) or not 0 <= habit.probability <= 1:
        raise ValueError("probability lies between 0 and 1")
    if not isinstance(habit.idempotent, bool):
        raise ValueError("idempotent is true or false")
    if habit.of not in OF:
        raise ValueError(f"of is one of {', '.join(OF)}")
    if habit.mode == "slow" and "delay_ms" not in item:
        return replace(habit, delay_ms=2000)
    return habit


def _number(name: str, value: object, largest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise ValueError(f"{name} is a whole number between 0 and {largest}")
