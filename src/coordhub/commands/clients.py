"""Commands about clients, their tokens, and what was agreed on with partners.

Imports stand inside the commands, so that `--help` and a wrong option answer at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from coordhub.commands.wiring import (
    Home,
    act,
    address,
    opened,
    operator,
    read_settings,
    run,
    stop,
    token_key,
)

if TYPE_CHECKING:
    from coordhub.store.engine import Engine

PERSONAL = "system/*.rs system/Communication.c system/Observation.c system/QuestionnaireResponse.c system/Task.u"
"""Scopes of a person's client."""


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
        stop("coordhub token: say for whom, with --client or --organization.")
    settings = read_settings(home)
    asked = issuing.Asked(client, organization, scope, timedelta(days=days), operator())
    try:
        print(run(issuing.issue(settings.home, address(settings), token_key(settings), asked)))
    except issuing.CannotIssue as error:
        stop(f"coordhub token: {error}")


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
        stop(
            "coordhub client: say what to change, with --deactivate, --reference-policy, --role or "
            "--break-glass; or with --person for whom a new one acts."
        )
    if reference_policy not in (None, "refuse", "warn", "quarantine"):
        stop("coordhub client: --reference-policy is refuse, warn or quarantine.")
    if role not in (None, "system", "privacy-officer"):
        stop("coordhub client: --role is system or privacy-officer; of a person's, see --person.")

    async def done(engine: Engine) -> None:
        from coordhub.admin import acts

        if person is None:
            await acts.change_client(
                engine, operator(), name, engine.now(),
                active=active, reference_policy=reference_policy, role=role, break_glass=break_glass,
            )  # fmt: skip
            return
        hub = await opened(engine)
        await acts.bind_person(hub, operator(), name, person, scope)

    act("client", done)


def partner(
    organization: Annotated[str, typer.Argument(help="Organization/id")],
    profile: Annotated[
        str,
        typer.Option(help="What its Tasks say, as agreed: r4, sdoh-cc, bser, 360x or cow."),
    ],
    home: Home = None,
) -> None:
    """Say which profile of Task a partner speaks (docs/referrals.md).

    Uses DATABASE_URL, or else, with --home, the development mode's database.
    """

    async def done(engine: Engine) -> None:
        from coordhub.admin import acts

        await acts.agree_on_profile(engine, operator(), organization, profile, engine.now())

    act("partner", done, home)


def access_code(
    organization: Annotated[str, typer.Argument(help="Organization/id in the directory.")],
) -> None:
    """Make and print the access code that opens links in mails to an organization; the one before is void.

    Tell it by telephone or by hand, not by mail. Needs DATABASE_URL.
    """

    async def made(engine: Engine) -> None:
        from coordhub.admin import admitting

        print(await admitting.new_code(engine, operator(), organization))

    act("access-code", made)
