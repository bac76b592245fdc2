"""A list that is open is told that it says something else by now: whose it is, while somebody is there, and no other.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import contextlib
import re
import sys
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx2

from coordhub.admin import people
from coordhub.admin.acts import Operator
from coordhub.app import build
from coordhub.portal.lookout import Bounds, Lookout
from coordhub.store.accounts import IDLE

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import Browser, clock, joins

__all__ = ["clock"]

PAT, SAM, CORA = "pat@mounds.example.org", "sam@rides.example.org", "cora@riverside.example.org"
BEAT = ": still here"


class Waiting:
    """Somebody whose page waits, at a process of its own."""

    def __init__(self, stack, http, clock):
        self.stack, self.browser, self.lines = stack, Browser(http, clock), None

    async def opens(self, page):
        shown = await self.browser.opens(f"/portal/{page}")
        assert "script-src 'self'; connect-src 'self'" in shown.headers["content-security-policy"]
        return unescape(re.search(r'data-live="([^"]+)"', shown.text)[1])

    async def asks(self, address, **headers):
        return (await self.browser.http.get(address, headers=headers)).status_code

    async def waits(self, address):
        asked = await self.stack.enter_async_context(self.browser.http.stream("GET", address))
        assert asked.status_code == 200, address
        assert asked.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert asked.headers["cache-control"] == "no-store"
        assert asked.headers["x-accel-buffering"] == "no"
        self.lines = asked.aiter_lines()
        assert await anext(self.lines) == "retry: 10000"

    async def told(self):
        """The mark of the next event, None at the end of the stream."""
        said = []
        async for line in self.lines:
            said += [line] if line not in ("", BEAT) else []
            if len(said) == 3:
                assert (said[0], said[2]) == ("event: changed", "data: changed")
                return said[1].removeprefix("id: ")
        assert not said
        return None


async def test_given_open_lists_when_a_referral_comes_then_those_who_would_read_it_are_told_while_they_are_there(
    house, clock
):
    app, engine = build(house.settings, house.hub), house.hub.engine
    async with contextlib.AsyncExitStack() as stack:
        async with house.another_server(app=app) as served:
            # one that looks when it is told to: the process's own would look in between, too
            look_out = app.state.lookout = Lookout(house.hub)
            address = served.base_url
            pat, sam, cora = [
                Waiting(
                    stack,
                    await stack.enter_async_context(
                        httpx2.AsyncClient(base_url=address, follow_redirects=True, timeout=30)
                    ),
                    clock,
                )
                for _ in range(3)
            ]
            await pat.browser.sets_up(PAT, await joins(house, house.mounds, PAT))
            await sam.browser.sets_up(SAM, await joins(house, house.rides, SAM))
            first = await joins(house, house.riverside, CORA, "coordinator")
            await cora.browser.sets_up(CORA, first)
            received, other = await pat.opens("worklist"), await sam.opens("worklist")
            sent = await cora.opens("board?show=open")
            await pat.waits(received)
            await sam.waits(other)
            await cora.waits(sent)
            await look_out.look()

            # A referral: who is asked and who asks are told, once, of what their pages say by now
            _, task = await house.given_asked(house.riverside, house.mounds)
            await house.settled()
            await look_out.look()
            assert (await pat.opens("worklist")).endswith(f"&seen={await pat.told()}")
            assert (await cora.opens("board?show=open")).endswith(f"&seen={await cora.told()}")
            await house.mounds.answers(task, "accepted")
            await house.settled()
            await look_out.look()
            assert (await pat.opens("worklist")).endswith(f"&seen={await pat.told()}")
            assert (await cora.opens("board?show=open")).endswith(f"&seen={await cora.told()}")

            # Who comes with what it read before is told at once; nobody holds more than there is room for
            late = Waiting(stack, pat.browser.http, clock)
            look_out.bounds = Bounds(beat=timedelta(milliseconds=10))
            await late.waits(received)
            assert BEAT in [await anext(late.lines) for _ in range(3)]
            await look_out.look()
            assert await late.told()
            for bounds, status in (
                (Bounds(person=2), 429),
                (Bounds(organization=2), 429),
                (Bounds(process=4), 503),
            ):
                look_out.bounds = bounds
                assert await pat.asks(received) == status
            look_out.bounds = Bounds()

            # Only the lists of one's own desks, and only who has signed in
            assert await pat.asks(sent) == 404
            assert await pat.asks("/portal/live?desk=worklist&show=nope") == 404
            assert await pat.asks("/portal/live?desk=people&show=open") == 404
            assert (await served.get(received)).status_code == 401

            # It ends with the session: somebody is let out, signs out, or has gone away; nobody was told in between
            await people.deactivate(engine, Operator("rosa"), SAM, clock())
            await cora.browser.sends("/portal/sign-out")
            await look_out.look()
            assert await sam.told() is None
            assert await cora.told() is None
            clock.ahead += IDLE / 2
            await look_out.look()
            clock.ahead += IDLE / 2 + timedelta(minutes=1)
            await look_out.look()
            assert await pat.told() is None
            assert await late.told() is None
            assert await pat.asks(received) == 401

            # And with the server, which does not wait for it
            await pat.browser.signs_in(PAT)
            await pat.waits(await pat.opens("worklist"))
        assert await pat.told() is None
