"""What follows from a Subscription: it is kept beside the resource as the relay needs it.

A subscriber sets `requested` and `off`; `active` and `error` are the hub's to set, once it has reached the
address or could not. What the hub cannot honour is refused.

http://hl7.org/fhir/R4/subscription.html, http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.r4 import reference
from coordhub.record import mailed, subscribing
from coordhub.record.work import Draft, Work
from coordhub.store import resources, subscriptions
from coordhub.store.subscriptions import Config
from coordhub.store.transact import SubscriptionRow

Document = dict[str, Any]

SETTLES: Final = ("requested", "off")
"""What a subscriber may say."""

_TOLD: Final = ("criteria", "_criteria", "channel")
"""What the address was reached for."""


async def apply(work: Work, draft: Draft) -> None:
    """Refuse what cannot be honoured (422), else keep it; a deletion ends it."""
    document, before = draft.document, draft.before() or {}
    if document is None:
        if before:
            config, until = subscribing.read(before, draft.at, work.hub.base, work.now)
            _keep(work, draft, before, "off", config, until, None)
        return
    at = draft.at or "Subscription"
    status = str(document.get("status"))
    config, until = subscribing.read(document, at, work.hub.base, work.now)
    if not work.caller.is_hub:
        _refuse_what_is_not_its(work, document, before, at)
        for query in config.queries:
            work.caller.require(query.partition("?")[0], "read")
        await _refuse_others(work, config, at)
        if subscribing.channel_of(document) == "email" and status == "requested":
            await _refuse_strangers(work, draft, config, at)
    if status == before.get("status") and all(
        document.get(name) == before.get(name) for name in (*_TOLD, "end")
    ):
        return
    error = document.get("error")
    if status != "off" and before.get("status") in (None, "off"):
        await _refuse_too_many(work, draft, at)
    _keep(work, draft, document, status, config, until, str(error)[:200] if error else None)


def _keep(
    work: Work, draft: Draft, document: Document, state: str, config: Config, until: Any,
    reason: str | None,
) -> None:  # fmt: skip
    """Bounded by what the caller may read, for as long as it may."""
    channel, caller = subscribing.channel_of(document), work.caller
    work.batch.subscriptions.append(
        SubscriptionRow(
            draft.rid, draft.source, channel, state, config.as_text(), until, reason,
            caller.client, caller.client and caller.scopes.text, caller.permission,
        )
    )  # fmt: skip
    work.wakes = True


async def _refuse_too_many(work: Work, draft: Draft, at: str) -> None:
    """Each is asked of every change, and told; counted under a lock, so that two at once do not pass."""
    await work.hold()
    here = [row.rid for row in work.batch.subscriptions if row.organization == draft.source]
    others = await subscriptions.count_others(work.conn, draft.source, [draft.rid, *here])
    if others + len(here) >= work.hub.most_subscriptions:
        raise FhirError(
            422,
            Issue(
                "too-costly",
                f"An organization has {work.hub.most_subscriptions} Subscriptions here at most that are not off. "
                "Switch one off, or ask for more by one: filters of one Subscription may name several values.",
                at,
            ),
        )


def _refuse_what_is_not_its(work: Work, document: Document, before: Document, at: str) -> None:
    status = document.get("status")
    if status in SETTLES:
        if document.get("end") and _is_over(document, work):
            raise FhirError(422, Issue("value", "Lies behind us.", f"{at}.end"))
        return
    if before and status == before.get("status"):
        changed = [name for name in _TOLD if document.get(name) != before.get(name)]
        if not changed:
            return
        raise FhirError(
            422,
            Issue(
                "business-rule",
                "What was changed has to be tried first: send it with status requested.",
                f"{at}.status",
            ),
        )
    raise FhirError(
        422,
        Issue(
            "business-rule",
            "The hub sets active once it has reached the address, and error when it could not. "
            f"Send {' or '.join(SETTLES)}.",
            f"{at}.status",
        ),
    )


def _is_over(document: Document, work: Work) -> bool:
    _, until = subscribing.read(document, "", work.hub.base, work.now)
    return until is not None and until <= work.now


async def _refuse_strangers(work: Work, draft: Draft, config: Config, at: str) -> None:
    """Mail goes to mailboxes that the directory vouches for."""
    address = subscribing.mailbox_of(config.endpoint) or ""
    reason = await mailed.why_not(work.conn, draft.source, address, work.hub.base, work.now)
    if reason is not None:
        raise FhirError(422, Issue("business-rule", reason, f"{at}.channel.endpoint"))


async def _refuse_others(work: Work, config: Config, at: str) -> None:
    """Whoever asks for what another organization has, or has asked for, would learn that there is such."""
    found = await resources.read_rids(work.conn, viewer.of(work.caller), [work.caller.organization])
    own = {version.reference for version in found.values()}
    for text in subscribing.named_owners(config):
        read = reference.parse(text, base=work.hub.base)
        if (
            read.kind == "local"
            and read.type == "Organization"
            and f"{read.type}/{read.id}" not in own
        ):
            raise FhirError(
                403,
                Issue(
                    "forbidden",
                    "Filter by your own organization: of another's you are told what you may see without it.",
                    f"{at}.criteria",
                ),
            )
