"""Feeds of the directory, fetched: from a disk, from the web, page by page from an HSDS API; and when they are due.

https://docs.openreferral.org/en/latest/hsds/api_reference.html
https://specs.frictionlessdata.io/data-resource/#path
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, urlencode, urljoin, urlsplit, urlunsplit

import msgspec

from coordhub.directory.hsds.reading import UnreadableError
from coordhub.outbound.addresses import Network
from coordhub.outbound.client import Answer, Outbound, Timeouts
from coordhub.record import feeds
from coordhub.record.hub import Hub
from coordhub.store import feeds as store
from coordhub.telemetry import log

LOOK_EVERY: Final = 60.0
"""Seconds between looks whether a feed is due."""

LARGEST: Final = 256 * 1024 * 1024
"""Bytes of one answer, or of one file."""

PAGE: Final = 100
MOST_PAGES: Final = 5_000
AT_ONCE: Final = 4
"""Services that are asked for at the same time, where a list does not tell them whole."""

_SUFFIXES: Final = frozenset({".json", ".csv", ".zip"})


class UnreachableError(Exception):
    """The source cannot be had; the message says which part, and what came instead."""


def outbound(networks: Sequence[Network], tls: ssl.SSLContext | None = None) -> Outbound:
    """A client for what is larger than a partner's answers."""
    waits = Timeouts(timedelta(seconds=10), timedelta(seconds=60), timedelta(minutes=10))
    return Outbound(
        allowed_networks=networks,
        timeouts=waits,
        largest_answer=LARGEST,
        connections=AT_ONCE,
        tls=tls,
    )


def named(source: str) -> str:
    """A name for a feed, by where it is."""
    parts = urlsplit(source)
    text = parts.netloc if _is_web(source) else PurePosixPath(source.rstrip("/")).stem
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "feed"


def lasting(source: str) -> str:
    """The source as a worker elsewhere in the file system finds it too."""
    return source if _is_web(source) else str(Path(source).absolute())


def _is_web(source: str) -> bool:
    return urlsplit(source).scheme in ("http", "https")


async def files_of(source: str, client: Outbound) -> dict[str, bytes]:
    """Name -> bytes of all that the source has. Raises UnreachableError."""
    if _is_web(source):
        return await _Web(client).files(source)
    return await asyncio.to_thread(_of_disk, Path(source))


def _of_disk(path: Path) -> dict[str, bytes]:
    try:
        if path.is_dir():
            found = sorted(
                one for one in path.iterdir() if one.suffix.lower() in _SUFFIXES and one.is_file()
            )
            package = path / "datapackage.json"
            return (
                _packaged(package)
                if package.is_file()
                else {one.name: one.read_bytes() for one in found}
            )
        if path.name.lower() == "datapackage.json":
            return _packaged(path)
        return {path.name: path.read_bytes()}
    except OSError as error:
        raise UnreachableError(f"{path} cannot be read ({type(error).__name__})") from None


def _packaged(package: Path) -> dict[str, bytes]:
    folder = package.parent.resolve()
    found: dict[str, bytes] = {}
    for name, paths in _resources(package.read_bytes()).items():
        for number, path in enumerate(paths):
            file = (folder / path).resolve()
            if not file.is_relative_to(folder):
                raise UnreachableError(
                    f"datapackage.json names {path}, which is outside of its folder"
                )
            found[_file_name(name, path, number)] = file.read_bytes()
    return found


def _resources(data: bytes) -> dict[str, list[str]]:
    """Name of each resource of a data package -> its paths."""
    try:
        stated = msgspec.json.decode(data)
        return {
            str(one["name"]): [
                str(path)
                for path in (one["path"] if isinstance(one["path"], list) else [one["path"]])
            ]
            for one in stated["resources"]
        }
    except (msgspec.MsgspecError, KeyError, TypeError):
        raise UnreachableError("datapackage.json names no resources with name and path") from None


def _file_name(name: str, path: str, number: int) -> str:
    """As the table is named, not the file; the number keeps parts of one table apart."""
    folder = f"{number}/" if number else ""
    return f"{folder}{name}{PurePosixPath(path).suffix or '.csv'}"


class _Web:
    def __init__(self, client: Outbound) -> None:
        self._client = client
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def files(self, source: str) -> dict[str, bytes]:
        name = PurePosixPath(urlsplit(source).path).name or "feed"
        if name.lower() == "datapackage.json":
            found = {}
            for table, paths in _resources(await self._get(source)).items():
                for number, path in enumerate(paths):
                    found[_file_name(table, path, number)] = await self._get(urljoin(source, path))
            return found
        body = await self._get(source)
        if body.startswith(b"PK\x03\x04"):
            return {name: body}
        stated = _json(body)
        if isinstance(stated, dict) and "openapi_url" in stated:  # what an API says at its base
            source = _with_path(source, "services")
            stated = _json(await self._get(source))
        if isinstance(stated, dict) and "contents" in stated and "total_pages" in stated:
            return {"services.json": msgspec.json.encode(await self._pages(source))}
        suffix = ".json" if stated is not None else ".csv"
        return {
            name if PurePosixPath(name).suffix.lower() in _SUFFIXES else f"{name}{suffix}": body
        }

    async def _pages(self, source: str) -> list[Any]:
        """All services, each whole: where the list tells them in part they are asked for one by one."""
        query = {} if urlsplit(source).query else {"per_page": PAGE, "full": "true"}
        listed: list[Any] = []
        page = last = 1
        while page <= last:
            stated = _json(await self._get(_asked(source, {**query, "page": page})))
            if not isinstance(stated, dict) or not isinstance(stated.get("contents"), list):
                raise UnreachableError(f"page {page} of {_bare(source)} is no page of an HSDS API")
            listed += stated["contents"]
            last = int(stated.get("total_pages") or 1)
            if last > MOST_PAGES:
                raise UnreachableError(
                    f"{_bare(source)} has {last} pages: {MOST_PAGES} are the most"
                )
            page += 1
        return list(await asyncio.gather(*(self._whole(source, one) for one in listed)))

    async def _whole(self, source: str, listed: Any) -> Any:
        if not isinstance(listed, dict) or "id" not in listed or "service_at_locations" in listed:
            return listed
        async with self._slots:
            return _json(await self._get(_with_path(source, quote(str(listed["id"]), safe=""))))

    async def _get(self, address: str) -> bytes:
        answer = await self._client.send(
            "GET", address, {"Accept": "application/json, text/csv, */*"}
        )
        if not isinstance(answer, Answer):
            raise UnreachableError(f"{_bare(address)} cannot be reached ({answer.kind})")
        if answer.status != 200:
            raise UnreachableError(f"{_bare(address)} answers {answer.status}")
        return answer.body


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _with_path(address: str, name: str) -> str:
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/{name}", "", ""))


def _asked(address: str, query: Mapping[str, Any]) -> str:
    parts = urlsplit(address)
    joined = "&".join(filter(None, [parts.query, urlencode(query)]))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, joined, ""))


def _bare(address: str) -> str:
    """Without its query, where keys stand."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


async def read_due(hub: Hub, client: Outbound) -> bool:
    """Take in one feed whose time has come; whether there was one.

    A source that cannot be had leaves the directory as it is; it is tried again the next time.
    """
    async with hub.engine.pool.acquire_at_last() as conn:
        feed = await store.due(conn, hub.clock(), feeds.LEASE)
    if feed is None:
        return False
    try:
        await feeds.take_in(hub, feed, await files_of(feed.source, client), held=True)
    except (UnreachableError, UnreadableError) as error:
        log(
            "directory.feed_not_taken_in",
            level="warning",
            feed=feed.name,
            error=type(error).__name__,
        )
        async with hub.engine.pool.acquire_at_last() as conn:
            await store.leave(conn, feed.name, hub.clock(), {"failed": str(error)})
    return True


async def keep_feeding(hub: Hub, client: Outbound, stop: asyncio.Event) -> None:
    """Read each feed when it is due until told to stop; of several workers one reads it."""
    while not stop.is_set():
        found = False
        try:
            found = await read_due(hub, client)
        except Exception as error:  # a worker goes on, whatever it was
            log("directory.feed_not_taken_in", level="error", error=type(error).__name__)
        if not found:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await stop.wait()
