"""JSON that was right, with anything done to it."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

Document = dict[str, Any]

JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 10**40, "", " ", "x" * 5000, "\ud7ff", "é\u202e", "\\", "'; --", "%00",
    "urn:uuid:", "Patient/", "Patient/x", "#", "#x", "http://", "?", "Patient?identifier=",
    "Patient?_id=x", "Task?status=requested", "../..", "2026-02-30", "0000", "9999-12-31T23:59:60Z",
    [], {}, [[]], [{}], {"reference": None}, {"reference": "x"}, {"coding": [{}]}, "Bundle",
    "transaction", "PUT", "DELETE", "GET", "Task/1/_history/1", {"resourceType": "Bundle"},
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a JSON value."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        found.append((value, key))
        if isinstance(inner, dict | list):
            found.extend(places(inner))
    return found


def mutated(document: Document, rnd: random.Random) -> bytes:
    """One to four changes anywhere, now and then to the bytes as well."""
    changed = copy.deepcopy(document)
    for _ in range(rnd.choice((1, 1, 1, 2, 4))):
        where = places(changed)
        if not where:
            break
        container, key = rnd.choice(where)
        other, its = rnd.choice(where)
        match rnd.randrange(7):
            case 0 | 1:
                container[key] = copy.deepcopy(rnd.choice(JUNK))
            case 2:
                del container[key]
            case 3:
                container[key] = copy.deepcopy(other.get(its) if isinstance(other, dict) else None)
            case 4 if isinstance(container, list):
                container.append(copy.deepcopy(container[key]))
            case 5 if isinstance(container, dict):
                container[rnd.choice(("_", "x", "value", "")) + str(key)] = container.pop(key)
            case _:
                container[key] = [container[key]]
    text = json.dumps(changed, ensure_ascii=rnd.random() < 0.5).encode("utf-8", "surrogatepass")
    if rnd.random() < 0.15:
        at = rnd.randrange(len(text))
        text = text[:at] + rnd.randbytes(rnd.randint(0, 3)) + text[at + rnd.randint(0, 3) :]
    return text
