"""Prices, and reports on what was spared, for operators.

The report of an organization is made for it, with its eyes; that of the community has no names in it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from coordhub.access import viewer
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.insight import measures, reports
from coordhub.record.hub import Hub
from coordhub.store import measures as rows
from coordhub.store import prices, resources
from coordhub.store.prices import Price
from coordhub.store.visibility import EVERYONE

COLUMNS: Final = ("system", "code", "since", "amount", "currency", "source")
LARGEST: Final = Decimal("9999999999.99")


def read_prices(text: str) -> list[Price]:
    """Of a CSV with these columns, named in its first line. NothingDone names every line that cannot be."""
    reader = csv.DictReader(io.StringIO(text))
    if reader.fieldnames is None or set(COLUMNS) - set(reader.fieldnames):
        raise NothingDone(f"the first line names the columns {', '.join(COLUMNS)}.")
    found: list[Price] = []
    faults: list[str] = []
    for number, row in enumerate(reader, start=2):
        try:
            found.append(price(*((row[name] or "").strip() for name in COLUMNS)))
        except NothingDone as fault:
            faults.append(f"line {number}: {fault}")
    if faults:
        raise NothingDone("; ".join(faults))
    return found


def price(system: str, code: str, since: str, amount: str, currency: str, source: str) -> Price:
    """NothingDone says what cannot be."""
    if not system or not code or not source:
        raise NothingDone("system, code and source are needed.")
    try:
        day = date.fromisoformat(since)
    except ValueError:
        raise NothingDone("since is a date, as in 2026-01-01.") from None
    try:
        cost = Decimal(amount)
    except InvalidOperation:
        raise NothingDone("amount is a number, as in 12.50.") from None
    if not cost.is_finite() or not 0 <= cost <= LARGEST or cost != round(cost, 2):
        raise NothingDone(f"amount has two decimals at most, and is between 0 and {LARGEST}.")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise NothingDone("currency is three letters of ISO 4217, as in USD.")
    return Price(system, code, day, cost, currency, source)


async def set_prices(hub: Hub, by: Operator, stated: Sequence[Price]) -> None:
    async with hub.engine.transaction() as conn:
        await prices.put(conn, stated)
        said = {"prices": str(len(stated))}
        if len(stated) == 1:
            [one] = stated
            said |= {"code": f"{one.system}|{one.code}", "since": one.since.isoformat()}
        await note(conn, by, "prices-set", hub.clock(), said)


async def listed_prices(hub: Hub) -> list[Price]:
    async with hub.engine.pool.acquire() as conn:
        return await prices.listed(conn)


def month(hub: Hub, text: str) -> tuple[datetime, datetime]:
    """[begin, end) of a month (2026-10) in the hub's time zone."""
    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text, re.ASCII)
    if found is None or not 1900 <= int(found[1]) <= 2999:
        raise NothingDone("the month is written as in 2026-10.")
    year, number = int(found[1]), int(found[2])
    zone = hub.zone or UTC
    return (
        datetime(year, number, 1, tzinfo=zone),
        datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone),
    )


async def report(hub: Hub, by: Operator, organization: str, text: str) -> reports.Report:
    """Of an Organization (`Organization/id`) and a month."""
    start, end = month(hub, text)
    kind, _, fhir_id = organization.partition("/")
    async with hub.engine.transaction() as conn:
        found = await resources.read(conn, EVERYONE, kind, fhir_id)
        if kind != "Organization" or found is None or found.body is None:
            raise NothingDone(f"there is no {organization} here. Name it as Organization/id.")
        view = viewer.as_organization(found.rid)
        made = await reports.report(conn, view, start, end, hub.clock())
        said = {"organization": organization, "month": text}
        await note(conn, by, "report-made", hub.clock(), said)
    return made


async def community(hub: Hub, by: Operator, text: str) -> str:
    """What was needed where, and who had no room: a CSV; numbers below 10 are left out, and small areas."""
    start, end = month(hub, text)
    async with hub.engine.transaction() as conn:
        found = measures.told_areas(await rows.areas(conn, start, end))
        await note(conn, by, "report-made", hub.clock(), {"month": text})
    out = io.StringIO()
    writer = csv.DictWriter(out, measures.AREA_COLUMNS)
    writer.writeheader()
    few = f"<{measures.FEW}"
    for row in found:
        writer.writerow({name: few if value is None else value for name, value in row.items()})
    return out.getvalue()
