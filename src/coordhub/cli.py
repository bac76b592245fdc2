"""The command line: each command wires the parts and runs them.

https://typer.tiangolo.com

Imports stand inside the commands, so that `--help` and a wrong option answer at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands import (
    agreement,
    audit,
    clients,
    database,
    deliveries,
    exchange,
    feeds,
    labels,
    offboarding,
    onboarding,
    operators,
    people,
    persons,
    registering,
    removal,
    reporting,
    restoring,
    running,
    schedules,
    vsp,
)
from coordhub.commands.wiring import Home
from coordhub.commands.wiring import need as _need
from coordhub.commands.wiring import read_settings as _settings
from coordhub.commands.wiring import run as _run
from coordhub.commands.wiring import secret as _secret
from coordhub.commands.wiring import stop as _stop
from coordhub.commands.wiring import token_key as _key
from coordhub.commands.wiring import trace as _trace

if TYPE_CHECKING:
    pass

cli = typer.Typer(
    name="coordhub",
    help="A FHIR R4 hub that routes referrals and results.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

cli.add_typer(audit.audit, name="audit")
cli.add_typer(registering.registered, name="clients")
cli.add_typer(onboarding.onboard, name="onboard")
cli.add_typer(labels.labels, name="labels")
cli.add_typer(deliveries.deliveries, name="deliveries")
cli.add_typer(operators.operators, name="operators")
cli.add_typer(persons.persons, name="persons")
cli.add_typer(people.people, name="people")
cli.add_typer(reporting.prices, name="prices")
cli.add_typer(restoring.restored, name="restored")
cli.add_typer(restoring.sending, name="sending")
cli.add_typer(vsp.vsp, name="vsp")
cli.add_typer(removal.expunge, name="expunge")
cli.add_typer(schedules.retention, name="retention")
cli.command()(database.migrate)
cli.command()(database.reindex)
cli.command()(database.reproject)
cli.command()(database.check)
cli.command()(database.pooler)
cli.command()(database.distribute)
cli.command()(reporting.report)
cli.command()(clients.token)
cli.command()(clients.client)
cli.command()(clients.partner)
cli.command()(agreement.agreement)
cli.command()(clients.access_code)
cli.command()(schedules.hold)
cli.command()(removal.export)
cli.command()(exchange.exchange)
cli.command()(exchange.share)
cli.command()(offboarding.offboard)
cli.add_typer(feeds.duplicates, name="duplicates")
cli.command()(feeds.import_hsds)
cli.command()(feeds.export_hsds)
cli.command("feeds")(feeds.list_feeds)


As = Annotated[str, typer.Option("--as", help="Organization of the sample community to act as.")]


def main() -> None:
    """The entry point of the `coordhub` script."""
    try:
        cli()
    except KeyboardInterrupt:
        sys.exit(130)


@cli.command()
def dev() -> None:
    """Run everything here: Postgres, hub, worker, a sample community and its partner simulator."""
    from coordhub import telemetry
    from coordhub.sandbox import dev, place

    settings = _settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    log = (settings.home / place.LOG).open("a", encoding="utf-8")
    telemetry.configure(settings.log_level, log)
    plan = dev.Plan(
        settings.home,
        settings.host,
        settings.port,
        settings.base if settings.base_url is not None else None,
        _secret(settings.database_url),
        _key(settings),
        settings.postgres_bin,
        settings.consent_policy,
    )
    raise typer.Exit(_run(dev.run(plan, running.parts(settings))))


@cli.command()
def serve() -> None:
    """Serve the API, without routing; needs DATABASE_URL and COORDHUB_TOKEN_KEY."""
    import uvicorn

    from coordhub import app, telemetry
    from coordhub.wire import InOnePiece

    settings = _settings()
    telemetry.configure(settings.log_level)
    _need(settings, key=True)
    _trace(settings)
    if settings.metrics_port is not None:
        telemetry.serve_metrics(settings.host, settings.metrics_port)
    try:
        uvicorn.run(
            app.build(settings),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=InOnePiece,
            ws="websockets-sansio",
            ws_max_size=16384,
            ws_per_message_deflate=False,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    except SystemExit:
        _stop(
            f"coordhub serve: it cannot start on {settings.host}:{settings.port}. Look whether the "
            "port is free and the database of DATABASE_URL up and migrated (coordhub migrate)."
        )


@cli.command()
def work() -> None:
    """Route what was committed: plan, deliver, retry; seal the audit. Any number may run.

    Needs DATABASE_URL and COORDHUB_TOKEN_KEY.
    """
    from coordhub import telemetry

    settings = _settings()
    telemetry.configure(settings.log_level)
    _need(settings, key=True)
    _trace(settings)
    _run(running.work_until_told(settings))


@cli.command()
def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole run as one JSON document.")
    ] = False,
    home: Home = None,
) -> None:
    """Play one referral from start to end against the running development mode."""
    import uuid

    from rich.console import Console

    from coordhub.r4 import document as fhir_json
    from coordhub.sandbox import transcript
    from coordhub.sandbox.demo import Demo

    console = Console(quiet=as_json)
    credentials = _credentials(home)
    steps: list[transcript.Step] = []

    def shown(step: transcript.Step) -> None:
        steps.append(step)
        transcript.show_step(console, len(steps), step)

    played = Demo(credentials, uuid.uuid4().hex[:12], shown)
    failure = None
    try:
        _run(played.play())
    except transcript.Unanswered:
        _stop(f"coordhub demo: no hub answers at {played.base}. Start one first: make run")
    except transcript.Failed as failed:
        failure = str(failed)
    if as_json:
        print(fhir_json.encode(transcript.as_document(played.run, steps, failure)).decode())
    elif failure is None:
        seconds = sum(step.milliseconds for step in steps) / 1000
        console.print(
            f"[bold green]Done:[/bold green] sent, accepted, answered in {seconds:.2f} s."
        )
    if failure is not None:
        _stop(f"coordhub demo: {failure}")


@cli.command()
def load(
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders: json, ndjson, either as gz.")
    ],
    member: As = "riverside",
    base: Annotated[str | None, typer.Option(help="FHIR base of another hub.")] = None,
    token: Annotated[
        str | None, typer.Option(help="Bearer token for it.", envvar="COORDHUB_TOKEN")
    ] = None,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Requests under way at a time.")] = 4,
    refusals: Annotated[Path, typer.Option(help="Where every refusal is written.")] = Path(
        "load-refusals.ndjson"
    ),
    home: Home = None,
) -> None:
    """Send Bundles and resources; run it again after a break, nothing is stored twice."""
    from rich.console import Console

    from coordhub.sandbox import load as loading
    from coordhub.sandbox.progress import loading_bar, print_summary

    if base is None or token is None:
        credentials = _credentials(home)
        base = base or credentials["base"]
        token = token or _member(credentials, member)["token"]
    console = Console()
    target = loading.Target(base.rstrip("/"), token)
    try:
        with loading_bar(console, paths) as advance:
            summary = _run(
                loading.load(paths, target, refusals=refusals, at_once=at_once, advance=advance)
            )
    except (loading.Stopped, FileNotFoundError) as error:
        missing = isinstance(error, FileNotFoundError)
        _stop(f"coordhub load: {f'{error} is not there.' if missing else error}")
    print_summary(console, summary)
    raise typer.Exit(1 if summary.refused else 0)


@cli.command()
def openapi(
    output: Annotated[
        Path | None, typer.Argument(help="File to write, such as openapi/coordhub.json.")
    ] = None,
    of_admin: Annotated[
        bool, typer.Option("--admin", help="Of the admin API, for operators.")
    ] = False,
) -> None:
    """Print the OpenAPI description of the API, or write it to a file."""
    from coordhub.admin import openapi as of_operators
    from coordhub.fhir import openapi as of_partners

    described = of_operators.text() if of_admin else of_partners.text()
    if output is None:
        print(described, end="")
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(described, encoding="utf-8")


def _credentials(home: Path | None) -> dict[str, Any]:
    from coordhub.sandbox import place

    folder = _settings(home).home
    credentials = place.read_credentials(folder)
    if credentials is None:
        _stop(f"There is no hub of {folder} to talk to. Start one first: make run")
    return credentials


def _member(credentials: dict[str, Any], key: str) -> dict[str, Any]:
    organizations: dict[str, dict[str, Any]] = {
        **credentials["organizations"],
        "admin": credentials["admin"],
    }
    if key not in organizations:
        _stop(f"There is no {key} in the sample community. Known are {', '.join(organizations)}.")
    return organizations[key]
