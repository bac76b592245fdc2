"""The command line: each command wires the parts and runs them.

https://typer.tiangolo.com

Imports stand inside the commands, so that `--help` and a wrong option answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands import audit, deliveries, exchange, labels, removal, running, schedules, vsp
from coordhub.commands.wiring import act as _act
from coordhub.commands.wiring import need as _need
from coordhub.commands.wiring import operator as _operator
from coordhub.commands.wiring import read_settings as _settings
from coordhub.commands.wiring import run as _run
from coordhub.commands.wiring import secret as _secret
from coordhub.commands.wiring import stop as _stop
from coordhub.commands.wiring import token_key as _key

if TYPE_CHECKING:
    from coordhub.record.hub import Hub
    from coordhub.settings import Settings
    from coordhub.store.engine import Engine

cli = typer.Typer(
    name="coordhub",
    help="A FHIR R4 hub that routes referrals and results.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

cli.add_typer(audit.audit, name="audit")
cli.add_typer(labels.labels, name="labels")
cli.add_typer(deliveries.deliveries, name="deliveries")
cli.add_typer(vsp.vsp, name="vsp")
cli.add_typer(removal.expunge, name="expunge")
cli.add_typer(schedules.retention, name="retention")
cli.command()(schedules.hold)
cli.command()(removal.export)
cli.command()(exchange.exchange)

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of the development mode to use; COORDHUB_HOME by default."),
]
PERSONAL = "system/*.rs system/Communication.c system/Observation.c system/QuestionnaireResponse.c system/Task.u"
"""Scopes of a person's client."""

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

    settings = _settings()
    telemetry.configure(settings.log_level)
    _need(settings, key=True)
    if settings.metrics_port is not None:
        telemetry.serve_metrics(settings.host, settings.metrics_port)
    try:
        uvicorn.run(
            app.build(settings),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            ws="none",
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
    url = _need(settings, key=True)
    _run(running.work_until_told(settings, url))


@cli.command()
def migrate() -> None:
    """Bring the database of DATABASE_URL to this version; several at once wait for each other."""
    from coordhub.store import migrate as migrations

    _run(migrations.upgrade(_need(_settings(), key=False)))
    print("The database is at this version.")


@cli.command()
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

    async def run(hub: Hub) -> int:
        looked, wrong = 0, 0
        async for page in index.reindex(hub, after=after, mend=not check):
            looked, wrong = looked + page.resources, wrong + len(page.wrong)
            print(f"{looked} resources, {wrong} not indexed as they are; done up to {page.last}")
        return wrong

    settings = _settings()
    wrong = _run(_on_the_hub(settings, _need(settings, key=False), run))
    raise typer.Exit(1 if check and wrong else 0)


@cli.command()
def reproject(
    check: Annotated[
        bool, typer.Option("--check", help="Compare only, and change nothing.")
    ] = False,
) -> None:
    """Compute episodes, candidates and timers again from the Tasks; needs DATABASE_URL.

    Each difference is a line. Exits with 1 if `--check` finds one.
    """
    from coordhub.record import reproject as projection

    async def run(hub: Hub) -> int:
        looked, wrong = 0, 0
        async for one in projection.reproject(hub, mend=not check):
            looked, wrong = looked + 1, wrong + bool(one.differences)
            for difference in one.differences:
                print(difference)
        print(f"{looked} referrals, {wrong} not as their Tasks say")
        return wrong

    settings = _settings()
    wrong = _run(_on_the_hub(settings, _need(settings, key=False), run))
    raise typer.Exit(1 if check and wrong else 0)


@cli.command()
def check() -> None:
    """Look whether all that must be true of the database is: nothing lost, nothing owed to nobody.

    Each thing that is not is a line of ids. Exits with 1 if there is one. Needs DATABASE_URL.
    """

    async def look(hub: Hub) -> int:
        from coordhub.store import invariants

        async with hub.engine.pool.acquire() as conn:
            found = await invariants.violations_alone(conn, hub.clock())
        for sentence in found or ["Another process looks just now."] * (found is None):
            print(sentence)
        return len(found or ()) + (found is None)

    settings = _settings()
    raise typer.Exit(1 if _run(_on_the_hub(settings, _need(settings, key=False), look)) else 0)


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
def token(
    client: Annotated[str | None, typer.Option(help="Client that the token is for.")] = None,
    organization: Annotated[
        str | None,
        typer.Option(help="Organization (id, or key of the sample community) of a new client."),
    ] = None,
    scope: Annotated[str, typer.Option(help="The most the token allows.")] = "system/*.cruds",
    days: Annotated[float, typer.Option(min=0.001, max=3660, help="How long it is valid.")] = 30,
    home: Home = None,
) -> None:
    """Print a bearer token; a client that is not known yet is registered for its organization.

    Uses DATABASE_URL and COORDHUB_TOKEN_KEY, or else the development mode's.
    """
    from datetime import timedelta

    from coordhub.sandbox import issuing

    if client is None and organization is None:
        _stop("coordhub token: say for whom, with --client or --organization.")
    settings = _settings(home)
    asked = issuing.Asked(client, organization, scope, timedelta(days=days), _operator())
    try:
        print(
            _run(
                issuing.issue(settings.home, _secret(settings.database_url), _key(settings), asked)
            )
        )
    except issuing.CannotIssue as error:
        _stop(f"coordhub token: {error}")


@cli.command()
def client(
    name: Annotated[str, typer.Argument(help="The client.")],
    active: Annotated[
        bool | None,
        typer.Option("--activate/--deactivate", help="Let it call the hub, or no longer."),
    ] = None,
    reference_policy: Annotated[
        str | None, typer.Option(help="References that lead nowhere: refuse, warn or quarantine.")
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="Whose it is in its organization: system or privacy-officer.")
    ] = None,
    break_glass: Annotated[
        bool | None,
        typer.Option("--break-glass/--no-break-glass", help="May open records in an emergency."),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(help="Patient/id or RelatedPerson/id that it acts for: it is made, if new."),
    ] = None,
    scope: Annotated[str, typer.Option(help="The most a person's may ask.")] = PERSONAL,
) -> None:
    """Change a client, or make one of a person. Needs DATABASE_URL."""
    changed = (active, reference_policy, role, break_glass)
    if (person is None) == all(one is None for one in changed):
        _stop(
            "coordhub client: say what to change, with --deactivate, --reference-policy, --role or "
            "--break-glass; or with --person for whom a new one acts."
        )
    if reference_policy not in (None, "refuse", "warn", "quarantine"):
        _stop("coordhub client: --reference-policy is refuse, warn or quarantine.")
    if role not in (None, "system", "privacy-officer"):
        _stop("coordhub client: --role is system or privacy-officer; of a person's, see --person.")

    async def act(engine: Engine) -> None:
        import dataclasses

        from coordhub.admin import acts
        from coordhub.app import safeguards_of
        from coordhub.record.bootstrap import open_hub
        from coordhub.record.hub import system_clock

        if person is None:
            await acts.change_client(
                engine, _operator(), name, system_clock(),
                active=active, reference_policy=reference_policy, role=role, break_glass=break_glass,
            )  # fmt: skip
            return
        settings = _settings()
        hub = dataclasses.replace(
            await open_hub(engine, settings.base), safeguards=safeguards_of(settings)
        )
        await acts.bind_person(hub, _operator(), name, person, scope)

    _act("client", act)


@cli.command()
def partner(
    organization: Annotated[str, typer.Argument(help="Organization/id")],
    profile: Annotated[
        str,
        typer.Option(help="What its Tasks say, as agreed: r4, sdoh-cc, bser, 360x or cow."),
    ],
) -> None:
    """Say which profile of Task a partner speaks (docs/referrals.md). Needs DATABASE_URL."""

    async def act(engine: Engine) -> None:
        from coordhub.admin import acts
        from coordhub.record.hub import system_clock

        await acts.agree_on_profile(engine, _operator(), organization, profile, system_clock())

    _act("partner", act)


@cli.command()
def openapi(
    output: Annotated[
        Path | None, typer.Argument(help="File to write, such as openapi/coordhub.json.")
    ] = None,
) -> None:
    """Print the OpenAPI description of the API, or write it to a file."""
    from coordhub.fhir import openapi as description

    described = description.text()
    if output is None:
        print(described, end="")
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(described, encoding="utf-8")


async def _on_the_hub(settings: Settings, url: str, work: Callable[[Hub], Awaitable[int]]) -> int:
    """What `work` answers of the hub on the database at `url`."""
    from coordhub.record.bootstrap import open_hub
    from coordhub.store.engine import Engine

    engine = await Engine.open(url, size=3)
    try:
        return await work(await open_hub(engine, settings.base))
    finally:
        await engine.close()


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
