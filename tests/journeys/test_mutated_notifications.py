"""Whatever a partner notifies or answers: taken or refused with a reason, on record, and nothing is lost by it.

A few by default; `make answers` is 10,000.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from mutating import mutated

from coordhub.r4 import document as fhir_json
from coordhub.r4 import notification
from coordhub.sandbox import demo
from coordhub.store import invariants

NOTIFICATIONS = int(os.environ.get("COORDHUB_MUTATED_NOTIFICATIONS", "100"))
SEED = int(os.environ.get("COORDHUB_MUTATED_SEED", "1"))
OVER = frozenset({"rejected", "cancelled", "failed", "completed", "entered-in-error"})
ANSWERS = ("received", "accepted", "in-progress", "on-hold", "in-progress", "rejected")
WRITTEN = "select count(*) from change where author <> 256"


def a_notification(number: int, random: Random) -> dict:
    """Of a Subscription at the partner's server: of any kind, with any content."""
    base = "https://partner.example.org/fhir"
    patient = {"resourceType": "Patient", "id": str(number), "birthDate": "1961-04-03"}
    told = [
        notification.Told(
            event,
            "2026-11-20T09:00:00.120Z",
            notification.Focus(
                f"{base}/Patient/{number}",
                random.choice(("", fhir_json.encode(patient).decode())),
            ),
        )
        for event in range(1, random.choice((2, 3)))
    ]
    about = notification.About(f"{base}/Subscription/1", f"{base}/topic", "active", 7)
    kind = random.choice(("handshake", "heartbeat", "event-notification"))
    body = notification.bundle(str(UUID(int=number + 1)), "2026-11-20T09:00:01Z", about, kind, told)
    return fhir_json.parse(body)


async def test_given_any_notification_or_answer_of_a_partner_when_sent_then_taken_or_refused_with_a_reason(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    _, task = await house.given_asked(riverside, lakeside)
    classes: Counter[tuple[str, int]] = Counter()
    codes: Counter[str] = Counter()
    for number in range(NOTIFICATIONS):
        random = Random(f"{SEED}:{number}")
        headers = {"X-Request-Id": f"mutated-{number}"}
        before = await house.value(WRITTEN)
        if number % 2:
            method, path, sender = "POST", "/Task/$read-again", riverside
            good = a_notification(number, random)
        else:
            method, path, sender = "PUT", f"/{task}", lakeside
            known = await lakeside.read(task)
            if known["status"] in OVER:
                _, task = await house.given_asked(riverside, lakeside)
                path, known = f"/{task}", await lakeside.read(task)
            before = await house.value(WRITTEN)
            good = demo.moved(known, random.choice(ANSWERS), datetime.now(UTC))
            good["note"] = [{"text": "We call on Monday."}]
        # now and then it is as it should be
        content = mutated(good, random) if number % 10 else fhir_json.encode(good)
        answered = await sender.ask(method, path, headers=headers, content=content)
        status = answered.status_code
        said = f"{number}: {content[:3000]!r} was {status} {answered.text}"
        assert status < 500, said
        if status >= 400:
            assert await house.value(WRITTEN) == before, said
            outcome = answered.json()
            assert outcome["resourceType"] == "OperationOutcome", said
            assert all(issue.get("diagnostics") for issue in outcome["issue"]), said
            codes.update({issue["code"] for issue in outcome["issue"]})
        kept = await house.rows(
            "select outcome from audit where request_id = $1", f"mutated-{number}"
        )
        assert status in [row["outcome"] for row in kept], said
        classes[method, status] += 1

    # All that it said meanwhile is told, and the referrals go on
    await house.settled(within=120)
    async with house.hub.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, house.hub.clock()) == []
    assert {("POST", 200), ("POST", 400), ("PUT", 200)} <= classes.keys()
    print(f"\n{NOTIFICATIONS} notifications and answers: {dict(sorted(classes.items()))}")
    print(f"  refused for: {dict(codes.most_common())}")
