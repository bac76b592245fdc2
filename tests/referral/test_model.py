"""Every state that a referral can come to, and that none of them is wrong.

`make model` explores three recipients over up to three needs, `make test` a part; the count is printed.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from tests.referral import model
from tests.referral.model import Explored, Setting

from coordhub.referral import episode, needs, profiles, sharing, strategy
from coordhub.referral import task_machine as machine
from coordhub.referral.strategies import Name

SPLITS = [(1,), (2,), (1, 1), (3,), (2, 1), (1, 1, 1)]
"""How many could be asked for each need."""


STRATEGIES: tuple[Name, ...] = ("broadcast", "sequential", "waves", "pool", "broadcast-choose")


def of(asked: tuple[int, ...]) -> tuple[Name, ...]:
    """Strategies differ where several can be asked; offers of three are more states than can be gone through."""
    if max(asked) == 1:
        return STRATEGIES[:1]
    return STRATEGIES if sum(asked) == 2 else STRATEGIES[:-1]


def settings(most: int) -> list[Setting]:
    """Profiles differ by what one owner may say; what owners say besides is gone through for up to two."""
    several = [
        Setting(asked, apart, strategy, suggests=sum(asked) < 2, lean=sum(asked) > 2)
        for asked in SPLITS
        if sum(asked) <= most
        for apart in (False, True)
        for strategy in of(asked)
    ]
    several += [
        Setting(asked, strategy=strategy, lean=sum(asked) > 1, talks=True)
        for asked in ((1,), (2,))
        if sum(asked) <= most
        for strategy in of(asked)
    ]
    return [
        *several,
        *(Setting((1,), strategy="direct", profile=profile) for profile in profiles.profiles()),
        *(Setting((1, 1), apart, "direct", lean=True) for apart in (False, True)),
        *(
            Setting((1,), strategy="direct", profile=profile, talks=True, shared=True)
            for profile in profiles.profiles()
        ),
    ]


def explored() -> Explored:
    if os.environ.get("COORDHUB_MODEL") == "full":
        those = settings(3)
    else:
        those = [*settings(1), Setting((2,), apart=True), Setting((1, 1), lean=True)]
        those.append(Setting((2,), strategy="sequential", lean=True, talks=True))
        those.append(Setting((2,), strategy="pool", lean=True))
        those.append(Setting((2,), apart=True, strategy="broadcast-choose", lean=True))
    return sum((model.explore(setting) for setting in those), Explored())


def test_given_every_message_in_every_state_when_all_is_explored_then_no_state_is_wrong():
    found = explored()
    print(
        f"\n{found.states} states, {found.steps} messages dealt with, {found.races} races of two"
        f" in both orders; ends: {dict(found.ends)}"
    )
    assert found.faults == {}
    assert set(found.ends) >= {"completed", "failed", "rejected", "cancelled"}
    assert found.states > 5_000


ONE, TWO, APART, ONE_BY_ONE, SHARED, CHOICE, POOL = (
    Setting((1,)), Setting((2,)), Setting((2,), apart=True), Setting((2,), strategy="sequential"),
    Setting((1,), strategy="direct", shared=True),
    Setting((2,), strategy="broadcast-choose", lean=True),
    Setting((2,), strategy="pool", lean=True),
)  # fmt: skip

BROKEN = {
    "an end that can be left": (
        ONE,
        lambda patch: _with_edges({("completed", "in-progress"): machine.OWNER}, patch),
    ),
    "a status without a way out": (
        ONE,
        lambda patch: _with_edges(
            {("on-hold", status): machine.Actor(0) for status in machine.STATUSES}, patch
        ),
    ),
    "two who win": (
        TWO,
        lambda patch: patch.setattr(episode, "on_child_change", lambda *_, **__: episode.Proceed()),
    ),
    "a parent that goes back": (
        APART,
        lambda patch: patch.setattr(episode, "_forward", lambda status, _: status),
    ),
    "a withdrawal over the head of who is at work": (
        ONE,
        lambda patch: patch.setattr(episode, "withdraw", lambda *_: episode.Withdrawal((), ())),
    ),
    "a need that is won by nobody": (
        ONE_BY_ONE,
        lambda patch: patch.setattr(
            needs, "is_won", lambda child: child.status in machine.WON | {"failed"}
        ),
    ),
    "an answer of who is apart that shows": (
        APART,
        lambda patch: patch.setattr(episode, "parent", _as_if_nobody_were_apart(episode.parent)),
    ),
    "a parent that ends otherwise than its children": (
        ONE,
        lambda patch: patch.setattr(
            episode, "_ended", lambda *_: episode.Parent("failed", "not-fulfilled")
        ),
    ),
}


WON = needs.is_won

BROKEN |= {
    "a shared Task that says another thing than its owner": (
        SHARED,
        lambda patch: patch.setattr(
            sharing, "shared", lambda child: episode.parent([child], "requested")
        ),
    ),
    "a shared Task that nobody answered, as if its sender had withdrawn it": (
        SHARED,
        lambda patch: patch.setattr(
            sharing, "shared", lambda child: episode.Parent(child.status, "withdrawn")
        ),
    ),
    "an offer that counts as won": (
        CHOICE,
        lambda patch: patch.setattr(
            needs, "is_won", lambda child: WON(replace(child, offered=False))
        ),
    ),
    "offers that stand when another was chosen": (
        CHOICE,
        lambda patch: patch.setattr(needs, "is_asked", lambda child: child.status in ASKED),
    ),
    "offers among which nobody is asked to choose": (
        CHOICE,
        lambda patch: patch.setattr(
            strategy, "next_step", _without(strategy.Choose, strategy.next_step)
        ),
    ),
    "a pool that is offered again to who has given it back": (
        POOL,
        lambda patch: patch.setattr(strategy.Candidacy, "is_left", property(lambda self: True)),
    ),
    "what was given back, as if it were not wanted any more": (
        POOL,
        lambda patch: patch.setattr(needs, "BEATEN", needs.BEATEN - {"given-back"}),
    ),
}
ASKED = ("draft", "requested", "received")


def _without(step, rule):
    """The rule by which this step is never taken."""

    def next_step(*those):
        said = rule(*those)
        return strategy.Wait() if isinstance(said, step) else said

    return next_step


def _with_edges(edges, patch):
    """Other edges in the profile that all speak."""
    broken = replace(profiles.named("r4"), edges={**profiles.named("r4").edges, **edges})
    patch.setattr(profiles, "named", lambda _: broken)


def _as_if_nobody_were_apart(parent):
    return lambda those, *rest: parent([replace(child, apart=False) for child in those], *rest)


@pytest.mark.parametrize("what", BROKEN)
def test_given_something_broken_when_all_is_explored_then_it_is_found(what, monkeypatch):
    setting, breaks = BROKEN[what]
    breaks(monkeypatch)
    found = model.explore(setting, to_the_first_fault=True)
    print(f"\n{what}: {sorted(found.faults)}")
    assert found.faults
