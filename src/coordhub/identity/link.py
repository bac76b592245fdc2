"""What becomes of a pair of records: linked, put up for review, kept apart, or nothing.

What a person has decided stands until a person decides otherwise, whatever is written later. Of what the hub
has found by itself nothing stands longer than the evidence does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

LINKED: Final = "linked"
REVIEW: Final = "review"
APART: Final = "apart"

DOUBTS: Final = frozenset({
    "generation", "two-numbers", "birth-and-sex", "contradicted", "middle-name", "kept-apart",
})  # fmt: skip
"""Why a pair is held back that says: these may well be two persons. Of twins match.joins_twins tells more."""


class Standing(NamedTuple):
    """A pair as it stands. one, other: rids, the smaller first. by: who decided; None: nobody, the hub found it."""

    one: int
    other: int
    state: str
    by: str | None = None
    held: tuple[str, ...] = ()


def state(standing: Standing | None, grade: str, *, crossed: bool) -> str | None:
    """In which state the pair is to be; None: in none.

    crossed: to link it would make one person of records that are, or may be, of two (`crosses`).
    """
    if standing is not None and standing.by is not None:
        return standing.state
    if grade == "certain":
        return REVIEW if crossed else LINKED
    return REVIEW if grade == "probable" else None


def crosses(ours: Collection[int], theirs: Collection[int], pairs: Iterable[Standing]) -> bool:
    """Whether a pair with one record of each person is kept apart, or is in doubt.

    So twins stay two where a third record is like both of them.
    """
    return any(
        (pair.state == APART or (pair.state == REVIEW and bool(DOUBTS & set(pair.held))))
        and (
            (pair.one in ours and pair.other in theirs)
            or (pair.one in theirs and pair.other in ours)
        )
        for pair in pairs
    )
