"""An answer leaves in one piece: its head waits for the first of its body.

The server writes the two one after the other: two system calls here and two packets, of which the asker reads
the first to learn that it must wait for the second.

https://www.rfc-editor.org/rfc/rfc9112#section-2.1
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEADS: Final = (b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.1 4", b"HTTP/1.1 5")
"""How the head of an answer begins that is the last to its request: not `100 Continue`, nor an upgrade."""

_LARGEST: Final = 64 * 1024
"""Bytes of a body that is put behind its head; a larger one is not copied for that."""


class Together:
    """A transport that keeps a head back until what is written next, or `flush`, or its end."""

    def __init__(self, bare: asyncio.Transport) -> None:
        self.bare = bare
        self._head = b""

    def write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if not head and data.startswith(_HEADS) and data.endswith(b"\r\n\r\n"):
            self._head = data
        elif head and len(data) > _LARGEST:
            self.bare.write(head)
            self.bare.write(data)
        else:
            self.bare.write(head + data)

    def flush(self) -> None:
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self.bare.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)


class InOnePiece(HttpToolsProtocol):
    """uvicorn's protocol over such a transport."""

    transport: Any

    def connection_made(self, transport: Any) -> None:
        super().connection_made(Together(transport))  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        self.transport.flush()  # of an answer without a body nothing more is written
        super().on_response_complete()

    def shutdown(self) -> None:
        """An answer that goes on until somebody leaves (`end` in its state) ends now: the server waits for it."""
        super().shutdown()
        end = self.cycle.scope["state"].get("end") if self.cycle is not None else None
        if end is not None:
            end()

    def handle_websocket_upgrade(self) -> None:
        self.transport = self.transport.bare
        super().handle_websocket_upgrade()
