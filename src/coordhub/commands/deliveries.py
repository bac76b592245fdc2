"""Commands about deliveries that do not go, and endpoints that fail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from coordhub.commands.wiring import Reason, act, operator, stop

if TYPE_CHECKING:
    from coordhub.store.engine import Engine
    from coordhub.store.letters import Which

deliveries = typer.Typer(
    no_args_is_help=True,
    help="Deliveries that wait or were given up, and endpoints that fail. Needs DATABASE_URL.",
)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of deliveries; none: by the options.")]
State = Annotated[
    list[str] | None,
    typer.Option(help="dead, parked, queued, leased, suppressed or delivered; may be repeated."),
]
Endpoint = Annotated[str | None, typer.Option(help="Endpoint/id they were meant for.")]
Organization = Annotated[str | None, typer.Option(help="Organization/id they were meant for.")]
Since = Annotated[datetime | None, typer.Option(help="Planned then or later (UTC).")]
Because = Annotated[
    str | None, typer.Option("--why", help="Part of the reason that the ledger gives.")
]
Until = Annotated[datetime | None, typer.Option(help="Planned before (UTC).")]
STATES = ("dead", "parked", "queued", "leased", "suppressed", "delivered")


def _which(
    ids: list[str] | None,
    states: tuple[str, ...],
    endpoint: str | None,
    organization: str | None,
    since: datetime | None,
    until: datetime | None,
    why: str | None = None,
) -> Which:
    from coordhub.store.letters import Which

    try:
        meant = tuple(UUID(one) for one in ids or ())
    except ValueError:
        stop("coordhub deliveries: the id of a delivery is a UUID.")
    unknown = sorted(set(states) - set(STATES))
    if unknown:
        stop(f"coordhub deliveries: --state is one of {', '.join(STATES)}.")
    return Which(
        states, meant, _id("Endpoint", endpoint), _id("Organization", organization),
        since and since.replace(tzinfo=UTC), until and until.replace(tzinfo=UTC),
        why,
    )  # fmt: skip


def _id(kind: str, reference: str | None) -> str | None:
    if reference is None:
        return None
    before, _, fhir_id = reference.rpartition("/")
    if before not in ("", kind) or not fhir_id:
        stop(f"coordhub deliveries: name it as {kind}/id.")
    return fhir_id


@deliveries.command("list")
def list_deliveries(
    state: State = None,
    endpoint: Endpoint = None,
    organization: Organization = None,
    since: Since = None,
    until: Until = None,
    why: Because = None,
) -> None:
    """Print deliveries, oldest first; those that are dead or parked when nothing is said."""
    which = _which(
        None, tuple(state or ("dead", "parked")), endpoint, organization, since, until, why
    )

    async def step(engine: Engine) -> None:
        from coordhub.admin import letters

        for one in await letters.listed(engine, which):
            print(
                one.id, one.state, one.organization, one.endpoint or "inbox", one.what,
                f"v{one.version}", one.attempts, f"{one.created_at:%Y-%m-%dT%H:%M:%SZ}",
                one.reason or "", sep="\t",
            )  # fmt: skip

    act("deliveries", step)


@deliveries.command("show")
def show(delivery: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Print every attempt at one delivery."""
    (meant,) = _which([delivery], (), None, None, None, None).ids

    async def step(engine: Engine) -> None:
        from coordhub.admin import letters

        for one in await letters.attempts(engine, meant):
            print(
                one.number, f"{one.at:%Y-%m-%dT%H:%M:%SZ}", one.outcome, one.status or "",
                f"{one.latency_ms} ms", one.detail or "", sep="\t",
            )  # fmt: skip

    act("deliveries", step)


@deliveries.command("replay")
def replay(
    ids: Ids = None,
    endpoint: Endpoint = None,
    organization: Organization = None,
    since: Since = None,
    until: Until = None,
    why: Because = None,
    as_new: Annotated[
        bool,
        typer.Option(
            "--as-new", help="With a new Idempotency-Key, a new budget, and content as it is now."
        ),
    ] = False,
) -> None:
    """Send dead or parked deliveries once more, if the recipient may still see them."""
    which = _which(ids, ("dead", "parked"), endpoint, organization, since, until, why)
    _carry_out("delivery-replayed-as-new" if as_new else "delivery-replayed", which, "")


@deliveries.command("discard")
def discard(
    reason: Reason,
    ids: Ids = None,
    endpoint: Endpoint = None,
    organization: Organization = None,
    since: Since = None,
    until: Until = None,
    why: Because = None,
) -> None:
    """Give dead, parked or queued deliveries up for good; what waited behind them goes on."""
    which = _which(ids, ("dead", "parked", "queued"), endpoint, organization, since, until, why)
    _carry_out("delivery-discarded", which, reason)


def _carry_out(what: str, which: Which, reason: str) -> None:
    async def step(engine: Engine) -> None:
        from coordhub.admin import letters

        done = await letters.carry_out(engine, operator(), what, which, engine.now(), reason)
        print(f"{len(done)} {what.removeprefix('delivery-').replace('-', ' ')}.")

    act("deliveries", step)


@deliveries.command("endpoints")
def endpoints() -> None:
    """Print the endpoints that fail or are recovering: since when, next probe, why."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import letters

        for reference, one in await letters.troubled(engine):
            since = f"{one.opened_at:%Y-%m-%dT%H:%M:%SZ}" if one.opened_at else ""
            probe = f"{one.probe_at:%Y-%m-%dT%H:%M:%SZ}" if one.probe_at else ""
            print(reference, one.state, one.failures, since, probe, one.reason or "", sep="\t")
        for reference, waits in await letters.unproved(engine):
            again = f"{waits.next_at:%Y-%m-%dT%H:%M:%SZ}"
            print(reference, "unproved", waits.failures, "", again, waits.reason or "", sep="\t")

    act("deliveries", step)


@deliveries.command("probe")
def probe(endpoint: Annotated[str, typer.Argument(help="Endpoint/id that is left alone.")]) -> None:
    """Try an endpoint at once, instead of when its next probe is due."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import letters

        await letters.probe(engine, operator(), endpoint, engine.now())

    act("deliveries", step)
