"""Commands about partners that come on board: docs/onboarding.md goes through them.

They work on the database of DATABASE_URL, or else on the development mode's, if its home is named. Imports
stand inside the commands, so that `--help` and a wrong option answer at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands.registering import SYSTEM, Jwks, keys_given
from coordhub.commands.wiring import Home, Reason, act, opened, operator, read_settings

if TYPE_CHECKING:
    from coordhub.admin.onboarding import Standing
    from coordhub.record.hub import Hub
    from coordhub.store.engine import Engine
    from coordhub.store.onboarding import Report

onboard = typer.Typer(
    no_args_is_help=True,
    help="Partners come on board: registered in the sandbox, checked, approved by a second person.",
)

Client = Annotated[str, typer.Argument(help="The partner's client: its client_id.")]


@onboard.command()
def register(
    client: Client,
    organization: Annotated[
        str, typer.Option(help="Organization/id of the directory that it is to act for.")
    ],
    jwks: Jwks,
    scope: Annotated[str, typer.Option(help="The most it may ask for.")] = SYSTEM,
    endpoint: Annotated[
        str | None, typer.Option(help="The base of its own FHIR server, if it has one.")
    ] = None,
    header_file: Annotated[
        Path | None,
        typer.Option(help="File with headers by which that lets the hub in, a line each."),
    ] = None,
    home: Home = None,
) -> None:
    """Register a partner's client, in the sandbox: it can ask for tokens at once."""

    async def step(hub: Hub) -> Standing:
        from coordhub.admin import onboarding
        from coordhub.admin.acts import NothingDone

        headers: Sequence[str] = ()
        if header_file is not None:
            try:
                headers = header_file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise NothingDone(f"{header_file} cannot be read.") from error
        server = None if endpoint is None else onboarding.server_of(endpoint, headers)
        asked = onboarding.Registration(client, organization, keys_given(jwks), scope, server)
        return await onboarding.register(hub, operator(), asked)

    _on_hub("register", step, home)


@onboard.command()
def show(client: Client, home: Home = None) -> None:
    """How far it is, and who let it."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import onboarding

        async with engine.pool.acquire() as conn:
            _print(await onboarding.standing(conn, client))

    act("onboard show", step, home)


@onboard.command("list")
def list_(home: Home = None) -> None:
    """Every partner's client and how far it is."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import onboarding

        async with engine.pool.acquire() as conn:
            for one in await onboarding.listed(conn):
                print(one.client, one.state, one.organization, one.sandbox, sep="\t")

    act("onboard list", step, home)


@onboard.command()
def check(
    client: Client,
    sample: Annotated[
        Path | None, typer.Option(help="File with a resource as it would send it.")
    ] = None,
    home: Home = None,
) -> None:
    """Go through the check list, at its server and at what it did here, and print what was found."""

    async def step(engine: Engine) -> Report:
        from coordhub import app
        from coordhub.admin import checking
        from coordhub.admin.acts import NothingDone

        content = None
        if sample is not None:
            try:
                content = sample.read_bytes()
            except OSError as error:
                raise NothingDone(f"{sample} cannot be read.") from error
        look = app.look_of(read_settings(home))
        return await checking.check(await opened(engine, home), operator(), client, look, content)

    _on_report("check", step, home)


@onboard.command()
def report(client: Client, home: Home = None) -> None:
    """Print the newest report of the check list."""

    async def step(engine: Engine) -> Report:
        from coordhub.admin import checking

        return await checking.report_of(await opened(engine, home), client)

    _on_report("report", step, home)


@onboard.command()
def approve(
    client: Client,
    in_spite: Annotated[
        str | None,
        typer.Option(help="Why it is approved although the report does not allow it."),
    ] = None,
    same_server: Annotated[
        bool,
        typer.Option(
            "--same-server", help="Reach its organization at the server that was checked."
        ),
    ] = False,
    home: Home = None,
) -> None:
    """Let it out of the sandbox: by another person than who registered it or had it checked."""

    async def step(hub: Hub) -> Standing:
        from coordhub.admin import checking

        return await checking.approve(
            hub, operator(), client, in_spite=in_spite, same_server=same_server
        )

    _on_hub("approve", step, home)


@onboard.command()
def suspend(client: Client, reason: Reason, home: Home = None) -> None:
    """Let it in no longer, for now; its tokens stop at once."""

    async def step(hub: Hub) -> Standing:
        from coordhub.admin import onboarding

        return await onboarding.suspend(hub, operator(), client, reason)

    _on_hub("suspend", step, home)


@onboard.command()
def resume(client: Client, reason: Reason, home: Home = None) -> None:
    """Let one that is suspended in again, where it was."""

    async def step(hub: Hub) -> Standing:
        from coordhub.admin import onboarding

        return await onboarding.resume(hub, operator(), client, reason)

    _on_hub("resume", step, home)


@onboard.command()
def end(client: Client, reason: Reason, home: Home = None) -> None:
    """Let it in no longer, for good; its organization leaves by `coordhub offboard`."""

    async def step(hub: Hub) -> Standing:
        from coordhub.admin import onboarding

        return await onboarding.end(hub, operator(), client, reason)

    _on_hub("end", step, home)


def _on_hub(
    command: str, step: Callable[[Hub], Coroutine[Any, Any, Standing]], home: Path | None
) -> None:
    async def done(engine: Engine) -> None:
        _print(await step(await opened(engine, home)))

    act(f"onboard {command}", done, home)


def _on_report(
    command: str, step: Callable[[Engine], Coroutine[Any, Any, Report]], home: Path | None
) -> None:
    failed: list[int] = []

    async def done(engine: Engine) -> None:
        made = await step(engine)
        print(f"{made.at.isoformat(timespec='seconds')} by {made.by}")
        width = max((len(one.name) for one in made.items), default=0)
        for one in made.items:
            print(f"{one.result:<9}  {one.name:<{width}}  {one.found}")
            if one.next:
                print(f"{'':<9}  {'':<{width}}  -> {one.next}")
        failed.append(made.failed)

    act(f"onboard {command}", done, home)
    if failed and failed[0]:
        raise typer.Exit(2)


def _print(standing: Standing) -> None:
    from dataclasses import asdict

    for name, value in asdict(standing).items():
        if value is not None:
            print(name, value, sep="\t")
