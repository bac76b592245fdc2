"""An answer leaves in one piece, whatever it is; the server is a real one, the asker a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn

from coordhub.wire import InOnePiece, Together


class Bare:
    """What a transport was told, in order."""

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def close(self) -> None:
        self.told.append(b"closed")


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ([HEAD, b"ok"], [HEAD + b"ok"]),
        ([HEAD, b""], [HEAD]),
        ([HEAD, b"ok", b"ok"], [HEAD + b"ok", b"ok"]),
        ([HEAD, b"x" * 100_000], [HEAD, b"x" * 100_000]),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], [b"HTTP/1.1 100 Continue\r\n\r\n"]),
        ([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], [b"HTTP/1.1 101 Switching Protocols\r\n\r\n"]),
        ([HEAD + b"ok", HEAD, b"ok"], [HEAD + b"ok", HEAD + b"ok"]),
    ],
)  # fmt: skip
def test_given_what_a_server_writes_when_put_together_then_a_head_waits_for_what_follows(
    written, told
):
    bare = Bare()
    together = Together(bare)  # type: ignore[arg-type]
    for each in written:
        together.write(each)
    assert bare.told == told


def test_given_a_head_alone_when_closed_then_it_has_left():
    bare = Bare()
    together = Together(bare)  # type: ignore[arg-type]
    together.write(HEAD)
    assert bare.told == []
    together.close()
    assert bare.told == [HEAD, b"closed"]


async def _answering(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = {"/": b"ok", "/none": b""}.get(scope["path"])
    length = [(b"content-length", str(len(body)).encode())] if body is not None else []
    await send({"type": "http.response.start", "status": 200, "headers": length})
    if body is None:
        await send({"type": "http.response.body", "body": b"in", "more_body": True})
    await send({"type": "http.response.body", "body": body or b"", "more_body": False})


async def test_given_a_server_when_asked_again_and_again_on_one_connection_then_each_answer_comes_whole():
    config = uvicorn.Config(
        _answering, port=0, http=InOnePiece, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for method, path, ends in (
            ("GET", "/", b"\r\n\r\nok"),
            ("HEAD", "/", b"content-length: 2\r\n\r\n"),
            ("GET", "/none", b"content-length: 0\r\n\r\n"),
            ("GET", "/pieces", b"\r\n\r\n2\r\nin\r\n0\r\n\r\n"),
            ("GET", "/", b"\r\n\r\nok"),
        ):
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            async with asyncio.timeout(20):
                answer = await reader.readuntil(ends)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
    finally:
        writer.close()
        server.should_exit = True
        await serving
