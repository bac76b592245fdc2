"""Why a service is among those that could help, or is not, and what is known already, as a person reads it.

Each in English, as the catalogues have it; the codes are those of referral.matching and insight.duplicates.
"""

from __future__ import annotations

from typing import Final

from coordhub.insight.duplicates import ENROLLED, OPEN_REFERRAL

REASONS: Final = {
    "same-kind": "offers this",
    "kind-not-stated": "does not say what it offers",
    "in-area": "serves where the person lives",
    "served-from-afar": "helps from afar, where the person lives",
    "out-of-area": "does not serve where the person lives",
    "area-not-stated": "does not say which area it serves",
    "area-uncertain": "ask whether it serves this address",
    "address-not-known": "no address of the person is known",
    "age-served": "serves this age",
    "age-not-known": "ask about the age",
    "below-minimum-age": "the person is too young for it",
    "above-maximum-age": "the person is too old for it",
    "sex-served": "serves this person",
    "sex-not-known": "ask whom it serves",
    "sex-not-served": "does not serve this person",
    "eligible": "the person meets its conditions",
    "eligibility-not-known": "ask about its conditions",
    "spoken": "speaks the person's language",
    "interpreted": "has interpreters",
    "language-not-known": "the person's language is not known",
    "language-not-stated": "does not say which languages it speaks",
    "language-not-offered": "does not speak the person's language",
    "open": "is open in time",
    "hours-not-stated": "does not say when it is open",
    "closed": "is not open in time",
    "by-appointment": "by appointment only",
    "accessible": "has the access that the person needs",
    "access-not-stated": "ask about access",
    "capacity": "has places now",
    "limited": "has few places",
    "waitlist": "has a waiting list",
    "no-capacity": "has no places now",
    "no-capacity-refused": "said lately that it has no places",
    "capacity-not-stated": "does not say whether it has places",
    "capacity-out-of-date": "said long ago whether it has places",
    "agreed": "takes your referrals",
    "no-agreement": "does not take your referrals",
    "not-electronically": "takes no referrals by this hub",
    "unreachable": "cannot be reached just now",
    "already-enrolled": "the person is enrolled there already",
    "on-waiting-list": "the person is on its waiting list already",
    "open-referral": "a referral for the same is open",
    "inactive": "is closed",
    "wrong-service": "offers something else",
}
"""Code of a finding -> what it means."""

WARNINGS: Final = {
    ENROLLED["enrolled"]: "The person is enrolled in such a program already",
    ENROLLED[
        "not-enrolled-on-waitlist"
    ]: "The person is on the waiting list of such a program already",
    OPEN_REFERRAL: "A referral for the same is open",
}
