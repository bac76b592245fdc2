"""Who may see a row, as SQL: the only place where that is decided.

A row is visible to a Viewer if its organization wrote it, if it is of the public directory, or if a
grant says so; what is in quarantine, only if its organization wrote it. Grants are decisions, made in
the transaction of the change that altered them (record.grants); reading only looks them up. The
fragment is added to every statement that reads a resource for someone, so that a hidden row and an
absent one are the same row: none.
"""

from __future__ import annotations

from dataclasses import dataclass

HUB = 1 << 8
"""rid of the hub's own Organization: the coordination platform, requester of the Tasks it makes."""

DIRECTORY = 2 << 8
"""rid of the steward of the public directory; what it wrote, every authenticated organization sees."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is looking. Made by `access.viewer` only.

    organization: rid of the Organization on whose behalf something is read.
    types: numbers of the resource types that the token's scopes allow to read; None: all.
    everything: the hub itself, deciding (never on behalf of someone).
    """

    organization: int
    types: frozenset[int] | None = None
    everything: bool = False


EVERYONE = Viewer(DIRECTORY)
"""What every authenticated organization sees: the public directory, and nothing else."""


def visible(viewer: Viewer, row: str, first: int) -> tuple[str, list[object]]:
    """A SQL condition on alias `row` of resource and its arguments from $first on."""
    if viewer.everything:
        return "true", []
    condition = (
        f"({row}.source = any(${first}::bigint[]) or exists (select from access_grant g"
        f" where g.organization = ${first + 1} and g.rid = {row}.rid and (g.until is null or g.until > now())))"
        f" and {_shown(row, first)}"
    )
    arguments: list[object] = [[viewer.organization, DIRECTORY], viewer.organization]
    if viewer.types is not None:
        condition = f"({condition} and {row}.type = any(${first + 2}::smallint[]))"
        arguments.append(sorted(viewer.types))
    return condition, arguments


def ways(viewer: Viewer, row: str, first: int) -> tuple[list[str], list[object]]:
    """The same condition as `visible`, parted: conditions of which each row meets at most one.

    A search asks each by itself: an OR over two tables would leave Postgres only the walk over all
    rows, also for a caller who sees three of them.
    """
    if viewer.everything:
        return ["true"], []
    own = f"{row}.source = any(${first}::bigint[])"
    granted = (
        f"not {row}.source = any(${first}::bigint[]) and exists (select from access_grant g"
        f" where g.organization = ${first + 1} and g.rid = {row}.rid"
        " and (g.until is null or g.until > now()))"
    )
    arguments: list[object] = [[viewer.organization, DIRECTORY], viewer.organization]
    of_type = ""
    if viewer.types is not None:
        of_type = f" and {row}.type = any(${first + 2}::smallint[])"
        arguments.append(sorted(viewer.types))
    shown = f" and {_shown(row, first)}"
    return [own + shown + of_type, granted + shown + of_type], arguments


def _shown(row: str, first: int) -> str:
    """It is not in quarantine, or the viewer's own. Read on the row that is at hand anyway."""
    return f"(not {row}.quarantined or {row}.source = ${first + 1})"
