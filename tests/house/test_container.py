"""What the image may do and hold, as far as its recipe says: it is read here, not built."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECRET = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL", re.IGNORECASE)


def steps(text: str) -> list[tuple[str, str]]:
    """Each instruction and its arguments, of lines that go on joined."""
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines()
    found = [line.split(maxsplit=1) for line in lines if line.strip()]
    return [(name.upper(), rest) for name, rest in found]


def last_stage(text: str) -> list[tuple[str, str]]:
    all_steps = steps(text)
    begins = max(place for place, (name, _) in enumerate(all_steps) if name == "FROM")
    return all_steps[begins:]


def faults(text: str) -> list[str]:
    """What is wrong with a recipe."""
    found = []
    final = last_stage(text)
    users = [rest for name, rest in final if name == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        found.append("runs as root")
    if not any(name == "HEALTHCHECK" and rest != "NONE" for name, rest in final):
        found.append("nobody asks whether it is well")
    for name, rest in steps(text):
        if name == "ADD":
            found.append("ADD fetches and unpacks; COPY does not")
        if name in ("ENV", "ARG"):
            names = [part.partition("=")[0] for part in shlex.split(rest)]
            found += [f"{one} stays in a layer" for one in names if SECRET.search(one)]
        if name == "COPY" and "--from=" not in rest:
            *sources, _ = rest.split()
            found += [
                f"{one} copies more than is named" for one in sources if one in (".", "./", "*")
            ]
        if (
            name == "RUN"
            and "pip install" in rest
            and "--require-hashes" not in rest
            and "--no-deps" not in rest
        ):
            found.append("installs what no lock names")
    if not any(name == "ENV" and "PYTHONDONTWRITEBYTECODE=1" in rest for name, rest in final):
        found.append("writes beside its code, which a read-only file system refuses")
    return found


def test_given_the_recipe_when_read_then_it_runs_as_nobody_writes_nothing_and_keeps_no_secret() -> (
    None
):
    assert faults((ROOT / "Dockerfile").read_text()) == []


def test_given_recipes_that_are_wrong_when_read_then_it_is_seen() -> None:
    assert faults(
        "FROM a\nUSER x\nENV A=1\nFROM b\nENV TOKEN_KEY=x A=1\nADD http://a .\nCOPY . /app\n"
    ) == [
        "runs as root",
        "nobody asks whether it is well",
        "TOKEN_KEY stays in a layer",
        "ADD fetches and unpacks; COPY does not",
        ". copies more than is named",
        "writes beside its code, which a read-only file system refuses",
    ]


def test_given_what_is_sent_to_the_builder_when_listed_then_it_is_what_is_named_and_no_more() -> (
    None
):
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    named = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert named == {"pyproject.toml", "requirements.lock", "README.md", "src", "alembic"}
