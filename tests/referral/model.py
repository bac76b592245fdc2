"""A model of one referral, made of the hub's own pure functions, and all that can become of it.

The world is what the writer's transaction decides from: the status of the sender's Task, the Tasks that ask
somebody, who could still be asked. A message is what somebody may send at any time, or what a timer does.
From every state every message is tried, legal or not, so that of any two messages that race both orders
are among what is explored; what is refused changes nothing.

http://hl7.org/fhir/R4/task.html#statemachine
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from coordhub.referral import (
    conversation,
    episode,
    needs,
    profiles,
    reaching,
    sharing,
    strategy,
    transitions,
)
from coordhub.referral import task_machine as machine
from coordhub.referral.needs import Child, Need
from coordhub.referral.strategies import Name, Strategy

START = datetime(2026, 3, 2, tzinfo=UTC)
EVERY = timedelta(hours=1)
HOPS = 2

REASONS = {
    "rejected": ("no-capacity", "not-eligible"),
    "failed": ("cannot-contact",),
    "cancelled": ("", "client-declined"),
    "on-hold": ("missing-documents",),
}
"""Reasons that owners give for a status: of each kind that the hub tells apart, one."""


LEAN = ("accepted", "in-progress", "completed", "rejected", "failed", "cancelled")
"""What owners send where there are too many of them for all that they could."""

SAID = (
    "awaiting-information", "information-received", "waitlisted", "contact-attempted",
    "appointment-scheduled",
)  # fmt: skip
"""What owners say by a business status, or by something else of which it follows."""

NOBODY = -1
"""Rank of whose Task of a pool it is that nobody has claimed."""

OF_WHO_IS_APART = ("accepted", "in-progress", "completed", "rejected")
"""What a victim service provider answers: enough to see that none of it shows."""


class Cell(NamedTuple):
    """A Task that asks somebody. apart: a victim service provider.

    members: of a pool, who may claim it, and rank is NOBODY until one has.
    """

    need: int
    apart: bool
    status: str = "requested"
    reason: str = ""
    business: str = ""
    begun: bool = False
    taken: bool = False
    rank: int = 0
    members: tuple[int, ...] = ()


class Want(NamedTuple):
    """A need. named: how many could be asked, those suggested by a person among them.

    won, choosing: where offers are chosen among, whether somebody was, and whether a person is asked to.
    """

    named: int
    wave: int = 0
    suggested: int = 0
    queued: bool = False
    reason: str = ""
    won: bool = False
    choosing: bool = False


class State(NamedTuple):
    """by_sender: who has ended it is the sender. forbidden: nobody new may be told for whom it is."""

    parent: str
    cells: tuple[Cell, ...]
    wants: tuple[Want, ...]
    by_sender: bool = False
    forbidden: bool = False


class Message(NamedTuple):
    """who: owner, requester, timer, consent, hub (later: when a wave has had its time), person (who looks for
    somebody, of need `cell`; or who chooses an offer, or none: "unwanted"); errand: the owner, asked to stop.
    member: one of a pool, who claims or gives back. says: an owner says something besides the status of its Task, or
    is answered. cell: whose Task it is about."""

    who: str
    cell: int = -1
    status: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """asked: how many could be for each need, by which strategy. apart: one of them is.
    profile: which all owners speak. suggests: who looks for somebody for a need finds one.
    talks: owners also ask for information, keep places, try to reach the person, and book visits.
    shared: the one who is asked answers on the sender's own Task."""

    asked: tuple[int, ...]
    apart: bool = False
    strategy: Name = "broadcast"
    profile: str = "r4"
    suggests: bool = False
    lean: bool = False
    talks: bool = False
    shared: bool = False

    @property
    def chosen(self) -> bool:
        return self.strategy == "broadcast-choose"

    def start(self) -> State:
        return State("requested", (), tuple(Want(count) for count in self.asked))


def children(setting: Setting, state: State) -> list[Child]:
    return [
        Child(
            f"Task/{number}",
            cell.status,
            str(cell.need),
            cell.reason,
            cell.business,
            apart=cell.apart,
            offered=_has_offered(setting, state, cell),
            begun=cell.begun,
        )
        for number, cell in enumerate(state.cells)
    ]


def _has_offered(setting: Setting, state: State, cell: Cell) -> bool:
    """Whether it has accepted where one of several offers is chosen, and none is yet."""
    return setting.chosen and cell.status == "accepted" and not state.wants[cell.need].won


def of_needs(setting: Setting, state: State) -> list[Need]:
    return [
        Need(
            str(number),
            more=not want.reason
            and needs.is_followed(
                setting.strategy,
                suggested=want.suggested > 0,
                several=len(setting.asked) > 1,
                apart=any(cell.apart and cell.need == number for cell in state.cells),
            ),
            queued=want.queued and not want.reason,
            reason=want.reason,
        )
        for number, want in enumerate(state.wants)
    ]


def messages(setting: Setting, state: State) -> Iterator[Message]:
    """Everything that anybody can send, whatever the state is."""
    statuses = LEAN if setting.lean else machine.STATUSES
    for number, cell in enumerate(state.cells):
        for status in OF_WHO_IS_APART if cell.apart else statuses:
            for reason in REASONS.get(status, ("",))[: 1 if setting.lean else None]:
                yield Message("owner", number, status, reason)
        yield Message("errand", number, "completed")
        yield Message("errand", number, "rejected")
        for rank in cell.members:
            yield Message("member", number, "claim", str(rank))
        if cell.members:
            yield Message("member", number, "back")
        if setting.chosen and not cell.apart:
            yield Message("person", number, "chosen")
        if setting.talks and not cell.apart:
            for said in SAID:
                yield Message("says", number, said)
        yield Message("timer", number, "cancelled", "expired")
        yield Message("timer", number, "cancelled", "undeliverable")
    yield Message("requester", status="cancelled")
    yield Message("requester", status="entered-in-error")
    yield Message("consent")
    yield Message("hub")
    yield Message("hub", status="later")
    for number, _ in enumerate(state.wants):
        yield Message("person", number, "completed")
        yield Message("person", number, "rejected")
        if setting.chosen:
            yield Message("person", number, "unwanted")


def after(setting: Setting, state: State, message: Message) -> State:
    """The state once the message is dealt with; the same one where it is refused or says nothing new."""
    match message.who:
        case "owner":
            return _answered(setting, state, message)
        case "errand":
            return _stops(setting, state, message)
        case "timer":
            cell = state.cells[message.cell]
            if cell.apart or cell.status not in ("requested", "received"):
                return state
            ended = _set(state, message.cell, status="cancelled", reason=message.reason)
            return _moved(setting, ended)
        case "requester":
            return _withdrawn(setting, state, message.status)
        case "consent":
            return _forbidden(setting, state)
        case "person":
            if message.status == "chosen":
                return _chosen(setting, state, message.cell)
            if message.status == "unwanted":
                return _unwanted(setting, state, message.cell)
            return _looked(setting, state, message)
        case "member":
            return _of_pool(setting, state, message)
        case "says":
            return _says(setting, state, message)
        case _:
            return _asked(setting, state, START + (EVERY if message.status else timedelta()))


def _set(state: State, number: int, **changes: object) -> State:
    cell = state.cells[number]._replace(**changes)
    if cell.status in machine.STARTED:
        cell = cell._replace(begun=True)
    if cell.status in machine.WON and not cell.apart:
        cell = cell._replace(taken=True)
    return state._replace(cells=(*state.cells[:number], cell, *state.cells[number + 1 :]))


def _cancelled(state: State, cancels: tuple[episode.Cancel, ...]) -> State:
    for cancel in cancels:
        number = int(cancel.task.partition("/")[2])
        state = _set(state, number, status=cancel.status, reason=cancel.reason.code)
    return state


def _moved(setting: Setting, state: State) -> State:
    """T1 as its children make it, and what is chosen of what."""
    those, needed = children(setting, state), of_needs(setting, state)
    computed = _computed(setting, state)
    if setting.shared and state.cells:
        released = state.cells[0].status == "cancelled" and computed.status == "rejected"
        state = _set(state, 0, status=computed.status) if released else state
    if not setting.chosen:
        return state._replace(parent=computed.status)
    stated = [needs.state(need, those, computed.status) for need in needed]
    wants = tuple(
        want._replace(won=said == "won", choosing=want.choosing and said == "open")
        for want, said in zip(state.wants, stated, strict=True)
    )
    return state._replace(parent=computed.status, wants=wants)


def _computed(setting: Setting, state: State) -> episode.Parent:
    those = children(setting, state)
    if setting.shared and those:
        return sharing.shared(those[0])
    return episode.parent(those, state.parent, of_needs(setting, state))


def _answered(setting: Setting, state: State, message: Message) -> State:
    cell, profile = state.cells[message.cell], profiles.named(setting.profile)
    old = transitions.State(cell.status, taken=cell.taken)
    new = transitions.State(message.status)
    judged = transitions.judge(profile, old, new, machine.OWNER)
    if not isinstance(judged, transitions.Legal) or message.status == cell.status:
        return state
    if cell.rank == NOBODY:  # whoever answers has claimed it
        return state
    offers = setting.chosen and not state.wants[cell.need].won
    if offers and message.status in machine.WON and message.status != "accepted":
        return state
    changed = _set(state, message.cell, **_said(cell, message))
    if cell.apart:
        return changed
    late = cell.status == "cancelled" and message.status == "completed"
    if late:
        changed = _set(changed, message.cell, business=episode.LATE, reason="")
    step = episode.on_child_change(
        children(setting, state), f"Task/{message.cell}", message.status, kept=offers
    )
    if isinstance(step, episode.AlreadyWon):
        return _moved(setting, changed) if late else state
    return _moved(setting, _cancelled(changed, step.cancels))


def _said(cell: Cell, message: Message) -> dict[str, str]:
    """What its owner writes; that it is asked to stop stands until it has ended."""
    said = {"status": message.status, "reason": message.reason, "business": ""}
    if cell.business != "cancellation-requested":
        return said
    if message.status not in machine.TERMINAL:
        said["business"] = cell.business
    if message.status not in machine.TERMINAL or message.status == "cancelled":
        said["reason"] = message.reason or cell.reason
    return said


def _chosen(setting: Setting, state: State, number: int) -> State:
    """A person takes this offer: it has won, the others have not."""
    cell = state.cells[number]
    if not state.wants[cell.need].choosing or not _has_offered(setting, state, cell):
        return state
    others = tuple(
        episode.Cancel(child.task, machine.REASONS["not-selected"])
        for at, child in enumerate(children(setting, state))
        if child.need == str(cell.need)
        and needs.is_asked(child)
        and not child.apart
        and at != number
    )
    want = state.wants[cell.need]._replace(won=True)
    wants = (*state.wants[: cell.need], want, *state.wants[cell.need + 1 :])
    return _moved(setting, _cancelled(state, others)._replace(wants=wants))


def _unwanted(setting: Setting, state: State, number: int) -> State:
    """A person wants none of the offers for a need."""
    if not state.wants[number].choosing:
        return state
    let_go = tuple(
        episode.Cancel(child.task, machine.REASONS["not-wanted"])
        for child in children(setting, state)
        if child.need == str(number) and child.offered and not child.apart
    )
    want = state.wants[number]._replace(choosing=False)
    state = state._replace(wants=(*state.wants[:number], want, *state.wants[number + 1 :]))
    return _moved(setting, _cancelled(state, let_go))


def _of_pool(setting: Setting, state: State, message: Message) -> State:
    """One of several claims what is offered to all of them, or gives it back before it has begun."""
    cell = state.cells[message.cell]
    if cell.status in machine.TERMINAL:
        return state
    if message.status == "claim":
        if cell.rank != NOBODY or state.forbidden:
            return state
        step = episode.on_child_change(children(setting, state), f"Task/{message.cell}", "accepted")
        if isinstance(step, episode.AlreadyWon):
            return state
        claimed = _set(state, message.cell, status="accepted", rank=int(message.reason))
        return _moved(setting, _cancelled(claimed, step.cancels))
    if cell.rank == NOBODY or cell.begun:
        return state
    return _moved(setting, _set(state, message.cell, status="cancelled", reason="given-back"))


def _says(setting: Setting, state: State, message: Message) -> State:
    """What an owner says besides a status, and what that makes of its Task; whatever it is asked to stop for stands."""
    cell, number = state.cells[message.cell], message.cell
    if cell.status in machine.TERMINAL or cell.rank == NOBODY:
        return state
    child = children(setting, state)[number]
    stops = cell.business == "cancellation-requested"
    status, reason, business = cell.status, cell.reason, cell.business
    match message.status:
        case "awaiting-information":
            status = conversation.waits_at(status) or status
            business = message.status
        case "information-received":
            if cell.business != "awaiting-information":
                return state
            business = message.status
        case "waitlisted":
            if cell.status not in ("requested", "received", "accepted"):
                return state
            asked = any(
                needs.is_asked(each) and each.task != child.task
                for each in children(setting, state)
                if each.need == child.need and not each.apart
            )
            step = episode.on_child_change(
                children(setting, state), child.task, "accepted", kept=asked
            )
            if isinstance(step, episode.AlreadyWon):
                return state
            state = _cancelled(state, step.cancels)
            status, business = "on-hold", message.status
            reason = needs.PLACE_KEPT if asked else ""
        case "contact-attempted":
            if not needs.is_won(child) or cell.business not in reaching.OVER:
                return state
            business = message.status
        case _:
            if not needs.is_won(child):
                return state
            status = "in-progress" if status in ("accepted", "ready", "on-hold") else status
            business = message.status
    if stops:
        business = cell.business
    said = {"status": status, "reason": reason, "business": business}
    begun = cell.begun or status == "in-progress"
    changed = _set(state, number, **said) if begun else _pausing(state, number, said)
    return _moved(setting, changed)


def _pausing(state: State, number: int, said: dict[str, str]) -> State:
    """On hold without having begun: a place on a list."""
    cells = _set(state, number, **said).cells
    cell = cells[number]._replace(begun=False)
    return state._replace(cells=(*cells[:number], cell, *cells[number + 1 :]))


def _stops(setting: Setting, state: State, message: Message) -> State:
    """Who was asked to stop says that it does, or that it cannot."""
    cell = state.cells[message.cell]
    if cell.business != "cancellation-requested" or cell.status in machine.TERMINAL:
        return state
    if message.status == "completed":
        return _moved(setting, _set(state, message.cell, status="cancelled"))
    if cell.reason == "consent-withdrawn":
        return state
    return _moved(setting, _set(state, message.cell, reason="cannot-stop", business=""))


def _withdrawn(setting: Setting, state: State, status: str) -> State:
    if state.parent in machine.TERMINAL and status != "entered-in-error":
        return state
    withdrawal = episode.withdraw(children(setting, state))
    for task in withdrawal.ask:
        number = int(task.partition("/")[2])
        if state.cells[number].business != "cancellation-requested":
            state = _set(
                state, number, reason="requester-cancelled", business="cancellation-requested"
            )
    if not withdrawal.ask:
        state = state._replace(parent=status, by_sender=True)
    if setting.shared and state.cells and not withdrawal.ask:  # what it writes is that Task
        reason = "requester-cancelled" if withdrawal.cancels else state.cells[0].reason
        return _moved(setting, _set(state, 0, status=status, reason=reason))
    return _moved(setting, _cancelled(state, withdrawal.cancels))


def _forbidden(setting: Setting, state: State) -> State:
    """The patient takes back the permission for all."""
    stopped = episode.permission_withdrawn(children(setting, state))
    state = state._replace(forbidden=True)
    for task in stopped.ask:
        number = int(task.partition("/")[2])
        state = _set(state, number, reason="consent-withdrawn", business="cancellation-requested")
    return _moved(setting, _cancelled(state, stopped.cancels)) if state.cells else state


def _asked(setting: Setting, state: State, now: datetime) -> State:
    """The relay takes the next step of each need that is open."""
    if state.parent in machine.TERMINAL:
        return state
    those = children(setting, state)
    made, wants = list(state.cells), list(state.wants)
    for number, need in enumerate(of_needs(setting, state)):
        if needs.state(need, those, state.parent) != "open":
            continue
        want = wants[number]
        match strategy.next_step(_view(setting, state, number, those), now):
            case strategy.Ask(ranks, wave):
                alone = [at for at in ranks if _is_apart(setting, number, at)]
                together = tuple(at for at in ranks if at not in alone)
                if setting.strategy == "pool":
                    made += [Cell(number, False, rank=NOBODY, members=together)] if together else []
                else:
                    alone = list(ranks)
                made += [Cell(number, _is_apart(setting, number, at), rank=at) for at in alone]
                wants[number] = want._replace(wave=wave)
            case strategy.Choose():
                wants[number] = want._replace(choosing=True)
            case strategy.Queue():
                wants[number] = want._replace(queued=True)
            case strategy.Nobody():
                wants[number] = want._replace(reason="consent-missing")
            case _:
                pass
    return _moved(setting, state._replace(cells=tuple(made), wants=tuple(wants)))


def _view(setting: Setting, state: State, number: int, those: list[Child]) -> strategy.View:
    want = state.wants[number]
    prospects = []
    for rank in range(want.named):
        tried = tuple(
            _tried(child, cell, rank)
            for child, cell in zip(those, state.cells, strict=True)
            if cell.need == number and rank in (cell.rank, *cell.members)
        )
        if tried or not state.forbidden:
            suggested = rank >= setting.asked[number]
            apart = _is_apart(setting, number, rank)
            prospects.append(strategy.Candidacy(rank, apart, suggested, tried))
    plan = Strategy(setting.strategy, HOPS, timedelta(days=9), 3, (1,), EVERY)
    asked_at = START if want.wave else None
    several = len(setting.asked) > 1
    return strategy.View(
        plan, START, tuple(prospects), want.wave, asked_at, queued=want.queued, several=several
    )


def _tried(child: Child, cell: Cell, rank: int) -> Child:
    """What became of the Task for this one: whoever did not claim what another did was not selected."""
    if cell.rank in (NOBODY, rank) or not (child.status in machine.TERMINAL or child.kept):
        return child
    return replace(child, status="cancelled", reason="not-selected", begun=False)


def _is_apart(setting: Setting, number: int, rank: int) -> bool:
    return setting.apart and (number, rank) == (0, 0)


def _looked(setting: Setting, state: State, message: Message) -> State:
    """Who was asked to find somebody has, once, or gives up."""
    want = state.wants[message.cell]
    if not want.queued or state.parent in machine.TERMINAL:
        return state
    if message.status == "rejected":
        want = want._replace(queued=False, reason="no-provider-available")
    elif want.suggested or not setting.suggests:
        return state
    else:
        want = want._replace(queued=False, suggested=1, named=want.named + 1)
    before, behind = state.wants[: message.cell], state.wants[message.cell + 1 :]
    return _moved(setting, state._replace(wants=(*before, want, *behind)))


# ---- what must hold

_RELEASED = ("expired", "undeliverable", "not-selected", "not-wanted", "given-back")
"""Reasons of Tasks with which nobody has said that it is not wanted any more."""

_RANK = {"requested": 0, "received": 0, "accepted": 1, "ready": 1, "in-progress": 2, "on-hold": 2}


def faults(setting: Setting, state: State) -> Iterator[str]:
    """What is wrong with a state by itself."""
    told = [cell for cell in state.cells if not cell.apart]
    live = [cell for cell in told if cell.status not in machine.TERMINAL]
    offers = [cell for cell in live if _has_offered(setting, state, cell)]
    waits = [cell for cell in live if _is_place(cell)]
    for number, need in enumerate(of_needs(setting, state)):
        own = [cell for cell in told if cell.need == number]
        winners = [
            cell
            for cell in own
            if cell.status in machine.WON
            and cell.business != episode.LATE
            and cell not in (*offers, *waits)
        ]
        if len(winners) > 1:
            yield f"need {number} has {len(winners)} winners"
        said = needs.state(need, children(setting, state), state.parent)
        if said == "won" and not any(cell in live for cell in winners):
            yield f"need {number} is won by nobody who is at work"
        done = any(cell.status == "completed" for cell in own)
        if said not in ("met", "won") if done else said == "met":
            yield f"need {number} is {said}, and its Tasks say otherwise"
        if (said in needs.ENDED) and any(cell in live for cell in own):
            yield f"need {number} is {said} while somebody is asked or at work"
        if any(cell in offers for cell in own) and said != "open":
            yield f"need {number} is {said} while offers wait to be chosen among"
        if state.parent in machine.TERMINAL and said not in needs.ENDED:
            yield f"need {number} is {said} in a referral that is {state.parent}"
    for at, cell in enumerate(told):
        declined = cell.status in machine.TERMINAL and cell.reason != "not-selected"
        if (
            declined
            and cell.business != episode.LATE
            and any(
                cell.rank in (later.rank, *later.members) and later.need == cell.need
                for later in told[at + 1 :]
            )
        ):
            yield "somebody is asked again who has declined"
    if state.parent in machine.TERMINAL and live:
        yield f"the referral is {state.parent} while {live[0].status} goes on"
    done = [cell for cell in told if cell.status == "completed"]
    if state.parent in machine.TERMINAL and done:
        computed = _computed(setting, state)
        late = all(cell.business == episode.LATE for cell in done)
        if late and state.parent not in ("completed", "entered-in-error"):
            if computed.business_status != episode.LATE:
                yield f"something was done late, of which a {state.parent} referral says nothing"
        elif not state.by_sender and state.parent not in ("completed", "entered-in-error"):
            yield f"something was done, and the referral is {state.parent}"
    if setting.shared and any(cell.status != state.parent for cell in told):
        yield f"the one Task is {told[0].status} for its owner and {state.parent} for its sender"
    if state.by_sender:
        return
    if state.parent == "cancelled" and told and all(cell.reason in _RELEASED for cell in told):
        yield "the referral is cancelled, and nobody has done that"
    if not done and state.parent == "completed":
        yield "nothing was done, and the referral is completed"
    if _waits_in_vain(setting, state, offers):
        yield "offers wait, and nobody is asked to choose among them"
    yield from _unsaid(setting, state, live, offers)
    at_work = [
        cell for cell in live if cell.status in machine.WON and cell not in (*offers, *waits)
    ]
    if at_work and state.parent not in machine.STARTED and not setting.shared:
        yield f"somebody is at work, and the referral is {state.parent}"
    if not at_work and state.parent == "on-hold":
        yield "nobody is at work, and the referral is on hold"


def _waits_in_vain(setting: Setting, state: State, offers: list[Cell]) -> bool:
    """Whether there are offers, and the hub neither waits for others nor asks a person to choose."""
    choosing = any(want.choosing for want in state.wants)
    return bool(offers) and not choosing and _asked(setting, state, START + EVERY) == state


def _is_place(cell: Cell) -> bool:
    return cell.status == "on-hold" and cell.reason == needs.PLACE_KEPT


def _unsaid(setting: Setting, state: State, live: list[Cell], offers: list[Cell]) -> Iterator[str]:
    """What T1's business status says that is not so."""
    if any(cell.apart for cell in state.cells) or state.parent in machine.TERMINAL:
        return
    said = _computed(setting, state).business_status
    sayers = [cell for cell in live if cell.business == said]
    if said == "waitlisted":  # also of a place whose owner waits for information meanwhile
        sayers += [cell for cell in live if _is_place(cell)]
    if said in (*SAID, "cancellation-requested") and not sayers:
        yield f"the referral says {said}, and nobody does"
    if said == "offers-received" and not offers:
        yield "the referral says that there are offers, and there are none"
    if said not in episode.BUSINESS_STATUSES:
        yield f"the referral says {said!r}, which means nothing"


def backward(setting: Setting, before: State, then: State, message: Message) -> str | None:
    """What is wrong with a step."""
    for old, new in zip(before.wants, then.wants, strict=True):
        # a place on a waiting list is no offer
        if new.won and not old.won and message.status != "chosen" and message.who != "says":
            return "an offer has won that nobody has chosen"
    both = setting.shared and any(cell.business == episode.LATE for cell in then.cells)
    stays = (before.parent, "entered-in-error", *(("completed",) if both else ()))
    if before.parent in machine.TERMINAL and then.parent not in stays:
        return f"the referral had ended {before.parent} and is {then.parent}"
    if then.parent not in machine.TERMINAL and _RANK[then.parent] < _RANK[before.parent]:
        return f"the referral went back from {before.parent} to {then.parent}"
    for old, new in zip(before.cells, then.cells, strict=False):
        late = old.status == "cancelled" and new.business == episode.LATE
        error = setting.shared and new.status == "entered-in-error"  # as its sender says
        if old.status in machine.TERMINAL and new.status != old.status and not (late or error):
            return f"a Task had ended {old.status} and is {new.status}"
    return None


def leaks(setting: Setting, state: State, known: dict[State, object]) -> str | None:
    """Whether what a victim service provider answers makes a difference to anything that others see.

    known: what others see of states in which it has not answered.
    """
    silent = state
    for number, cell in enumerate(state.cells):
        if cell.apart:
            silent = state._replace(
                cells=(
                    *silent.cells[:number],
                    Cell(cell.need, True, rank=cell.rank),
                    *silent.cells[number + 1 :],
                )
            )
    if silent not in known:
        known[silent] = _seen(setting, silent)
    if state is not silent and _seen(setting, state) != known[silent]:
        return "what who is apart answers shows"
    return None


def _seen(setting: Setting, state: State) -> object:
    those = children(setting, state)
    told = {child.task for child in those if not child.apart}
    withdrawal = episode.withdraw(those)
    steps = [
        episode.on_child_change(those, child.task, "accepted")
        for child in those
        if child.task in told
    ]
    return (
        episode.parent(those, state.parent, of_needs(setting, state)),
        [needs.state(need, those, state.parent) for need in of_needs(setting, state)],
        withdrawal.ask,
        [one for one in withdrawal.cancels if one.task in told],
        steps,
    )


def is_over(state: State) -> bool:
    """Nothing is expected of anybody. Who is apart may go on for itself."""
    return state.parent in machine.TERMINAL


@dataclass(slots=True)
class Explored:
    """faults: what is wrong -> how one gets there."""

    states: int = 0
    steps: int = 0
    races: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: dict[str, tuple[Message, ...]] = field(default_factory=dict)

    def __add__(self, other: Explored) -> Explored:
        return Explored(
            self.states + other.states,
            self.steps + other.steps,
            self.races + other.races,
            self.ends + other.ends,
            {**other.faults, **self.faults},
        )


def explore(setting: Setting, *, to_the_first_fault: bool = False) -> Explored:
    """Every state that can be reached, every message from each."""
    start = setting.start()
    found = Explored()
    came: dict[State, tuple[State, Message] | None] = {start: None}
    leads: dict[State, set[State]] = {}
    known: dict[State, object] = {}
    ahead = deque([start])
    while ahead and not (to_the_first_fault and found.faults):
        state = ahead.popleft()
        found.states += 1
        for fault in (*faults(setting, state), leaks(setting, state, known)):
            if fault:
                found.faults.setdefault(fault, _way(came, state))
        moved = 0
        for message in messages(setting, state):
            then = after(setting, state, message)
            found.steps += 1
            if then == state:
                continue
            moved += 1
            fault = backward(setting, state, then, message)
            if fault:
                found.faults.setdefault(fault, (*_way(came, state), message))
            # Of who is apart nothing is told, so that the sender has to end it.
            if message.who not in ("requester", "consent") or setting.apart:
                leads.setdefault(then, set()).add(state)
            if then not in came:
                came[then] = (state, message)
                ahead.append(then)
        found.races += moved * (moved - 1)
        if is_over(state):
            found.ends[state.parent] += 1
    for state in came.keys() - _leading(leads, [state for state in came if is_over(state)]):
        found.faults.setdefault("there is no way to an end, but to give up", _way(came, state))
    return found


def _way(came: dict[State, tuple[State, Message] | None], state: State) -> tuple[Message, ...]:
    way = []
    while (step := came[state]) is not None:
        state, message = step
        way.append(message)
    return tuple(reversed(way))


def _leading(leads: dict[State, set[State]], ends: list[State]) -> set[State]:
    """The states from which one of these can be reached."""
    found, ahead = set(ends), list(ends)
    while ahead:
        for before in leads.get(ahead.pop(), ()):
            if before not in found:
                found.add(before)
                ahead.append(before)
    return found


__all__ = ["Cell", "Explored", "Message", "Setting", "State", "after", "explore"]
