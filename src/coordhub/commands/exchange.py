"""Commands about what was agreed with an organization: about its own server, and about sharing Tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from coordhub.commands.wiring import Home, act, operator, stop

if TYPE_CHECKING:
    from coordhub.store.engine import Engine

LEAST_SECONDS = 10


def exchange(
    organization: Annotated[str, typer.Argument(help="Organization/id in the directory.")],
    own_ids: Annotated[
        bool | None,
        typer.Option("--own-ids/--hub-ids", help="Its server gives ids, or takes the hub's."),
    ] = None,
    read_answers: Annotated[
        int | None,
        typer.Option(help="Read its copy of a Task that asks it every so many seconds; 0: never."),
    ] = None,
    read_originals: Annotated[
        int | None,
        typer.Option(help="Look at what was fetched from it every so many seconds; 0: never."),
    ] = None,
    each_state: Annotated[
        bool | None,
        typer.Option(
            "--each-state/--newest-state",
            help="Of states of a Task that wait it is sent each, or the newest.",
        ),
    ] = None,
    knows_repeats: Annotated[
        bool | None,
        typer.Option(
            "--knows-repeats/--read-before-repeat",
            help="It knows a repeat by its key, or its copy is read before anything is sent again.",
        ),
    ] = None,
    creates_anew: Annotated[
        bool | None,
        typer.Option(
            "--create-anew/--leave-gone",
            help="What it has no more (404, 410) is sent once more as new, or not.",
        ),
    ] = None,
) -> None:
    """Say how an organization's own server is spoken to; without options: print it. Needs DATABASE_URL."""
    for given in (read_answers, read_originals):
        if given is not None and given != 0 and given < LEAST_SECONDS:
            stop(f"coordhub exchange: every {LEAST_SECONDS} seconds is the most often; 0 is never.")

    async def agreed(engine: Engine) -> None:
        from datetime import timedelta

        from coordhub.admin import exchanging

        after = await exchanging.agree(
            engine,
            operator(),
            organization,
            own_ids=own_ids,
            answers_every=None if read_answers is None else timedelta(seconds=read_answers),
            originals_every=None if read_originals is None else timedelta(seconds=read_originals),
            each_state=each_state,
            knows_repeats=knows_repeats,
            creates_anew=creates_anew,
        )
        print(f"ids {'of its own' if after.own_ids else 'of the hub'}")
        print(f"answers read every {after.answers_every or '-'}")
        print(f"originals read every {after.originals_every or '-'}")
        print(f"sent {'each state' if after.each_state else 'the newest state'} of a Task")
        print("knows repeats" if after.knows_repeats else "is read before a repeat")
        print(f"what it has no more is {'created anew' if after.creates_anew else 'left'}")

    act("exchange", agreed)


def share(
    organization: Annotated[str, typer.Argument(help="Organization/id that says so.")],
    other: Annotated[str, typer.Argument(help="Organization/id with which it shares.")],
    yes: Annotated[
        bool | None,
        typer.Option("--yes/--no", help="It agrees, or does not any more."),
    ] = None,
    home: Home = None,
) -> None:
    """Say whether an organization shares one Task with another; agreed is what both say (docs/referrals.md).

    Without an option: print what the two say. Uses DATABASE_URL, or else, with --home, the development
    mode's database.
    """

    async def agreed(engine: Engine) -> None:
        from coordhub.admin import sharing

        said = await sharing.agree(engine, operator(), organization, other, yes=yes)
        for name, says in zip((organization, other), said, strict=True):
            print(f"{name} says {'yes' if says else 'no'}")
        print("one shared Task" if all(said) else "a Task for each")

    act("share", agreed, home)
