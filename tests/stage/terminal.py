"""The terminal of an operator at the machine of a house."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from open_hub import House
from typer.testing import CliRunner

from coordhub.cli import cli


class Terminal:
    """Of an operator at the machine of a house."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.folder = folder

    async def type(self, *words: str) -> tuple[int, str, str]:
        done = await asyncio.to_thread(CliRunner().invoke, cli, list(words))
        return done.exit_code, done.stdout, done.stderr

    async def does(self, *words: str) -> str:
        code, out, said = await self.type(*words)
        assert code == 0, said
        return out

    async def is_refused(self, *words: str) -> str:
        code, _, said = await self.type(*words)
        assert code == 1
        assert said.count("\n") == 1, "one sentence"
        return said


@pytest.fixture
def terminal(house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    monkeypatch.setenv("DATABASE_URL", house.url)
    monkeypatch.setenv("COORDHUB_BASE_URL", house.hub.base)
    monkeypatch.setenv("COORDHUB_HOME", str(tmp_path / "home"))
    return Terminal(house, tmp_path)
