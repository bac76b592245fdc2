"""The language of a page: by what was chosen, or what the browser prefers.

https://www.rfc-editor.org/rfc/rfc9110#field.accept-language

English stands in the pages; `messages/` has a folder for each other language, whose files say the same, by
the English: one file for all desks, and one for what a desk says besides.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Final

LANGUAGES: Final = {"en": "English", "es": "Español"}
COOKIE: Final = "coordhub_language"

Words = Callable[..., str]
"""The text, in the language, with what is named filled in."""


def chosen(kept: str | None, accepted: str | None) -> str:
    """kept: what was chosen before; accepted: Accept-Language."""
    if kept in LANGUAGES:
        return kept
    ranked: list[tuple[float, str]] = []
    for part in (accepted or "").split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        name, _, weight = parameter.strip().partition("=")
        try:
            quality = float(weight) if name == "q" else 1.0
        except ValueError:
            quality = 0.0
        if language in LANGUAGES and quality > 0:
            ranked.append((-quality, language))
    return min(ranked, key=lambda each: each[0], default=(0, "en"))[1]


@cache
def catalogue(language: str) -> dict[str, str]:
    if language == "en":
        return {}
    found: dict[str, str] = {}
    for part in files("coordhub.portal").joinpath(f"messages/{language}").iterdir():
        found |= json.loads(part.read_text("utf-8"))
    return found


@cache
def words(language: str) -> Words:
    known = catalogue(language)

    def said(text: str, **filled: object) -> str:
        found = known.get(text, text)
        return found.format(**filled) if filled else found

    return said
