"""Commands about operators who come by HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from coordhub.commands.wiring import act, operator, read_settings, stop, token_key

if TYPE_CHECKING:
    from coordhub.store.engine import Engine

operators = typer.Typer(
    no_args_is_help=True, help="Who may operate the hub by HTTP (/admin/v1). Needs DATABASE_URL."
)

Name = Annotated[str, typer.Argument(help="Whose it is; it stands in the audit.")]


@operators.command("add")
def add(
    name: Name,
    scope: Annotated[
        str,
        typer.Option(
            help="Of deliveries.read, .act and .content, partners.read, .act and .approve."
        ),
    ] = "deliveries.read",
) -> None:
    """Make an operator, or give one these scopes and let it in again."""
    asked = _scopes(scope)

    async def step(engine: Engine) -> None:
        from coordhub.admin import acts

        await acts.register_operator(engine, operator(), name, asked, engine.now())

    act("operators", step)


@operators.command("deactivate")
def deactivate(name: Name) -> None:
    """Let it in no more; at once, whatever tokens it has."""

    async def step(engine: Engine) -> None:
        from coordhub.admin import acts

        await acts.deactivate_operator(engine, operator(), name, engine.now())

    act("operators", step)


@operators.command("list")
def list_operators() -> None:
    """Print operators and what they may do."""

    async def step(engine: Engine) -> None:
        from coordhub.store import operators

        async with engine.pool.acquire() as conn:
            for one in await operators.everyone(conn):
                print(one.name, "active" if one.active else "inactive", one.scopes, sep="\t")

    act("operators", step)


@operators.command("token")
def token(
    name: Name,
    scope: Annotated[
        str | None, typer.Option(help="Narrower than what it may; all of that without it.")
    ] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=2160, help="How long it is valid.")] = 8,
) -> None:
    """Print a token of an operator. Needs COORDHUB_TOKEN_KEY, too."""
    key = token_key(read_settings())
    if key is None:
        stop("coordhub operators: set COORDHUB_TOKEN_KEY, with which the hub signs.")
    asked = None if scope is None else _scopes(scope)

    async def step(engine: Engine) -> None:
        from datetime import timedelta

        from coordhub.admin import acts

        lifetime = timedelta(hours=hours)
        print(
            await acts.operator_token(engine, operator(), name, asked, key, lifetime, engine.now())
        )

    act("operators", step)


def _scopes(text: str) -> str:
    from coordhub.access.operators import SCOPES

    named = text.replace(",", " ").split()
    unknown = sorted(set(named) - set(SCOPES))
    if unknown or not named:
        stop(f"coordhub operators: --scope is of {', '.join(SCOPES)}.")
    return " ".join(dict.fromkeys(named))
