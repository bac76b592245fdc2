"""A person signs in by a passkey in a browser, with an authenticator that the browser plays.

https://chromedevtools.github.io/devtools-protocol/tot/WebAuthn/
"""

from __future__ import annotations

from browser import joins


async def opened(windows, address, *kind):
    person = await windows(*kind)
    person.base = address
    spoken = await person.context.new_cdp_session(person.page)
    await spoken.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal",
        "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
    }  # fmt: skip
    made = await spoken.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    async def verified(is_so):
        said = {"authenticatorId": made["authenticatorId"], "isUserVerified": is_so}
        await spoken.send("WebAuthn.setUserVerified", said)

    return person, verified


async def test_given_a_passkey_when_made_in_a_browser_then_it_signs_in_with_it_and_takes_it_away(
    house, windows, by_name
):
    email = "pat@mounds.example.org"
    pat, verified = await opened(windows, by_name)
    await pat.sets_up(email, await joins(house, house.mounds, email), judged=False)
    await pat.follows("Pat Pantry")
    await pat.looks("account-without")
    await pat.fills("What you call this device", "My telephone")
    await pat.presses("Add a passkey")
    assert await pat.says("Remove")
    await pat.looks("account")
    await pat.presses("Sign out")
    await pat.looks("sign-in-with-a-passkey")
    await pat.presses("Sign in with a passkey")
    assert pat.path == "/portal/worklist"
    await verified(False)
    await pat.presses("Sign out")
    await (await pat.shown("Sign in with a passkey")).click()
    await pat.page.get_by_text(pat.t("No passkey was used")).wait_for()
    await verified(True)
    await pat.presses("Sign in with a passkey")
    await pat.follows("Pat Pantry")
    await pat.page.get_by_role("button", name="Remove My telephone").click()
    await pat.page.get_by_text(pat.t("You have none.")).wait_for()
    await pat.presses("Sign out")
    await pat.presses("Sign in with a passkey")
    assert await pat.says("This passkey does not let you in. Try again, or use password and code.")


async def test_given_a_first_day_in_spanish_when_begun_by_a_passkey_then_it_is_in(
    house, windows, by_name
):
    email = "pat@mounds.example.org"
    pat, _ = await opened(windows, by_name, "es", "phone")
    first = await joins(house, house.mounds, email)
    await pat.opens("/portal")
    await pat.fills("E-mail address", email)
    await pat.fills("Password", first)
    await pat.presses("Sign in")
    await pat.looks("set-up-with-a-passkey")
    await pat.fills("What you call this device", "Mi teléfono")
    await pat.presses("Use a passkey")
    assert pat.path == "/portal/worklist"
    await pat.opens("/portal/you")
    await pat.looks("account")
