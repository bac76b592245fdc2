"""Agreements with an organization about its own server, made by operators."""

from __future__ import annotations

from datetime import timedelta

from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.store import counterparts, fetches, resources
from coordhub.store.engine import Engine
from coordhub.store.visibility import EVERYONE


async def agree(
    engine: Engine,
    by: Operator,
    organization: str,
    *,
    own_ids: bool | None = None,
    answers_every: timedelta | None = None,
    originals_every: timedelta | None = None,
    each_state: bool | None = None,
    knows_repeats: bool | None = None,
    creates_anew: bool | None = None,
) -> counterparts.Custom:
    """What holds with `organization` (`Organization/id`) from now on. None: as before; zero: never."""
    kind, _, fhir_id = organization.partition("/")
    async with engine.transaction() as conn:
        found = (
            await resources.read(conn, EVERYONE, kind, fhir_id) if kind == "Organization" else None
        )
        if found is None or found.body is None:
            raise NothingDone(
                f"{organization} is not in the directory. Name it as Organization/id."
            )
        before = await counterparts.custom(conn, found.rid, 0)
        after = counterparts.Custom(
            before.own_ids if own_ids is None else own_ids,
            _changed(before.answers_every, answers_every),
            _changed(before.originals_every, originals_every),
            each_state=before.each_state if each_state is None else each_state,
            knows_repeats=before.knows_repeats if knows_repeats is None else knows_repeats,
            creates_anew=before.creates_anew if creates_anew is None else creates_anew,
        )
        await counterparts.agree(conn, found.rid, after)
        await fetches.watch_all(conn, found.rid, engine.now())
        said = {
            "organization": organization,
            "ids": "partner" if after.own_ids else "hub",
            "answers": _seconds(after.answers_every),
            "originals": _seconds(after.originals_every),
            "states": "each" if after.each_state else "newest",
            "repeats": "known" if after.knows_repeats else "read before",
            "gone": "created anew" if after.creates_anew else "left",
        }
        await note(conn, by, "exchange-agreed", engine.now(), said)
    return after


def _changed(before: timedelta | None, asked: timedelta | None) -> timedelta | None:
    return before if asked is None else (asked or None)


def _seconds(every: timedelta | None) -> str:
    return "never" if every is None else f"{every.total_seconds():g}"
