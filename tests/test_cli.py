from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.cli import cli
from coordhub.record.bootstrap import open_hub
from coordhub.record.commit import commit
from coordhub.record.operations import Create
from coordhub.store import seals
from coordhub.store.engine import Engine
from coordhub.store.visibility import DIRECTORY

COMMANDS = [
    "dev",
    "serve",
    "work",
    "migrate",
    "reindex",
    "reproject",
    "demo",
    "load",
    "token",
    "openapi",
    "labels",
    "audit",
    "client",
    "partner",
    "deliveries",
    "check",
    "pooler",
    "distribute",
    "vsp",
]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No settings but an empty home."""
    for name in ("DATABASE_URL", "COORDHUB_DATABASE_URL", "COORDHUB_TOKEN_KEY", "COORDHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COORDHUB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, list(words))
    return result.exit_code, result.stdout, result.stderr


def test_given_help_when_asked_then_every_command_is_listed() -> None:
    code, out, _ = run("--help")

    assert code == 0
    assert all(name in out for name in COMMANDS)


def test_given_help_when_asked_then_nothing_heavy_is_imported() -> None:
    heavy = "{'fastapi', 'asyncpg', 'sqlalchemy', 'fhir', 'httpx2', 'uvicorn'}"
    program = f"import sys, coordhub.cli; print({heavy} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["serve"], "DATABASE_URL and COORDHUB_TOKEN_KEY"),
        (["work"], "DATABASE_URL and COORDHUB_TOKEN_KEY"),
        (["migrate"], "DATABASE_URL"),
        (["reindex"], "DATABASE_URL"),
        (["reproject", "--check"], "DATABASE_URL"),
    ],
)
def test_given_no_database_when_served_then_one_sentence_says_what_to_set(
    words: list[str], missing: str
) -> None:
    code, out, err = run(*words)

    assert (code, out) == (1, "")
    assert err.startswith(f"Set {missing}.")


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("words", [["demo"], ["demo", "--json"], ["load", "."]])
def test_given_no_hub_when_played_or_loaded_then_it_says_make_run(words: list[str]) -> None:
    code, _, err = run(*words)

    assert code == 1
    assert err.strip().endswith("make run")


@pytest.mark.usefixtures("bare")
def test_given_a_hub_that_has_ended_when_played_then_it_says_make_run(bare: Path) -> None:
    home = bare / "home"
    home.mkdir()
    member = {"id": "x", "token": "y"}
    credentials = {
        "base": "http://127.0.0.1:9/fhir",
        "organizations": {"riverside": member, "lakeside": member},
        "admin": {"token": "z"},
    }
    (home / "dev.json").write_text(json.dumps(credentials))

    code, _, err = run("demo")

    assert code == 1
    assert "make run" in err


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--client or --organization"),
        (["--client", "x"], "make run"),
        (["--client", "x", "--scope", "everything"], "system/Task.cruds"),
    ],
)
def test_given_a_token_that_cannot_be_when_asked_then_it_says_why(
    words: list[str], said: str
) -> None:
    code, out, err = run("token", *words)

    assert (code, out) == (1, "")
    assert said in err


def test_given_an_unusable_setting_when_started_then_it_is_named(
    monkeypatch: pytest.MonkeyPatch, bare: Path
) -> None:
    monkeypatch.setenv("COORDHUB_PORT", "70000")

    code, _, err = run("dev")

    assert code == 1
    assert "port" in err
    assert "Traceback" not in err
    assert not (bare / "home").exists()


@pytest.mark.usefixtures("bare")
def test_given_a_file_when_described_then_it_holds_what_is_printed(bare: Path) -> None:
    code, printed, _ = run("openapi")
    assert code == 0

    run("openapi", str(bare / "openapi" / "coordhub.json"))

    assert (bare / "openapi" / "coordhub.json").read_text() == printed
    assert json.loads(printed)["info"]["title"] == "coordhub"


@pytest.mark.parametrize("words", [["migrate"], ["work"], ["dev"]])
def test_given_a_database_that_is_away_when_started_then_one_sentence_says_so(
    words: list[str], bare: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": "postgresql://nobody:x@127.0.0.1:9/none",
        "COORDHUB_HOME": str(bare / "home"),
        "COORDHUB_PORT": "0",
        "COORDHUB_TOKEN_KEY": "a key that is long enough to be one",
    }
    program = "from coordhub.cli import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )

    assert done.returncode == 1
    assert "the database cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


async def test_given_a_sealed_audit_when_verified_from_the_command_line_then_the_exit_code_tells(
    bare: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    secret = "a key that is long enough to be one"
    conn = await asyncpg.connect(database_url)
    row = await conn.fetchval(
        "insert into audit (at, interaction, outcome, rids) values (now(), 'read', 200, '{}')"
        " returning seq"
    )
    async with conn.transaction():
        made = await seals.seal(conn, seals.sealing_key(secret.encode()), datetime.now(UTC))
    assert made is not None
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COORDHUB_TOKEN_KEY", secret)

    code, out, _ = await asyncio.to_thread(
        run, "audit", "verify", "--expect", f"1:{made.mac.hex()}"
    )
    assert (code, f"Newest seal: 1:{made.mac.hex()}" in out) == (0, True)

    monkeypatch.setenv("COORDHUB_TOKEN_KEY", "another key that came after the first")
    monkeypatch.setenv("COORDHUB_FORMER_TOKEN_KEYS", secret)
    assert (await asyncio.to_thread(run, "audit", "verify"))[0] == 0

    await conn.execute("update audit set client = 'someone else'")
    code, out, _ = await asyncio.to_thread(run, "audit", "verify")
    assert (code, f"row {row} was altered" in out) == (1, True)
    await conn.close()


def labelled(url: str, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from coordhub.cli import main; main()", "labels", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DATABASE_URL": url},
    )
    return done.returncode, done.stdout, done.stderr


def test_given_a_code_when_added_to_a_list_then_the_list_has_it_and_another_time_is_refused(
    database_url: str,
) -> None:
    words = ("add", "--class", "SEX", "--reason", "asked by the board", "urn:own", "A*")

    assert labelled(database_url, *words)[0] == 0
    code, out, _ = labelled(database_url, "list", "--class", "SEX")
    again = labelled(database_url, *words)

    assert code == 0
    assert "SEX\turn:own\tA*\n" in out
    assert "SUD" not in out
    assert (again[0], "is on the list" in again[2]) == (1, True)


def test_given_nothing_of_that_name_when_lowered_then_one_sentence_says_so(
    database_url: str,
) -> None:
    code, _, said = labelled(
        database_url, "lower", "Condition/none", "--class", "SUD", "--reason", "x"
    )

    assert (code, said.strip()) == (
        1,
        "coordhub labels: There is no Condition/none here. Name it as Type/id.",
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what to change"),
        (("--person", "Patient/1", "--deactivate"), "say what to change"),
        (("--role", "person"), "--role is system or privacy-officer"),
    ],
)
def test_given_a_client_when_nothing_or_two_things_are_asked_then_it_says_what_may_be(
    bare: Path, words: tuple[str, ...], said: str
) -> None:
    code, _, error = run("client", "near", *words)

    assert code == 1
    assert said in error


def test_given_a_person_that_is_not_there_when_a_client_is_made_for_it_then_one_sentence_says_so(
    database_url: str,
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from coordhub.cli import main; main()"),
            *("client", "app", "--person", "Patient/none"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DATABASE_URL": database_url},
    )

    assert (done.returncode, done.stderr.strip()) == (
        1,
        "coordhub client: there is no Patient/none here. Name a Patient/id or RelatedPerson/id.",
    )


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("command", "broken", "said"),
    [
        (
            "reindex",
            "delete from idx_string",
            r"(\d+) resources, \1 not indexed as they are; done up to ",
        ),
        (
            "reproject",
            (
                "insert into episode (id, shard, requester, request, state, opened_at)"
                " values (77, 0, 1, 1, 'open', now())"
            ),
            "episode 77: not from any Task\n1 referrals, 1 not as their Tasks say\n",
        ),
    ],
)
def test_given_something_broken_when_checked_and_made_anew_then_it_is_said_and_mended(
    monkeypatch: pytest.MonkeyPatch, database_url: str, command: str, broken: str, said: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COORDHUB_BASE_URL", "http://hub.example/fhir")
    assert run(command, "--check")[0] == 0

    async def break_it() -> None:
        conn = await asyncpg.connect(database_url)
        await conn.execute(broken)
        await conn.close()

    asyncio.run(break_it())
    for words, code in ((("--check",), 1), ((), 0)):
        done = run(command, *words)
        assert done[0] == code, done
        assert re.search(said, done[1]), done[1]
    assert run(command, "--check")[0] == 0


def of_providers(url: str, keys: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from coordhub.cli import main; main()", "vsp", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DATABASE_URL": url, "COORDHUB_VSP_KEYS": str(keys)},
    )
    return done.returncode, done.stdout, done.stderr


def test_given_an_organization_when_marked_and_released_by_two_then_each_step_says_what_it_did(
    database_url: str, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"

    async def organization() -> str:
        engine = await Engine.open(database_url, size=2)
        try:
            hub = await open_hub(engine, "http://127.0.0.1:8000/fhir")
            steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
            shelter = {"resourceType": "Organization", "name": "Shelter"}
            create = Create("Organization", shelter)
            done = await commit(hub, steward, [create], interaction="create")
        finally:
            await engine.close()
        return f"Organization/{done.written[0].id}"

    code, _, err = of_providers(
        database_url, keys, "key", "new", "Organization/nobody", "--by", "A. Name", "--reason", "x"
    )
    assert (code, err.strip()) == (
        1,
        "coordhub vsp: There is no Organization/nobody here. Name it as Organization/id.",
    )
    named = asyncio.run(organization())
    first = ("--by", "A. Name", "--reason", "shelter")
    second = ("--by", "B. Name", "--reason", "closed")
    code, _, err = of_providers(database_url, keys, "mark", named, *first)
    assert code == 1
    assert "coordhub vsp key new" in err
    code, out, _ = of_providers(database_url, keys, "key", "new", named, *first)
    assert code == 0
    assert Path(out.strip()).parent == keys
    code, out, _ = of_providers(database_url, keys, "mark", named, *first)
    assert code == 0, out
    assert out.startswith(f"{named} is marked")
    code, out, _ = of_providers(database_url, keys, "release-mark", named, *first)
    assert "Another person" in out
    assert of_providers(database_url, keys, "release-mark", named, *first, "--confirm")[0] == 1
    code, out, _ = of_providers(database_url, keys, "release-mark", named, *second, "--confirm")
    assert (code, out.strip()) == (0, "Its mark is taken away.")
