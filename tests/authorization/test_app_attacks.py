"""Who gets nothing for an app: codes, tokens and requests that are replayed, altered, mixed up or weakened.

Made by a program from good ones, with a fixed seed. COORDHUB_ATTACKS is how many (`make attacks`): none is accepted,
none is a 5xx, nobody is sent to an address that was not registered, and whatever is wrong with a code sounds the same.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random
from urllib.parse import parse_qsl, urlencode

from open_app import BACK, App, leave
from open_door import doors
from open_hub import House

ATTACKS = int(os.environ.get("COORDHUB_ATTACKS", "400")) // 4
SEED = 11


def _altered(random: Random, text: str) -> str:
    at = random.randrange(len(text))
    letter = random.choice([one for one in "Abz019-_.~ \0é%/" if one != text[at]])
    return random.choice(
        [
            text[:at] + letter + text[at + 1 :],
            text[:at],
            text + letter,
            text.swapcase(),
            "",
            "x" * 5000,
        ]
    )


def _form(
    random: Random, app: App, other: App, good: dict[str, str], spoils: list[str]
) -> dict[str, str]:
    """A request for a token with something wrong with it. good: that works. spoils: codes and tokens of old."""
    form = dict(good)
    match random.randrange(9):
        case 0:
            form["code_verifier"] = random.choice(
                [app.challenge, other.verifier, "", "a" * 43, _altered(random, app.verifier)]
            )
        case 1:
            form["redirect_uri"] = random.choice(
                [
                    f"{BACK}/",
                    f"{BACK}?a",
                    BACK.upper(),
                    "https://evil.example/back",
                    "",
                    _altered(random, BACK),
                ]
            )
        case 2:
            form["client_id"] = random.choice(
                [other.name, "nobody", "", _altered(random, app.name)]
            )
        case 3:
            form["code"] = _altered(random, form["code"])
        case 4:
            form["code"] = random.choice(spoils)
        case 5:
            form.pop(random.choice([name for name in form if name != "grant_type"]))
        case 6:
            form = app.again(random.choice([*spoils, form["code"]]))
        case 7:
            form = {**other.form(form["code"]), "code_verifier": app.verifier}
        case 8:
            form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            form["client_assertion"] = random.choice(["", "a.b.c", form["code"]])
    return form


def _query(random: Random, app: App) -> str:
    """A request to be let in with something wrong with it."""
    pairs = parse_qsl(app.asked("user/Task.rs"))
    change = dict(pairs)
    name = random.choice([name for name, _ in pairs])
    match random.randrange(4):
        case 0:
            change.pop(name)
        case 1:
            change["code_challenge_method"] = random.choice(["plain", "S512", "s256", ""])
        case 2:
            change["redirect_uri"] = random.choice(
                [f"{BACK}.evil.example", f"{BACK}@evil.example", "javascript:alert(1)", "//evil.example",
                 f"{BACK}#x", f"{BACK}/../x", "https://evil.example\\@app.example/back", f"{BACK}\r\nX: y"]
            )  # fmt: skip
        case 3:
            return urlencode([*pairs, (name, random.choice(["x", BACK, "nobody"]))])
    return urlencode(change)


async def test_given_an_apps_requests_when_replayed_altered_mixed_up_or_weakened_then_none_is_accepted(
    house: House,
) -> None:
    random, app, other = Random(SEED), App(house), App(house, "other")
    for one in (app, other):
        await one.register()
    heard: Counter[tuple[int, str]] = Counter()
    async with doors(house) as [http]:
        used = await leave(http, app, "user/Task.rs offline_access")
        given = await app.tokens(http, used)
        spoils = [given["access_token"], given["refresh_token"] + "x", "coordhub_rt_"]
        for number in range(ATTACKS):
            if number % 3 == 2:
                query = _query(random, app)
                answered = await http.get(f"/auth/authorize?{query}")
                assert answered.status_code in (303, 400), query
                if answered.status_code == 303:
                    where, _, said = answered.headers["location"].partition("?")
                    assert where == BACK, query
                    assert "error" in dict(parse_qsl(said)), query
                    assert "code=" not in said, query
                continue
            good = app.form(await leave(http, app, "user/Task.rs"))
            form = _form(random, app, other, good, spoils)
            answered = await http.post("/auth/token", data=form)
            said = answered.json()
            assert answered.status_code in (400, 401), form
            assert "access_token" not in said, form
            heard[answered.status_code, f"{said['error']} {said['error_description']}"] += 1
        assert len(heard) == 2, "one for who asks, one for what is shown"
        still = await http.get(
            "/fhir/Task", headers={"Authorization": f"Bearer {given['access_token']}"}
        )
        assert still.status_code == 200, "who was not robbed keeps what it has"
        assert (await http.post("/auth/token", data=app.form(used))).status_code == 400
        still = await http.get(
            "/fhir/Task", headers={"Authorization": f"Bearer {given['access_token']}"}
        )
        assert still.status_code == 401
    print(f"\n{ATTACKS} tried, none accepted: {dict(heard)}")
