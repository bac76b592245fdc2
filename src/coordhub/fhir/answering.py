"""From what is asked to what is answered: the token's scopes, the interaction, the audit.

http://hl7.org/fhir/R4/http.html

Whoever looked at something, or was refused something, is in the audit before the answer leaves.
Writes are audited by their own commit.
"""

from __future__ import annotations

from collections.abc import Mapping

from coordhub import errors
from coordhub.errors import FhirError
from coordhub.fhir import auditing
from coordhub.fhir.context import Answer, Asked, Context, Perform
from coordhub.fhir.dispatch import OPERATIONS, needs
from coordhub.fhir.interactions import (
    audit_events,
    batch,
    capabilities,
    create,
    delete,
    history,
    patch,
    read,
    search,
    transaction,
    update,
    vread,
)
from coordhub.fhir.operations import (
    accounting_of_disclosures,
    break_glass,
    current_medications,
    evaluate_measure,
    everything,
    extract,
    find,
    ihe_pix,
    lastn,
    lower_label,
    match,
    meta,
    meta_change,
    prior_results,
    read_again,
    route,
    status_of_referral,
    subscription_binding,
    subscription_resend,
    subscription_secret,
    subscription_status,
    validate,
    why,
)

_PRESENTATION = frozenset({"_pretty", "_format"})
_VIEW = frozenset({"_summary", "_elements"})
_HISTORY = frozenset({"_count", "_cursor", "_since", "_at"})
_QUERIES: Mapping[str, frozenset[str]] = {
    "capabilities": _PRESENTATION | _VIEW | {"mode"},
    "read": _PRESENTATION | _VIEW,
    "vread": _PRESENTATION | _VIEW,
    "history-instance": _PRESENTATION | _HISTORY,
    "history-type": _PRESENTATION | _HISTORY | {"_sort"},
    "history-system": _PRESENTATION | _HISTORY | {"_sort"},
}
_JUDGE_THEIR_OWN = frozenset({"search-type", "search-system"})


async def answer(context: Context, asked: Asked) -> Answer:
    """Answer one interaction, or raise the FhirError that refuses it."""
    try:
        kind, letter = asked.target.type, needs(asked.target)
        if kind is not None and letter is not None:
            asked.caller.require(kind, letter)
        _know_all(asked)
        await context.restored.refuse(asked.target.interaction)
        perform = _INTERACTIONS[asked.target.interaction]
        if audit_events.is_meant(context, asked):
            perform = audit_events.answer
        answered = await perform(context, asked)
    except FhirError as refused:
        if refused.status < 500:
            await context.audit.record(auditing.row(asked.caller, asked.target, refused.status))
        raise
    if not answered.audited:
        await context.audit.record(
            auditing.row(
                asked.caller, asked.target, answered.status, answered.shown, answered.searched
            )
        )
    return answered


async def _bundle(context: Context, asked: Asked) -> Answer:
    """A batch or a transaction: its Bundle says which."""
    document = asked.document or {}
    if document.get("resourceType") != "Bundle":
        raise errors.bad_request(
            "At the base a Bundle of type batch or transaction is expected; "
            "a resource is posted to [type].",
            "Resource.resourceType",
        )
    match document.get("type"):
        case "transaction":
            return await transaction.answer(context, asked, answer)
        case "batch":
            return await batch.answer(context, asked, answer)
        case _:
            raise errors.bad_request(
                "The type of a Bundle posted to the base is batch or transaction.", "Bundle.type"
            )


async def _invoke(context: Context, asked: Asked) -> Answer:
    return await _OPERATIONS[asked.target.operation or ""](context, asked)


_OPERATIONS: Mapping[str, Perform] = {
    "accounting-of-disclosures": accounting_of_disclosures.answer,
    "break-glass": break_glass.answer,
    "evaluate-measure": evaluate_measure.answer,
    "events": subscription_status.events,
    "everything": everything.answer,
    "extract": extract.answer,
    "find": find.answer,
    "get-ws-binding-token": subscription_binding.answer,
    "ihe-pix": ihe_pix.answer,
    "lastn": lastn.answer,
    "lower-label": lower_label.answer,
    "match": match.answer,
    "meta": meta.answer,
    "meta-add": meta_change.add,
    "meta-delete": meta_change.delete,
    "current-medications": current_medications.answer,
    "prior-results": prior_results.answer,
    "read-again": read_again.answer,
    "resend": subscription_resend.answer,
    "rotate-secret": subscription_secret.answer,
    "route": route.answer,
    "status": subscription_status.status,
    "status-of-referral": status_of_referral.answer,
    "validate": validate.answer,
    "why": why.answer,
}

_INTERACTIONS: Mapping[str, Perform] = {
    "read": read.answer,
    "vread": vread.answer,
    "history-instance": history.answer,
    "history-type": history.answer,
    "history-system": history.answer,
    "search-type": search.answer,
    "search-system": search.answer,
    "create": create.answer,
    "update": update.answer,
    "patch": patch.answer,
    "delete": delete.answer,
    "transaction": _bundle,
    "capabilities": capabilities.answer,
    "operation": _invoke,
}


def _know_all(asked: Asked) -> None:
    """400 for a parameter that would be passed over; searches, criteria and operations judge their own."""
    target = asked.target
    if target.interaction in _JUDGE_THEIR_OWN:
        return
    if target.interaction in ("update", "patch", "delete") and target.id is None:
        return
    known = _QUERIES.get(asked.target.interaction, _PRESENTATION)
    doing = asked.target.interaction
    if asked.target.operation is not None:
        doing = f"${asked.target.operation}"
        taken = OPERATIONS[asked.target.operation].parameters
        if taken is None:
            return
        known = _PRESENTATION | taken
    unknown = sorted({name for name, _ in asked.query} - known)
    if unknown:
        raise FhirError(
            400,
            *(
                errors.not_supported(
                    f"{doing} takes no such parameter here.",
                    f"http.{''.join(c for c in name[:64] if c.isalnum() or c in '_:-.')}",
                ).issues[0]
                for name in unknown
            ),
        )
