"""Single fields of a row, checked: what cannot be taken is said with what to do, and left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import urlsplit

from coordhub.directory.hsds.rows import Row, Tables
from coordhub.r4.interval import parse_instant

_TIME: Final = re.compile(
    r"([01]?\d|2[0-4]):([0-5]\d)(?::[0-5]\d(?:\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?"
)
_AM_PM: Final = re.compile(r"(1[0-2]|0?\d)(?::([0-5]\d))?\s*([AaPp])\.?[Mm]\.?")

LANGUAGES: Final[Mapping[str, str]] = {
    "ara": "ar", "ben": "bn", "chi": "zh", "zho": "zh", "deu": "de", "ger": "de", "eng": "en",
    "fra": "fr", "fre": "fr", "hat": "ht", "hin": "hi", "ita": "it", "jpn": "ja", "kor": "ko",
    "pan": "pa", "pol": "pl", "por": "pt", "rus": "ru", "som": "so", "spa": "es", "swa": "sw",
    "tgl": "tl", "ukr": "uk", "urd": "ur", "vie": "vi",
}  # fmt: skip
"""ISO 639-2 and -3 -> the code of two letters, which BCP 47 asks for where there is one."""


def number(tables: Tables, row: Row, name: str, low: int, high: int) -> Decimal | None:
    text = row.text(name)
    if not text:
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        tables.leave_out(row, name, f"is no number: write {low} to {high}")
        return None
    if not (found.is_finite() and low <= found <= high):
        tables.leave_out(row, name, f"is not between {low} and {high}: correct it")
        return None
    return found


def whole(tables: Tables, row: Row, name: str, low: int, high: int) -> int | None:
    found = number(tables, row, name, low, high)
    if found is not None and found != found.to_integral_value():
        tables.leave_out(row, name, "is no whole number: correct it")
        return None
    return None if found is None else int(found)


def day(tables: Tables, row: Row, name: str) -> str | None:
    """A date, without the time that some feeds add."""
    text = row.text(name)
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        tables.leave_out(row, name, "is no date: write YYYY-MM-DD")
        return None


def moment(tables: Tables, row: Row, name: str) -> str | None:
    """An instant with its zone, or a date."""
    text = row.text(name).replace(" ", "T")
    found = parse_instant(text) if text else None
    if text and (found is None or not ("T" not in text or re.search(r"(Z|[+-]\d\d:\d\d)$", text))):
        tables.leave_out(row, name, "is no moment with a zone: write YYYY-MM-DDThh:mm:ssZ")
        return None
    return text or None


def time(tables: Tables, row: Row, name: str) -> tuple[str, str] | None:
    """`hh:mm:ss` on the wall, and the offset that stands with it ("" if none does)."""
    text = row.text(name)
    if not text:
        return None
    if (found := _TIME.fullmatch(text)) is not None:
        hour, offset = int(found[1]), found[3] or ""
        return f"{hour % 24:02d}:{found[2]}:00", offset
    if (found := _AM_PM.fullmatch(text)) is not None:
        hour = int(found[1]) % 12 + (12 if found[3].lower() == "p" else 0)
        return f"{hour:02d}:{found[2] or '00'}:00", ""
    tables.leave_out(row, name, "is no time: write HH:MM")
    return None


def address(tables: Tables, row: Row, name: str) -> str | None:
    """Of the web."""
    text = row.text(name)
    if not text:
        return None
    try:
        if urlsplit(text).scheme in ("http", "https") and " " not in text:
            return text
    except ValueError:
        pass
    tables.leave_out(row, name, "is no address of the web: write https://...")
    return None


def language(tables: Tables, row: Row) -> tuple[str, str] | None:
    """(code of BCP 47 or "", name)."""
    code, name = row.text("code").lower(), row.text("name") or row.text("language")
    if code and not re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", code):
        tables.leave_out(row, "code", "is no code of ISO 639: write one such as es")
        code = ""
    return (LANGUAGES.get(code, code), name) if code or name else None
