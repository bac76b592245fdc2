"""The steps of a judge, said as TAP: a line `ok - NAME` or `not ok - NAME` for each.

https://testanything.org/tap-specification.html
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

E = TypeVar("E", bound=Exception)


@contextmanager
def step(name: str) -> Iterator[None]:
    """One step; if it fails, why is printed, and the next is tried all the same."""
    try:
        yield
    except Exception:
        traceback.print_exc()
        print(f"not ok - {name}", flush=True)
    else:
        print(f"ok - {name}", flush=True)


def refusal(kind: type[E], attempt: Callable[[], object]) -> E:
    """How the client tells that the hub refused."""
    try:
        attempt()
    except kind as refused:
        return refused
    raise AssertionError("it should have been refused")
