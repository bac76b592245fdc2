"""What a write may change of a Task, and which step of its status is legal; refusals that say what would be.

http://hl7.org/fhir/R4/task.html#statemachine
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from coordhub.errors import FhirError, Issue, business_rule, forbidden
from coordhub.record.work import Draft, Work
from coordhub.referral import profiles, wording
from coordhub.referral import transitions as pure
from coordhub.referral.profiles import Profile
from coordhub.referral.task_machine import OWNER, Actor
from coordhub.store import partners
from coordhub.store.episodes import Candidate

Document = dict[str, Any]

OWNERS_ELEMENTS = frozenset(
    {
        "status",
        "statusReason",
        "businessStatus",
        "output",
        "note",
        "executionPeriod",
        "lastModified",
        "identifier",
    }
)
"""What a candidate may change on the Task that asks it (and narrative and meta, which say nothing new)."""


def only_the_answer(
    draft: Draft, before: Document, after: Document, besides: Collection[str] = ()
) -> None:
    """403 for what the one who is asked may not change. besides: what it may, where it changes nothing else."""
    free = OWNERS_ELEMENTS | {"id", "meta", "text", "resourceType"}
    foreign = sorted(
        name
        for name in before.keys() | after.keys()
        if name not in free and before.get(name) != after.get(name)
    )
    if not set(foreign) <= set(besides):
        raise FhirError(
            403,
            *(
                Issue(
                    "forbidden",
                    f"The one who is asked may change {', '.join(sorted(OWNERS_ELEMENTS))}; "
                    "send the rest as you read it.",
                    at(draft, name),
                )
                for name in foreign
            ),
        )


async def profile_of(work: Work, organization: int) -> Profile:
    """What was agreed with an organization (rid)."""
    return profiles.named(await partners.profile_of(work.conn, organization))


def judge(
    draft: Draft,
    profile: Profile,
    before: Document,
    after: Document,
    actor: Actor,
    *,
    taken: bool = False,
) -> None:
    """409 or 403 unless `actor` may say so of the Task under this profile; it says what it may.

    taken: its owner had accepted.
    """
    old = wording.state_of(profile, before, taken=taken)
    new = wording.state_of(profile, after)
    element = "status" if old.status != new.status else "businessStatus"
    match pure.judge(profile, old, new, actor):
        case pure.Illegal(legal, hint):
            raise business_rule(f"{hint} {legal_now(profile, legal)}", at(draft, element))
        case pure.WrongActor(_, legal, hint):
            raise forbidden(f"{hint} {legal_now(profile, legal)}", at(draft, element))
        case pure.Legal():
            return


async def may_say(work: Work, candidate: Candidate, task: Document) -> str:
    """What a candidate may say of its Task as it stands, as a sentence."""
    profile = await profile_of(work, candidate.organization)
    state = wording.state_of(profile, task, taken=candidate.accepted_at is not None)
    return f"It is {state.status} now. {legal_now(profile, pure.legal(profile, state, OWNER))}"


def legal_now(profile: Profile, legal: Sequence[str]) -> str:
    """A sentence for a refusal."""
    return f"Legal for you now, in profile {profile.name}: {', '.join(legal) or 'nothing'}."


def as_meant(
    draft: Draft, profile: Profile, before: Document, base: str, *, names: Collection[str]
) -> None:
    """Put back what the sender of the draft was told in the words of its profile, and left as it was.

    names: elements of the state. What it says anew stays as it said it.
    """
    after = draft.document or {}
    told = wording.told(profile, before, base)
    same = {name for name in names if after.get(name) == told.get(name)}
    if not {"status", "businessStatus"} <= same:
        draft.document = wording.without_stale_word(profile, after, before)
        return
    meant = {**after, **{name: before[name] for name in same if name in before}}
    draft.document = {
        name: value for name, value in meant.items() if name not in same or name in before
    }


def at(draft: Draft, element: str) -> str:
    """Where the sender of the draft finds this element."""
    return f"{draft.at}.{element}" if draft.at else f"Task.{element}"
