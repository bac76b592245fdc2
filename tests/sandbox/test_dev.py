from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest


def test_given_development_mode_when_up_then_dev_json_lets_act_as_any_member(
    development: Any,
) -> None:
    credentials = development.credentials()

    assert set(credentials) == {"base", "organizations", "admin", "people"}
    assert len(credentials["organizations"]) == 9
    assert stat.S_IMODE((development.home / "dev.json").stat().st_mode) == 0o600
    for key, member in credentials["organizations"].items():
        assert development.get(f"/Organization/{member['id']}", key)["id"] == member["id"]


def test_given_a_home_in_use_when_started_again_then_it_says_so_and_ends(
    development: Any, launch: Any
) -> None:
    second = launch("postgresql://nobody@127.0.0.1:9/none", home=development.home)
    second.out = second.out.with_suffix(".second")

    second.launch()

    assert second.wait() == 1
    assert "in use by another" in second.said()
    assert "Traceback" not in second.said()


def test_given_a_taken_port_when_started_then_it_says_so_and_ends(
    development: Any, launch: Any
) -> None:
    port = int(development.credentials()["base"].rsplit(":", 1)[1].removesuffix("/fhir"))
    second = launch("postgresql://nobody@127.0.0.1:9/none", port=port)

    second.launch()

    assert second.wait() == 1
    assert f"Port {port} on 127.0.0.1 is in use" in second.said()
    assert f"COORDHUB_PORT={port + 10}" in second.said()


def test_given_a_killed_start_when_started_again_then_the_community_is_the_same(
    empty_database_url: str, launch: Any
) -> None:
    first = launch(empty_database_url).start()
    before = {key: one["id"] for key, one in first.credentials()["organizations"].items()}
    assert first.end(signal.SIGKILL) == -signal.SIGKILL

    second = launch(empty_database_url).start()

    after = {key: one["id"] for key, one in second.credentials()["organizations"].items()}
    assert after == before
    assert second.end(signal.SIGINT) == 0
    assert "Traceback" not in second.said()


def test_given_an_embedded_postgres_when_interrupted_then_it_is_stopped_too(
    launch: Any, open_folder: Path
) -> None:
    running = launch(None, home=open_folder / "home").start()
    pid_file = open_folder / "home" / "postgres-18" / "postmaster.pid"
    pid = int(pid_file.read_text().split("\n")[0])
    os.kill(pid, 0)

    # a command that is told the home uses its database, beside the server
    organization = f"Organization/{running.credentials()['organizations']['riverside']['id']}"
    program = [sys.executable, "-c", "from coordhub.cli import main; main()", "partner"]
    bare = {name: value for name, value in os.environ.items() if "DATABASE_URL" not in name}
    for name, code in ((organization, 0), ("Organization/none", 1)):
        words = [*program, name, "--profile", "bser", "--home", str(running.home)]
        done = subprocess.run(words, env=bare, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
    assert done.stderr.startswith("coordhub partner: there is no Organization/none here.")

    assert running.end(signal.SIGINT) == 0

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the account which Postgres gets from root can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="coordhub-dev-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def test_given_the_sample_provider_when_somebody_is_chosen_there_then_it_is_in_and_nobody_else_is_asked(
    development: Any,
) -> None:
    base = development.credentials()["base"].removesuffix("/fhir")
    with httpx2.Client(timeout=60, follow_redirects=True) as browser:
        shown = browser.get(f"{base}/portal/sign-in")
        assert "Sign in with the sample provider" in shown.text
        choice = browser.get(f"{base}/portal/sign-in/elsewhere")
        assert "Chris Coordinator, coordinator" in choice.text
        chosen = browser.post(str(choice.url), data={"who": "chris@riverside.example.org"})
        assert chosen.status_code == 200, chosen.text
        assert browser.get(f"{base}/portal").url.path == "/portal/worklist"
        asked = dict(choice.url.params)
        for wrong in (
            {"client_id": "other"},
            {"redirect_uri": "https://elsewhere.example/back"},
            {"code_challenge_method": "plain"},
            {"response_type": "token"},
        ):
            told = browser.get(choice.url.copy_with(params={**asked, **wrong}))
            assert told.status_code == 400, wrong
        token = str(choice.url.copy_with(query=None)).replace("/authorize", "/token")
        assert browser.post(token, data={"code": "x", "code_verifier": "y"}).status_code == 400
