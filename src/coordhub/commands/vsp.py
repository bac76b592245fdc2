"""Commands about victim service providers: their keys and marks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands.wiring import By, Reason, need, read_settings, run, stop

if TYPE_CHECKING:
    from coordhub.record.hub import Hub

vsp = typer.Typer(
    no_args_is_help=True,
    help="Victim service providers: their keys and marks. Needs DATABASE_URL and COORDHUB_VSP_KEYS.",
)
vsp_key = typer.Typer(no_args_is_help=True, help="The keys under which their records are stored.")
vsp.add_typer(vsp_key, name="key")

Provider = Annotated[str, typer.Argument(help="Organization/id")]


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

    settings = read_settings()
    url = need(settings, key=False)
    vault.use(vault.Vault(settings.vsp_keys))

    async def done() -> Any:
        engine = await Engine.open(url, size=3, statement_timeout_ms=0)
        try:
            return await step(await open_hub(engine, settings.base))
        finally:
            await engine.close()

    try:
        return run(done())
    except CannotMarkError as error:
        stop(f"coordhub vsp: {error}")
