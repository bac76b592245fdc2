"""Commands about how long what is kept, and about holds."""

from __future__ import annotations

from typing import Annotated

import typer

from coordhub.commands.wiring import Reason, on_a_hub, operator, stop

retention = typer.Typer(
    no_args_is_help=True,
    help="How long what is kept. Needs DATABASE_URL, of the owner where something is changed.",
)

FOR_EVER = "for-ever"


@retention.command("list")
def list_schedules() -> None:
    """Print the schedules: subject, how long, since when it counts, last carried out."""
    from coordhub.admin import retaining

    for one in on_a_hub("retention", retaining.schedules):
        print(one.subject, one.keep or FOR_EVER, one.since, one.ran_at or "never", sep="\t")


@retention.command("set")
def set_schedule(
    subject: Annotated[
        str,
        typer.Argument(
            help="A resource type, a sensitivity class, app_permission, audit, delivery, idempotency or "
            "subscription_event."
        ),
    ],
    keep: Annotated[str, typer.Argument(help=f"ISO 8601 duration, such as P10Y; or {FOR_EVER}.")],
    reason: Reason,
    since: Annotated[
        str,
        typer.Option(help="update: its last one; care: the last entry in the patient's chart."),
    ] = "update",
) -> None:
    """Say how long something is kept; workers remove once a day what is older."""
    from coordhub.admin import retaining

    kept = None if keep == FOR_EVER else keep
    on_a_hub(
        "retention",
        lambda hub: retaining.set_schedule(hub, operator(), subject, kept, since, reason),
    )
    print("Set. What it would remove now: coordhub retention run --dry-run")


@retention.command("run")
def run_schedules(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count only, and change nothing.")
    ] = False,
) -> None:
    """Carry out all schedules now; prints how much was removed, or would be."""
    from coordhub.admin import retaining

    counts = on_a_hub("retention", retaining.due if dry_run else retaining.run)
    for subject, count in counts.items():
        print(subject, count, sep="\t")


def hold(
    reason: Annotated[str, typer.Option(help="Why; it stands in the audit.")] = "",
    patient: Annotated[str | None, typer.Argument(help="Patient/id; none: list the holds.")] = None,
    release: Annotated[bool, typer.Option("--release", help="Let go of it again.")] = False,
) -> None:
    """Keep a patient's chart and its audit, whatever schedules say. Needs DATABASE_URL of the owner."""
    from coordhub.admin import retaining

    if patient is None:
        if release or reason:
            stop("coordhub hold: say whose chart, as Patient/id.")
        for one in on_a_hub("hold", retaining.holds):
            print(one.patient, one.held_by, one.since, one.reason, sep="\t")
        return
    named = patient
    on_a_hub("hold", lambda hub: retaining.hold(hub, operator(), named, reason, release=release))
    print(f"{patient} is {'no longer held' if release else 'held'}.")
