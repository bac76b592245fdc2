"""An app's request to be let in by a person, judged before anybody is asked.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1, https://www.rfc-editor.org/rfc/rfc7636
http://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-authorization-code

Nobody is sent to an address that was not registered for the app, character by character: until app and address
are known to belong together a fault is told on a page (`Unknown`). From then on it is told to the app (`Refused`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

from coordhub.access import scopes, wishes
from coordhub.access.token import digest
from coordhub.access.wishes import FHIR_USER, LAUNCH, OPENID, Wish
from coordhub.authorization.context import Context
from coordhub.store import clients, launches
from coordhub.store.clients import Client
from coordhub.store.launches import Opened

_LONGEST: Final = 8 * 1024
_LONGEST_STATE: Final = 1024
_LONGEST_NONCE: Final = 255
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_PROMPTS: Final = frozenset({"none", "consent"})


@dataclass(frozen=True, slots=True)
class Launch:
    """wish: what it asks for, of what it was registered for. prompts: of OpenID Connect.

    opened: where it was opened, if it comes from there.
    """

    client: Client
    redirect_uri: str
    state: str
    challenge: str
    nonce: str | None
    wish: Wish
    prompts: frozenset[str]
    opened: Opened | None = None


USED_UP: Final = (
    "This launch is not known here, for this app, or not any more: have the app opened anew."
)


class Unknown(Exception):
    """There is no such app with such an address; nobody is sent anywhere."""


class Refused(Exception):
    """To be told to the app: where to, with the error. client: for the audit."""

    def __init__(
        self, client: Client, redirect_uri: str, state: str, error: str, said: str
    ) -> None:
        super().__init__(error)
        self.client = client
        self.redirect_uri = redirect_uri
        self.state = state
        self.error = error
        self.said = said


async def judged(context: Context, query: str) -> Launch:
    """query: of the address, as it came. Raises Unknown or Refused."""
    given, twice = _given(query)
    client_id = given.get("client_id", "")
    async with context.engine.pool.acquire() as conn:
        client = await clients.read(conn, client_id) if _is_text(client_id, 255) else None
    redirect_uri = given.get("redirect_uri", "")
    if client is None or not client.active or redirect_uri not in (client.redirect_uris or ()):
        raise Unknown
    if {"client_id", "redirect_uri"} & twice:
        raise Unknown
    state = given.get("state", "")

    def refused(error: str, said: str) -> Refused:
        stated = state if _is_text(state, _LONGEST_STATE) and "state" not in twice else ""
        return Refused(client, redirect_uri, stated, error, said)

    if twice:
        raise refused("invalid_request", "Send each parameter once.")
    if not _is_text(state, _LONGEST_STATE):
        raise refused("invalid_request", "Send a state that nobody can guess.")
    if "request" in given:
        raise refused("request_not_supported", "Send the parameters themselves.")
    if "request_uri" in given:
        raise refused("request_uri_not_supported", "Send the parameters themselves.")
    if given.get("response_type") != "code":
        raise refused("unsupported_response_type", "response_type is code.")
    if given.get("response_mode", "query") != "query":
        raise refused("invalid_request", "response_mode is query.")
    if given.get("aud", "").rstrip("/") != context.base.rstrip("/"):
        raise refused("invalid_request", f"aud is {context.base}, which the token is for.")
    challenge = given.get("code_challenge", "")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise refused("invalid_request", "Send a code_challenge with code_challenge_method S256.")
    nonce = given.get("nonce")
    if nonce is not None and not _is_text(nonce, _LONGEST_NONCE):
        raise refused("invalid_request", f"nonce has up to {_LONGEST_NONCE} characters.")
    prompts = frozenset(given.get("prompt", "").split())
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise refused("invalid_request", f"prompt is of {', '.join(sorted(_PROMPTS))}.")
    text = given.get("scope", "")
    faults = scopes.faults(text, scopes.APP)
    if faults:
        raise refused("invalid_scope", f"{'; '.join(faults[:10])}.")
    wish = wishes.read(text).meet(wishes.read(client.scopes))
    if context.signer is None:
        wish = Wish(wish.on, wish.words - {OPENID, FHIR_USER})
    if not wish:
        raise refused(
            "invalid_scope",
            "Ask for scopes as user/Task.rs, of those that the app was registered for.",
        )
    opened = None
    if "launch" in given:
        async with context.engine.pool.acquire() as conn:
            word = digest(given["launch"])
            opened = await launches.find(conn, word, client.id, context.clock())
        if opened is None:
            raise refused("invalid_request", USED_UP)
        if LAUNCH not in wish.words:
            raise refused("invalid_scope", "Ask for launch besides, as who is opened here does.")
    elif LAUNCH in wish.words:  # nothing was looked at
        wish = Wish(wish.on, wish.words - {LAUNCH})
        if not wish:
            raise refused("invalid_scope", "Ask for more than launch.")
    return Launch(client, redirect_uri, state, challenge, nonce, wish, prompts, opened)


def back(redirect_uri: str, base: str, **said: str) -> str:
    """Where the browser is sent to. base: who says so (RFC 9207), so that an app does not take one for another."""
    told = {name: value for name, value in {**said, "iss": base}.items() if value}
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(told)}"


def _given(query: str) -> tuple[dict[str, str], frozenset[str]]:
    """The parameters, and the names that came more than once."""
    if len(query) > _LONGEST:
        raise Unknown
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise Unknown from None
    names = [name for name, _ in pairs]
    return dict(pairs), frozenset(name for name in names if names.count(name) > 1)


def _is_text(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isprintable()
