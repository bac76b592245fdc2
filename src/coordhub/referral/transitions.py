"""Who may move a Task where, in the profile that the partner speaks.

http://hl7.org/fhir/R4/task.html#statemachine

The tables are those of `profiles`; what they mean is here. A refusal says what else would be legal.
"""

from __future__ import annotations

from dataclasses import dataclass

from coordhub.referral.profiles import Profile
from coordhub.referral.task_machine import OWNER, REQUESTER, STATUSES, TERMINAL, Actor


@dataclass(frozen=True, slots=True)
class State:
    """Where a Task stands, in the words of a profile.

    code: of the profile's own vocabulary of businessStatus, "" where it says none.
    taken: its owner had accepted, so that it may have done what it was then told to leave.
    """

    status: str
    code: str = ""
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Legal:
    """The change may be made; also when nothing of the state changes."""


@dataclass(frozen=True, slots=True)
class Illegal:
    """No actor may go there from here, or not with these words.

    legal: what this actor may write now (see `legal`).
    hint: a sentence for OperationOutcome.issue.diagnostics; holds codes only.
    """

    legal: tuple[str, ...]
    hint: str


@dataclass(frozen=True, slots=True)
class WrongActor:
    """The transition exists, and belongs to the other part."""

    who_may: Actor
    legal: tuple[str, ...]
    hint: str


Judgement = Legal | Illegal | WrongActor


def judge(profile: Profile, old: State, new: State, actor: Actor) -> Judgement:
    """May `actor` of a partner of this profile move a Task from `old` to `new`?"""
    if old.status == new.status and old.code == new.code:
        return Legal()
    targets = legal(profile, old, actor)
    if new.status not in profile.statuses:
        return Illegal(
            targets,
            f"A partner of profile {profile.name} does not send the status {new.status}. "
            "Another profile can be agreed on with the operator of this hub.",
        )
    if old.status != new.status:
        judgement = _moves(profile, old, new.status, actor, targets)
        if not isinstance(judgement, Legal):
            return judgement
    return _says(profile, old, new, actor, targets)


def legal(profile: Profile, old: State, actor: Actor) -> tuple[str, ...]:
    """What `actor` may write now, in the order of STATUSES: a status, in brackets the codes that go with it.

    With the present status only where another code may be said of it.
    """
    words = []
    for status in STATUSES:
        stays = status == old.status
        if not stays and not isinstance(_moves(profile, old, status, actor, ()), Legal):
            continue
        codes = [
            one.code
            for one in profile.codes.values()
            if one.next is not None  # where any may follow any, they are not worth a list
            and status in one.statuses
            and one.by & actor
            and _follows(profile, old, one.code)
            and not (stays and one.code == old.code)
        ]
        if codes:
            words.append(f"{status} ({' or '.join(codes)})")
        elif not stays and status in profile.statuses:
            words.append(status)
    return tuple(words)


def _moves(
    profile: Profile, old: State, status: str, actor: Actor, targets: tuple[str, ...]
) -> Judgement:
    if old.status == "cancelled" and status == "completed" and old.taken and actor & OWNER:
        return Legal()  # what was done is done, whatever it was told meanwhile
    allowed = profile.edges.get((old.status, status))
    only = _only(profile, old)
    if allowed is not None and only and status != "entered-in-error":
        fitting = {one for code in only for one in profile.codes[code].statuses}
        if status not in fitting:
            return Illegal(
                targets,
                f"businessStatus is {old.code}, after which {profile.name} has "
                f"{' or '.join(sorted(only))} and nothing else.",
            )
    if allowed is not None and allowed & actor:
        return Legal()
    if allowed is not None:
        who = " or ".join(part.name.lower() for part in allowed if part.name)
        hint = f"Only the {who} of a Task may change it from {old.status} to {status}."
        return WrongActor(allowed, targets, hint)
    if old.status in TERMINAL:
        hint = f"{old.status} is final. "
        hint += (
            "Send a new Task whose basedOn names this one."
            if actor & REQUESTER
            else "Nothing is asked of its owner any more."
        )
    else:
        hint = f"{profile.title} has no way from {old.status} to {status}."
        if (old.status, status) == ("in-progress", "rejected"):
            hint += " Say failed, with statusReason, if what was begun cannot be done."
    return Illegal(targets, hint)


def _says(
    profile: Profile, old: State, new: State, actor: Actor, targets: tuple[str, ...]
) -> Judgement:
    """Whether the businessStatus goes with the status, and follows from the one before."""
    said = profile.codes.get(new.code)
    if said is None or new.code == old.code:
        return Legal()
    if new.status not in said.statuses:
        fitting = " or ".join(one for one in STATUSES if one in said.statuses)
        return Illegal(
            targets, f"businessStatus {said.code} goes with {fitting}, not with {new.status}."
        )
    if not said.by & actor:
        who = " or ".join(part.name.lower() for part in said.by if part.name)
        return WrongActor(
            said.by, targets, f"Only the {who} of a Task says businessStatus {said.code}."
        )
    if not _follows(profile, old, said.code):
        return Illegal(
            targets, f"In {profile.title} businessStatus {said.code} does not follow {old.code}."
        )
    return Legal()


def _follows(profile: Profile, old: State, code: str) -> bool:
    before = profile.codes.get(old.code)
    if before is None or before.next is None or (old.taken and old.status == "cancelled"):
        return True
    return code in before.next


def _only(profile: Profile, old: State) -> frozenset[str]:
    """The codes that alone may follow; empty where all may."""
    before = profile.codes.get(old.code)
    return before.next or frozenset() if before is not None and before.only else frozenset()
