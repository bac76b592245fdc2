"""A partner is checked, and approved by a second person.

Who has registered it, or had it checked, does not approve it: operators are known by their account, or by their
name where they come with a token, and one person's two ways in are one person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from coordhub.admin import onboarding
from coordhub.admin.acts import NothingDone, NotKnown, Operator, note
from coordhub.admin.onboarding import Standing
from coordhub.record.hub import Hub
from coordhub.store import onboarding as store
from coordhub.store import tokens
from coordhub.store.onboarding import Item, Partner, Report

Look: TypeAlias = Callable[[Hub, Partner, Sequence[Item], bytes | None], Awaitable[Sequence[Item]]]
"""Goes through the check list: of the partner, with the items of the report before, and a sample of what it sends."""

FRESH: Final = timedelta(days=14)
"""How old the report is at most by which somebody is approved."""

BESIDE: Final = "operator:"
"""Before the name of who came with a token."""


async def check(
    hub: Hub, by: Operator, client: str, look: Look, sample: bytes | None = None
) -> Report:
    """Go through the check list and keep the report; no transaction is open while anybody is spoken to."""
    async with hub.engine.pool.acquire() as conn:
        found = await store.read(conn, client)
        before = await store.newest(conn, client)
    if found is None:
        raise NotKnown(onboarding.unknown(client))
    if found.state in store.OUT:
        raise NothingDone(f"{client} is {found.state}, and is not checked.")
    items = tuple(await look(hub, found, before.items if before else (), sample))
    report = Report(by.account, hub.clock(), items)
    async with hub.engine.transaction() as conn:
        now = await onboarding.held(conn, client)
        await store.keep(conn, client, report)
        if now.state in ("registered", "checked"):
            state = "registered" if report.failed else "checked"
            await store.set_state(conn, client, state, None)
        said = {"client": client, "failed": str(report.failed), "items": str(len(items))}
        await note(conn, by, "partner-checked", report.at, said)
    return report


async def report_of(hub: Hub, client: str) -> Report:
    """The newest."""
    async with hub.engine.pool.acquire() as conn:
        found = await store.newest(conn, client)
    if found is None:
        raise NotKnown(f"{client} was not checked yet: coordhub onboard check {client}")
    return found


async def approve(
    hub: Hub,
    by: Operator,
    client: str,
    *,
    in_spite: str | None = None,
    same_server: bool = False,
    fresh: timedelta = FRESH,
) -> Standing:
    """Let it out of the sandbox, to act for whom it stands for. in_spite: why, although the report does not allow
    it. same_server: whom it acts for is reached at the server that was checked.
    """
    async with hub.engine.transaction() as conn:
        found, now = await onboarding.held(conn, client), hub.clock()
        if found.state not in ("registered", "checked"):
            raise NothingDone(f"{client} is {found.state}: there is nothing to approve.")
        others = {found.registered_by, *await store.checkers(conn, client)}
        if person(by.account) in {person(one) for one in others}:
            raise NothingDone(
                f"who has registered {client} or had it checked cannot approve it: another person has to."
            )
        why = _against(await store.newest(conn, client), client, now, fresh)
        if why and not (in_spite or "").strip():
            raise NothingDone(f"{why} Or say why it is approved all the same (--in-spite).")
        reason = (in_spite or "").strip() if why else None
        await store.approve(conn, found, by.account, reason, now)
        await tokens.revoke_all(conn, [client])
        if same_server:
            await onboarding.take_along(hub, conn, found)
        said = {"client": client, **({"in-spite": reason} if reason else {})}
        await note(conn, by, "partner-approved", now, said)
        return await onboarding.standing(conn, client)


def _against(report: Report | None, client: str, now: datetime, fresh: timedelta) -> str:
    """Why the report does not allow it; "" where it does."""
    again = f"Have it checked: coordhub onboard check {client}."
    if report is None:
        return f"{client} was not checked yet. {again}"
    if report.at < now - fresh:
        return f"the last report is older than {fresh.days} days. {again}"
    if report.failed:
        return f"{report.failed} items of the last report were failed. Have them put right. {again}"
    return ""


def person(account: str) -> str:
    return account.removeprefix(BESIDE).strip().casefold()
