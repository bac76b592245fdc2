from __future__ import annotations

import pytest

from coordhub.errors import FhirError
from coordhub.store.vault import KeyExistsError, Vault

BODY = '{"resourceType":"Patient","name":[{"family":"Doe"}],"n":1.00}'


@pytest.fixture
def vault(tmp_path) -> Vault:
    vault = Vault(tmp_path / "keys")
    vault.new(7)
    return vault


def test_given_a_sealed_text_when_opened_then_it_is_as_written_and_says_whose_it_is(vault) -> None:
    stored = vault.seal(7, 512, BODY)
    assert "Doe" not in stored
    assert vault.open(512, stored) == (BODY, 7)
    assert vault.seal(7, 512, BODY) != stored


def test_given_a_text_that_is_not_sealed_when_opened_then_it_is_itself(vault) -> None:
    assert vault.open(512, BODY) == (BODY, None)


def test_given_a_sealed_text_in_anothers_row_or_altered_when_opened_then_it_does_not_open(
    vault,
) -> None:
    stored = vault.seal(7, 512, BODY)
    altered = stored[:-6] + ("A" if stored[-6] != "A" else "B") + stored[-5:]
    for rid, text in ((768, stored), (512, altered)):
        with pytest.raises(FhirError) as refused:
            vault.open(rid, text)
        assert refused.value.status == 503


def test_given_a_key_that_is_away_when_sealed_opened_or_blinded_then_503(vault, tmp_path) -> None:
    stored = vault.seal(7, 512, BODY)
    (tmp_path / "keys" / "7.key").unlink()
    for step in (
        lambda: vault.seal(7, 512, BODY),
        lambda: vault.open(512, stored),
        lambda: vault.blind(7, "x"),
    ):
        with pytest.raises(FhirError) as refused:
            step()
        assert refused.value.status == 503


def test_given_a_code_when_blinded_then_it_is_the_same_each_time_and_another_by_another_key(
    vault,
) -> None:
    vault.new(8)
    assert vault.blind(7, "S-1") == vault.blind(7, "S-1")
    assert len({vault.blind(7, "S-1"), vault.blind(8, "S-1"), vault.blind(7, "S-2")}) == 3


def test_given_a_key_when_another_is_made_then_it_is_refused_and_the_file_is_its_owners(
    vault, tmp_path
) -> None:
    with pytest.raises(KeyExistsError):
        vault.new(7)
    assert (tmp_path / "keys" / "7.key").stat().st_mode & 0o777 == 0o600
