"""What an appointment of an order says of how far its referral is.

http://hl7.org/fhir/R4/appointment.html
http://hl7.org/fhir/us/bser (5.1.1 scheduled, 5.1.2 unattended, 5.1.3 cancelled, 5.1.4 event completed)

An order may have several: one that is made anew is another Appointment, or the same at another time,
and which of the two comes first, the new one or the end of the old, nobody can say beforehand. So
one that ends says nothing as long as another stands.
"""

from __future__ import annotations

from collections.abc import Collection

OFFERED = frozenset({"proposed", "pending"})
STANDING = frozenset({"booked", "arrived", "checked-in"})
TOOK_PLACE = "fulfilled"
MISSED = "noshow"

ACCEPTED_ONLY = frozenset({*STANDING, TOOK_PLACE, MISSED})
"""Nobody has an appointment for what nobody has taken on; an offer may come before."""

WORKING = frozenset({"appointment-scheduled", "visit-complete"})
"""Business statuses with which work has begun."""


def says(before: str, now: str, others: Collection[str]) -> str:
    """The business status of the referral once this appointment is `now`; "" to leave it as it is.

    before: its status before, "" for a new one. others: statuses of the order's other appointments.
    """
    if now == TOOK_PLACE:
        return "visit-complete"
    if now in STANDING or STANDING.intersection(others):
        return "appointment-scheduled"
    if now == "waitlist":
        return "waitlisted"
    if now in OFFERED or (OFFERED.intersection(others) and before in ("", *OFFERED)):
        return "appointment-offered"
    if now == MISSED:
        return "appointment-missed"
    if now == "cancelled" or now == "entered-in-error":
        return "appointment-cancelled" if before not in ("", *OFFERED) else ""
    return ""
