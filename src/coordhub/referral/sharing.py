"""The one Task that a sender and its recipient share, where these two have agreed on it.

https://hl7.org/fhir/R4/task.html
https://hl7.org/fhir/us/sdoh-clinicalcare (direct referral: source and target speak of one Task)

What its owner says of its state stands, as it would on a Task of the hub's; what that means for the
sender (`businessStatus`) is concluded as of any referral. Whom nobody waits for any longer, or who could not
be reached, has not ended it: it is told as a referral that found nobody.
"""

from __future__ import annotations

from coordhub.referral.episode import LATE, Parent, parent
from coordhub.referral.needs import BEATEN, Child, Need


def shared(child: Child) -> Parent:
    """What the one Task is to be, of which `child` is what was written of it. Its outputs are its owner's."""
    found = parent([child], "requested", (Need(child.need),))
    released = child.status == "cancelled" and child.reason in BEATEN
    late = child.status == "completed" and child.business_status == LATE
    return Parent(
        found.status if released else child.status,
        LATE if late else found.business_status,
    )
