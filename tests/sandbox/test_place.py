from __future__ import annotations

import contextlib
import stat
from pathlib import Path

import pytest

from coordhub.sandbox import place


def test_given_a_folder_in_use_when_used_again_then_it_is_refused_until_free(
    tmp_path: Path,
) -> None:
    first = contextlib.ExitStack()
    first.enter_context(place.sole_use(tmp_path))
    with pytest.raises(place.Taken, match="in use by another"), place.sole_use(tmp_path):
        pass
    first.close()
    with place.sole_use(tmp_path):
        pass


def test_given_a_taken_port_when_listened_on_then_the_sentence_names_it() -> None:
    with place.listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with (
            pytest.raises(place.Taken, match=f"Port {port} on 127.0.0.1 is in use"),
            place.listen("127.0.0.1", port),
        ):
            pass


def test_given_a_remembered_port_when_it_is_taken_then_another_is_remembered(
    tmp_path: Path,
) -> None:
    with place.listen_for_partners(tmp_path, 0) as first:
        port = first.getsockname()[1]
        with place.listen_for_partners(tmp_path, port) as second:
            other = second.getsockname()[1]
            assert other != port
    with place.listen_for_partners(tmp_path, 0) as again:
        assert again.getsockname()[1] == other


def test_given_secrets_when_written_then_only_their_owner_may_read(tmp_path: Path) -> None:
    place.write_credentials(tmp_path, {"base": "http://127.0.0.1/fhir"})
    key = place.token_key(tmp_path)

    assert place.token_key(tmp_path) == key
    assert len(key) >= 32
    assert place.read_credentials(tmp_path) == {"base": "http://127.0.0.1/fhir"}
    for name in ("dev.json", "token.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dev.json", "token.key"]


def test_given_no_credentials_when_read_then_there_are_none(tmp_path: Path) -> None:
    assert place.read_credentials(tmp_path) is None


def test_given_a_home_of_ones_own_when_announced_then_the_commands_name_it(tmp_path: Path) -> None:
    text = place.banner("http://127.0.0.1:1/fhir", "http://127.0.0.1:2", tmp_path)

    assert f"demo --home {tmp_path}" in text
    assert "http://127.0.0.1:1/docs" in text
    assert "demo\n" in place.banner("http://127.0.0.1:1/fhir", "", Path(".coordhub"))
