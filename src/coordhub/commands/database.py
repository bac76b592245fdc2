"""Commands about the database: brought to this version, made anew from the resources, looked over.

Imports stand inside the commands, so that `--help` and a wrong option answer at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from coordhub.commands.wiring import need, read_settings, run, stop

if TYPE_CHECKING:
    from coordhub.record.hub import Hub
    from coordhub.settings import Settings


def migrate() -> None:
    """Bring the database of DATABASE_URL to this version; several at once wait for each other."""
    from coordhub.store import migrate as migrations

    run(migrations.upgrade(need(read_settings(), key=False)))
    print("The database is at this version.")


def reindex(
    after: Annotated[
        int, typer.Option(help="Go on behind this rid, as an earlier run said it.")
    ] = 0,
    check: Annotated[
        bool, typer.Option("--check", help="Compare only, and change nothing.")
    ] = False,
) -> None:
    """Make the index tables anew from the resources, while the hub works; needs DATABASE_URL.

    What is right already is not touched. Exits with 1 if `--check` finds what is not.
    """
    from coordhub.record import reindex as index

    async def made(hub: Hub) -> int:
        looked, wrong = 0, 0
        async for page in index.reindex(hub, after=after, mend=not check):
            looked, wrong = looked + page.resources, wrong + len(page.wrong)
            print(f"{looked} resources, {wrong} not indexed as they are; done up to {page.last}")
        return wrong

    settings = read_settings()
    wrong = run(_on_the_hub(settings, need(settings, key=False), made))
    raise typer.Exit(1 if check and wrong else 0)


def reproject(
    check: Annotated[
        bool, typer.Option("--check", help="Compare only, and change nothing.")
    ] = False,
) -> None:
    """Compute episodes, candidates and timers again from the Tasks; needs DATABASE_URL.

    Each difference is a line. Exits with 1 if `--check` finds one.
    """
    from coordhub.record import reproject as projection

    async def made(hub: Hub) -> int:
        looked, wrong = 0, 0
        async for one in projection.reproject(hub, mend=not check):
            looked, wrong = looked + 1, wrong + bool(one.differences)
            for difference in one.differences:
                print(difference)
        print(f"{looked} referrals, {wrong} not as their Tasks say")
        return wrong

    settings = read_settings()
    wrong = run(_on_the_hub(settings, need(settings, key=False), made))
    raise typer.Exit(1 if check and wrong else 0)


def check() -> None:
    """Look whether all that must be true of the database is: nothing lost, nothing owed to nobody.

    Each thing that is not is a line of ids. Exits with 1 if there is one. Needs DATABASE_URL.
    """

    async def look(hub: Hub) -> int:
        from coordhub.store import invariants

        async with hub.engine.session() as conn:
            found = await invariants.violations_alone(conn, hub.clock(), settings.retry_budget)
        for sentence in found or ["Another process looks just now."] * (found is None):
            print(sentence)
        return len(found or ()) + (found is None)

    settings = read_settings()
    raise typer.Exit(1 if run(_on_the_hub(settings, need(settings, key=False), look)) else 0)


def pooler(
    login: Annotated[str, typer.Argument(help="By which DATABASE_URL comes through the pooler.")],
    searches: Annotated[str, typer.Argument(help="By which COORDHUB_SEARCH_DATABASE_URL does.")],
    write_only: Annotated[
        bool, typer.Option("--print", help="Print the SQL only, for whoever may run it.")
    ] = False,
) -> None:
    """Have two logins begin with the settings that a pooler such as PgBouncer would lose (docs/scale.md).

    Run it as a superuser, at COORDHUB_DIRECT_DATABASE_URL, and again after a change of
    COORDHUB_CONSENT_POLICY or COORDHUB_STATEMENT_TIMEOUT; then RECONNECT the pooler.
    """
    from coordhub.store import engine, pooling

    settings = read_settings()
    limit = int(settings.statement_timeout.total_seconds() * 1000)
    each = zip((login, searches), engine.settings(limit, settings.consent_policy), strict=True)
    try:
        url = need(settings, key=False)
        for text in run(pooling.begin_with(url, dict(each), write_only=write_only)):
            print(f"{text};")
    except pooling.CannotSetError as error:
        stop(f"coordhub pooler: {error}")


def distribute() -> None:
    """Spread the history of resources over the workers of a Citus (docs/scale.md); needs DATABASE_URL.

    Run it as a superuser at the coordinator, while no other process of the hub runs. There is no way back but a
    copy of the database.
    """
    from coordhub.store import distributed

    try:
        workers = run(distributed.distribute(need(read_settings(), key=False)))
    except distributed.CannotDistributeError as error:
        stop(f"coordhub distribute: {error}")
    print(f"The history of resources is spread over {workers} workers.")


async def _on_the_hub(settings: Settings, url: str, work: Callable[[Hub], Awaitable[int]]) -> int:
    """What `work` answers of the hub on the database at `url`."""
    from coordhub.record.bootstrap import open_hub
    from coordhub.store.engine import Engine

    engine = await Engine.open(url, size=3)
    try:
        return await work(await open_hub(engine, settings.base))
    finally:
        await engine.close()
