"""Every page that somebody who has signed in can open, and who opens it.

Add a line for a page of yours. What stands in braces is a name of `scene.played`; a page that needs
something that is not there yet gets it there.
"""

from __future__ import annotations

from typing import Final

PAGES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("mounds", "program-staff"): (
        "worklist",
        "worklist?show=active",
        "worklist?show=done",
        "tasks/{asked}",
        "tasks/{at_work}",
        "tasks/{done}",
        "patients",
        "patients/{jane}",
        "figures",
        "figures/rows?month={month}&of=received.asked",
        "community",
        "community?need=food-insecurity&place=01301&age=30&language=es",
        "nowhere",
    ),
    ("riverside", "coordinator"): (
        "worklist",
        "tasks/{nobody_left}",
        "releases/{data_asked}",
        "releases/{data_asked}?who={family}&whose={jane}",
        "releases/{data_asked}?who=nobody",
        "releases/{data_given}",
        "tasks/{unseen}",
        "board",
        "board?show=open",
        "board?show=done",
        "referrals/{stuck}",
        "referrals/{asks}",
        "referrals/{left}",
        "referrals/{sent}/call",
        "referrals/{left}/call",
        "refer/{jane}?kind=food-insecurity&again={left}",
        "referrals/{sent}",
        "referrals/{ended}",
        "referrals/{ended}/voice",
        "screening",
        "screening?who={family}",
        "screening/{jane}",
        "screening/{jane}?of=prapare",
        "screened/{screened}",
        "patients",
        "patients?who={family}",
        "patients?who=nobody",
        "figures",
        "community?name=pantry",
        "community?need=employment-status&open=on&room=on",
        "community/map",
        "community/map?need=food-insecurity",
        "community/months",
        "services/{pantry}",
        "services/{pantry}?who={family}",
        "services/{pantry}?who=nobody",
        "apps",
    ),
    ("riverside", "clinician"): (
        "results",
        "patients/{jane}",
        "refer/{jane}",
        "refer/{jane}?kind=food-insecurity",
        "refer/{jane}?kind=endocrinology",
        "requests/{jane}",
    ),
    ("lakeside", "clinician"): ("requests/{hers}", "requests/{hers}?who=nobody"),
    ("rides", "clinician"): ("worklist", "board", "patients", "results"),
    ("riverside", "privacy-officer"): (
        "privacy",
        "privacy?who={family}",
        "privacy?who=nobody",
        "privacy/{jane}",
        "privacy/{jane}?end=2020-01-01",
        "privacy/{jane}/disclosures/{disclosed}",
        "privacy/{jane}/consents",
        "privacy/{jane}/consents/{consent}",
        "emergencies",
        "emergencies/{opened}",
    ),
    ("lakeside", "privacy-officer"): ("emergencies", "privacy/{hers}/consents"),
    ("lakeside", "integration-engineer"): ("deliveries", "deliveries/{delivery}", "onboarding"),
    ("riverside", "integration-engineer"): (
        "deliveries",
        "onboarding",
        "explore",
        "explore?type=Task&query=_count=2%26_total=accurate",
        "explore?type=Task&query=status=nonsense",
        "explore?path=Patient/{jane}",
        "explore?path=Patient/nobody",
    ),
    ("riverside", "admin"): ("people", "figures", "you"),
}
"""Member of the sample community and role -> paths below the portal. A page without anything on it is one, too."""

WITH_IDS: Final = ("deliveries", "explore", "emergencies/", "privacy/{jane}/disclosures")
"""Where what a person reads may be ids and addresses: who follows a delivery, or what was looked at, needs them."""
