"""Which keys of a set count, and which sets a client may be registered with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from coordhub.access import keys

RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-384", {"kid": "ec"})


def stated(key: Any, **others: Any) -> dict[str, Any]:
    whole = {**key.as_dict(private=False), **others}
    return {name: value for name, value in whole.items() if value is not None}


USED = [
    (stated(RSA), "RS384"),
    (stated(EC), "ES384"),
    (stated(RSA, use="sig", alg="RS384", key_ops=["verify"], x5c=["..."]), "RS384"),
    (stated(EC, alg="ES384", unknown={"a": 1}), "ES384"),
]
PASSED_OVER = {
    "for encryption": stated(RSA, use="enc"),
    "for another algorithm": stated(RSA, alg="RS256"),
    "of another kind": stated(EC, alg="RS384"),
    "to sign": stated(EC, key_ops=["sign"]),
    "operations no list": stated(EC, key_ops="verify"),
    "without kid": stated(EC, kid=None),
    "kid a number": stated(EC, kid=7),
    "kid empty": stated(EC, kid=""),
    "another curve": stated(ECKey.generate_key("P-256"), kid="p256"),
    "short": stated(RSA, n=stated(RSA)["n"][:171], kid="short"),
    "huge": stated(RSA, n=stated(RSA)["n"] * 5, kid="huge"),
    "not on the curve": stated(EC, x=stated(EC)["y"]),
    "no number": stated(RSA, n="!"),
    "nothing": {},
    "secret": {"kty": "oct", "kid": "a", "k": "AAAA"},
    "no kind": stated(EC, kty=None),
    "a kind of its own": stated(EC, kty=["EC"]),
}


@pytest.mark.parametrize(("one", "algorithm"), USED)
def test_given_a_key_of_the_right_kind_when_read_then_the_kind_says_its_algorithm(
    one: dict[str, Any], algorithm: str
) -> None:
    [key] = keys.read(json.dumps({"keys": [one]}))
    assert (key.kid, key.algorithm) == (one["kid"], algorithm)
    assert not key.key.is_private


@pytest.mark.parametrize("name", PASSED_OVER)
def test_given_any_other_key_when_read_then_passed_over_and_those_beside_it_are_not(
    name: str,
) -> None:
    one = PASSED_OVER[name]
    assert [key.kid for key in keys.read(json.dumps({"keys": [one, stated(EC)]}))] == ["ec"]
    with pytest.raises(keys.UnusableKeysError):
        keys.registered(json.dumps({"keys": [one]}))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"keys": 1}', '{"keys": [1, "a"]}', "[" * 100_000, '{"keys":[]}', "\0",
     " " * 70_000],
)  # fmt: skip
def test_given_what_is_no_set_when_read_then_no_key(text: str) -> None:
    assert keys.read(text) == ()
    with pytest.raises(keys.UnusableKeysError):
        keys.registered(text)


def test_given_a_set_with_a_secret_when_registered_then_refused_as_given_away() -> None:
    for secret in (
        RSA.as_dict(private=True),
        EC.as_dict(private=True),
        OctKey.generate_key().as_dict(),
    ):
        with pytest.raises(keys.UnusableKeysError, match="make a new one"):
            keys.registered(json.dumps({"keys": [stated(EC), secret]}))


def test_given_very_many_keys_when_read_then_only_so_many() -> None:
    many = [stated(EC, kid=str(number)) for number in range(keys.MOST_KEYS + 5)]
    assert len(keys.read(json.dumps({"keys": many}))) == keys.MOST_KEYS
