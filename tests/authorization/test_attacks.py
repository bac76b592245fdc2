"""Who is not let in: assertions and tokens that are forged, altered, too late, replayed, or of another kind.

Made by a program from good ones, with a fixed seed, so that each differs from what works by what is wrong with
it. COORDHUB_ATTACKS is how many (`make attacks`): none is accepted, none is a 5xx, and none is answered
otherwise than the next, neither in words nor by how often the database is asked.
"""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx2
import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from open_door import OPERATOR, TOKEN, Backend, doors
from open_hub import House, counted, patient

from coordhub.admin.acts import change_client
from coordhub.authorization.assertion import Assertion, expiry

ATTACKS = int(os.environ.get("COORDHUB_ATTACKS", "400"))
SEED = 7
STRANGERS = {"RS384": RSAKey.generate_key(2048), "ES384": ECKey.generate_key("P-384")}

Form = dict[str, str]
Attack = Callable[[Random, Backend], Form]


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _assertion(text: str) -> Form:
    return {"client_assertion": text}


def _claims(change: Callable[[Random, Backend], Mapping[str, Any]]) -> Attack:
    return lambda random, who: _assertion(who.signed(who.claims(**change(random, who))))


def _header(change: Callable[[Random, Backend], Mapping[str, Any]]) -> Attack:
    return lambda random, who: _assertion(who.signed(who.claims(), **change(random, who)))


def _foreign_key(random: Random, who: Backend) -> Form:
    stranger = replace(who, key=STRANGERS[who.algorithm])
    return _assertion(stranger.signed(who.claims()))


def _own_key_brought_along(random: Random, who: Backend) -> Form:
    key = STRANGERS[who.algorithm]
    stranger = replace(who, key=key)
    public = {**key.as_dict(private=False), "kid": who.kid}
    return _assertion(stranger.signed(who.claims(), jwk=public))


def _public_key_as_secret(random: Random, who: Backend) -> Form:
    known = random.choice(
        [
            who.key.as_pem(private=False),
            who.key.as_der(private=False),
            json.dumps(who.public()).encode(),
        ]
    )
    alg = random.choice(["HS256", "HS384", "HS512"])
    header = {"alg": alg, "kid": who.kid, "typ": "JWT"}
    payload = json.dumps(who.claims()).encode()
    return _assertion(
        jws.serialize_compact(
            header, payload, OctKey.import_key(base64.urlsafe_b64encode(known)), [alg]
        )
    )


def _unsigned(random: Random, who: Backend) -> Form:
    alg = random.choice(["none", "None", "NONE", "nOnE", "", None, 0, ["RS384"]])
    parts = who.signed(who.claims()).split(".")
    signature = random.choice(["", parts[2], "AAAA"])
    return _assertion(
        f"{_segment({'alg': alg, 'kid': who.kid, 'typ': 'JWT'})}.{parts[1]}.{signature}"
    )


def _other_algorithm(random: Random, who: Backend) -> Form:
    key: Any = STRANGERS["RS384"] if who.algorithm == "RS384" else ECKey.generate_key("P-256")
    alg = random.choice(["RS256", "RS512", "PS384"]) if who.algorithm == "RS384" else "ES256"
    own = who.key if who.algorithm == "RS384" else key
    header = {"alg": alg, "kid": who.kid, "typ": "JWT"}
    text = jws.serialize_compact(header, json.dumps(who.claims()).encode(), own, [alg])
    if random.random() < 0.5:  # said to be of the algorithm that is taken
        text = ".".join([_segment({**header, "alg": who.algorithm}), *text.split(".")[1:]])
    return _assertion(text)


def _crossed(random: Random, who: Backend) -> Form:
    """Signed by one kind, said to be of the other."""
    other = "ES384" if who.algorithm == "RS384" else "RS384"
    parts = who.signed(who.claims()).split(".")
    return _assertion(".".join([_segment({"alg": other, "kid": who.kid}), *parts[1:]]))


def _altered(random: Random, who: Backend) -> Form:
    text = who.signed(who.claims())
    place = random.randrange(text.rindex(".") - 2)  # the last bits of base64 may mean nothing
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_. \0é="
    letter = random.choice([one for one in letters if one != text[place]])
    return _assertion(text[:place] + letter + text[place + 1 :])


def _cut(random: Random, who: Backend) -> Form:
    text = who.signed(who.claims())
    return _assertion(text[: random.randrange(len(text) - 8)])


def _rearranged(random: Random, who: Backend) -> Form:
    one, other = who.signed(who.claims()).split("."), who.signed(who.claims()).split(".")
    return _assertion(
        random.choice(
            [
                f"{one[0]}.{other[1]}.{one[2]}",
                f"{one[1]}.{one[0]}.{one[2]}",
                f"{one[0]}.{one[1]}",
                f"{one[0]}..{one[2]}",
                f"{one[0]}.{one[1]}.{one[2]}.{one[2]}",
                f"{one[0]}.{one[1]}.{one[2]}.{one[1]}.{one[0]}",
                f"{_segment([1])}.{one[1]}.{one[2]}",
                f"{one[0]}.{_segment([1])}.{one[2]}",
                "." * random.randrange(9),
                "[" * 9000,
                _segment("[" * 3000) + "." + one[1] + "." + one[2],
            ]
        )
    )


def _odd_payload(random: Random, who: Backend) -> Form:
    payload = random.choice(
        [b"", b"[]", b"1", b"null", b"{", b"\xff", b"[" * 3000, b'"' + who.name.encode() + b'"']
    )
    return _assertion(who.sealed(payload))


def _odd_number(random: Random, who: Backend) -> Any:
    now = who.house.clock().timestamp()
    return random.choice(
        [None, "", "soon", str(now + 60), True, [now + 60], {}, 0, -1, now - 1, now - 86_400, now + 400,
         now + 10**6, 10**30, -(10**30), 10**400, float("inf"), float("nan"), now * 1000]
    )  # fmt: skip


def _odd_name(random: Random, who: Backend) -> Any:
    return random.choice(
        [None, "", " ", who.name.upper(), f"{who.name} ", f"{who.name}\0", "lost\ud800", 1, [who.name], {}, True,
         "x" * 256, "' or 1=1 --", "hub", "steward", f"nobody-{random.getrandbits(32)}", "off"]
    )  # fmt: skip


def _audience(random: Random, who: Backend) -> Any:
    return random.choice(
        [None, "", "http://hub.example", "http://hub.example/fhir", f"{TOKEN}/", TOKEN.upper(), [], [[TOKEN]],
         {"aud": TOKEN}, 1, "https://elsewhere.example/auth/token", f"{TOKEN}?a", ["a", "b"]]
    )  # fmt: skip


ASSERTIONS: Mapping[str, Attack] = {
    "foreign key": _foreign_key,
    "own key brought along": _own_key_brought_along,
    "public key as secret": _public_key_as_secret,
    "unsigned": _unsigned,
    "other algorithm": _other_algorithm,
    "crossed": _crossed,
    "altered": _altered,
    "cut": _cut,
    "rearranged": _rearranged,
    "odd payload": _odd_payload,
    "exp": _claims(lambda random, who: {"exp": _odd_number(random, who)}),
    "not yet": _claims(
        lambda random, who: {
            random.choice(["nbf", "iat"]): random.choice(
                [who.house.clock().timestamp() + 31 + random.randrange(10**6), "x", [], float("nan"), 10**400]
            )
        }
    ),
    "iss": _claims(lambda random, who: {"iss": _odd_name(random, who)}),
    "sub": _claims(lambda random, who: {"sub": _odd_name(random, who)}),
    "of another": _claims(lambda random, who: dict.fromkeys(("iss", "sub"), _odd_name(random, who))),
    "aud": _claims(lambda random, who: {"aud": _audience(random, who)}),
    "jti": _claims(lambda random, who: {"jti": random.choice([None, "", 1, [], True, "x" * 256])}),
    "kid": _header(
        lambda random, who: {"kid": random.choice([None, "", "second", "x" * 256, "../first", "first\0"])}
    ),
    "typ": _header(lambda random, who: {"typ": random.choice(["JWE", "at+jwt", "dpop+jwt", ""])}),
    "crit": _header(lambda random, who: {"crit": ["exp"], "exp": 1}),
    "jku": _header(lambda random, who: {"jku": random.choice(["https://elsewhere.example/jwks", ""])}),
    "client_id": lambda random, who: {"client_id": random.choice(["", "nobody", "lab ", "ehr\0"])},
    "type": lambda random, who: {"client_assertion_type": random.choice(["", "jwt-bearer", "x" * 99])},
}  # fmt: skip


def _token(random: Random, good: str, who: Backend) -> str:
    """A text that is no token, like one that is."""
    place = random.randrange(len(good))
    now = int(who.house.clock().timestamp())
    claims = {"iss": "coordhub", "sub": who.name, "scope": "system/*.cruds", "exp": now + 60}
    secret = OctKey.import_key(b"another key that is long enough for it")
    return random.choice(
        [
            lambda: good[:place] + random.choice("ABCxyz019") * 2 + good[place + 1 :],
            lambda: good[:place],
            lambda: good + random.choice("A.=-"),
            good.upper,
            lambda: good.removeprefix("coordhub_at_"),
            lambda: f"coordhub_at_{random.getrandbits(256):x}",
            lambda: "coordhub_at_" + random.choice(["", "' or 1=1 --", "x" * 7000, "%00", "a.b.c"]),
            lambda: who.signed(who.claims()),
            lambda: who.signed(claims),
            lambda: jwt.encode({"alg": "HS256"}, claims, secret),
            lambda: f"{_segment({'alg': 'none'})}.{_segment(claims)}.",
            lambda: jwt.encode(
                {"alg": "HS256"}, {**claims, "exp": now - random.randrange(1, 999)}, secret
            ),
        ]
    )()


async def test_given_thousands_that_are_not_to_be_let_in_when_they_try_then_none_is_and_all_hear_the_same(
    house: House, ehr: Backend, lab: Backend
) -> None:
    random = Random(SEED)
    for one in (ehr, lab, replace(ehr, name="off")):
        await one.register("system/Patient.rs")
    await change_client(house.engine, OPERATOR, "off", house.clock(), active=False)
    await house.create(house.clinic, patient())
    told: Counter[str] = Counter()
    async with doors(house) as [http]:
        good = await ehr.token(http)
        used = [(await _let_in(http, one)) for one in (ehr, lab)]
        first = await http.post("/auth/token", data=_form(ehr, {"client_assertion": "x"}))
        denied = await http.get("/fhir/Patient", headers={"Authorization": "Bearer x"})
        names = [*ASSERTIONS, "replayed", "token", "token", "token", "scope"]
        for number in range(ATTACKS):
            name = names[number % len(names)]
            who = random.choice([ehr, lab])
            if name == "scope":
                await _outside_its_scopes(http, random, who, good)
            elif name == "token":
                text = _token(random, good, who)
                answered = await http.get(
                    "/fhir/Patient", headers={"Authorization": f"Bearer {text}"}
                )
                assert _heard(answered) == _heard(denied), (number, text)
            else:
                form = random.choice(used) if name == "replayed" else None
                form = form or _form(who, ASSERTIONS[name](random, who))
                answered = await http.post("/auth/token", data=form)
                assert _heard(answered) == _heard(first), (number, name, form)
            told[name] += 1
        assert (first.status_code, denied.status_code) == (401, 401)
        for one in (ehr, lab):  # what is right is let in all the same
            await _let_in(http, one)
        answered = await http.get("/fhir/Patient", headers={"Authorization": f"Bearer {good}"})
        assert answered.status_code in (200, 401)
    print(f"\n{ATTACKS} tried, none let in: {dict(told)}")


def _form(who: Backend, change: Form) -> Form:
    form = who.form()
    if "client_assertion" in change:
        form.pop("client_assertion")
    return {**form, **change}


async def _let_in(http: httpx2.AsyncClient, who: Backend) -> Form:
    form = who.form()
    answered = await http.post("/auth/token", data=form)
    assert answered.status_code == 200, answered.text
    return form


def _heard(answered: httpx2.Response) -> object:
    headers = {name: value for name, value in answered.headers.items() if name != "x-request-id"}
    return answered.status_code, answered.content, headers


WIDER = ("system/*.cruds", "system/Patient.*", "system/Patient.cruds", "user/*.cruds", "patient/*.rs", "*",
         "system/Task.rs", "system/AuditEvent.rs", "openid", "system/Patient.rs?name=a", "system/*.rs?code=a",
         "SYSTEM/*.rs", "system/Patient.rs%20system/Task.rs", "system/Patient.rs\tsystem/Task.rs")  # fmt: skip


async def _outside_its_scopes(
    http: httpx2.AsyncClient, random: Random, who: Backend, good: str
) -> None:
    """It asks for more than it was registered for, or does more with what it got."""
    if random.random() < 0.5:
        wanted = " ".join(random.sample(WIDER, random.randrange(1, 5)))
        answered = await http.post("/auth/token", data=who.form(scope=wanted))
        assert answered.status_code in (200, 400), wanted
        assert answered.json().get("scope", "") in ("", "system/Patient.rs"), wanted
        return
    method, path = random.choice(
        [("GET", "Task"), ("GET", "Observation/x"), ("POST", "Patient"), ("DELETE", "Patient/x"),
         ("GET", "Task/_history"), ("GET", "AuditEvent"), ("POST", "Task/x/$meta-add")]
    )  # fmt: skip
    token = {"Authorization": f"Bearer {good}"}
    answered = await http.request(method, f"/fhir/{path}", json=patient(), headers={
        **token, "Content-Type": "application/fhir+json"})  # fmt: skip
    assert answered.status_code == 403, (method, path)
    assert "insufficient_scope" in answered.headers["www-authenticate"]


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "number",
    [10**400, -(10**400), 1e308, float("nan"), float("inf")],
    ids=["beyond", "below", "far", "nan", "endless"],
)
def test_given_a_number_that_is_no_instant_when_judged_then_it_is_refused_as_all_else(
    name: str, number: float
) -> None:
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    claims = {"aud": TOKEN, "jti": "one", "exp": now.timestamp() + 60}
    asserted = Assertion("", "ehr", "first", "RS384", None, claims)
    assert expiry(asserted, (TOKEN,), now) is not None
    assert expiry(replace(asserted, claims={**claims, name: number}), (TOKEN,), now) is None


async def test_given_a_client_known_unknown_or_switched_off_when_its_assertion_is_wrong_then_the_same_is_asked(
    house: House, ehr: Backend, lab: Backend
) -> None:
    """Of the database, before it is answered; that a signature is verified for each is timed by nobody here."""
    for one in (ehr, replace(ehr, name="off")):
        await one.register()
    await change_client(house.engine, OPERATOR, "off", house.clock(), active=False)
    asked: dict[str, list[str]] = {}
    house.clock.ahead += timedelta(seconds=1)
    async with doors(house) as [http]:
        for name, form in {
            "wrong key": _foreign_key(Random(SEED), ehr),
            "expired": _assertion(ehr.signed(ehr.claims(exp=1))),
            "unknown": _assertion(lab.signed(lab.claims())),
            "off": _assertion(replace(ehr, name="off").signed(replace(ehr, name="off").claims())),
        }.items():
            async with counted(house.engine.pool) as statements:
                await http.post("/auth/token", data=_form(ehr, form))
            # the audit is written after the answer, of some of them
            asked[name] = [one for one in statements.queries if "insert into audit" not in one]
    assert len(asked["unknown"]) == 1
    assert all(each == asked["unknown"] for each in asked.values())
