"""Refused requests for tokens in the audit: that there were some, and how many, but not a row for each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from open_door import Backend, doors
from open_hub import House

from coordhub.authorization.refusal import OAuthError, invalid_client
from coordhub.authorization.refusals import INTERVAL, MOST, Refusals

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_given_the_same_again_and_again_when_noted_then_one_row_and_then_how_many_more() -> None:
    refusals = Refusals()
    [first] = refusals.note(invalid_client(), "192.0.2.7", "r1", NOW)
    assert (first.client, first.outcome, first.request_id) == (None, 401, "r1")
    assert first.query == "error=invalid_client&from=192.0.2.7"
    for number in range(500):
        assert refusals.note(invalid_client(), "192.0.2.7", f"r{number + 2}", NOW + SECOND) == []
    [other] = refusals.note(invalid_client(), "192.0.2.8", "x", NOW + SECOND)
    assert other.query == "error=invalid_client&from=192.0.2.8"
    left, again = refusals.note(invalid_client(), "192.0.2.7", "late", NOW + INTERVAL)
    assert left.query == "error=invalid_client&further=500&from=192.0.2.7"
    assert (left.request_id, again.request_id) == ("r501", "late")


def test_given_a_client_that_is_known_when_noted_then_its_organization_can_read_it() -> None:
    refusals = Refusals()
    refused = OAuthError("invalid_scope", "", client="lab", organization=512)
    for _ in range(3):
        refusals.note(refused, "192.0.2.7", None, NOW)
    [left] = refusals.over(NOW)
    assert (left.client, left.organization) == ("lab", 512)
    assert left.query == "error=invalid_scope&further=2"
    assert refusals.over(NOW) == []


def test_given_ever_new_addresses_when_noted_then_rows_are_bounded_and_nothing_is_uncounted() -> (
    None
):
    refusals = Refusals()
    rows = [
        row
        for number in range(10 * MOST)
        for row in refusals.note(
            invalid_client(), f"198.51.{number // 250}.{number % 250}", None, NOW
        )
    ]
    assert len(rows) == MOST + 1
    [left] = refusals.over(NOW)
    assert left.query == f"error=invalid_client&further={9 * MOST - 1}&from=others"


async def test_given_a_server_when_it_refuses_and_stops_then_all_that_it_refused_is_in_the_audit(
    house: House, lab: Backend
) -> None:
    await lab.register("system/Task.rs")
    async with doors(house) as [http]:
        for _ in range(4):
            answered = await http.post("/auth/token", data={"grant_type": "client_credentials"})
            assert answered.status_code == 401
            answered = await http.post("/auth/token", data=lab.form(scope="system/Patient.rs"))
            assert answered.status_code == 400
        counted = "select count(*) from audit where interaction = 'token-refused'"
        assert await house.value(counted) == 2
    rows = await house.rows(
        "select client, query from audit where interaction = 'token-refused' order by seq"
    )
    assert [client for client, _ in rows] == [None, lab.name, None, lab.name]
    assert [query.partition("&")[2] for _, query in rows] == [
        "from=127.0.0.1", "", "further=3&from=127.0.0.1", "further=3",
    ]  # fmt: skip
