"""The command that says how an organization's own server is spoken to."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from open_hub import House
from typer.testing import CliRunner

from coordhub.cli import cli
from coordhub.store import counterparts


@pytest.fixture(autouse=True)
def _at_the_machine(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", house.url)


async def _typed(*words: str) -> tuple[int, str, str]:
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["exchange", *words])
    return done.exit_code, done.stdout, done.stderr


async def test_given_an_organization_when_agreed_with_then_it_holds_and_is_in_the_audit(
    house: House,
) -> None:
    code, out, said = await _typed(
        house.kitchen.reference, "--own-ids", "--read-answers", "300", "--read-originals", "3600",
        "--each-state", "--read-before-repeat", "--create-anew",
    )  # fmt: skip
    assert code == 0, said
    assert out.splitlines() == [
        "ids of its own", "answers read every 0:05:00", "originals read every 1:00:00",
        "sent each state of a Task", "is read before a repeat", "what it has no more is created anew",
    ]  # fmt: skip
    async with house.engine.pool.acquire() as conn:
        agreed = await counterparts.custom(conn, house.kitchen.rid, 0)
    assert agreed == counterparts.Custom(
        True,
        timedelta(minutes=5),
        timedelta(hours=1),
        each_state=True,
        knows_repeats=False,
        creates_anew=True,
    )
    query = await house.value("select query from audit where interaction = 'exchange-agreed'")
    assert "ids=partner&answers=300&originals=3600" in query
    assert "states=each&repeats=read+before&gone=created+anew" in query

    # What is not said stays; zero is never
    code, out, said = await _typed(house.kitchen.reference, "--read-answers", "0")
    assert out.splitlines()[:2] == ["ids of its own", "answers read every -"]


async def test_given_nobody_or_too_often_when_typed_then_one_sentence_says_what_to_do(
    house: House,
) -> None:
    for words, word in (
        (("Organization/nobody", "--own-ids"), "Organization/id"),
        ((house.kitchen.reference, "--read-answers", "3"), "every 10 seconds"),
    ):
        code, _, said = await _typed(*words)
        assert (code, said.count("\n")) == (1, 1)
        assert word in said
