"""The command line: each command wires the parts and runs them.

https://typer.tiangolo.com

Imports stand inside the commands, so that `--help` and a wrong option answer at once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from coordhub.admin.acts import Operator
    from coordhub.record.hub import Hub
    from coordhub.sandbox.dev import Ground, Parts
    from coordhub.settings import Settings
    from coordhub.store.engine import Engine
    from coordhub.store.seals import Checked

cli = typer.Typer(
    name="coordhub",
    help="A FHIR R4 hub that routes referrals and results.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

audit = typer.Typer(help="The audit and its seals.", no_args_is_help=True)
cli.add_typer(audit, name="audit")

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of the development mode to use; COORDHUB_HOME by default."),
]
labels = typer.Typer(
    no_args_is_help=True,
    help="What is sensitive: the code lists, whole organizations, one resource. Needs DATABASE_URL.",
)
cli.add_typer(labels, name="labels")
vsp = typer.Typer(
    no_args_is_help=True,
    help="Victim service providers: their keys and marks. Needs DATABASE_URL and COORDHUB_VSP_KEYS.",
)
vsp_key = typer.Typer(no_args_is_help=True, help="The keys under which their records are stored.")
vsp.add_typer(vsp_key, name="key")
cli.add_typer(vsp, name="vsp")

PERSONAL = "system/*.rs system/Communication.c system/Observation.c system/QuestionnaireResponse.c system/Task.u"
"""Scopes of a person's client."""

Reason = Annotated[str, typer.Option(help="Why; it stands in the audit.")]
Class = Annotated[str, typer.Option("--class", help="SUD, HIV, PSY, SEX or SDV.")]

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
    raise typer.Exit(_run(dev.run(plan, _parts(settings))))


@cli.command()
def serve() -> None:
    """Serve the API, without routing; needs DATABASE_URL and COORDHUB_TOKEN_KEY."""
    import uvicorn

    from coordhub import app, telemetry

    settings = _settings()
    telemetry.configure(settings.log_level)
    _need(settings, key=True)
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
    _run(_work_until_told(settings, url))


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
def replay(delivery: Annotated[str, typer.Argument(help="Id in the table delivery.")]) -> None:
    """Send a dead or parked delivery once more. Needs DATABASE_URL."""
    from uuid import UUID

    try:
        meant = UUID(delivery)
    except ValueError:
        _stop("coordhub replay: the id of a delivery is a UUID.")

    async def act(hub: Engine) -> None:
        from coordhub.admin import acts
        from coordhub.record.hub import system_clock

        await acts.replay(hub, _operator(), meant, system_clock())

    _act("replay", act)


@audit.command("verify")
def audit_verify(
    expect: Annotated[
        list[str] | None,
        typer.Option(help="A seal that was written down, NUMBER:MAC as the log has it."),
    ] = None,
) -> None:
    """Walk the seals of the audit; say which rows or seals were altered, removed or inserted.

    Exit code 1 if any was. Needs DATABASE_URL and COORDHUB_TOKEN_KEY, reads only.
    """
    settings = _settings()
    url = _need(settings, key=True)
    try:
        expected = {
            int(one.partition(":")[0]): bytes.fromhex(one.partition(":")[2]) for one in expect or []
        }
    except ValueError:
        _stop(
            "coordhub audit verify: write --expect as NUMBER:MAC, as in the log line audit.sealed."
        )
    checked = _run(_verify_audit(settings, url, expected))
    for fault in checked.faults:
        print(fault)
    since = f", since {checked.open_since:%Y-%m-%d %H:%M:%S%z}" if checked.open_since else ""
    print(
        f"{checked.rows} rows under {checked.last.number} seals checked, {len(checked.faults)} faults; "
        f"{checked.open} rows not sealed yet{since}. "
        f"Newest seal: {checked.last.number}:{checked.last.mac.hex() if checked.last.number else ''}"
    )
    raise typer.Exit(1 if checked.faults else 0)


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


def _act(command: str, act: Callable[[Engine], Coroutine[Any, Any, None]]) -> None:
    """Do it on the database of DATABASE_URL; that there was nothing to do it to is said."""
    from coordhub.admin.acts import NothingDone
    from coordhub.store import roles
    from coordhub.store.engine import Engine

    url = _need(_settings(), key=False)

    async def done() -> None:
        engine = await Engine.open(await roles.application(url), size=2)
        try:
            await act(engine)
        finally:
            await engine.close()

    try:
        _run(done())
    except NothingDone as nothing:
        _stop(f"coordhub {command}: {nothing}")


def _operator() -> Operator:
    import getpass

    from coordhub.admin.acts import UNNAMED, Operator

    try:
        return Operator(getpass.getuser())
    except (KeyError, OSError):
        return UNNAMED


@labels.command("list")
def labels_list(
    name: Annotated[str | None, typer.Option("--class", help="Only of this class.")] = None,
) -> None:
    """Print the code lists as they are: class, system, code."""
    from coordhub.record import label_acts

    for entry in _labelling(lambda hub, _: label_acts.lists(hub)):
        if name in (None, entry.name):
            print(entry.name, entry.system, entry.code, sep="\t")


@labels.command("add")
def labels_add(name: Class, system: str, code: str, reason: Reason) -> None:
    """Put a code, or all that begin so (F11*), on the list of a class."""
    _change_list(name, system, code, reason, add=True)


@labels.command("remove")
def labels_remove(name: Class, system: str, code: str, reason: Reason) -> None:
    """Take a code off the list of a class. What is stored keeps its labels."""
    _change_list(name, system, code, reason, add=False)


def _change_list(name: str, system: str, code: str, reason: str, *, add: bool) -> None:
    from coordhub.record import label_acts

    _labelling(
        lambda hub, by: label_acts.change_list(
            hub, label_acts.Act(by, reason), name, system, code, add=add
        )
    )
    print("Done. For what is stored already: coordhub labels apply")


@labels.command("source")
def labels_source(
    organization: Annotated[str, typer.Argument(help="Organization/id")],
    reason: Reason,
    name: Annotated[str, typer.Option("--class", help="Classes with commas between.")] = "",
) -> None:
    """Make all that an organization writes about people sensitive (a Part 2 program: SUD)."""
    from coordhub.r4.sensitivity import NAMES
    from coordhub.record import label_acts

    classes = [each for each in name.split(",") if each]
    if not set(classes) <= NAMES.keys():
        _stop(f"coordhub labels: the classes are {', '.join(NAMES)}.")
    bits = sum({NAMES[each] for each in classes})
    _labelling(
        lambda hub, by: label_acts.set_source(hub, label_acts.Act(by, reason), organization, bits)
    )
    print("Done. For what is stored already: coordhub labels apply")


@labels.command("lower")
def labels_lower(
    resource: Annotated[str, typer.Argument(help="Type/id")], name: Class, reason: Reason
) -> None:
    """Take a class from one resource, in all its versions: the privacy officer's act."""
    from coordhub.r4.sensitivity import names
    from coordhub.record import label_acts

    left = _labelling(
        lambda hub, by: label_acts.lower(hub, label_acts.Act(by, reason), resource, name)
    )
    print(f"{resource} is labelled {', '.join(names(left)) or 'nothing'} now.")


@labels.command("apply")
def labels_apply(reason: Reason) -> None:
    """Label all that is stored by the lists as they are now. Nothing is lowered."""
    from coordhub.record import label_acts, label_lists

    async def apply(hub: Hub, by: str) -> int:
        # servers write by their older lists until then
        await asyncio.sleep(label_lists.REFRESH)
        return await label_acts.apply(
            hub,
            label_acts.Act(by, reason),
            told=lambda looked, rose: print(f"{looked} looked at, {rose} raised", file=sys.stderr),
        )

    print(f"{_labelling(apply)} raised.")


def _labelling(step: Callable[[Hub, str], Coroutine[Any, Any, Any]]) -> Any:
    """Run it on a hub of its own, given also the account that runs it."""
    import getpass

    from coordhub.record.bootstrap import open_hub
    from coordhub.record.label_acts import CannotLabelError
    from coordhub.store import roles
    from coordhub.store.engine import Engine

    settings = _settings()
    url = _need(settings, key=False)

    async def run() -> Any:
        engine = await Engine.open(await roles.application(url), size=3, statement_timeout_ms=0)
        try:
            return await step(await open_hub(engine, settings.base), f"cli:{getpass.getuser()}")
        finally:
            await engine.close()

    try:
        return _run(run())
    except CannotLabelError as error:
        _stop(f"coordhub labels: {error}")


Provider = Annotated[str, typer.Argument(help="Organization/id")]
By = Annotated[str, typer.Option(help="Who you are; it stands in the audit.")]


@vsp_key.command("new")
def vsp_key_new(organization: Provider, by: By, reason: Reason) -> None:
    """Make an organization's key. Keep it apart from the database, and a copy of it: nothing replaces it."""
    from coordhub.record import label_acts, vsp_acts

    act = label_acts.Act(by, reason)
    print(_about_providers(lambda hub: vsp_acts.new_key(hub, act, organization)))


@vsp.command("mark")
def vsp_mark(organization: Provider, by: By, reason: Reason) -> None:
    """Make it a victim service provider, at once; its entries and records are put out of sight."""
    from coordhub.record import label_acts, vsp_acts

    act = label_acts.Act(by, reason)
    sealed = _about_providers(lambda hub: vsp_acts.mark(hub, act, organization))
    print(f"{organization} is marked; {sealed} records sealed.")


@vsp.command("release-mark")
def vsp_release_mark(
    organization: Provider,
    by: By,
    reason: Reason,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Confirm what another person has proposed.")
    ] = False,
) -> None:
    """Take a mark away: one person proposes it, another confirms it within 7 days."""
    from coordhub.record import label_acts, vsp_acts

    act = label_acts.Act(by, reason)
    step = vsp_acts.confirm_release if confirm else vsp_acts.propose_release
    _about_providers(lambda hub: step(hub, act, organization))
    print("Its mark is taken away." if confirm else "Proposed. Another person has to --confirm it.")


def _about_providers(step: Callable[[Hub], Coroutine[Any, Any, Any]]) -> Any:
    """Run it on a hub of its own, as the owner of the database: it rewrites what is append-only."""
    from coordhub.record.bootstrap import open_hub
    from coordhub.record.vsp_acts import CannotMarkError
    from coordhub.store import vault
    from coordhub.store.engine import Engine

    settings = _settings()
    url = _need(settings, key=False)
    vault.use(vault.Vault(settings.vsp_keys))

    async def run() -> Any:
        engine = await Engine.open(url, size=3, statement_timeout_ms=0)
        try:
            return await step(await open_hub(engine, settings.base))
        finally:
            await engine.close()

    try:
        return _run(run())
    except CannotMarkError as error:
        _stop(f"coordhub vsp: {error}")


def _settings(home: Path | None = None) -> Settings:
    from pydantic import ValidationError

    from coordhub.settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        _stop("coordhub: a setting cannot be used. " + "; ".join(faults))
    return settings if home is None else settings.model_copy(update={"home": home})


def _parts(settings: Settings) -> Parts:
    """The application and the worker for development mode, on the ground it lays."""
    from coordhub.sandbox.dev import Parts

    def given(ground: Ground) -> Settings:
        from datetime import timedelta
        from ipaddress import ip_network

        from pydantic import SecretStr

        quick = {"retry_base": timedelta(seconds=1), "retry_cap": timedelta(seconds=30)}
        loopback = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
        return settings.model_copy(
            update={
                **{
                    name: wait
                    for name, wait in quick.items()
                    if name not in settings.model_fields_set
                },
                "database_url": SecretStr(ground.database_url),
                "token_key": SecretStr(ground.token_key.decode()),
                "base_url": ground.base,
                "outbound_networks": (*settings.outbound_networks, *loopback),
            }
        )

    def build(ground: Ground) -> Any:
        from coordhub import app

        return app.build(given(ground), ground.hub)

    async def work(ground: Ground, stop: asyncio.Event) -> None:
        await _route(given(ground), ground.hub, stop)

    return Parts(build, work)


async def _route(settings: Settings, hub: Hub, stop: asyncio.Event) -> None:
    """The routing worker on an open hub, until `stop`."""
    from random import random

    from coordhub.outbound.client import Outbound
    from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest
    from coordhub.routing.deliver import Sending
    from coordhub.routing.resolve import SERVED
    from coordhub.routing.retry import RetryPolicy
    from coordhub.routing.worker import Pace, Worker
    from coordhub.store import seals

    policy = RetryPolicy(settings.retry_base, settings.retry_cap, settings.retry_budget)
    pace = Pace(settings.worker_poll, settings.delivery_lease)
    async with Outbound(allowed_networks=settings.outbound_networks) as outbound:
        channels = {SERVED: HL7FhirRest(outbound, hub.clock)}
        key = seals.sealing_key(_key(settings) or b"")
        async with asyncio.TaskGroup() as group:
            group.create_task(
                seals.keep_sealing(hub.engine, key, settings.audit_seal_every, hub.clock, stop)
            )
            await Worker(Sending(hub, channels, policy, random), pace).run(stop)


async def _verify_audit(settings: Settings, url: str, expected: dict[int, bytes]) -> Checked:
    from coordhub.store import seals
    from coordhub.store.engine import Engine

    former = (one.get_secret_value().encode() for one in settings.former_token_keys)
    keys = [seals.sealing_key(one) for one in (_key(settings) or b"", *former)]
    engine = await Engine.open(url, size=2, statement_timeout_ms=0)
    try:
        async with engine.pool.acquire() as conn:
            return await seals.verify(conn, {seals.name_of(key): key for key in keys}, expected)
    finally:
        await engine.close()


async def _work_until_told(settings: Settings, url: str) -> None:
    """The routing worker on a database of its own pool, until SIGINT or SIGTERM."""
    import signal

    from coordhub.r4 import datasets
    from coordhub.record.bootstrap import open_hub
    from coordhub.store import roles, vault
    from coordhub.store.engine import Engine

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if settings.vsp_keys is not None:
        vault.use(vault.Vault(settings.vsp_keys))
    if settings.datasets is not None:
        datasets.use(datasets.read(settings.datasets.read_bytes()))
    engine = await Engine.open(
        await roles.application(url),
        size=settings.pool_size,
        consent_policy=settings.consent_policy,
    )
    try:
        await _route(settings, await open_hub(engine, settings.base), stop)
    finally:
        await engine.close()


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


def _need(settings: Settings, *, key: bool) -> str:
    """The database's address, where it and, if asked for, the token key are set."""
    url = _secret(settings.database_url)
    missing = ["DATABASE_URL"] if url is None else []
    if key and settings.token_key is None:
        missing.append("COORDHUB_TOKEN_KEY")
    if missing:
        _stop(f"Set {' and '.join(missing)}. To try the hub without either: coordhub dev")
    return url or ""


def _secret(value: Any) -> str | None:
    return None if value is None else str(value.get_secret_value())


def _key(settings: Settings) -> bytes | None:
    secret = _secret(settings.token_key)
    return None if secret is None else secret.encode()


def _run(step: Coroutine[Any, Any, Any]) -> Any:
    """Run it; that Postgres cannot be used is said in a sentence."""
    import uvloop

    from coordhub.store import outage

    try:
        return uvloop.run(step)
    except Exception as error:
        if outage.is_outage(error) or type(error).__module__.startswith("asyncpg."):
            name = type(error).__name__
            _stop(f"coordhub: the database cannot be used ({name}). Check DATABASE_URL.")
        raise


def _stop(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(1)
