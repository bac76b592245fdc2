"""An officer of who holds a record says what it found of an emergency in which that was opened.

https://www.hhs.gov/hipaa/for-professionals/security/laws-regulations (45 CFR 164.308(a)(1)(ii)(D): review of access)

The note is its organization's own. That there is one is in the audit, with the verdict and without the sentence.
"""

from __future__ import annotations

from typing import Final

from coordhub.access.caller import Caller
from coordhub.record.hub import Hub
from coordhub.store import audit, emergencies
from coordhub.store.emergencies import Note, Use
from coordhub.store.transact import AuditRow

VERDICTS: Final = {"justified": "Justified", "followed-up": "Not justified: followed up"}


async def review(
    hub: Hub, caller: Caller, use: Use, notice: str, verdict: str, said: str, account: str
) -> None:
    """notice: id of the Communication. account: of the person."""
    now = hub.clock()
    row = AuditRow(
        caller.client, caller.organization, "emergency-review", 200, "Communication", notice,
        (use.patient, use.notice), f"verdict={verdict}", request_id=caller.request_id,
    )  # fmt: skip
    async with hub.engine.transaction() as conn:
        await emergencies.note(conn, use, caller.organization, Note(verdict, said, account, now))
        await audit.append(conn, row, now)
