"""The operation HealthcareService/$find: who helps with a need, near a place, in a language, open at a moment.

http://hl7.org/fhir/R4/operations.html, http://hl7.org/fhir/us/hsds
http://hl7.org/fhir/R4/extension-location-distance.html

Nothing that it takes tells of a person, and nothing is asked of a chart: for a patient there is $route.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final
from urllib.parse import urlencode

import msgspec

from coordhub.access import viewer
from coordhub.directory.finding import Hit, find
from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation, moments
from coordhub.fhir.bundle import Entry, address, bundle, found
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.paging import applied
from coordhub.r4.parameters import parameters
from coordhub.r4.search_measures import NearValue, read_near
from coordhub.r4.search_text import Invalid
from coordhub.referral.matching import Wanted
from coordhub.referral.places import Place, Point
from coordhub.referral.same_kind import SDOHCC, kinds
from coordhub.store import resources
from coordhub.store.resources import Version

USUAL: Final = 20
DISTANCE: Final = "http://hl7.org/fhir/StructureDefinition/location-distance"
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", re.ASCII)
_OLDEST: Final = 130


async def answer(context: Context, asked: Asked) -> Answer:
    """A searchset, nearest first where `near` says from where; 400 for what cannot be understood."""
    hub, pairs = context.hub, applied(invocation.pairs(asked))
    now = hub.clock()
    moment, most = _moment(pairs, now), moments.count(pairs, USUAL)
    near = _near(pairs)
    wanted = Wanted(
        kinds=kinds(_needs(pairs)),
        now=moment or now,
        by=moment,
        place=Place(
            postal_code=_folded(pairs, "postal-code"),
            state=_folded(pairs, "state"),
            point=None if near is None else Point(near.latitude, near.longitude),
        ),
        languages=_languages(pairs),
        born=_born(pairs, (moment or now).date()),
    )
    view = viewer.searching(asked.caller)
    async with hub.engine.pool.acquire() as conn:
        hits = await find(
            conn,
            wanted,
            within_km=None if near is None else near.distance / 1000,
            open_at=moment is not None,
            zone=hub.zone,
        )
        versions = await resources.read_rids(conn, view, [one.rid for one in hits[:most]])
    shown = [(one, versions[one.rid]) for one in hits[:most] if one.rid in versions]
    return Answer(
        200,
        bundle(
            "searchset",
            [_entry(hub.base, one, version) for one, version in shown],
            [("self", address(hub.base, "HealthcareService/$find", pairs))],
            total=len(hits),
        ),
        shown=tuple(version.rid for _, version in shown),
        searched=urlencode(pairs),
    )


def _entry(base: str, hit: Hit, version: Version) -> Entry:
    entry = found(base, version)
    search: dict[str, object] = {"mode": "match", "score": hit.score}
    if hit.km is not None:
        distance = {
            "value": round(hit.km, 2), "unit": "km", "system": "http://unitsofmeasure.org", "code": "km",
        }  # fmt: skip
        search = {"extension": [{"url": DISTANCE, "valueDistance": distance}], **search}
    return {**entry, "search": msgspec.Raw(msgspec.json.encode(search))}


def _needs(pairs: moments.Pairs) -> list[tuple[str, str]]:
    """Of each `need`, `system|code`, or a domain of SDOH Clinical Care by itself."""
    stated = [one for name, value in pairs if name == "need" for one in value.split(",") if one]
    if not stated:
        raise _bad(
            "need", "Say what is needed: need=food-insecurity, or need=system|code.", "required"
        )
    return [
        (system, code) if bar else (SDOHCC, code)
        for system, bar, code in ((*one.rpartition("|"),) for one in stated)
    ]


def _near(pairs: moments.Pairs) -> NearValue | None:
    text = moments.once(pairs, "near")
    if text is None:
        return None
    try:
        return read_near(parameters("Location")["near"], text)
    except Invalid as error:
        raise _bad("near", str(error)) from None


def _moment(pairs: moments.Pairs, now: datetime) -> datetime | None:
    if moments.once(pairs, "open") == "now":
        return now
    stated = moments.period(pairs, "open")
    return None if stated is None else stated[0]


def _languages(pairs: moments.Pairs) -> tuple[str, ...]:
    stated = [one for name, value in pairs if name == "language" for one in value.split(",")]
    if not all(_LANGUAGE.fullmatch(one) for one in stated):
        raise _bad("language", "A language is a code of BCP 47, such as es.")
    return tuple(one.casefold() for one in stated)


def _born(pairs: moments.Pairs, on: date) -> date | None:
    """Somebody who is of this age."""
    text = moments.once(pairs, "age")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or int(text[:4]) > _OLDEST:
        raise _bad("age", f"age is a whole number of years, 0 to {_OLDEST}.")
    return date(on.year - int(text), on.month, min(on.day, 28))


def _folded(pairs: moments.Pairs, name: str) -> str:
    text = (moments.once(pairs, name) or "").casefold()
    return "".join(text.split()) if name == "postal-code" else " ".join(text.split())


def _bad(name: str, text: str, code: str = "invalid") -> FhirError:
    return FhirError(400, Issue(code, text, f"http.{name}"))
