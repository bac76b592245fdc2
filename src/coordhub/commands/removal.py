"""Commands that remove for ever, and the one that gives a patient's chart out."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands.wiring import By, Reason, on_a_hub, operator, stop

if TYPE_CHECKING:
    from coordhub.record.hub import Hub
    from coordhub.store.expunge import Removed

expunge = typer.Typer(
    no_args_is_help=True,
    help="Remove content for ever: one person proposes, another confirms. Needs DATABASE_URL of the owner.",
)


@expunge.command("propose")
def propose(
    resource: Annotated[str, typer.Argument(help="Type/id")],
    reason: Reason,
    by: By,
    versions_only: Annotated[
        bool, typer.Option("--versions-only", help="Its older versions; the current one stays.")
    ] = False,
) -> None:
    """Propose to remove one resource, and what the hub made of it for those whom it asked."""
    _propose(resource, "versions" if versions_only else "resource", reason, by)


@expunge.command("patient")
def propose_patient(
    patient: Annotated[str, typer.Argument(help="Patient/id")], reason: Reason, by: By
) -> None:
    """Propose to remove all that is stored about a patient, by whomever it was written."""
    _propose(patient, "patient", reason, by)


def _propose(reference: str, what: str, reason: str, by: str) -> None:
    from coordhub.admin import expunging

    number = on_a_hub(
        "expunge", lambda hub: expunging.propose(hub, operator(), by, reference, what, reason)
    )
    print(
        f"Proposal {number}. Somebody else confirms it within {expunging.VALID.days} days: "
        f"coordhub expunge confirm {number} --by NAME"
    )


@expunge.command("confirm")
def confirm(number: Annotated[int, typer.Argument(help="Of the proposal.")], by: By) -> None:
    """Remove what somebody else proposed, and print who has copies of it."""
    from coordhub.admin import expunging

    outcome = on_a_hub("expunge", lambda hub: expunging.confirm(hub, operator(), by, number))
    for reference in outcome.removed:
        print("removed", reference, sep="\t")
    for told in outcome.told:
        how = "sent" if told.sent else "seen"
        name = f"Organization/{told.organization}"
        print(how, told.resource, name, told.name or "", f"{told.last:%Y-%m-%d %H:%M}", sep="\t")
    for reference in outcome.mentioned_by:
        print("mentioned by", reference, sep="\t")
    for reference in outcome.left:
        print("written meanwhile, not removed", reference, sep="\t")
    print(
        "Tell those who have copies. Keep the new lines of `coordhub expunge log` where your backups do "
        "not reach: after a restore they are replayed.",
        file=sys.stderr,
    )


@expunge.command("list")
def list_proposals() -> None:
    """Print the proposals that nobody confirmed yet."""
    from coordhub.admin import expunging

    for one in on_a_hub("expunge", expunging.proposals):
        print(
            one.id, one.what, one.reference, one.proposed_by, one.proposed_at, one.reason, sep="\t"
        )


@expunge.command("log")
def print_log(
    after: Annotated[int, typer.Option(help="Only lines behind this one (seq).")] = 0,
) -> None:
    """Print what was removed, a JSON line each, ids only; also by retention."""
    from coordhub.admin import expunging

    for one in on_a_hub("expunge", lambda hub: expunging.logged(hub, after)):
        print(json.dumps({**dataclasses.asdict(one), "at": one.at.isoformat()}))


@expunge.command("replay")
def replay(
    log: Annotated[Path, typer.Argument(help="A file of lines as `expunge log` printed them.")],
) -> None:
    """Remove again what a restored backup brought back; before the hub is started on it."""
    from coordhub.admin import expunging

    try:
        lines = [_line(json.loads(text)) for text in log.read_text().splitlines() if text.strip()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        stop(f"coordhub expunge: {log} is no expunge log ({type(error).__name__}).")
    count = on_a_hub("expunge", lambda hub: expunging.replay(hub, operator(), lines))
    print(f"{count} resources removed again.")


def _line(said: dict[str, Any]) -> Removed:
    from coordhub.store.expunge import Removed

    return Removed(
        int(said["seq"]), int(said["rid"]), str(said["type"]), str(said["fhir_id"]),
        int(said["version"]), bool(said["whole"]), datetime.fromisoformat(said["at"]),
    )  # fmt: skip


def export(
    patient: Annotated[str, typer.Argument(help="Patient/id")],
    whose: Annotated[
        str,
        typer.Option(
            "--for",
            help="Organization/id: what it wrote. Patient/id or RelatedPerson/id: what that "
            "person may see.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write; it must not be there yet.")],
    history: Annotated[bool, typer.Option("--history", help="Older versions too.")] = False,
) -> None:
    """Write what the hub holds on a patient to a file, a Bundle of type collection. Needs DATABASE_URL."""
    from coordhub.admin import exporting

    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        stop(f"coordhub export: {out} cannot be written ({type(error).__name__}).")
    done = False
    with os.fdopen(handle, "wb") as file:

        async def step(hub: Hub) -> int:
            return await exporting.export(
                hub, operator(), patient, whose, file.write, history=history
            )

        try:
            count = on_a_hub("export", step)
            done = True
        finally:
            if not done:
                out.unlink()
    print(f"{count} entries in {out}.")
