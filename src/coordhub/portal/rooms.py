"""All rooms of the portal: each desk hangs its own, then whatever else is asked for is not there.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.portal import (
    admitting,
    allowing,
    boarding,
    community,
    connecting,
    consenting,
    contents,
    counting,
    elsewhere,
    emergencies,
    entering,
    exploring,
    guests,
    homecoming,
    live,
    marks,
    passkeys,
    patients,
    privacy,
    referring,
    releasing,
    requesting,
    screening,
    sending,
    stewarding,
    surveying,
    voice,
    working,
    written_releases,
    you,
)

DESKS: Final[tuple[Callable[[FastAPI], None], ...]] = (
    entering.add,
    elsewhere.add,
    passkeys.add,
    you.add,
    allowing.add,
    working.add,
    live.add,
    releasing.add,
    referring.add,
    screening.add,
    voice.add,
    patients.add,
    sending.add,
    requesting.add,
    homecoming.add,
    community.add,
    surveying.add,
    stewarding.add,
    counting.add,
    connecting.add,
    exploring.add,
    boarding.add,
    contents.add,
    privacy.add,
    admitting.add,
    consenting.add,
    emergencies.add,
    marks.add,
    written_releases.add,
)


def add(app: FastAPI) -> None:
    """Hang the rooms of all desks, and behind them the wall."""
    for desk in DESKS:
        desk(app)

    @app.get("/portal/{rest:path}", include_in_schema=False)
    async def nothing(request: Request, rest: str) -> Response:
        guest = await guests.staff(request)
        if guest is None:
            return guests.page(request, "missing", 404)
        return guests.room(request, guest, "missing", 404)
