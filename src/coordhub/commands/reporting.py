"""Commands about what coordination bought: prices, and the report of a month."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands.wiring import on_a_hub, operator, stop

if TYPE_CHECKING:
    from coordhub.record.hub import Hub

prices = typer.Typer(
    no_args_is_help=True,
    help="What tests and services cost here, for the ledger of what was not done twice. Needs DATABASE_URL.",
)

Source = Annotated[str, typer.Option(help="Who says so: a fee schedule, a contract.")]


@prices.command("set")
def set_price(
    code: Annotated[str, typer.Argument(help="system|code, as in http://loinc.org|4548-4")],
    amount: Annotated[str, typer.Argument(help="As in 12.50")],
    source: Source,
    since: Annotated[str, typer.Option(help="The first day of it, as in 2026-01-01.")],
    currency: Annotated[str, typer.Option(help="ISO 4217.")] = "USD",
) -> None:
    """Say what a test or a service costs from a day on."""
    from coordhub.admin import reporting

    system, _, value = code.rpartition("|")
    _done(
        "prices",
        lambda hub: reporting.set_prices(
            hub,
            operator(),
            [reporting.price(system, value, since, amount, currency, source)],
        ),
    )
    print("Done.")


@prices.command("load")
def load_prices(
    file: Annotated[
        Path, typer.Argument(help="CSV: system, code, since, amount, currency, source.")
    ],
) -> None:
    """Take prices from a file: all of them, or none and why."""
    from coordhub.admin import reporting

    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        stop(f"coordhub prices: {file} cannot be read ({type(error).__name__}).")

    async def step(hub: Hub) -> int:
        stated = reporting.read_prices(text)
        await reporting.set_prices(hub, operator(), stated)
        return len(stated)

    print(f"{_done('prices', step)} prices.")


@prices.command("list")
def list_prices() -> None:
    """Print them: system, code, since, amount, currency, source."""
    from coordhub.admin import reporting

    for each in _done("prices", reporting.listed_prices):
        print(*each, sep="\t")


def report(
    month: Annotated[str, typer.Argument(help="As in 2026-10.")],
    organization: Annotated[
        str | None, typer.Option("--for", help="Organization/id whose report it is.")
    ] = None,
    community: Annotated[
        bool,
        typer.Option("--community", help="Needs by kind and area, of all together, without names."),
    ] = False,
) -> None:
    """Print the report of a month as CSV: what was referred, how it went, what was not done twice."""
    from coordhub.admin import reporting
    from coordhub.insight import reports

    if (organization is None) is not community:
        stop("coordhub report: say --for Organization/id, or --community.")
    if organization is None:
        print(_done("report", lambda hub: reporting.community(hub, operator(), month)), end="")
        return
    whose = organization
    made = _done("report", lambda hub: reporting.report(hub, operator(), whose, month))
    print(reports.as_csv(made), end="")


def _done(name: str, step: Callable[[Hub], Coroutine[Any, Any, Any]]) -> Any:
    return on_a_hub(name, step)
