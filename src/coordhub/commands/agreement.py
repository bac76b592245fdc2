"""The command about the trading agreement with a partner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands.wiring import Home, act, opened, operator

if TYPE_CHECKING:
    from coordhub.store.engine import Engine

ANY = "any"


def agreement(
    organization: Annotated[str, typer.Argument(help="Organization/id of the directory.")],
    profile: Annotated[
        str | None, typer.Option(help="What its Tasks say: r4, sdoh-cc, bser, 360x or cow.")
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            help="By which it is spoken to: hl7-fhir-rest, email-notice; or any. As below, repeat."
        ),
    ] = None,
    send: Annotated[
        list[str] | None, typer.Option(help="A resource type that it sends, or any.")
    ] = None,
    send_kind: Annotated[
        list[str] | None, typer.Option(help="A kind of need that it refers for, or any.")
    ] = None,
    receive: Annotated[
        list[str] | None, typer.Option(help="A resource type that it is sent, or any.")
    ] = None,
    receive_kind: Annotated[
        list[str] | None, typer.Option(help="A kind of need that it is asked for, or any.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Deliveries a second at most; 0: no limit.")
    ] = None,
    at_once: Annotated[
        int | None, typer.Option(help="Deliveries under way at most, beside a rate.")
    ] = None,
    reference_policy: Annotated[
        str | None, typer.Option(help="References that lead nowhere: refuse, warn or quarantine.")
    ] = None,
    home: Home = None,
) -> None:
    """Say what was agreed with an organization, and print all that holds with it.

    Limits of its clients: coordhub clients limits. How its own server is spoken to: coordhub exchange.
    """
    lists = {
        "channels": channel, "sends": send, "sends_kinds": send_kind,
        "receives": receive, "receives_kinds": receive_kind,
    }  # fmt: skip
    given: dict[str, Any] = {
        name: None if ANY in one else frozenset(one) for name, one in lists.items() if one
    }
    singles = {
        "profile": profile,
        "deliveries_at_once": at_once,
        "reference_policy": reference_policy,
    }
    given |= {name: value for name, value in singles.items() if value is not None}
    if rate is not None:
        given["deliveries_per_second"] = rate or None

    async def step(engine: Engine) -> None:
        from dataclasses import asdict

        from coordhub.admin import agreements

        if given:
            hub = await opened(engine, home)
            found = await agreements.change(
                hub, operator(), organization, agreements.Changes(**given)
            )
        else:
            async with engine.pool.acquire() as conn:
                found = await agreements.read(conn, organization)
        for name, value in asdict(found).items():
            if name == "clients":
                for one in value:
                    print("client", *(each or "usual" for each in one.values()), sep="\t")
            elif name == "exchange":
                for about, each in value.items():
                    print(about, each if each is not None else "never", sep="\t")
            else:
                print(name, _shown(value), sep="\t")

    act("agreement", step, home)


def _shown(value: Any) -> str:
    if value is None:
        return ANY
    return (" ".join(value) or "nothing") if isinstance(value, list) else str(value)
