"""Whose a token is; and that every other text is answered in the same words."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from open_hub import House, patient

from coordhub.access.token import Tokens
from coordhub.admin.acts import Operator, bind_person
from coordhub.errors import FhirError
from coordhub.record.operations import Delete
from coordhub.store import clients

KEY = b"a key of these tests, of 32 bytes"
HOUR = timedelta(hours=1)


@pytest.fixture
def tokens(house: House) -> Tokens:
    return Tokens(KEY, house.engine)


def issue(tokens: Tokens, house: House, client: str = "clinic", scope: str = "system/*.r") -> str:
    return tokens.issue(client, scope, now=house.hub.clock(), lifetime=HOUR)


async def answer(tokens: Tokens, header: str | None) -> tuple[int, object, object]:
    with pytest.raises(FhirError) as error:
        await tokens.caller(header, None)
    return error.value.status, error.value.issues, error.value.headers


def signed(claims: dict[str, Any], *, key: Any = None, alg: str = "HS256") -> str:
    return jwt.encode({"alg": alg}, claims, key or OctKey.import_key(KEY), algorithms=[alg])


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_given_a_token_when_presented_then_its_client_s_organization_and_narrower_scopes(
    house: House, tokens: Tokens
) -> None:
    text = issue(tokens, house, scope="system/*.rs system/Task.u")
    async with house.engine.pool.acquire() as conn:
        await clients.register(
            conn,
            "clinic",
            house.clinic.rid,
            "system/Task.ru system/Patient.c",
            update_as_create=True,
            now=house.hub.clock(),
        )
    for header in (f"Bearer {text}", f"bearer  {text} "):
        caller = await tokens.caller(header, "request-1")
        assert (caller.client, caller.organization) == ("clinic", house.clinic.rid)
        assert caller.reference == house.clinic.reference
        assert (caller.update_as_create, caller.request_id) == (True, "request-1")
        allowed = {
            (name, letter)
            for name in ("Task", "Patient")
            for letter in "cruds"
            if caller.scopes.allow(name, letter)
        }
        assert allowed == {("Task", "r"), ("Task", "u")}


async def test_given_whatever_is_not_a_token_of_this_hub_when_presented_then_the_same_401(
    house: House, tokens: Tokens
) -> None:
    good = issue(tokens, house)
    now = int(time.time())
    claims = {"iss": "coordhub", "sub": "clinic", "scope": "system/*.r", "exp": now + 60}
    head, body, signature = good.split(".")
    changed = segment({**claims, "sub": "kitchen"})
    rsa = RSAKey.generate_key(2048)
    headers = {
        "none": None,
        "empty": "",
        "no token": "Bearer ",
        "other scheme": f"Basic {good}",
        "token alone": good,
        "garbage": "Bearer x.y.z",
        "not ascii": "Bearer é.ü.ß",
        "a surrogate": "Bearer \udcff.a.b",
        "nul": "Bearer \0",
        "long": "Bearer " + "a" * 100_000,
        "expired": f"Bearer {signed({**claims, 'exp': now - 1})}",
        "without exp": f"Bearer {signed({k: v for k, v in claims.items() if k != 'exp'})}",
        "exp of words": f"Bearer {signed({**claims, 'exp': 'later'})}",
        "without sub": f"Bearer {signed({k: v for k, v in claims.items() if k != 'sub'})}",
        "without scope": f"Bearer {signed({k: v for k, v in claims.items() if k != 'scope'})}",
        "other issuer": f"Bearer {signed({**claims, 'iss': 'elsewhere'})}",
        "without issuer": f"Bearer {signed({k: v for k, v in claims.items() if k != 'iss'})}",
        "other key": f"Bearer {signed(claims, key=OctKey.import_key(b'z' * 32))}",
        "other algorithm": f"Bearer {signed(claims, alg='HS512')}",
        "asymmetric": f"Bearer {signed(claims, key=rsa, alg='RS256')}",
        "alg none": f"Bearer {segment({'alg': 'none'})}.{segment(claims)}.",
        "alg none signed": f"Bearer {segment({'alg': 'none'})}.{body}.{signature}",
        "changed claims": f"Bearer {head}.{changed}.{signature}",
        "cut": f"Bearer {good[:-2]}",
        "no signature": f"Bearer {head}.{body}.",
        "claims no object": f"Bearer {head}.{segment([1])}.{signature}",
        "unknown client": f"Bearer {issue(tokens, house, 'nobody')}",
    }
    answers = {name: await answer(tokens, header) for name, header in headers.items()}
    assert answers["none"][0] == 401
    assert answers["none"][2] == {"WWW-Authenticate": 'Bearer realm="coordhub"'}
    assert {name for name, said in answers.items() if said != answers["none"]} == set()
    await tokens.caller(f"Bearer {good}", None)


async def test_given_a_token_that_was_good_when_it_expires_then_401(
    house: House, tokens: Tokens
) -> None:
    now = house.hub.clock()
    text = tokens.issue(
        "clinic", "system/*.r", now=now - HOUR, lifetime=HOUR + timedelta(seconds=2)
    )
    await tokens.caller(f"Bearer {text}", None)
    claims = tokens._claims[text]
    assert claims.expires <= time.time() + 2
    short = tokens.issue("clinic", "system/*.r", now=now - HOUR, lifetime=HOUR)
    assert (await answer(tokens, f"Bearer {short}"))[0] == 401


async def test_given_a_client_that_is_switched_off_when_it_calls_then_401(house: House) -> None:
    text = issue(Tokens(KEY, house.engine), house)
    await house.rows("update client set active = false where id = 'clinic'")
    assert (await answer(Tokens(KEY, house.engine), f"Bearer {text}"))[0] == 401


async def test_given_a_client_whose_organization_is_deleted_when_it_calls_then_401(
    house: House,
) -> None:
    tokens = Tokens(KEY, house.engine)
    text = issue(tokens, house)
    fhir_id = house.clinic.reference.removeprefix("Organization/")
    await house.commit(house.steward, Delete("Organization", fhir_id))
    assert (await answer(tokens, f"Bearer {text}"))[0] == 401


def test_given_a_short_key_when_tokens_are_made_then_refused(house: House) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Tokens(b"x" * 31, house.engine)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80))
def test_given_any_text_when_read_as_a_token_then_refused_and_nothing_else_raised(
    house: House, text: str
) -> None:
    with pytest.raises(FhirError):
        Tokens(KEY, house.engine)._read(text)


async def test_given_an_app_of_a_person_when_it_calls_then_it_is_that_person_until_it_is_deleted(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    await bind_person(house.hub, Operator("rosa"), "app", made.reference, "system/*.rs")
    tokens = Tokens(KEY, house.engine)
    caller = await tokens.caller(f"Bearer {issue(tokens, house, 'app')}", None)
    assert (caller.reference, caller.organization) == (made.reference, made.rid)
    assert caller.is_person
    assert not caller.break_glass
    await house.commit(house.clinic, Delete("Patient", made.id))
    again = Tokens(KEY, house.engine)
    status, *_ = await answer(again, f"Bearer {issue(again, house, 'app')}")
    assert status == 401


async def test_given_a_key_that_was_changed_when_an_older_token_comes_then_it_is_taken_while_its_key_is_named(
    house: House,
) -> None:
    text = issue(Tokens(KEY, house.engine), house)
    new = b"another key that is long enough for it"
    assert (await answer(Tokens(new, house.engine), f"Bearer {text}"))[0] == 401
    turned = Tokens(new, house.engine, former=[b"a third one that is as long as that is", KEY])
    for taken in (text, issue(turned, house)):
        assert (await turned.caller(f"Bearer {taken}", None)).client == "clinic"
    assert (await answer(turned, f"Bearer {text[:-6]}AAAAAA"))[0] == 401
