"""Results that named no order, looked at again when two records turn out to be of one person.

Whoever was asked about somebody may keep a record of its own of the person, and write results under that: only
once the two are linked is it known that an order may be what such a result answers. Nobody guesses then either:
whoever wrote it is asked by an errand (`match-result`), which lists the orders, as of any other result.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from coordhub.access import caller, viewer
from coordhub.record import commit, errands, orders, parties
from coordhub.record.hub import Hub
from coordhub.record.operations import Create
from coordhub.referral import results
from coordhub.referral import task_machine as machine
from coordhub.store import orders as store
from coordhub.store import persons, resources
from coordhub.store.engine import Connection


async def look_again(hub: Hub, conn: Connection, patient: int) -> None:
    """Ask about what stands under any record of this person and may answer an order for another of them."""
    now = hub.clock()
    same = (await persons.together(conn, [patient]))[patient]
    found = await store.without_order(
        conn, viewer.deciding(), same, results.TYPES, now - results.WINDOW, orders.MOST
    )
    if not found:
        return
    writers = await resources.read_rids(
        conn, viewer.deciding(), sorted({one.source for one in found})
    )
    operations = []
    for one in found:
        document = parties.document(one)
        if results.status(document) in results.RETRACTED or one.source not in writers:
            continue
        proposed = await orders.propose(conn, one.source, one.patient, document, now)
        if not any(like.is_likely for _, like in proposed):
            continue
        made = errands.document(
            kind=orders.KIND,
            owner=writers[one.source].reference,
            subject=one.reference,
            requester=hub.organization,
            now=now,
            reason=machine.REASONS["order-unnamed"],
            inputs=orders.inputs(proposed),
        )
        operations.append(Create("Task", made))
    if operations:
        me = caller.hub(hub.organization)
        await commit.apply(hub, conn, me, operations, interaction="transaction")
