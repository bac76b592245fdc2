"""When a service is open, as its schedules say: availableTime where R4 can say it, a recurrence rule else.

https://docs.openreferral.org/en/latest/hsds/schema_reference.html#schedule
https://www.rfc-editor.org/rfc/rfc5545#section-3.3.10
http://hl7.org/fhir/R4/healthcareservice-definitions.html#HealthcareService.availableTime

The zone is the feed's where the offset that a schedule states is one that this zone has, so that its
clocks are put forward and back; else it is that offset, all year.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from coordhub.directory.hsds import stated
from coordhub.directory.hsds.rows import Row, Tables
from coordhub.referral import recurrence
from coordhub.referral.hours import SCHEDULE, WEEK

_DAYS: Final = dict(zip(("MO", "TU", "WE", "TH", "FR", "SA", "SU"), WEEK, strict=True))
_BY: Final = ("byday", "byweekno", "bymonthday", "byyearday")


@dataclass(slots=True)
class Opening:
    """zone: name of the IANA database, None: not known. weekly: of availableTime. recurring: extensions."""

    zone: str | None = None
    weekly: list[dict[str, Any]] = field(default_factory=list)
    recurring: list[dict[str, Any]] = field(default_factory=list)
    closed: list[dict[str, Any]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def read(tables: Tables, rows: Sequence[Row], holidays: Sequence[Row], zone: str | None) -> Opening:
    """zone: the feed's, where it is known."""
    found = Opening()
    for row in rows:
        _take(tables, row, found, zone)
    if (found.weekly or found.recurring) and found.zone is None:
        found.zone = zone
    for row in holidays:
        _close(tables, row, found)
    return found


def _take(tables: Tables, row: Row, found: Opening, feed: str | None) -> None:
    for name in ("description", "notes"):
        if row.text(name):
            found.words.append(row.text(name))
    opens, closes = stated.time(tables, row, "opens_at"), stated.time(tables, row, "closes_at")
    rule = _rule(tables, row)
    if rule is None or (opens is None and closes is None):
        return
    offsets = {one[1] for one in (opens, closes) if one is not None and one[1]}
    zone = _zone(tables, row, offsets, feed)
    if zone is not None and found.zone is not None and zone != found.zone:
        tables.refuse(
            row,
            "timezone",
            f"is not {found.zone}, as the other schedules of it: use one zone for all",
        )
        return
    found.zone = found.zone or zone
    hours = {
        name: one[0] for name, one in (("opens", opens), ("closes", closes)) if one is not None
    }
    start, valid = _validity(tables, row)
    if _is_plain(row) and not valid:
        days = [_DAYS[one] for one in _list(row.text("byday"))]
        entry: dict[str, Any] = {"daysOfWeek": days} if days else {}
        if "opens" in hours:
            entry["availableStartTime"] = hours["opens"]
        if "closes" in hours:
            entry["availableEndTime"] = hours["closes"]
        found.weekly.append(entry)
        return
    if start is None and ("COUNT=" in rule or "INTERVAL=" in rule):
        tables.refuse(
            row, "dtstart", "is missing: an interval or a count begins to be counted on some day"
        )
        return
    try:
        recurrence.check(rule)
    except ValueError:
        tables.refuse(
            row, "freq", f"{rule} is no rule of RFC 5545: correct freq, byday, interval, until"
        )
        return
    parts: list[dict[str, Any]] = [{"url": "rule", "valueString": rule}]
    if start is not None:
        parts.append({"url": "start", "valueDate": start})
    parts += [{"url": name, "valueTime": time} for name, time in hours.items()]
    if valid:
        parts.append({"url": "validity", "valuePeriod": valid})
    found.recurring.append({"url": SCHEDULE, "extension": parts})


def _is_plain(row: Row) -> bool:
    """Every week, on these days."""
    return (
        row.text("freq").upper() in ("", "WEEKLY")
        and row.text("interval") in ("", "1")
        and not any(
            row.text(name) for name in ("count", "until", "byweekno", "bymonthday", "byyearday")
        )
        and all(one in _DAYS for one in _list(row.text("byday")))
    )


def _list(text: str) -> list[str]:
    return [one.strip().upper() for one in text.replace(";", ",").split(",") if one.strip()]


def _rule(tables: Tables, row: Row) -> str | None:
    """None: refused, which is said, or nothing is said of when."""
    freq = row.text("freq").upper() or ("WEEKLY" if row.text("byday") else "")
    if not freq:
        if row.text("opens_at"):
            freq = "DAILY"
        else:
            return None
    if freq not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        tables.refuse(row, "freq", "is neither WEEKLY nor MONTHLY: write one of them")
        return None
    days = _list(row.text("byday"))
    wrong = [
        one for one in days if one[-2:] not in _DAYS or (one[:-2] and not _is_ordinal(one[:-2]))
    ]
    if wrong:
        tables.refuse(row, "byday", "names no days: write MO,TU or, of a month, 2MO")
        return None
    parts = [f"FREQ={freq}"]
    if (interval := stated.whole(tables, row, "interval", 1, 1000)) not in (None, 1):
        parts.append(f"INTERVAL={interval}")
    if (count := stated.whole(tables, row, "count", 1, 10_000)) is not None:
        parts.append(f"COUNT={count}")
    if (until := stated.day(tables, row, "until")) is not None and count is None:
        parts.append(f"UNTIL={until.replace('-', '')}")
    if row.text("wkst").upper() in _DAYS:
        parts.append(f"WKST={row.text('wkst').upper()}")
    said = {name: _list(row.text(name)) for name in _BY}
    parts += [f"{name.upper()}={','.join(values)}" for name, values in said.items() if values]
    return ";".join(parts)


def _is_ordinal(text: str) -> bool:
    return text.removeprefix("-").removeprefix("+").isdigit()


def _validity(tables: Tables, row: Row) -> tuple[str | None, dict[str, str]]:
    """What recurrence is counted from, and between which days it holds."""
    first, last = stated.day(tables, row, "valid_from"), stated.day(tables, row, "valid_to")
    valid = {name: one for name, one in (("start", first), ("end", last)) if one is not None}
    return stated.day(tables, row, "dtstart") or first, valid


def _zone(tables: Tables, row: Row, offsets: set[str], feed: str | None) -> str | None:
    hours = stated.number(tables, row, "timezone", -12, 14)
    found = (
        {timedelta(hours=float(hours))} if hours is not None else {_offset(one) for one in offsets}
    )
    if len(found) != 1:
        return feed
    [offset] = found
    if feed is not None and offset in _offsets(feed):
        return feed
    whole, rest = divmod(offset, timedelta(hours=1))
    if rest:
        tables.leave_out(
            row, "timezone", "is no whole hour: say the feed's zone by --zone, such as Asia/Kolkata"
        )
        return feed
    return f"Etc/GMT{-whole:+d}" if whole else "Etc/UTC"


def _offset(text: str) -> timedelta:
    if text == "Z":
        return timedelta()
    sign = -1 if text[0] == "-" else 1
    return sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))


def _offsets(zone: str) -> Iterator[timedelta]:
    """Those of winter and summer."""
    for month in (1, 7):
        yield datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).utcoffset() or timedelta()


def _close(tables: Tables, row: Row, found: Opening) -> None:
    """A holiday of version 2."""
    if row.text("closed").lower() not in ("true", "1", "y", "yes", "t", ""):
        tables.refuse(
            row,
            "closed",
            "says other hours for a holiday: say closed, and a schedule valid on these days",
        )
        return
    first = stated.day(tables, row, "start_date")
    if first is None:
        tables.refuse(row, "start_date", "is missing: say the first day as YYYY-MM-DD")
        return
    last = stated.day(tables, row, "end_date") or first
    found.closed.append(
        {
            "description": row.text("description") or "Closed",
            "during": {"start": first, "end": last},
        }
    )
