"""Commands about feeds of the directory: take one in, keep it in step, list them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands.wiring import Home, address, need, operator, read_settings, run, stop

if TYPE_CHECKING:
    from coordhub.record.hub import Hub
    from coordhub.settings import Settings

SHOWN = 50
"""Faults that are printed; all that are kept are with `coordhub feeds`."""

DAILY = timedelta(days=1)


def import_hsds(
    source: Annotated[
        str,
        typer.Argument(
            help="HSDS 2.x or 3.x: JSON or CSV file, folder, zip, datapackage.json, or address of any of these or "
            "of an HSDS API."
        ),
    ],
    feed: Annotated[
        str | None,
        typer.Option(
            help="Name of the feed, by which its entries are known; by default that of the source."
        ),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(
            help="Time zone of its schedules, such as America/New_York; by default COORDHUB_TIME_ZONE."
        ),
    ] = None,
    nightly: Annotated[
        bool | None,
        typer.Option(
            "--nightly/--once", help="Have workers read it again every day, or not any more."
        ),
    ] = None,
    gone_for_sure: Annotated[
        bool,
        typer.Option(
            "--gone-for-sure",
            help="Make inactive what the feed has no more, also if that is most of it.",
        ),
    ] = False,
    home: Home = None,
) -> None:
    """Take a feed of the directory in: what has changed is written, what is gone made inactive. Needs DATABASE_URL."""
    from coordhub.directory.hsds.entries import FEED_NAME
    from coordhub.directory.hsds.reading import UnreadableError
    from coordhub.record import feeds
    from coordhub.routing import feeding
    from coordhub.store import feeds as store

    settings = read_settings(home)
    name = feed or feeding.named(source)
    if FEED_NAME.fullmatch(name) is None:
        stop(
            f"coordhub import-hsds: {name} is no name of a feed. Use --feed with small letters, digits and hyphens."
        )
    stated = zone or (settings.time_zone if settings.time_zone != "UTC" else None)

    async def taken(hub: Hub) -> feeds.Outcome:
        files = await _files(settings, feeding.lasting(source))
        async with hub.engine.pool.acquire() as conn:
            before = await store.by_name(conn, name)
            if before is not None:
                kept_zone = stated or before.zone
                every = before.every if nightly is None else DAILY if nightly else None
            else:
                kept_zone, every = stated, DAILY if nightly else None
            due = feeds.next_time(hub.clock(), every)
            await store.keep(conn, name, feeding.lasting(source), kept_zone, every, due)
            kept = await store.by_name(conn, name)
        assert kept is not None
        return await feeds.take_in(hub, kept, files, gone_for_sure=gone_for_sure)

    try:
        outcome = _on_a_hub(settings, taken, home)
    except (UnreadableError, feeding.UnreachableError) as error:
        stop(f"coordhub import-hsds: {error}.")
    except feeds.BusyError:
        stop(f"coordhub import-hsds: {name} is being read just now. Wait until that is done.")
    for one in outcome.faults[:SHOWN]:
        print(one)
    if len(outcome.faults) > SHOWN:
        print(f"... and {len(outcome.faults) - SHOWN} more")
    if outcome.kept:
        print(
            f"{outcome.kept} entries are gone, more than half of the feed: they were left as they are. "
            "If they are gone for sure, say --gone-for-sure."
        )
    if outcome.merged or outcome.to_look_at:
        print(
            f"{outcome.merged} merged with the same of another feed; {outcome.to_look_at} to be looked at: "
            "coordhub duplicates list"
        )
    changes = outcome.written + outcome.gone
    print(
        f"{name}: {outcome.written} written, {outcome.gone} made inactive, {outcome.unchanged} unchanged, "
        f"{outcome.withheld} withheld, {outcome.refused} refused."
        + ("" if changes else " Nothing has changed.")
    )


def export_hsds(
    output: Annotated[Path, typer.Argument(help="File to write, such as county.json.")],
    feed: Annotated[
        str | None,
        typer.Option(help="Only what came from this feed; by default all of the directory."),
    ] = None,
    home: Home = None,
) -> None:
    """Write the directory as HSDS 3, in JSON: services, each whole, and their taxonomy terms. Needs DATABASE_URL."""
    from coordhub.r4 import document as fhir_json
    from coordhub.record import feeds

    async def told(hub: Hub) -> dict[str, list[dict[str, Any]]]:
        return await feeds.told(hub, feed)

    found = _on_a_hub(read_settings(home), told, home)
    try:
        output.write_bytes(fhir_json.encode(found))
    except OSError as error:
        stop(f"coordhub export-hsds: {output} cannot be written ({type(error).__name__}).")
    print(f"{len(found['services'])} services written to {output}.")


def list_feeds(
    faults: Annotated[
        str | None,
        typer.Option("--faults", help="Name of a feed: print what of it could not be taken."),
    ] = None,
    home: Home = None,
) -> None:
    """Print the feeds of the directory: name, source, next and last reading, what came of it. Needs DATABASE_URL."""
    from coordhub.store import feeds as store

    async def listed(hub: Hub) -> list[store.Feed]:
        async with hub.engine.pool.acquire() as conn:
            return await store.all_of(conn)

    found: list[store.Feed] = _on_a_hub(read_settings(home), listed, home)
    if faults is not None:
        named = [one for one in found if one.name == faults]
        if not named:
            stop(f"coordhub feeds: there is no feed {faults}.")
        for fault in (named[0].outcome or {}).get("listed", ()):
            print(fault["file"], fault["row"], fault["field"], fault["what"], sep="\t")
        return
    for one in found:
        told = one.outcome or {}
        came = ", ".join(
            f"{told[name]} {name}"
            for name in ("written", "gone", "withheld", "faults")
            if name in told
        )
        said = told.get("failed") or came or "-"
        print(one.name, one.source, one.due_at or "-", one.ran_at or "never", said, sep="\t")


duplicates = typer.Typer(
    no_args_is_help=True, help="Services that two feeds tell of. Needs DATABASE_URL, or --home."
)
Service = Annotated[str, typer.Argument(help="HealthcareService/id")]


@duplicates.command("list")
def list_duplicates(
    state: Annotated[str, typer.Option(help="proposed, merged or apart.")] = "proposed",
    home: Home = None,
) -> None:
    """Print pairs: state, the one that stays and its name, the other and its name, what both say, who decided."""
    from coordhub.record import parties, twins

    found: list[Any] = _on_a_hub(read_settings(home), lambda hub: twins.listed(hub, [state]), home)
    for pair, kept, other in found:
        names = [str(parties.document(one).get("name", "-")) for one in (kept, other)]
        decided = pair.by or ("-" if pair.state == "proposed" else "coordhub")
        print(
            pair.state,
            kept.reference,
            names[0],
            other.reference,
            names[1],
            pair.because,
            decided,
            sep="\t",
        )


@duplicates.command("find")
def find_duplicates(home: Home = None) -> None:
    """Compare now what feeds tell of, as after each reading that has written something."""
    from coordhub.record import twins

    merged, waiting = _on_a_hub(read_settings(home), twins.look, home)
    print(f"{merged} merged, {waiting} to be looked at.")


@duplicates.command("merge")
def merge_duplicates(kept: Service, other: Service, home: Home = None) -> None:
    """Offer the first only; the second stays, inactive, and goes on being told by its feed."""
    _decide(kept, other, "merged", home)


@duplicates.command("apart")
def part_duplicates(one: Service, other: Service, home: Home = None) -> None:
    """Say that they are two; what was merged is as before, and is not merged by itself again."""
    _decide(one, other, "apart", home)


def _decide(one: str, other: str, state: str, home: Path | None) -> None:
    from coordhub.record import twins

    by = operator().account
    try:
        _on_a_hub(read_settings(home), lambda hub: twins.decide(hub, one, other, state, by), home)
    except twins.CannotMergeError as error:
        stop(f"coordhub duplicates: {error}")
    print(f"{one} and {other}: {state}.")


async def _files(settings: Settings, source: str) -> dict[str, bytes]:
    from coordhub.outbound.client import trusting
    from coordhub.routing import feeding

    own = settings.outbound_authorities
    tls = trusting(own) if own is not None else None
    async with feeding.outbound(settings.outbound_networks, tls) as outbound:
        return await feeding.files_of(source, outbound)


def _on_a_hub(settings: Settings, step: Any, home: Path | None) -> Any:
    """On the hub of DATABASE_URL, or else on the development mode's, if its home is named."""
    from coordhub.record.bootstrap import open_hub
    from coordhub.referral import same_kind
    from coordhub.sandbox import issuing

    url = address(settings) if home is not None else need(settings, key=False)
    if settings.same_kind is not None:
        same_kind.use(same_kind.read(settings.same_kind.read_bytes()))

    async def done() -> Any:
        async with issuing.engine_of(settings.home, url) as engine:
            return await step(await open_hub(engine, settings.base))

    try:
        return run(done())
    except issuing.CannotIssue as nothing:
        stop(f"coordhub: {nothing}")
