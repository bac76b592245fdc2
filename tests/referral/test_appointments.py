"""What an appointment says of its referral, as a table."""

from __future__ import annotations

import pytest

from coordhub.referral.appointments import says
from coordhub.referral.episode import BUSINESS_STATUSES


@pytest.mark.parametrize(
    ("before", "now", "others", "said"),
    [
        ("", "proposed", (), "appointment-offered"),
        ("proposed", "pending", (), "appointment-offered"),
        ("proposed", "booked", (), "appointment-scheduled"),
        ("", "booked", (), "appointment-scheduled"),
        ("booked", "arrived", (), "appointment-scheduled"),
        ("booked", "checked-in", (), "appointment-scheduled"),
        ("booked", "fulfilled", (), "visit-complete"),
        ("booked", "noshow", (), "appointment-missed"),
        ("booked", "cancelled", (), "appointment-cancelled"),
        ("booked", "entered-in-error", (), "appointment-cancelled"),
        ("noshow", "booked", (), "appointment-scheduled"),
        ("", "waitlist", (), "waitlisted"),
        # made anew: which comes first does not matter
        ("", "booked", ("cancelled",), "appointment-scheduled"),
        ("booked", "cancelled", ("booked",), "appointment-scheduled"),
        ("booked", "noshow", ("booked",), "appointment-scheduled"),
        ("", "booked", ("noshow",), "appointment-scheduled"),
        # an offer beside what stands changes nothing
        ("", "proposed", ("booked",), "appointment-scheduled"),
        # an offer is taken back: another is left, or none
        ("proposed", "cancelled", ("proposed",), "appointment-offered"),
        ("proposed", "cancelled", (), ""),
        ("booked", "cancelled", ("proposed",), "appointment-cancelled"),
    ],
)
def test_given_an_appointment_when_it_changes_then_the_referral_says(before, now, others, said):
    assert says(before, now, others) == said
    assert said in {"", *BUSINESS_STATUSES}
