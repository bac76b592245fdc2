"""Commands for a hub that was restored from a backup, and to pause what is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from coordhub.commands.wiring import Reason, act, on_a_hub, operator, read_settings

if TYPE_CHECKING:
    from coordhub.record.hub import Hub
    from coordhub.store.engine import Engine
    from coordhub.store.pauses import Why

restored = typer.Typer(
    no_args_is_help=True,
    help="After a restore from a backup (docs/runbook.md). Needs DATABASE_URL.",
)
sending = typer.Typer(
    no_args_is_help=True, help="Whether anything is sent to partners. Needs DATABASE_URL."
)


@restored.command("begin")
def begin() -> None:
    """Before any process is started: pause what is sent, read partners again, print what is to be looked at."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import restoring
        from coordhub.record.hub import system_clock

        done = await restoring.begin(engine, operator(), system_clock())
        print("Sending is paused.")
        if done.shows is not None:
            print(f"The backup knows of nothing after {done.shows:%Y-%m-%dT%H:%M:%S.%fZ}.")
        print(f"{done.reading} readings from partners are due at once.")
        for one in done.standing:
            print(
                one.organization, f"{one.deliveries} deliveries wait",
                f"{one.referrals} referrals open", f"{one.consents} Consents of its", sep="\t",
            )  # fmt: skip
        print(
            "Ask those who write Consents to send what they changed since. Remove again what was"
            " expunged (coordhub expunge replay). Look which clients were deactivated since."
        )

    act("restored", step)


@restored.command("gaps")
def gaps() -> None:
    """Ask partners' servers what they know of the hub's referrals that is not here, or otherwise."""

    async def step(hub: Hub) -> None:
        from uuid import uuid4

        from coordhub.admin.acts import NothingDone
        from coordhub.outbound.client import Outbound
        from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest
        from coordhub.routing.gaps import gaps
        from coordhub.store import pauses

        async with hub.engine.pool.acquire() as conn:
            shows = [one.shows for one in await pauses.current(conn) if one.shows is not None]
        if not shows:
            raise NothingDone("first: coordhub restored begin")
        many = 0
        async with Outbound(allowed_networks=read_settings().outbound_networks) as outbound:
            channel = HL7FhirRest(outbound, hub.clock)
            async for one in gaps(hub, channel, min(shows), uuid4()):
                many += 1
                here = f"{one.here} here" if one.here else "not here"
                print(
                    one.organization, one.endpoint, one.task or "not asked", one.there,
                    here if one.task else "", one.referral, sep="\t",
                )  # fmt: skip
        print(f"{many} gaps.")

    on_a_hub("restored", step)


@restored.command("done")
def done(reason: Reason) -> None:
    """What had to be looked at was: send again."""
    _resume("restored", reason)


@sending.command("pause")
def pause(reason: Reason) -> None:
    """Send nothing, and let it wait; what is asked and written goes on."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import restoring
        from coordhub.record.hub import system_clock

        await restoring.pause(engine, operator(), reason, system_clock())

    act("sending", step)


@sending.command("resume")
def resume(reason: Reason) -> None:
    """Send what waited. After a restore: coordhub restored done."""
    _resume("operator", reason)


@sending.command("status")
def status() -> None:
    """Print why nothing is sent, and since when; nothing if it is."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import restoring

        for one in await restoring.paused(engine):
            print(one.why, f"{one.since:%Y-%m-%dT%H:%M:%SZ}", sep="\t")

    act("sending", step)


def _resume(why: Why, reason: str) -> None:
    async def step(engine: Engine) -> None:
        from coordhub.admin import restoring
        from coordhub.record.hub import system_clock

        await restoring.resume(engine, operator(), why, reason, system_clock())

    act("sending", step)
