"""Deliveries that a partner refuses over its own copy, and repeats to one that knows none by its key."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from open_hub import House
from open_post import Post

from coordhub.routing.mending import says

Document = dict[str, Any]
Reply = tuple[int, Document, dict[str, str]]


@dataclass
class Server:
    """A partner's server: how it answers what is posted; what it has, by path."""

    post: Callable[[Document], Reply | None]
    has: dict[str, Document] = field(default_factory=dict)
    posted: list[Document] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    reads: int = 200

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            if method == "GET":
                reply: Reply | None = self.look(path.removeprefix("/fhir/"))
            else:
                length = int((re.search(r"(?i)content-length: (\d+)", head) or [0, 0])[1])
                self.posted.append(json.loads(await reader.readexactly(length)))
                self.keys.append((re.search(r"(?i)idempotency-key: (\S+)", head) or "  ")[1])
                reply = self.post(self.posted[-1])
            if reply is not None:
                status, body, headers = reply
                text = json.dumps(body)
                lines = [f"HTTP/1.1 {status} S", f"Content-Length: {len(text)}"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                writer.write(("\r\n".join(lines) + "\r\n\r\n" + text).encode())
                await writer.drain()
        writer.close()

    def look(self, path: str) -> Reply:
        self.read.append(path)
        if self.reads != 200:
            return self.reads, {}, {}
        if "?" in path:
            kind = path.partition("?")[0]
            found = [one for one in self.has.values() if one["resourceType"] == kind]
            entries = [{"resource": one} for one in found]
            return 200, {"resourceType": "Bundle", "type": "searchset", "entry": entries}, {}
        if path not in self.has:
            return 410, {}, {}
        return 200, self.has[path], {"ETag": 'W/"7"'}


def taken(bundle: Document, *locations: str) -> Reply:
    entries = [{"response": {"status": "200"}} for _ in bundle["entry"]]
    for entry, location in zip(entries, locations, strict=False):
        entry["response"]["location"] = location
    body = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
    return 200, body, {}


def first(bundle: Document) -> Document:
    entry: Document = bundle["entry"][0]
    return entry


def refusing(status: int, until: int = 99) -> tuple[list[int], Callable[[Document], Reply]]:
    """Refuses so often."""
    count = [0]

    def post(bundle: Document) -> Reply:
        count[0] += 1
        return (status, {}, {}) if count[0] <= until else taken(bundle)

    return count, post


@contextlib.asynccontextmanager
async def at(post: Post, server: Server, **custom: bool) -> Any:
    """The kitchen's server, asked for something."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    await post.moves_to(f"http://127.0.0.1:{port}/fhir")
    house = post.house
    await house.agree(house.kitchen, **custom)
    sent = await house.asking(house.kitchen.service)
    yield (await sent.tasks())["kitchen"]
    listening.close()


async def rounds(post: Post, count: int = 6) -> tuple[str, str | None]:
    """Try it so often at most; how the kitchen's delivery stands."""
    for _ in range(count):
        await post.deliver()
        post.house.clock.ahead += timedelta(hours=1)
    [row] = await post.house.rows(
        "select state, reason from delivery where organization = $1", post.house.kitchen.rid
    )
    return row[0], row[1]


async def last_detail(house: House) -> str:
    return str(
        await house.value(
            "select a.detail from attempt a join delivery d on d.id = a.delivery"
            " where d.organization = $1 order by a.number desc limit 1", house.kitchen.rid,
        )
    )  # fmt: skip


@pytest.mark.parametrize("status", [409, 412])
async def test_given_a_conflict_when_its_copy_was_read_then_it_is_sent_as_a_change_of_that(
    post: Post, status: int
) -> None:
    _, answers = refusing(status, until=1)
    server = Server(answers)
    async with at(post, server) as task:
        server.has[task] = {"resourceType": "Task", "id": task[5:], "status": "received"}
        assert (await rounds(post))[0] == "delivered"
    assert server.read == [task]
    assert [first(one)["request"].get("ifMatch") for one in server.posted] == [None, 'W/"7"']
    assert first(server.posted[0])["resource"] == first(server.posted[1])["resource"]
    assert len(set(server.keys)) == 2, "another message"
    assert [one["identifier"]["value"] for one in server.posted] == server.keys


async def test_given_conflicts_without_end_when_read_three_times_then_a_person_decides(
    post: Post,
) -> None:
    count, answers = refusing(409)
    server = Server(answers)
    async with at(post, server) as task:
        server.has[task] = {"resourceType": "Task", "id": task[5:], "status": "received"}
        state, reason = await rounds(post)
    assert (state, reason) == ("dead", "status 409; its copy was read 3 times")
    assert (count[0], len(server.read)) == (4, 3)


async def test_given_failures_before_when_there_is_a_conflict_then_they_do_not_count_as_some(
    post: Post,
) -> None:
    statuses = iter([503, 503, 503, 503, 409])

    def answers(bundle: Document) -> Reply:
        status = next(statuses, 200)
        return taken(bundle) if status == 200 else (status, {}, {})

    server = Server(answers)
    async with at(post, server):
        assert (await rounds(post, 9))[0] == "delivered"


async def test_given_a_conflict_when_its_copy_says_the_same_then_it_has_arrived(
    post: Post,
) -> None:
    server = Server(refusing(412)[1])

    def answers(bundle: Document) -> Reply:
        resource = first(bundle)["resource"]
        server.has[f"Task/{resource['id']}"] = {**resource, "meta": {"versionId": "3"}}
        return 412, {}, {}

    server.post = answers
    async with at(post, server):
        assert (await rounds(post))[0] == "delivered"
    assert len(server.posted) == 1
    assert await last_detail(post.house) == "its copy says so already"


async def test_given_a_partner_that_lets_nobody_read_when_in_conflict_then_it_is_not_left_alone(
    post: Post,
) -> None:
    _, answers = refusing(409, until=1)
    server = Server(answers, reads=403)
    async with at(post, server):
        assert (await rounds(post))[0] == "delivered"
    assert await post.house.value("select count(*) from circuit") == 0


@pytest.mark.parametrize("agreed", [True, False])
@pytest.mark.parametrize("status", [404, 410])
async def test_given_what_it_has_no_more_when_agreed_then_it_is_made_anew_once(
    post: Post, status: int, agreed: bool
) -> None:
    server = Server(lambda bundle: (status, {}, {}))

    def answers(bundle: Document) -> Reply:
        entry = first(bundle)
        if entry["request"]["method"] == "POST" or entry["request"]["url"] == "Task/new":
            return taken(bundle, "Task/new/_history/1")
        return status, {}, {}

    server.post = answers
    async with at(post, server, creates_anew=agreed) as task:
        state, reason = await rounds(post)
        if not agreed:
            assert (state, reason) == ("dead", f"status {status}; to make it anew is not agreed")
            return
        assert state == "delivered"
        assert server.read == [task]
        entry = first(server.posted[1])
        assert entry["request"]["url"] == "Task"
        assert task.replace("/", "%2F") in entry["request"]["ifNoneExist"]
        assert len(set(server.keys)) == 2
        # and is known by its new id from then on
        house = post.house
        [(rid, theirs)] = await house.rows("select rid, theirs from counterpart")
        assert (theirs, await house.value("select fhir_id from resource where rid = $1", rid)) == (
            "Task/new", task[5:],
        )  # fmt: skip


async def test_given_a_server_that_is_not_there_when_it_answers_404_then_one_try_more_and_no_other(
    post: Post,
) -> None:
    count, answers = refusing(404)
    server = Server(answers)
    async with at(post, server, creates_anew=True):
        state, reason = await rounds(post)
    assert (state, count[0]) == ("dead", 2)
    assert reason == "status 404"


@pytest.mark.parametrize("own_ids", [True, False])
async def test_given_a_lost_answer_when_it_knows_no_keys_then_its_copy_is_read_before_a_repeat(
    post: Post, own_ids: bool
) -> None:
    server = Server(lambda _: None)

    def answers(bundle: Document) -> Reply | None:
        resource = first(bundle)["resource"]
        name = "Task/theirs" if own_ids else f"Task/{resource['id']}"
        server.has[name] = {**resource, "id": name[5:]}
        return None  # taken, and the answer is lost

    server.post = answers
    async with at(post, server, own_ids=own_ids, knows_repeats=False) as task:
        assert (await rounds(post))[0] == "delivered"
    assert len(server.posted) == 1, "not twice"
    [path] = server.read
    assert path.startswith("Task?identifier=urn%3Acoordhub%3Aid%7C" if own_ids else task)
    known = await post.house.rows("select theirs from counterpart")
    assert known == ([("Task/theirs",)] if own_ids else [])


async def test_given_an_attempt_that_never_arrived_when_it_knows_no_keys_then_it_is_sent(
    post: Post,
) -> None:
    _, answers = refusing(503, until=2)
    server = Server(answers)
    async with at(post, server, knows_repeats=False) as task:
        assert (await rounds(post))[0] == "delivered"
    assert server.read == [task, task]
    assert len(server.posted) == 3


async def test_given_a_partner_that_cannot_be_read_now_when_it_knows_no_keys_then_nothing_is_sent(
    post: Post,
) -> None:
    server = Server(lambda _: None)
    async with at(post, server, knows_repeats=False):
        await post.deliver()
        server.reads = 503
        assert (await rounds(post, 2))[0] == "queued"
    assert len(server.posted) == 1


async def test_given_one_entry_refused_when_the_rest_was_taken_then_dead_and_the_rest_remembered(
    post: Post,
) -> None:
    def answers(bundle: Document) -> Reply:
        status, body, headers = taken(bundle, "Task/theirs/_history/1")
        body["entry"][1] = {"response": {"status": "422 Unprocessable"}}
        return status, body, headers

    server = Server(answers)
    async with at(post, server, own_ids=True):
        state, reason = await rounds(post)
    count = len(server.posted[0]["entry"])
    assert (state, reason) == (
        "dead",
        f"entry[1] answered 422, {count - 1} of {count} taken",
    )
    assert await post.house.rows("select theirs from counterpart") == [("Task/theirs",)]


def test_given_a_copy_when_its_server_added_something_then_it_says_what_was_sent() -> None:
    sent = {
        "id": "1",
        "status": "requested",
        "note": [{"text": "a"}],
        "for": {"reference": "Patient/1"},
    }
    copy = {**sent, "id": "9", "for": {"reference": "Patient/9"}, "intent": "order"}
    assert says(copy, sent)
    assert not says({**copy, "status": "accepted"}, sent)
    assert not says({**copy, "note": []}, sent)
    assert not says({key: value for key, value in copy.items() if key != "note"}, sent)
