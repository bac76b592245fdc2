"""The command for an organization that leaves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coordhub.commands.wiring import Reason, on_a_hub, operator, stop

if TYPE_CHECKING:
    from coordhub.record.hub import Hub


def offboard(
    organization: Annotated[str, typer.Argument(help="Organization/id")],
    reason: Reason,
    out: Annotated[
        Path, typer.Option(help="File (NDJSON) for all that it wrote: to be given to it.")
    ],
    withdraw: Annotated[
        bool,
        typer.Option(
            "--withdraw", help="Withdraw what it has sent itself and nobody else coordinates."
        ),
    ] = False,
) -> None:
    """Let an organization go: its data out, its clients and Endpoints off, its referrals to somebody else.

    A second time it does what is left. Needs DATABASE_URL.
    """
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        stop(f"coordhub offboard: {out} cannot be written: {error.strerror}.")

    async def step(hub: Hub) -> None:
        import dataclasses

        from coordhub.admin import offboarding
        from coordhub.app import deadlines_of
        from coordhub.commands.wiring import read_settings

        settings = read_settings()
        hub = dataclasses.replace(
            hub, deadlines=deadlines_of(settings), coordinator=settings.coordinator
        )
        with os.fdopen(descriptor, "wb") as file:
            count = await offboarding.export(hub, operator(), organization, file.write)
        left = await offboarding.offboard(hub, operator(), organization, reason, withdraw=withdraw)
        print(f"{count} resources in {out}.")
        for what, named in (
            ("client deactivated", left.clients),
            ("switched off", left.entries),
            ("asked no longer", left.handed),
            ("looked after" if not withdraw else "looked after or withdrawn", left.own),
        ):
            for one in named:
                print(what, one, sep="\t")
        print(f"{left.suppressed} deliveries are not sent.")

    on_a_hub("offboard", step)
