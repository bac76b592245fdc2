"""Feeds, fetched from where they are, and read again when they are due."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hsds_county import PANTRY, as_json, as_zip, county
from open_hub import House

from coordhub.directory.hsds import reading
from coordhub.routing import feeding
from coordhub.store import feeds

LOOPBACK = [ip_network("127.0.0.0/8")]
DAY = timedelta(days=1)


class Api:
    """An HSDS API, or a web server with files. answers: path -> what it says; asked: the targets, in order."""

    def __init__(self, services: list[Any], size: int = 2, *, whole: bool = True) -> None:
        self.services, self.size, self.whole = services, size, whole
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.address = ""

    def answer(self, target: str) -> tuple[int, bytes]:
        parts = urlsplit(target)
        if parts.path in self.files:
            return 200, self.files[parts.path]
        if parts.path == "/":
            return 200, json.dumps({"version": "3.0", "openapi_url": "x"}).encode()
        if parts.path == "/services":
            page = int(parse_qs(parts.query).get("page", ["1"])[0])
            listed = self.services[(page - 1) * self.size : page * self.size]
            if not self.whole:
                listed = [{"id": one["id"], "name": one["name"]} for one in listed]
            pages = -(-len(self.services) // self.size)
            return 200, json.dumps(
                {"total_pages": pages, "page_number": page, "contents": listed}
            ).encode()
        for one in self.services:
            if parts.path == f"/services/{one['id']}":
                return 200, json.dumps(one).encode()
        return 404, b"{}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked.append(target)
        status, body = self.answer(target)
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            % (status, len(body))
            + body
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[Api]:
    listening = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    async with listening:
        api.address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield api


async def fetched(source: str) -> dict[str, bytes]:
    async with feeding.outbound(LOOPBACK) as client:
        return await feeding.files_of(source, client)


@pytest.mark.parametrize(("path", "whole"), [("/", True), ("/services", False)])
async def test_given_an_api_with_pages_when_fetched_then_each_service_is_there_whole(
    path: str, whole: bool
) -> None:
    services = county(5, shelters=0)
    async with serving(Api(services, whole=whole)) as api:
        [data] = (await fetched(api.address + path)).values()
    assert json.loads(data) == services
    assert sum("page=" in one for one in api.asked) == 3
    assert sum(one.startswith("/services/") for one in api.asked) == (0 if whole else 5)


async def test_given_files_of_the_web_when_fetched_then_they_are_read_by_what_they_are() -> None:
    api = Api([])
    package = {"resources": [{"name": "organizations", "path": "data/orgs.csv"}]}
    api.files = {
        "/county.zip": as_zip(PANTRY)["county.zip"],
        "/data/orgs.csv": b"id,name\no1,Ward House\n",
        "/datapackage.json": json.dumps(package).encode(),
        "/feed": as_json(county(2, shelters=0))["services.json"],
    }
    async with serving(api):
        zipped = await fetched(f"{api.address}/county.zip?key=secret")
        packaged = await fetched(f"{api.address}/datapackage.json")
        plain = await fetched(f"{api.address}/feed")
        with pytest.raises(feeding.UnreachableError, match="/none answers 404") as refused:
            await fetched(f"{api.address}/none?key=secret")
    assert "secret" not in str(refused.value)
    assert list(packaged) == ["organizations.csv"]
    for files, services in ((zipped, 1), (packaged, 0), (plain, 2)):
        assert len(reading.read(files).rows["services"]) == services


async def test_given_files_of_a_disk_when_fetched_then_a_folder_or_package_is_taken_and_nothing_outside(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    (folder / "organizations.csv").write_text("id,name\no1,Ward House\n")
    (folder / "notes.txt").write_text("not ours")
    assert list(await fetched(str(folder))) == ["organizations.csv"]
    (folder / "datapackage.json").write_text(
        json.dumps({"resources": [{"name": "organizations", "path": "organizations.csv"}]})
    )
    assert list(await fetched(str(folder))) == ["organizations.csv"]
    (tmp_path / "other.csv").write_text("id\n1\n")
    (folder / "datapackage.json").write_text(
        json.dumps({"resources": [{"name": "organizations", "path": "../other.csv"}]})
    )
    with pytest.raises(feeding.UnreachableError, match="outside"):
        await fetched(str(folder / "datapackage.json"))
    with pytest.raises(feeding.UnreachableError):
        await fetched(str(tmp_path / "nothing.json"))


async def test_given_a_feed_that_is_due_when_workers_look_then_one_reads_it_and_the_next_time_is_tomorrow(
    house: House,
) -> None:
    async with serving(Api(county(4, shelters=0))) as api, feeding.outbound(LOOPBACK) as client:
        async with house.engine.pool.acquire() as conn:
            await feeds.keep(conn, "county", f"{api.address}/services", None, DAY, house.clock())
            house.clock.ahead += timedelta(seconds=1)
        first, second = await asyncio.gather(
            *(feeding.read_due(house.hub, client) for _ in range(2))
        )
        assert sorted([first, second]) == [False, True]
        async with house.engine.pool.acquire() as conn:
            feed = await feeds.by_name(conn, "county")
        assert feed is not None
        assert feed.outcome is not None
        assert (feed.outcome["entries"], feed.outcome["written"]) == (10, 10)
        assert not await feeding.read_due(house.hub, client)
        house.clock.ahead += DAY + timedelta(seconds=1)
        api.services = [*api.services[:3], {**api.services[3], "name": "Renamed"}]
        assert await feeding.read_due(house.hub, client)
        async with house.engine.pool.acquire() as conn:
            feed = await feeds.by_name(conn, "county")
        assert feed is not None
        assert feed.outcome is not None
        assert (feed.outcome["written"], feed.outcome["unchanged"]) == (1, 9)
    async with feeding.outbound(LOOPBACK) as client:
        house.clock.ahead += DAY + timedelta(seconds=1)
        assert await feeding.read_due(house.hub, client)  # nobody answers there any more
    async with house.engine.pool.acquire() as conn:
        feed = await feeds.by_name(conn, "county")
        assert await feeds.take(conn, "county", house.clock(), DAY)
    assert feed is not None
    assert feed.outcome is not None
    assert "cannot be reached" in feed.outcome["failed"]
    [active] = await house.rows("select count(*) from directory_entry where not gone")
    assert active == (10,)
