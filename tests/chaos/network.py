"""The wire to a partner: it carries every byte, is cut in the middle of what it carries, or leads nowhere.

Where it speaks TLS, its certificate can expire and be renewed; https://www.rfc-editor.org/rfc/rfc5280.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos.faults import Faults

CUT_SENDING, CUT_ANSWER = "cut amid what is sent", "cut amid the answer"
_KEY = re.compile(rb"(?i)\r\nidempotency-key: ([0-9a-f-]{36})\r\n")


@dataclass(slots=True)
class Wire:
    """From a port of its own to `port`, where the partner is. certificates: by name, if it speaks TLS.

    cuts: how often of what passes a piece is cut in the middle.
    """

    port: int
    rnd: Random
    faults: Faults
    certificates: Mapping[str, tuple[Path, Path]] = field(default_factory=dict)
    cuts: float = 0.0
    at: int = 0
    _tls: ssl.SSLContext | None = None
    _listening: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def base(self) -> str:
        return f"{'https' if self.certificates else 'http'}://127.0.0.1:{self.at}"

    async def lay(self, shown: str = "") -> None:
        """Listen, at the same port whenever it is laid again."""
        if self.certificates and self._tls is None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*self.certificates[shown])
        self._listening = await asyncio.start_server(
            self._carry, "127.0.0.1", self.at, ssl=self._tls
        )
        self.at = self._listening.sockets[0].getsockname()[1]

    def show(self, certificate: str) -> None:
        """From now on: this certificate, to whoever connects; and everyone has to."""
        assert self._tls is not None
        self._tls.load_cert_chain(*self.certificates[certificate])
        self._hang_up()

    async def remove(self) -> None:
        """Who calls is refused."""
        if self._listening is not None:
            self._listening.close()
            self._hang_up()
            self._listening = None

    def _hang_up(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            with contextlib.suppress(OSError):
                answers, there = await asyncio.open_connection("127.0.0.1", self.port)
                key = [""]
                ways = [
                    asyncio.create_task(self._way(reader, there, key, CUT_SENDING)),
                    asyncio.create_task(self._way(answers, writer, key, CUT_ANSWER)),
                ]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        finally:
            self._open.discard(writer)
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()

    async def _way(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, key: list[str], cut: str
    ) -> None:
        """Carry one direction until it ends, or is cut. key: of the delivery under way."""
        with contextlib.suppress(OSError):
            while piece := await source.read(65536):
                if found := _KEY.search(piece):
                    key[0] = found[1].decode()
                if key[0] and self.rnd.random() < self.cuts:
                    self.faults.inject(cut, key[0])
                    target.write(piece[: len(piece) // 2])
                    await target.drain()
                    return
                target.write(piece)
                await target.drain()
