"""Clients with keys of their own, as an operator registers and switches them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from open_hub import House
from terminal import Terminal, terminal

__all__ = ["terminal"]


def written(folder: Path, *kids: str, private: bool = False) -> str:
    keys = [ECKey.generate_key("P-384", {"kid": kid}).as_dict(private=private) for kid in kids]
    file = folder / f"{'-'.join(kids)}.json"
    file.write_text(json.dumps({"keys": keys}))
    return str(file)


async def test_given_an_operator_when_a_client_is_added_given_keys_and_disabled_then_it_is_so_and_noted(
    terminal: Terminal,
) -> None:
    house, folder = terminal.house, terminal.folder
    to = ("--organization", house.clinic.reference)
    first = ("--jwks", written(folder, "one", "two"))
    wide = ("--scope", "system/Patient.read system/Task.u")

    assert await terminal.does("clients", "add", "ehr", *to, *first, *wide) == ""
    assert "there already" in await terminal.is_refused("clients", "add", "ehr", *to, *first)
    line = f"ehr\t{house.clinic.reference}\tactive\tone two\tsystem/Patient.rs system/Task.u"
    assert line in (await terminal.does("clients", "list")).splitlines()

    there = ("--jwks", "https://ehr.example/jwks.json")
    await terminal.does("clients", "keys", "ehr", *there)
    await terminal.does("clients", "disable", "ehr")
    assert "disabled\thttps://ehr.example/jwks.json" in await terminal.does("clients", "list")
    await terminal.does("clients", "enable", "ehr")

    noted = await house.rows(
        "select interaction, query from audit where interaction like 'client-%' order by seq"
    )
    assert [one[0] for one in noted] == [
        "client-registered", "client-keys-changed", "client-changed", "client-changed",
    ]  # fmt: skip
    assert "kids=one+two" in noted[0][1]
    assert "jwks_uri=https" in noted[1][1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "ehr", "--scope", "all"), "system/Task.cruds"),
        (("add", "ehr", "--organization", "Organization/none"), "there is no Organization/none"),
        (("add", "ehr", "--organization", "none"), "Organization/id"),
        (("add", "e\nhr"), "printable"),
        (("add", "ehr", "--jwks", "nowhere.json"), "cannot be read"),
        (("add", "ehr", "--jwks", "ftp://a.example"), "https address"),
        (("add", "ehr", "--jwks", "https://a:b@a.example"), "https address"),
        (("keys", "nobody"), "not known"),
        (("disable", "nobody"), "not known"),
    ],
)
async def test_given_what_cannot_be_when_typed_then_one_sentence_says_why(
    terminal: Terminal, words: tuple[str, ...], said: str
) -> None:
    more: tuple[str, ...] = ()
    if words[0] != "disable" and "--jwks" not in words:
        more += ("--jwks", written(terminal.folder, "one"))
    if words[0] == "add" and "--organization" not in words:
        more += ("--organization", terminal.house.clinic.reference)
    assert said in await terminal.is_refused("clients", *words, *more)


async def test_given_a_private_key_when_registered_then_refused(
    house: House, terminal: Terminal
) -> None:
    given = ("--jwks", written(terminal.folder, "one", private=True))
    to = ("--organization", house.clinic.reference)
    assert "private" in await terminal.is_refused("clients", "add", "ehr", *to, *given)
