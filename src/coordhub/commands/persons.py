"""Commands about who is who: pairs of records that may be of one person, and what was decided."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordhub.commands.wiring import Reason, on_a_hub, operator, stop, use_weights

if TYPE_CHECKING:
    from coordhub.record.hub import Hub

persons = typer.Typer(
    no_args_is_help=True,
    help="Records of one person: what is to be reviewed, linked and kept apart. Needs DATABASE_URL.",
)

One = Annotated[str, typer.Argument(help="Patient/id")]
Other = Annotated[str, typer.Argument(help="Patient/id of the other record")]


@persons.command("list")
def list_pairs(
    state: Annotated[str, typer.Option(help="review, linked or apart.")] = "review",
    count: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 100,
    after: Annotated[str, typer.Option(help="The last column of the last line before.")] = "",
) -> None:
    """Print the pairs, a line for each: both records, score, which fields agree, what holds it back."""
    from coordhub.admin import persons as deciding

    if state not in deciding.STATES:
        stop(f"coordhub persons: --state is one of {', '.join(deciding.STATES)}.")
    for each in _done(lambda hub: deciding.listed(hub, state, count, after)):
        fields = " ".join(
            f"{name}={level}" for name, level in each.fields.items() if level != "missing"
        )
        held = ",".join(each.held) or "-"
        print(
            f"{each.one}\t{each.other}\t{each.score:.7f}\t{fields}\t{held}\t{each.by or '-'}\t{each.after}"
        )


@persons.command("link")
def link(one: One, other: Other, reason: Reason) -> None:
    """Say that two records are of one person."""
    from coordhub.admin import persons as deciding

    _done(lambda hub: deciding.decide(hub, operator(), one, other, "linked", reason))
    print("Linked.")


@persons.command("keep-apart")
def keep_apart(one: One, other: Other, reason: Reason) -> None:
    """Say that two records are of two persons, and undo what links them; it is not found again."""
    from coordhub.admin import persons as deciding

    saw = _done(lambda hub: deciding.decide(hub, operator(), one, other, "apart", reason))
    print("Kept apart.")
    for each in saw:
        print(f"Both were shown, while they were linked, to {each}")


@persons.command("reconsider")
def reconsider(one: One, other: Other, reason: Reason) -> None:
    """Take back what was decided about two records: the evidence decides again."""
    from coordhub.admin import persons as deciding

    _done(lambda hub: deciding.reconsider(hub, operator(), one, other, reason))
    print("Taken back.")


@persons.command("learn")
def learn(
    records: Annotated[int, typer.Option(min=100, help="So many records are looked at.")] = 5000,
    seed: Annotated[int, typer.Option(help="Which; another number, other records.")] = 1,
    write: Annotated[
        Path | None,
        typer.Option(help="File to write the numbers to; without it they are shown only."),
    ] = None,
) -> None:
    """Learn from the hub's own records how often fields of one person agree; nothing is changed.

    What stewards have decided counts as known. To match by it, name the file in COORDHUB_IDENTITY_WEIGHTS.
    """
    import msgspec

    from coordhub.identity import learn as learning
    from coordhub.identity import weights
    from coordhub.record.learning import sample

    use_weights()
    seen = _done(lambda hub: sample(hub, records, seed))
    if not seen.looked:
        stop(
            "coordhub persons learn: no two records have a key in common; there is nothing to learn from."
        )
    before = weights.in_use()
    found = learning.fit(seen, before)
    for line in learning.told(before, found, seen):
        print(line)
    if write is not None:
        write.write_bytes(msgspec.json.format(msgspec.json.encode(found.weights)) + b"\n")
        print(f"Written to {write}. Match by it: COORDHUB_IDENTITY_WEIGHTS={write}")


@persons.command("again")
def again(reason: Reason) -> None:
    """Look at all Patients anew, as by other weights; what persons have decided stands."""
    from coordhub.admin import persons as deciding

    number = _done(lambda hub: deciding.again(hub, operator(), reason))
    print(f"{number} Patients are looked at again.")


def _done(step: Callable[[Hub], Coroutine[Any, Any, Any]]) -> Any:
    return on_a_hub("persons", step)
