"""When somebody may be reminded: not at night, and once a day.

The reminders of a day are told together; what comes later waits for the next.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final

from coordhub.referral import timers
from coordhub.referral.calendar import Calendar

Quiet = tuple[int, int]
"""From and to, in minutes since midnight; what ends before it begins lasts over midnight."""


def moment(calendar: Calendar, quiet: Quiet, now: datetime, last: datetime | None) -> datetime:
    """From `now` on, when somebody may be reminded who was so last at `last`."""
    wall = calendar.local(now)
    if last is not None and calendar.local(last).date() >= wall.date():
        wall = datetime.combine(calendar.local(last).date() + timedelta(days=1), time())
    loud = _loud(quiet, wall)
    return now if loud == calendar.local(now) else calendar.instant(loud)


def _loud(quiet: Quiet, wall: datetime) -> datetime:
    starts, ends = quiet
    minute = wall.hour * 60 + wall.minute
    midnight = datetime.combine(wall.date(), time())
    if starts <= ends:
        return midnight + timedelta(minutes=ends) if starts <= minute < ends else wall
    if minute < ends:
        return midnight + timedelta(minutes=ends)
    return midnight + timedelta(days=1, minutes=ends) if minute >= starts else wall


SAYS: Final = {
    timers.ACCEPT_HALF: "A request waits for your answer. Accept it, or decline it and say why.",
    timers.ACCEPT_DUE: "A request has waited for your answer as long as it should. Accept it, or decline it "
    "and say why; it ends soon if you do not.",
    timers.FIRST_CONTACT: "You have accepted this and said nothing since. Say that work has begun, when it will, or "
    "that you cannot do it.",
    timers.PROGRESS: "Nothing was heard of this for long. Say that you still work on it, or how it ended.",
    timers.PROGRESS_OVERDUE: "Nothing was heard of this, though you were reminded. Somebody looks after it now.",
    timers.CONSULT_NOTE: "The visit is over and its note has not come. Send it, and complete the Task.",
    timers.APPOINTMENT: "No appointment was made for this yet.",
    timers.RESULT: "The result of this is overdue.",
    timers.WAITLIST: "This is on a waiting list still. Say whether it stays there.",
    timers.ERRAND: "Something was asked of you and waits for your answer.",
}  # fmt: skip
"""What a reminder of each kind of timer says. No word of a person: what it is about is referred to."""


def said(kinds: list[str]) -> list[str]:
    """One sentence for each of these kinds, with how many there are of it, in the order of SAYS."""
    counted = [(kind, kinds.count(kind)) for kind in SAYS if kind in kinds]
    return [f"{number} x: {SAYS[kind]}" if number > 1 else SAYS[kind] for kind, number in counted]
