"""Whatever a partner answers: each answer is of a class, kept with a reason, and nothing is lost by it.

A few by default; `make answers` is 10,000.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections import Counter
from random import Random
from typing import Any

from open_post import Post

from coordhub.routing import deliver

ANSWERS = int(os.environ.get("COORDHUB_MUTATED_ANSWERS", "200"))
SEED = int(os.environ.get("COORDHUB_MUTATED_SEED", "1"))
CONTENT = "Ada-Water-has-it"
"""What a partner may put into any text, and what must be in no reason."""

STATUSES = (
    200,
    201,
    202,
    204,
    400,
    401,
    403,
    404,
    405,
    408,
    409,
    410,
    412,
    413,
    422,
    429,
    500,
    502,
    503,
)
ODD = (None, True, -1, 1e999, 10**40, "", CONTENT, [], {}, [[]], {"resourceType": 7}, "\ud800")
WAITS = ("120", "-5", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "999999999", "\x00", "")


def answer(random: Random) -> bytes:
    """A good answer of some kind, with anything done to it."""
    status = random.choice(STATUSES)
    body = _body(random)
    for _ in range(random.choice((0, 0, 1, 1, 2, 4))):
        body = _changed(random, body)
    text = json.dumps(body, allow_nan=True).encode("utf-8", "surrogatepass")
    if random.random() < 0.1:
        text = random.choice((b"", b" ", b"<html>hello</html>", b"\xff\xfe", b"[" * 5000, b"{" * 9))
    if random.random() < 0.3:
        text = _broken(random, text)
    length = len(text) if random.random() < 0.9 else random.choice((0, 3, 10**7, -1))
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {length}"]
    if random.random() < 0.3:
        lines.append(f"Retry-After: {random.choice(WAITS)}")
    if random.random() < 0.2:
        lines.append(f"ETag: {random.choice(('', 'W/', CONTENT, 'x' * 400))}")
    if random.random() < 0.1:
        lines.append(random.choice(("Transfer-Encoding: chunked", "Location: http://x", "bad")))
    whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + text
    return _broken(random, whole) if random.random() < 0.15 else whole


def _body(random: Random) -> Any:
    entries = [
        {"response": {"status": random.choice(("200", "201 Created", "412", "422 No", "503"))}}
        if random.random() < 0.3
        else {"response": {"status": "200", "location": f"Task/{CONTENT}/_history/1"}}
        for _ in range(random.randrange(6))
    ]
    issue = {
        "severity": random.choice(("error", "warning", "fatal", "information")),
        "code": random.choice(("invalid", "transient", "conflict", CONTENT)),
        "diagnostics": CONTENT,
        "expression": [f"Bundle.entry[{random.randrange(9)}]", CONTENT],
    }
    return random.choice(
        (
            {"resourceType": "Bundle", "type": "transaction-response", "entry": entries},
            {"resourceType": "OperationOutcome", "issue": [issue]},
            {"resourceType": "Task", "id": CONTENT, "status": CONTENT},
            {"resourceType": "Bundle", "type": "searchset", "entry": entries},
        )
    )


def _changed(random: Random, value: Any) -> Any:
    """Something in it is something else."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        name = random.choice(list(value))
        if random.random() < 0.2:
            return {key: one for key, one in value.items() if key != name}
        return {**value, name: _changed(random, value[name])}
    if isinstance(value, list) and value and random.random() < 0.85:
        index = random.randrange(len(value))
        return [*value[:index], _changed(random, value[index]), *value[index + 1 :]]
    return random.choice(ODD)


def _broken(random: Random, text: bytes) -> bytes:
    if not text:
        return text
    at = random.randrange(len(text))
    return random.choice(
        (
            text[:at],
            text[:at] + bytes([random.randrange(256)]) + text[at + 1 :],
            text[:at] + text[at : at + 9] * 3 + text[at + 9 :],
            text[at:],
        )
    )


class Answering:
    """A partner that says `next`, whatever it is asked."""

    next = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(self.next)
            await writer.drain()
        writer.close()


async def _once_more(post: Post, delivery: object) -> None:
    """As if it had not been sent."""
    await post.house.rows(
        "update delivery set state = 'queued', next_at = created_at, settled_at = null, reason = null,"
        " lease_until = null where id = $1", delivery,
    )  # fmt: skip
    for table in ("circuit", "counterpart"):
        await post.house.rows(f"delete from {table}")


async def test_given_any_answer_when_a_partner_gives_it_then_it_is_of_a_class_and_kept_with_a_reason(
    post: Post,
) -> None:
    partner, house = Answering(), post.house
    listening = await asyncio.start_server(partner.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    await post.moves_to(f"http://127.0.0.1:{port}/fhir")
    await house.agree(house.kitchen, creates_anew=True)
    await house.asking(house.kitchen.service)
    delivery = await house.value(
        "select id from delivery where organization = $1", house.kitchen.rid
    )
    others = [one for one in await post.claim() if one.id != delivery]
    for one in others:
        await deliver.deliver(post.sending, one)
    await _once_more(post, delivery)
    classes: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    for number in range(ANSWERS):
        partner.next = answer(Random(f"{SEED}:{number}"))
        [held] = await post.claim()
        await deliver.deliver(post.sending, held)
        [state, reason, attempts] = (
            await house.rows("select state, reason, attempts from delivery where id = $1", delivery)
        )[0]
        [(outcome, detail)] = await house.rows(
            "select outcome, detail from attempt where delivery = $1 and number = $2",
            delivery, attempts,
        )  # fmt: skip
        said = f"answer {number}: {partner.next[:300]!r} was {outcome}, {state}, {detail}, {reason}"
        assert attempts == number + 2, said
        assert state in ("delivered", "queued", "parked", "dead"), said
        assert (outcome == "delivered") == (state == "delivered"), said
        assert outcome == "delivered" or detail, said
        assert (reason is not None) == (state in ("parked", "dead")), said
        assert CONTENT not in f"{detail}{reason}", said
        classes[outcome, state] += 1
        reasons[re.sub(r"\d+", "n", detail or "taken")] += 1
        await _once_more(post, delivery)
    listening.close()
    assert sum(classes.values()) == ANSWERS
    assert {state for _, state in classes} == {"delivered", "queued", "parked", "dead"}
    print(f"\n{ANSWERS} answers: {dict(classes)}")
    for reason, count in reasons.most_common():
        print(f"  {count:6} {reason}")
