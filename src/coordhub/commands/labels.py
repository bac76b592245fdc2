"""Commands about labels: the code lists, whole organizations, one resource."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands.wiring import Reason, need, read_settings, run, stop

if TYPE_CHECKING:
    from coordhub.record.hub import Hub

labels = typer.Typer(
    no_args_is_help=True,
    help="What is sensitive: the code lists, whole organizations, one resource. Needs DATABASE_URL.",
)

Class = Annotated[str, typer.Option("--class", help="SUD, HIV, PSY, SEX or SDV.")]


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
        stop(f"coordhub labels: the classes are {', '.join(NAMES)}.")
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

    settings = read_settings()
    url = need(settings, key=False)

    async def done() -> Any:
        engine = await Engine.open(await roles.application(url), size=3, statement_timeout_ms=0)
        try:
            return await step(await open_hub(engine, settings.base), f"cli:{getpass.getuser()}")
        finally:
            await engine.close()

    try:
        return run(done())
    except CannotLabelError as error:
        stop(f"coordhub labels: {error}")
