"""Commands about people of organizations, who come with a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from coordhub.commands.wiring import Home, act, opened, operator, read_settings, stop

if TYPE_CHECKING:
    from coordhub.store.engine import Engine

people = typer.Typer(
    no_args_is_help=True,
    help="Who may sign in to the portal, for which organization. Needs DATABASE_URL.",
)

Roles = Annotated[
    list[str] | None,
    typer.Option(
        help="program-staff (without it), coordinator, clinician, privacy-officer, integration-engineer or admin; "
        "may be repeated. It decides which desks of the portal the person has."
    ),
]
STAFF = ("program-staff",)
Email = Annotated[str, typer.Argument(help="The address by which the person signs in.")]


@people.command("add")
def add(
    organization: Annotated[
        str,
        typer.Argument(
            help="Organization/id in the directory; or Patient/id or RelatedPerson/id, of whom it is the own "
            "account, for apps."
        ),
    ],
    email: Email,
    name: Annotated[str, typer.Option(help="As colleagues and the audit call the person.")],
    role: Roles = None,
    home: Home = None,
) -> None:
    """Make an account and print its first password, which is changed when it is used; good for a week.

    Hand it over by telephone or in person, not by mail.
    """

    async def step(engine: Engine) -> None:
        from coordhub.admin import people as acts

        if organization.startswith(("Patient/", "RelatedPerson/")):
            from coordhub.admin import patients

            hub = await opened(engine, home)
            print(await patients.add(hub, operator(), organization, email, name))
            return
        print(
            await acts.add(
                engine, operator(), organization, email, name, role or STAFF, engine.now()
            )
        )

    act("people", step, home)


@people.command("roles")
def roles(email: Email, role: Roles = None, home: Home = None) -> None:
    """Say what the person does there from now on; the roles it had before are gone."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import people as acts

        await acts.take_on(engine, operator(), email, role or STAFF, engine.now())

    act("people", step, home)


@people.command("reset")
def reset(email: Email, home: Home = None) -> None:
    """Print a new first password for who has lost password or telephone; sessions end."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import people as acts

        print(await acts.reset(engine, operator(), email, engine.now()))

    act("people", step, home)


@people.command("deactivate")
def deactivate(email: Email, home: Home = None) -> None:
    """Let the person in no more; sessions end at once. To undo it: reset."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import people as acts

        await acts.deactivate(engine, operator(), email, engine.now())

    act("people", step, home)


@people.command("practitioner")
def practitioner(
    email: Email,
    record: Annotated[str, typer.Argument(help="Practitioner/id or PractitionerRole/id.")],
    home: Home = None,
) -> None:
    """Say which record of the directory the person is; apps are told so (fhirUser)."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import people as acts

        await acts.practitioner(engine, operator(), email, record, engine.now())

    act("people", step, home)


Issuer = Annotated[
    str | None, typer.Option(help="Of the provider; COORDHUB_SIGN_IN_ISSUER without it.")
]


@people.command("bind")
def bind(
    email: Email,
    subject: Annotated[str, typer.Argument(help="What the provider calls the person: its sub.")],
    issuer: Issuer = None,
    home: Home = None,
) -> None:
    """Let the person sign in at the OpenID provider, too, as who it is there."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import people as acts

        await acts.bind(engine, operator(), email, _issuer(issuer), subject, engine.now())

    act("people", step, home)


@people.command("unbind")
def unbind(email: Email, issuer: Issuer = None, home: Home = None) -> None:
    """Let the person sign in there no more; sessions end at once."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import people as acts

        await acts.unbind(engine, operator(), email, _issuer(issuer), engine.now())

    act("people", step, home)


def _issuer(given: str | None) -> str:
    known = given or read_settings().sign_in_issuer
    if known is None:
        stop("coordhub people: say at which provider, with --issuer or COORDHUB_SIGN_IN_ISSUER.")
    return known


@people.command("remove-passkeys")
def remove_passkeys(email: Email, home: Home = None) -> None:
    """Remove all passkeys of a person, whose device is lost; it is signed out."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import people as acts

        await acts.remove_passkeys(engine, operator(), email, engine.now())

    act("people", step, home)


@people.command("list")
def list_people(home: Home = None) -> None:
    """Print who has an account: address, name, role, organization, and how it stands."""

    async def step(engine: Engine) -> None:
        from coordhub.store import accounts, resources
        from coordhub.store.visibility import EVERYONE

        async with engine.pool.acquire() as conn:
            everyone = await accounts.of(conn, None)
            rids = sorted({one.organization for one in everyone})
            named = await resources.read_rids(conn, EVERYONE, rids)
        for one in everyone:
            state = "active" if one.password_until is None else "first password"
            where = named.get(one.organization)
            print(
                one.email, one.name, ",".join(one.roles), where.reference if where is not None else "-",
                state if one.active else "inactive", sep="\t",
            )  # fmt: skip

    act("people", step, home)


@people.command("code")
def code(email: Email, home: Home = None) -> None:
    """Print the code of this half minute of a sample person of the development mode."""
    from datetime import UTC, datetime

    from coordhub.sandbox import place, staff

    said = place.read_credentials(read_settings(home).home) or {}
    known = said.get("people", {})
    if email not in known:
        stop(f"coordhub people: the development mode has nobody {email}. Is it running?")
    print(staff.code(known[email]["secret"], datetime.now(UTC)))
