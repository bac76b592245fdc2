"""A list that is open is told that it says something else by now: that, and nothing of what.

https://html.spec.whatwg.org/multipage/server-sent-events.html

The page shows a quiet bar then, and nothing moves before somebody presses it. Without script it is as it was. What is
sent names nobody, so that no row of the audit tells of it: what is read then is in the audit as ever.
"""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from coordhub.access import viewer
from coordhub.portal import board, desks, guests, pages, working
from coordhub.portal.listed import beginning
from coordhub.portal.lookout import Lookout, Waiting, What
from coordhub.store import resources

TABS: Final = {"worklist": working.TABS, "board": board.TABS}

HEADERS: Final = {
    **pages.HEADERS,
    "Content-Type": "text/event-stream; charset=utf-8",
    "X-Accel-Buffering": "no",
}
"""Nothing on the way may keep it, nor hold it back until there is more."""


def add(app: FastAPI) -> None:
    """Hang the door. `app.state.lookout` must be there when a request comes."""

    @app.get("/portal/live.js", include_in_schema=False)
    async def script() -> Response:
        kept = {**pages.HEADERS, "Cache-Control": "public, max-age=3600"}
        return Response(
            pages.script("live.js"), 200, kept, media_type="text/javascript; charset=utf-8"
        )

    @app.get("/portal/live", include_in_schema=False)
    async def live(request: Request) -> Response:
        held: Lookout = request.app.state.lookout
        token, asked = request.cookies.get(guests.COOKIE, ""), request.query_params
        person = (await held.there([token])).get(token)
        if person is None:  # a browser that is answered so does not ask again
            return Response(status_code=401, headers=pages.HEADERS)
        desk, show = asked.get("desk", ""), asked.get("show", "")
        rid = person.organization
        async with held.hub.engine.pool.acquire() as conn:
            own = await resources.read_rids(conn, viewer.as_organization(rid), [rid])
        is_there = rid in own and own[rid].body is not None and desk in desks.of(person.roles)
        if not is_there or show not in TABS.get(desk, ()):
            return Response(status_code=404, headers=pages.HEADERS)
        seen = request.headers.get("last-event-id") or asked.get("seen")
        what = What(rid, desk, show, beginning(asked.get("from", "")))
        one = Waiting(token, person.id, what, seen)
        request.state.interaction = "live"
        request.state.end = one.end  # called when the server is to stop, see `wire`
        return _Told(held, one)


class _Told(Response):
    """Until its session is over, its browser is gone, the server stops, or it is old."""

    def __init__(self, held: Lookout, one: Waiting) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._held, self._one = held, one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held.holding(self._one) as status:
            if status != 200:
                later = {**pages.HEADERS, "Retry-After": "60"}
                await Response(status_code=status, headers=later)(scope, receive, send)
                return
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            listening = asyncio.create_task(self._listen(receive))
            try:
                await self._tell(send)
            finally:
                listening.cancel()

    async def _listen(self, receive: Receive) -> None:
        """Nothing more is to come, but the end."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._one.end()

    async def _tell(self, send: Send) -> None:
        async def say(text: str, more: bool = True) -> None:
            body = {"type": "http.response.body", "body": text.encode(), "more_body": more}
            await send(body)

        one, bounds = self._one, self._held.bounds
        now = asyncio.get_running_loop().time
        until = now() + bounds.lifetime.total_seconds()
        await say("retry: 10000\n\n")
        while not one.is_over and now() < until:
            try:
                async with asyncio.timeout(bounds.beat.total_seconds()):
                    await one.stirred.wait()
            except TimeoutError:
                await say(": still here\n\n")
                continue
            one.stirred.clear()
            if not one.is_over:
                await say(f"event: changed\nid: {one.seen}\ndata: changed\n\n")
        await say("", more=False)
