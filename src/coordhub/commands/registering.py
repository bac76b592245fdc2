"""Commands about clients that ask for their tokens themselves (SMART Backend Services).

They work on the database of DATABASE_URL, or else on the development mode's. Imports stand inside the
commands, so that `--help` and a wrong option answer at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands.wiring import Home, address, operator, read_settings, run, stop

if TYPE_CHECKING:
    from coordhub.admin.registering import Keys
    from coordhub.store.engine import Engine

registered = typer.Typer(
    no_args_is_help=True, help="Clients that prove by keys of their own who they are."
)

SYSTEM = "system/*.cruds"
APP = "launch launch/patient openid fhirUser offline_access online_access patient/*.rs user/*.rs"
"""Scopes that a client, or an app, is registered for."""

Name = Annotated[str, typer.Argument(help="The client: its client_id.")]
Jwks = Annotated[
    str,
    typer.Option(help="File with its public keys (a JSON Web Key Set), or their https address."),
]


@registered.command()
def add(
    name: Name,
    organization: Annotated[
        str, typer.Option(help="Organization/id of the directory that it acts for.")
    ],
    jwks: Annotated[
        str | None,
        typer.Option(
            help="File with its public keys (a JSON Web Key Set), or their https address."
        ),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(
            help="The most it may ask for. Unless said otherwise, all, or of an app to read."
        ),
    ] = None,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option(help="It is an app, and this is where people come back to; may be repeated."),
    ] = None,
    launch_uri: Annotated[
        str | None,
        typer.Option(help="Where the app begins; the portal then offers to open it at a request."),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="What people are told that the app is called.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="The app keeps no key: it runs at the person's.")
    ] = False,
    home: Home = None,
) -> None:
    """Register a client or an app; docs/integration.md says how it then gets tokens."""
    if redirect_uri and (jwks is None) != public:
        stop("coordhub clients add: an app is --public, or it has --jwks.")
    if not redirect_uri and (public or jwks is None or title is not None or launch_uri):
        stop("coordhub clients add: give --jwks; or --redirect-uri and --title, if it is an app.")

    async def done(engine: Engine) -> None:
        from coordhub.admin import registering

        app = registering.app_of(title or name, redirect_uri, launch_uri) if redirect_uri else None
        await registering.register(
            engine, operator(), name, organization,
            scope or (SYSTEM if app is None else APP),
            registering.Keys() if jwks is None else keys_given(jwks), engine.now(), app,
        )  # fmt: skip

    _on("clients add", done, home)


@registered.command()
def keys(name: Name, jwks: Jwks, home: Home = None) -> None:
    """Let these keys count, and no others; to go from one to the next, give both for a while."""

    async def done(engine: Engine) -> None:
        from coordhub.admin import registering

        await registering.change_keys(engine, operator(), name, keys_given(jwks), engine.now())

    _on("clients keys", done, home)


@registered.command()
def disable(name: Name, home: Home = None) -> None:
    """Take it out of use: what tokens it got from the hub stop at once."""
    _switch("clients disable", name, False, home)


@registered.command()
def enable(name: Name, home: Home = None) -> None:
    """Let it ask for tokens again."""
    _switch("clients enable", name, True, home)


@registered.command()
def limits(
    name: Name,
    per_second: Annotated[
        float | None, typer.Option(help="Requests a second at most; 0, as below: as is usual.")
    ] = None,
    burst: Annotated[int | None, typer.Option(help="Requests at once, after a while.")] = None,
    at_once: Annotated[int | None, typer.Option(help="Requests under way together.")] = None,
    per_day: Annotated[int | None, typer.Option(help="Requests in a day, UTC.")] = None,
    home: Home = None,
) -> None:
    """Say how much it may ask, or, without options, print it."""

    async def done(engine: Engine) -> None:
        from dataclasses import asdict

        from coordhub.admin import limiting
        from coordhub.store.clients import Allowance

        asked = Allowance(per_second, burst, at_once, per_day)
        if asked == Allowance():
            async with engine.pool.acquire() as conn:
                holds = await limiting.of(conn, name)
        else:
            holds = await limiting.allow(engine, operator(), name, asked, engine.now())
        for what, value in asdict(holds).items():
            print(f"{what}\t{value or 'usual'}")

    _on("clients limits", done, home)


@registered.command(name="list")
def list_(home: Home = None) -> None:
    """Every client: whom it acts for, whether it may, its keys, its scopes."""

    async def done(engine: Engine) -> None:
        from coordhub.admin import registering

        async with engine.pool.acquire() as conn:
            for each in await registering.listed(conn):
                print("\t".join(each))

    _on("clients list", done, home)


def _switch(command: str, name: str, active: bool, home: Path | None) -> None:
    async def done(engine: Engine) -> None:
        from coordhub.admin import acts

        await acts.change_client(engine, operator(), name, engine.now(), active=active)

    _on(command, done, home)


def keys_given(given: str) -> Keys:
    from coordhub.admin.acts import NothingDone
    from coordhub.admin.registering import keys_of

    if "://" in given:
        return keys_of(given)
    try:
        return keys_of(Path(given).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise NothingDone(f"{given} cannot be read.") from error


def _on(
    command: str, step: Callable[[Engine], Coroutine[Any, Any, None]], home: Path | None
) -> None:
    from coordhub.admin.acts import NothingDone
    from coordhub.sandbox import issuing

    settings = read_settings(home)

    async def done() -> None:
        async with issuing.engine_of(settings.home, address(settings)) as engine:
            await step(engine)

    try:
        run(done())
    except (NothingDone, issuing.CannotIssue) as nothing:
        stop(f"coordhub {command}: {nothing}")
