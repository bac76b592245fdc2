"""Deliveries that do not go, in an operator's hands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from coordhub.admin import letters
from coordhub.admin.acts import NothingDone, Operator
from coordhub.cli import cli
from coordhub.store.letters import Which

if TYPE_CHECKING:
    from open_hub import House

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BY = Operator("rosa")
DEAD = Which(("dead", "parked"))


async def states(house: House, ledger: dict[str, UUID]) -> dict[str, str]:
    rows = dict(await house.rows("select id, state from delivery"))
    return {name: rows[number] for name, number in ledger.items()}


async def acts(house: House) -> list[tuple[Any, ...]]:
    return await house.rows(
        "select interaction, query, delivery from audit where interaction like 'delivery-%' order by seq"
    )


async def test_given_deliveries_when_listed_then_with_ids_states_and_reasons_only(
    house: House, ledger: dict[str, UUID]
) -> None:
    found = await letters.listed(house.engine, DEAD)
    assert [(one.id, one.state) for one in found] == [
        (ledger["dead"], "dead"), (ledger["parked"], "parked"),
    ]  # fmt: skip
    assert (found[0].organization, found[0].endpoint) == (house.kitchen.reference, "")
    assert found[0].what.startswith("Task/")
    later = Which(
        ("dead", "parked", "queued"), tuple(ledger.values()), since=NOW + timedelta(hours=1)
    )
    assert [one.state for one in await letters.listed(house.engine, later)] == ["parked", "queued"]
    before = Which(("dead", "parked"), until=NOW + timedelta(hours=1))
    assert [one.state for one in await letters.listed(house.engine, before)] == ["dead"]
    other = Which(("dead",), organization=house.pantry.reference.partition("/")[2])
    assert await letters.listed(house.engine, other) == []


async def test_given_all_states_when_replayed_then_only_what_was_given_up_is_owed_again(
    house: House, ledger: dict[str, UUID]
) -> None:
    all_of_them = Which(("dead", "parked"), tuple(ledger.values()))
    done = await letters.carry_out(house.engine, BY, "delivery-replayed", all_of_them, NOW)
    assert set(done) == {ledger["dead"], ledger["parked"]}
    assert await states(house, ledger) == {
        "dead": "queued", "parked": "queued", "queued": "queued",
        "delivered": "delivered", "suppressed": "suppressed",
    }  # fmt: skip
    assert await house.rows("select key from delivery where id = $1", ledger["dead"]) == [(None,)]
    assert sorted(await acts(house)) == sorted(
        ("delivery-replayed", "by=rosa", ledger[name]) for name in ("dead", "parked")
    )
    with pytest.raises(NothingDone):
        await letters.carry_out(house.engine, BY, "delivery-replayed", all_of_them, NOW)
    assert len(await acts(house)) == 2


async def test_given_a_dead_one_when_replayed_as_new_then_it_has_a_new_key_and_a_new_age(
    house: House, ledger: dict[str, UUID]
) -> None:
    which = Which(("dead", "parked"), (ledger["dead"],))
    late = NOW + timedelta(days=9)
    await letters.carry_out(house.engine, BY, "delivery-replayed-as-new", which, late)
    [(key, created, due)] = await house.rows(
        "select key, created_at, next_at from delivery where id = $1", ledger["dead"]
    )
    assert key not in (None, ledger["dead"])
    assert (created, due) == (late, late)


async def test_given_what_waits_when_discarded_then_it_is_not_sent_and_why_is_in_the_audit(
    house: House, ledger: dict[str, UUID]
) -> None:
    which = Which(
        ("dead", "parked", "queued"), (ledger["dead"], ledger["queued"], ledger["delivered"])
    )
    await letters.carry_out(house.engine, BY, "delivery-discarded", which, NOW, "partner closed")
    after = await states(house, ledger)
    assert (after["dead"], after["queued"], after["delivered"]) == (
        "suppressed", "suppressed", "delivered",
    )  # fmt: skip
    assert {query for _, query, _ in await acts(house)} == {"by=rosa&reason=partner+closed"}


async def test_given_a_terminal_when_the_commands_are_typed_then_they_do_what_they_say(
    house: House, ledger: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setenv("DATABASE_URL", house.url)

    async def typed(*words: str) -> tuple[int, str, str]:
        done = await asyncio.to_thread(CliRunner().invoke, cli, ["deliveries", *words])
        return done.exit_code, done.stdout, done.stderr

    code, out, _ = await typed("list")
    assert code == 0
    assert [line.split("\t")[:3] for line in out.splitlines()] == [
        [str(ledger["dead"]), "dead", house.kitchen.reference],
        [str(ledger["parked"]), "parked", house.kitchen.reference],
    ]
    code, _, said = await typed("replay")
    assert (code, "say which" in said) == (1, True)
    code, _, said = await typed("replay", "seven")
    assert (code, "UUID" in said) == (1, True)
    code, _, said = await typed("list", "--state", "lost")
    assert (code, "--state" in said) == (1, True)
    assert (await typed("replay", "--organization", house.kitchen.reference))[1] == "2 replayed.\n"
    assert (await typed("discard", "--reason", "x", str(ledger["queued"])))[1] == "1 discarded.\n"
    assert (await typed("endpoints"))[:2] == (0, "")
    code, _, said = await typed("probe", "Endpoint/none")
    assert (code, "not one that is left alone" in said) == (1, True)
    code, _, said = await typed("show", str(ledger["queued"]))
    assert (code, "no attempt" in said) == (1, True)
