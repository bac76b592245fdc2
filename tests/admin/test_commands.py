"""The commands that remove, keep and give out, as an operator types them."""

from __future__ import annotations

import json

import pytest
from open_hub import observation, patient
from terminal import Terminal, terminal

__all__ = ["terminal"]


async def test_given_two_operators_when_they_expunge_then_it_is_gone_listed_and_logged(
    terminal: Terminal,
) -> None:
    house = terminal.house
    who = await house.create(house.clinic, patient())
    made = await house.create(house.clinic, observation(who.reference))
    why = ("--reason", "wrong patient", "--by", "Rosa")

    said = await terminal.is_refused("expunge", "propose", who.reference, *why)
    assert "coordhub expunge patient" in said
    assert "Proposal 1." in await terminal.does("expunge", "propose", made.reference, *why)
    assert f"1\tresource\t{made.reference}\tRosa" in await terminal.does("expunge", "list")
    assert "somebody else" in await terminal.is_refused("expunge", "confirm", "1", "--by", "Rosa")
    out = await terminal.does("expunge", "confirm", "1", "--by", "Omar")
    assert out == f"removed\t{made.reference}\n"

    log = await terminal.does("expunge", "log")
    [line] = [json.loads(text) for text in log.splitlines()]
    assert (line["type"], line["fhir_id"], line["version"]) == ("Observation", made.id, 1)
    file = terminal.folder / "expunged.ndjson"
    file.write_text(log)
    assert await terminal.does("expunge", "replay", str(file)) == "0 resources removed again.\n"
    file.write_text("{}")
    assert "is no expunge log" in await terminal.is_refused("expunge", "replay", str(file))


async def test_given_a_log_of_another_hub_when_replayed_then_nothing_is_removed(
    terminal: Terminal,
) -> None:
    house = terminal.house
    who = await house.create(house.clinic, patient())
    line = {"seq": 1, "rid": who.rid, "type": "Patient", "fhir_id": "other", "version": 1,
            "whole": True, "at": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    file = terminal.folder / "expunged.ndjson"
    file.write_text(json.dumps(line))
    assert "of another hub" in await terminal.is_refused("expunge", "replay", str(file))
    assert (await house.document(who.reference))["id"] == who.id


async def test_given_a_schedule_when_set_then_it_is_listed_counted_and_carried_out(
    terminal: Terminal,
) -> None:
    house = terminal.house
    who = await house.create(house.clinic, patient())
    await house.create(house.clinic, observation(who.reference))
    await house.by_owner("update resource set updated = updated - interval '800 days'")
    why = ("--reason", "our policy")

    await terminal.does("retention", "set", "Observation", "P2Y", *why, "--since", "care")
    assert (await terminal.does("retention", "list")) == "Observation\tP2Y\tcare\tnever\n"
    assert await terminal.does("retention", "run", "--dry-run") == "Observation\t1\n"

    await terminal.does("hold", who.reference, "--reason", "a lawsuit")
    assert who.reference in await terminal.does("hold")
    assert await terminal.does("retention", "run") == "Observation\t0\n"
    held = ("expunge", "patient", who.reference, "--reason", "asked for", "--by", "Rosa")
    assert "legal hold" in await terminal.is_refused(*held)
    await terminal.does("hold", who.reference, "--release", "--reason", "it ended")
    assert await terminal.does("retention", "run") == "Observation\t1\n"
    await terminal.does("retention", "set", "Observation", "for-ever", *why)
    assert await terminal.does("retention", "run") == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("Nothing", "P1Y"), "no resource type"),
        (("attempt", "P1Y"), "Attempts go with their deliveries"),
        (("Observation", "1 year"), "is no duration"),
        (("Observation", "P"), "is no duration"),
        (("Observation", "PT1H"), "for 1 days at least"),
        (("audit", "P5Y"), "for 2192 days at least"),
        (("audit", "P7Y", "--since", "care"), "leave out --since"),
        (("Observation", "P1Y", "--since", "birth"), "update or care"),
    ],
)
async def test_given_a_schedule_that_cannot_be_when_set_then_one_sentence_says_why(
    terminal: Terminal, words: tuple[str, ...], said: str
) -> None:
    assert said in await terminal.is_refused("retention", "set", *words, "--reason", "x")
    assert await terminal.does("retention", "list") == ""


async def test_given_a_chart_when_exported_then_the_file_is_the_owners_alone(
    terminal: Terminal,
) -> None:
    house = terminal.house
    who = await house.create(house.clinic, patient())
    file = terminal.folder / "chart.json"
    words = ("export", who.reference, "--for", house.clinic.reference, "--out", str(file))

    assert await terminal.does(*words) == f"2 entries in {file}.\n"
    assert json.loads(file.read_text())["entry"][0]["resource"]["id"] == who.id
    assert file.stat().st_mode & 0o777 == 0o600
    assert "cannot be written" in await terminal.is_refused(*words)
    file.unlink()
    other = ("export", who.reference, "--for", house.stranger.reference, "--out", str(file))
    assert "nothing here" in await terminal.is_refused(*other)
    assert not file.exists()
