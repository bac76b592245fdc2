"""The values of a statement that is put together, and what it looks up before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence


class Arguments:
    """The values of a statement, each with the type that Postgres is told."""

    def __init__(self) -> None:
        self.values: list[object] = []

    def add(self, value: object, sql_type: str) -> str:
        self.values.append(value)
        return f"${len(self.values)}::{sql_type}"

    def extend(self, values: Sequence[object]) -> None:
        self.values.extend(values)

    @property
    def following(self) -> int:
        return len(self.values) + 1


class Shared:
    """Look-ups that a statement makes once, before it begins, and reads wherever it needs them.

    Each place that looks a resource up by itself is planned by itself, and a search has many.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def named(self, key: str, lookup: Callable[[], str]) -> str:
        """A query for the rids that `lookup` finds; `key` says what is looked up."""
        if key not in self._names:
            self._names[key] = lookup()
        return f"select rid from s{list(self._names).index(key)}"

    @property
    def beginning(self) -> str:
        """What the statement begins with."""
        parts = (
            f"s{at}(rid) as materialized ({sql})" for at, sql in enumerate(self._names.values())
        )
        return f"with {', '.join(parts)} " if self._names else ""


def any_of(conditions: Iterable[str]) -> str:
    listed = list(conditions)
    return f"({listed[0]})" if len(listed) == 1 else f"(({') or ('.join(listed)}))"
