"""Instants that a referral has to meet: which, from when, until when.

http://hl7.org/fhir/R4/task.html, http://hl7.org/fhir/R4/task-definitions.html#Task.restriction.period

A deadline is *wanted* by the state of its subject: the Task of one who is asked, the sender's Task, an
errand. Its timer counts from the moment at which it is first wanted, is gone when it is wanted no more,
and *stands* while more information is awaited: what is left then is left when it goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from coordhub.referral.calendar import Calendar, Duration
from coordhub.referral.deadlines import Lengths
from coordhub.referral.task_machine import TERMINAL

RECEIPT: Final = "receipt"
ACCEPT_HALF: Final = "accept-half"
ACCEPT_DUE: Final = "accept-due"
ACCEPT_BY: Final = "accept-by"
FIRST_CONTACT: Final = "first-contact"
PROGRESS: Final = "progress"
PROGRESS_OVERDUE: Final = "progress-overdue"
APPOINTMENT: Final = "appointment"
CONSULT_NOTE: Final = "consult-note"
RESULT: Final = "result"
WAITLIST: Final = "waitlist"
WHOLE: Final = "whole"
ERRAND: Final = "errand"
ERRAND_ESCALATION: Final = "errand-escalation"
CONSENT_END: Final = "consent-end"
DIGEST: Final = "digest"

OF_TASKS: Final = frozenset(
    {
        RECEIPT, ACCEPT_HALF, ACCEPT_DUE, ACCEPT_BY, FIRST_CONTACT, PROGRESS, PROGRESS_OVERDUE,
        APPOINTMENT, CONSULT_NOTE, RESULT, WAITLIST, WHOLE, ERRAND, ERRAND_ESCALATION,
    }
)  # fmt: skip
"""Kinds that are wanted by the state of a Task."""

OF_REFERRALS: Final = frozenset({WHOLE})
"""Kinds that are wanted by the sender's Task as such."""

_ASKED: Final = frozenset({"requested", "received"})
_SOON: Final = frozenset({"accepted", "ready"})
_STANDS: Final = "awaiting-information"
_WAITS: Final = "waitlisted"
_SCHEDULED: Final = frozenset({"appointment-scheduled", "in-service", "visit-complete"})
_SEEN: Final = "visit-complete"
_TRIED: Final = "contact-attempted"

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


@dataclass(frozen=True, slots=True)
class Want:
    """One deadline. It is over after `spans`, one after the other, by the calendar of who has to meet it.

    since: from when it counts; None: from when it is first wanted. anew: from now on again, since
    something was heard. at: it is over then, whatever `spans` say. half: when half of it is over.
    """

    spans: tuple[Duration, ...] = ()
    since: datetime | None = None
    at: datetime | None = None
    half: bool = False
    anew: bool = False
    stands: bool = False

    def due(self, calendar: Calendar, since: datetime) -> datetime:
        end = since
        for span in self.spans:
            end = calendar.after(end, span)
        if self.at is not None:
            end = self.at
        return calendar.middle(since, end) if self.half else end


Wanted = Mapping[str, Want]


@dataclass(frozen=True, slots=True)
class Asked:
    """The Task of one who is asked, as it stands.

    until: until when its sender waits for an answer, if it says so. heard: its owner wrote it just now.
    visit: when the visit that was agreed on is over. estimate: when a place on the waiting list is
    thought to come free. offered: it has offered to meet the need, and one of several offers is to be chosen.
    owes: it is done, and something that was to come back has not come.
    """

    status: str
    business_status: str = ""
    until: datetime | None = None
    heard: bool = False
    visit: datetime | None = None
    estimate: datetime | None = None
    offered: bool = False
    owes: bool = False


def of_asked(one: Asked, lengths: Lengths) -> Wanted:
    """What the Task of one who is asked has to meet."""
    if one.status == "completed" and one.owes:
        return dict(_each(lengths, (CONSULT_NOTE, "consult-note")))
    if one.status in TERMINAL or one.status == "draft" or one.offered:
        return {}
    found = dict(_of_live(one, lengths))
    if one.business_status != _STANDS:
        return found
    # what its sender or a booking has said stays said
    return {kind: replace(want, stands=want.at is None) for kind, want in found.items()}


def of_referral(status: str, lengths: Lengths) -> Wanted:
    """What the sender's Task has to meet."""
    if status in TERMINAL or status == "draft":
        return {}
    return dict(_each(lengths, (WHOLE, "whole")))


def of_errand(status: str, lengths: Lengths, until: datetime | None = None) -> Wanted:
    """What a Task has to meet by which the hub asks somebody for something else than a service.

    until: until when it is to be done, if the Task says so.
    """
    if status in TERMINAL or (until is None and "errand" not in lengths):
        return {}
    first = () if until is not None else (lengths["errand"],)
    wanted = {ERRAND: Want(first, at=until)}
    if "errand-escalation" in lengths:
        wanted[ERRAND_ESCALATION] = Want((*first, lengths["errand-escalation"]), since=until)
    return wanted


def _of_live(one: Asked, lengths: Lengths) -> Iterator[tuple[str, Want]]:
    if one.status in _ASKED:
        yield from _of_unanswered(one, lengths)
        return
    waits = one.business_status == _WAITS
    scheduled = one.business_status in _SCHEDULED
    if not scheduled and not waits:
        yield from _each(lengths, (APPOINTMENT, "appointment"))
    if waits:
        if one.estimate is not None:
            yield WAITLIST, Want(at=one.estimate)
        else:
            yield from _each(lengths, (WAITLIST, "waitlist"))
    elif one.status in _SOON and not scheduled and one.business_status != _TRIED:
        yield from _each(lengths, (FIRST_CONTACT, "first-contact"))
    elif "progress" in lengths:
        steps = (lengths["progress"],)
        yield PROGRESS, Want(steps, anew=one.heard)
        if "progress-buffer" in lengths:
            yield PROGRESS_OVERDUE, Want((*steps, lengths["progress-buffer"]), anew=one.heard)
    if "consult-note" in lengths and (one.business_status == _SEEN or one.visit is not None):
        yield CONSULT_NOTE, Want((lengths["consult-note"],), since=one.visit)
    if not waits:
        yield from _each(lengths, (RESULT, "result"))


def _of_unanswered(one: Asked, lengths: Lengths) -> Iterator[tuple[str, Want]]:
    yield from _each(lengths, (RECEIPT, "receipt"))
    if one.until is not None:
        yield ACCEPT_BY, Want(at=one.until)
        return
    within, grace = lengths.get("accept-within"), lengths.get("accept-grace")
    if within is None:
        return
    if grace is None:
        yield ACCEPT_BY, Want((within,))
        return
    # a reminder is worth its while where there is time to follow it
    yield ACCEPT_HALF, Want((within,), half=True)
    yield ACCEPT_DUE, Want((within,))
    yield ACCEPT_BY, Want((within, grace))


def _each(lengths: Lengths, *pairs: tuple[str, str]) -> Iterator[tuple[str, Want]]:
    for kind, name in pairs:
        if name in lengths:
            yield kind, Want((lengths[name],))


# ---- and what is set


@dataclass(frozen=True, slots=True)
class Timer:
    """since: from when it counts. stood_at: it stands since then. fired_at: what follows has followed."""

    kind: str
    since: datetime
    due_at: datetime
    stood_at: datetime | None = None
    fired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What is to be set, as it is to be; and the kinds that are wanted no more."""

    timers: tuple[Timer, ...] = ()
    gone: tuple[str, ...] = ()


def changed(
    known: Mapping[str, Timer], wanted: Wanted, calendar: Calendar, now: datetime
) -> Changed:
    """How the timers of one subject change by what it wants now.

    A calendar that has changed since moves nothing that was set: what was promised stays promised.
    """
    set_ = tuple(
        timer
        for kind, want in wanted.items()
        if (timer := _set(kind, known.get(kind), want, calendar, now)) != known.get(kind)
    )
    return Changed(set_, tuple(sorted(known.keys() - wanted.keys())))


def _set(kind: str, known: Timer | None, want: Want, calendar: Calendar, now: datetime) -> Timer:
    since = want.since or now
    if known is None or want.anew or want.since not in (None, known.since):
        stood = now if want.stands else None
        return Timer(kind, since, want.due(calendar, since), stood)
    if known.fired_at is not None:
        return known
    if want.at is not None:
        return replace(known, due_at=want.at)
    if want.stands:
        return known if known.stood_at is not None else replace(known, stood_at=now)
    if known.stood_at is None:
        return known
    return replace(
        known, due_at=_later(known.stood_at, known.due_at, want, calendar, now), stood_at=None
    )


def _later(
    stood: datetime, due: datetime, want: Want, calendar: Calendar, now: datetime
) -> datetime:
    """When what was left at `stood` is over that goes on now."""
    if due <= stood:
        return due
    if any(span.unit.startswith("business") for span in want.spans):
        # never earlier: what was due as it opens has as much left as what is due as it closes
        return max(due, calendar.open_after(now, calendar.open_between(stood, due)))
    return due + (now - stood)


# ---- as the sender has said


def accept_by(task: Mapping[str, Any]) -> datetime | None:
    """When an unanswered request ends: Task.restriction.period.end, in UTC.

    The end of a period includes what it states: `2026-12-01` lasts until that day is over (in UTC,
    as the date has no zone). None when there is no end or it cannot be read as one.
    """
    restriction = task.get("restriction")
    period = restriction.get("period") if isinstance(restriction, Mapping) else None
    end = period.get("end") if isinstance(period, Mapping) else None
    return _end_of(end) if isinstance(end, str) else None


def _end_of(text: str) -> datetime | None:
    try:
        if partial := _DATE.fullmatch(text):
            year, month, day = (int(part) if part else None for part in partial.groups())
            return _after(int(partial[1]), month, day) if year else None
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _after(year: int, month: int | None, day: int | None) -> datetime:
    if month is None:
        return datetime(year + 1, 1, 1, tzinfo=UTC)
    if day is None:
        return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return datetime(year, month, day, tzinfo=UTC) + timedelta(days=1)
