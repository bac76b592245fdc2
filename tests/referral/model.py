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
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from coordhub.referral import episode, needs, profiles, strategy, transitions
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

OF_WHO_IS_APART = ("accepted", "in-progress", "completed", "rejected")
"""What a victim service provider answers: enough to see that none of it shows."""


class Cell(NamedTuple):
    """A Task that asks somebody. apart: a victim service provider."""

    need: int
    apart: bool
    status: str = "requested"
    reason: str = ""
    business: str = ""
    begun: bool = False
    taken: bool = False
    rank: int = 0


class Want(NamedTuple):
    """A need. named: how many could be asked, those suggested by a person among them."""

    named: int
    wave: int = 0
    suggested: int = 0
    queued: bool = False
    reason: str = ""


class State(NamedTuple):
    """by_sender: who has ended it is the sender. forbidden: nobody new may be told for whom it is."""

    parent: str
    cells: tuple[Cell, ...]
    wants: tuple[Want, ...]
    by_sender: bool = False
    forbidden: bool = False


class Message(NamedTuple):
    """who: owner, requester, timer, consent, hub (later: when a wave has had its time), person (who looks for
    somebody, of need `cell`); errand: the owner, asked to stop. cell: whose Task it is about."""

    who: str
    cell: int = -1
    status: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """asked: how many could be for each need, by which strategy. apart: one of them is.
    profile: which all owners speak. suggests: who looks for somebody for a need finds one."""

    asked: tuple[int, ...]
    apart: bool = False
    strategy: Name = "broadcast"
    profile: str = "r4"
    suggests: bool = False
    lean: bool = False

    def start(self) -> State:
        return State("requested", (), tuple(Want(count) for count in self.asked))


def children(state: State) -> list[Child]:
    return [
        Child(
            f"Task/{number}",
            cell.status,
            str(cell.need),
            cell.reason,
            cell.business,
            apart=cell.apart,
            begun=cell.begun,
        )
        for number, cell in enumerate(state.cells)
    ]


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
            return _looked(setting, state, message)
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
    """T1 as its children make it."""
    computed = episode.parent(children(state), state.parent, of_needs(setting, state))
    return state._replace(parent=computed.status)


def _answered(setting: Setting, state: State, message: Message) -> State:
    cell, profile = state.cells[message.cell], profiles.named(setting.profile)
    old = transitions.State(cell.status, taken=cell.taken)
    new = transitions.State(message.status)
    judged = transitions.judge(profile, old, new, machine.OWNER)
    if not isinstance(judged, transitions.Legal) or message.status == cell.status:
        return state
    changed = _set(state, message.cell, **_said(cell, message))
    if cell.apart:
        return changed
    late = cell.status == "cancelled" and message.status == "completed"
    if late:
        changed = _set(changed, message.cell, business=episode.LATE, reason="")
    step = episode.on_child_change(children(state), f"Task/{message.cell}", message.status)
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
    withdrawal = episode.withdraw(children(state))
    for task in withdrawal.ask:
        number = int(task.partition("/")[2])
        if state.cells[number].business != "cancellation-requested":
            state = _set(
                state, number, reason="requester-cancelled", business="cancellation-requested"
            )
    if not withdrawal.ask:
        state = state._replace(parent=status, by_sender=True)
    return _moved(setting, _cancelled(state, withdrawal.cancels))


def _forbidden(setting: Setting, state: State) -> State:
    """The patient takes back the permission for all."""
    stopped = episode.permission_withdrawn(children(state))
    state = state._replace(forbidden=True)
    for task in stopped.ask:
        number = int(task.partition("/")[2])
        state = _set(state, number, reason="consent-withdrawn", business="cancellation-requested")
    return _moved(setting, _cancelled(state, stopped.cancels)) if state.cells else state


def _asked(setting: Setting, state: State, now: datetime) -> State:
    """The relay takes the next step of each need that is open."""
    if state.parent in machine.TERMINAL:
        return state
    those = children(state)
    made, wants = list(state.cells), list(state.wants)
    for number, need in enumerate(of_needs(setting, state)):
        if needs.state(need, those, state.parent) != "open":
            continue
        want = wants[number]
        match strategy.next_step(_view(setting, state, number, those), now):
            case strategy.Ask(ranks, wave):
                made += [Cell(number, _is_apart(setting, number, at), rank=at) for at in ranks]
                wants[number] = want._replace(wave=wave)
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
            child
            for child, cell in zip(those, state.cells, strict=True)
            if (cell.need, cell.rank) == (number, rank)
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

_RANK = {"requested": 0, "received": 0, "accepted": 1, "in-progress": 2, "on-hold": 2}


def faults(setting: Setting, state: State) -> Iterator[str]:
    """What is wrong with a state by itself."""
    told = [cell for cell in state.cells if not cell.apart]
    live = [cell for cell in told if cell.status not in machine.TERMINAL]
    for number, need in enumerate(of_needs(setting, state)):
        own = [cell for cell in told if cell.need == number]
        winners = [
            cell for cell in own if cell.status in machine.WON and cell.business != episode.LATE
        ]
        if len(winners) > 1:
            yield f"need {number} has {len(winners)} winners"
        said = needs.state(need, children(state), state.parent)
        if said == "won" and not any(cell in live for cell in winners):
            yield f"need {number} is won by nobody who is at work"
        done = any(cell.status == "completed" for cell in own)
        if said not in ("met", "won") if done else said == "met":
            yield f"need {number} is {said}, and its Tasks say otherwise"
        if (said in needs.ENDED) and any(cell in live for cell in own):
            yield f"need {number} is {said} while somebody is asked or at work"
        if state.parent in machine.TERMINAL and said not in needs.ENDED:
            yield f"need {number} is {said} in a referral that is {state.parent}"
    if state.parent in machine.TERMINAL and live:
        yield f"the referral is {state.parent} while {live[0].status} goes on"
    done = [cell for cell in told if cell.status == "completed"]
    if state.parent in machine.TERMINAL and done:
        computed = episode.parent(children(state), state.parent, of_needs(setting, state))
        late = all(cell.business == episode.LATE for cell in done)
        if late and state.parent not in ("completed", "entered-in-error"):
            if computed.business_status != episode.LATE:
                yield f"something was done late, of which a {state.parent} referral says nothing"
        elif not state.by_sender and state.parent not in ("completed", "entered-in-error"):
            yield f"something was done, and the referral is {state.parent}"
    if state.by_sender:
        return
    if not done and state.parent == "completed":
        yield "nothing was done, and the referral is completed"
    at_work = [cell for cell in live if cell.status in machine.WON]
    if at_work and state.parent not in machine.STARTED:
        yield f"somebody is at work, and the referral is {state.parent}"
    if not at_work and state.parent == "on-hold":
        yield "nobody is at work, and the referral is on hold"


def backward(before: State, then: State) -> str | None:
    """What is wrong with a step."""
    if before.parent in machine.TERMINAL and then.parent not in (before.parent, "entered-in-error"):
        return f"the referral had ended {before.parent} and is {then.parent}"
    if then.parent not in machine.TERMINAL and _RANK[then.parent] < _RANK[before.parent]:
        return f"the referral went back from {before.parent} to {then.parent}"
    for old, new in zip(before.cells, then.cells, strict=False):
        late = old.status == "cancelled" and new.business == episode.LATE
        if old.status in machine.TERMINAL and new.status != old.status and not late:
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
    those = children(state)
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


def explore(setting: Setting) -> Explored:
    """Every state that can be reached, every message from each."""
    start = setting.start()
    found = Explored()
    came: dict[State, tuple[State, Message] | None] = {start: None}
    leads: dict[State, set[State]] = {}
    known: dict[State, object] = {}
    ahead = deque([start])
    while ahead:
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
            fault = backward(state, then)
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
