"""What operators and privacy officers do about labels; each act is in the audit, with its reason.

Raising is done for all that is stored (`apply`); lowering for one resource, by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coordhub.access import viewer
from coordhub.r4 import document as fhir_json
from coordhub.r4 import sensitivity, types
from coordhub.r4.sensitivity import NAMES, VSP
from coordhub.record import labels
from coordhub.record.hub import Hub
from coordhub.record.label_lists import entries
from coordhub.record.labelling import of_itself, spread
from coordhub.store import resources, sensitive
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.sensitive import CodeChange
from coordhub.store.transact import AuditRow, Batch, transact

AT_ONCE = 500
"""Resources relabelled in one transaction."""


class CannotLabelError(ValueError):
    """What was asked cannot be done; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who does it, as an account of the machine or another name, and why."""

    by: str
    reason: str


async def lists(hub: Hub) -> list[labels.Entry]:
    """The code lists as they are."""
    async with hub.engine.pool.acquire() as conn:
        return entries(await sensitive.code_changes(conn))


async def change_list(hub: Hub, act: Act, name: str, system: str, code: str, *, add: bool) -> None:
    """Put a code (or what begins so, `F11*`) on the list of a class, or take it off.

    What is stored keeps its labels; `apply` gives it the new ones.
    """
    _class_of(name)
    entry = labels.Entry(name, system, code)
    if not system or not code.removesuffix("*") or "*" in code[:-1]:
        raise CannotLabelError(
            "Name a system and a code; `*` may stand at the end of the code only."
        )
    async with hub.engine.transaction() as conn:
        known = entries(await sensitive.code_changes(conn))
        if add is (entry in known):
            state = "on" if add else "not on"
            raise CannotLabelError(f"{system}|{code} is {state} the list of {name} already.")
        await sensitive.set_code(conn, CodeChange(*entry, add))
        said = f"{name} {system}|{code}: {act.reason}"
        await _audit(hub, conn, act, "labels-add" if add else "labels-remove", None, said)
    hub.lists.forget()


async def set_source(hub: Hub, act: Act, organization: str, classes: int) -> None:
    """Make all that an organization writes about people be of these classes; 0: not any more."""
    if classes & VSP:
        raise CannotLabelError("A victim service provider is marked as one, not by its labels.")
    async with hub.engine.transaction() as conn:
        found = await _named(conn, organization)
        if found.type != "Organization":
            raise CannotLabelError(f"{organization} is no Organization.")
        await sensitive.set_source(conn, found.rid, classes)
        said = f"{','.join(sensitivity.names(classes)) or 'none'}: {act.reason}"
        await _audit(hub, conn, act, "labels-source", found, said)
    hub.lists.forget()


async def lower(hub: Hub, act: Act, reference: str, name: str) -> int:
    """Take a class from a resource, in all its versions; returns the classes it still has.

    It comes back only where an author writes it as a label anew. What is derived from the resource
    keeps its own. Refuses the class VSP, which is lifted where it was given: at the organization.
    """
    bit = _class_of(name)
    if bit == VSP:
        raise CannotLabelError("Content of a victim service provider keeps this label.")
    if not act.reason.strip():
        raise CannotLabelError("Say why: --reason.")
    async with hub.engine.transaction() as conn:
        found = await _named(conn, reference)
        held = await resources.lock(conn, [found.rid])
        before = held[found.rid].labels
        if not before & bit:
            raise CannotLabelError(f"{reference} is not labelled {name}.")
        await sensitive.lower_labels(conn, found.rid, bit)
        await _audit(hub, conn, act, "labels-lower", found, f"{name}: {act.reason}")
        return before & ~bit


async def apply(hub: Hub, act: Act, *, told: Callable[[int, int], None] | None = None) -> int:
    """Label all that is stored by the lists as they are now; returns how many resources rose.

    Nothing is lowered. told: hears after each batch how many were looked at and how many rose.
    """
    looked, rose, after = 0, 0, 0
    hub.lists.forget()
    while True:
        async with hub.engine.transaction() as conn:
            found = await sensitive.some(conn, viewer.deciding(), after=after, most=AT_ONCE)
            if not found:
                await _audit(hub, conn, act, "labels-apply", None, f"{rose} rose: {act.reason}")
                return rose
            rose += await _relabel(hub, conn, found)
        looked, after = looked + len(found), found[-1].rid
        if told is not None:
            told(looked, rose)


async def _relabel(hub: Hub, conn: Connection, found: list[Version]) -> int:
    lists_now = await hub.lists.current(conn)
    lowered = await sensitive.lowered(conn, [each.rid for each in found])
    raised: dict[int, tuple[str, int]] = {}
    for each in found:
        bodies = [each.body or "{}"]
        if each.version > 1:
            bodies += await sensitive.bodies_before(conn, viewer.deciding(), each.rid)
        bits = 0
        for body in bodies:
            document = fhir_json.parse(body.encode())
            bits |= of_itself(document, (each.source, each.author), lists_now)
        bits = (bits & ~lowered.get(each.rid, 0)) | each.labels
        if bits != each.labels:
            raised[each.rid] = (each.reference, bits)
    if not raised:
        return 0
    await sensitive.raise_labels(conn, {rid: bits for rid, (_, bits) in raised.items()})
    return len(raised) + await spread(conn, hub.base, raised, but={})


def _class_of(name: str) -> int:
    if name not in NAMES:
        raise CannotLabelError(f"There is no class {name}; there are {', '.join(NAMES)}.")
    return NAMES[name]


async def _named(conn: Connection, text: str) -> Version:
    kind, _, fhir_id = text.partition("/")
    found = (
        await resources.read(conn, viewer.deciding(), kind, fhir_id)
        if kind in types.NUMBER
        else None
    )
    if found is None or found.deleted:
        raise CannotLabelError(f"There is no {text} here. Name it as Type/id.")
    return found


async def _audit(
    hub: Hub, conn: Connection, act: Act, interaction: str, about: Version | None, said: str
) -> None:
    row = AuditRow(
        act.by,
        None,
        interaction,
        0,
        about.type if about else None,
        about.id if about else None,
        (about.rid,) if about else (),
        query=said,
    )
    await transact(conn, Batch(audit=[row]), now=hub.clock())
