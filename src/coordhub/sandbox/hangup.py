"""A response that is none: the connection ends before the answer, or in the middle of it.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Hangup(Response):
    """Closes the connection: at once, or after the head and the first half of `content`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # ASGI has no word for this. uvicorn's `receive` is bound to the object that holds the
        # connection; under another server this fails loudly.
        transport: asyncio.Transport = receive.__self__.transport  # type: ignore[attr-defined]
        if self.body:
            head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(head)
            half = bytes(self.body[: len(self.body) // 2])
            await send({"type": "http.response.body", "body": half, "more_body": True})
            transport.close()
        else:
            transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass
