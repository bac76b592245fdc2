"""What a page says, it says in each language; which one, by what was chosen or is preferred."""

from __future__ import annotations

import ast
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from coordhub.admin import people
from coordhub.insight import kits, measures, told
from coordhub.portal import (
    admitting,
    agreed,
    answering,
    asking,
    board,
    boarding,
    candidates,
    chained,
    chart,
    community,
    consented,
    consenting,
    contents,
    desks,
    disclosed,
    emergencies,
    entering,
    errand,
    figures,
    language,
    leave,
    marks,
    moments,
    occurrences,
    offering,
    opening_hours,
    provisions,
    reasons,
    released,
    releasing,
    requesting,
    rooms,
    seeking,
    stewarding,
    talking,
    unhelped,
    vacancies,
    working,
    worklist,
    written_releases,
    you,
)
from coordhub.record import errands, reviewing
from coordhub.referral import screening, task_machine, timeline, voice
from coordhub.referral.episode import BUSINESS_STATUSES

PORTAL = Path(rooms.__file__).parent
_SAID = re.compile(r"""\bt\(\s*"((?:[^"\\]|\\.)+)"|'t\(\s*"([^"]+)"'""")


def _of_templates() -> set[str]:
    texts = [path.read_text() for path in (PORTAL / "templates").rglob("*.html")]
    found = {a or b for text in texts for a, b in _SAID.findall(text)}
    for text in texts:  # of two, where one follows `else`
        found |= set(re.findall(r'else t\("([^"]+)"\)', text))
    return found


def _of_rows() -> set[str]:
    """Names of rows, as `sheets` yields them first in a pair."""
    pairs = (
        node.elt if isinstance(node, ast.GeneratorExp) else node.value
        for node in ast.walk(ast.parse((PORTAL / "sheets.py").read_text()))
        if isinstance(node, ast.GeneratorExp | ast.Yield)
    )
    return {
        pair.elts[0].value
        for pair in pairs
        if isinstance(pair, ast.Tuple) and isinstance(pair.elts[0], ast.Constant)
    }


def _said() -> set[str]:
    reasons = {text for _, text in (*answering.reasons(), *answering.failures())}
    lacks = {answering.lacks(what, {}) for what in ("decline", "finish", "ask")}
    states = {*worklist.STATES.values(), *worklist.BUSINESS.values(), *working.TABS.values()}
    times = {*moments.DAYS, *moments.MONTHS, "{n} min", "{n} h", "{n} days"}
    parts = {*entering.TROUBLE.values(), *errands.KINDS.values(), "Food provided"}
    asked = {one.text for form in asking.forms().values() for one in form.questions}
    return {
        *asked, *asking.ANSWERS.values(), *voice.ANSWERS.values(),
        *(one.text for one in screening.needs().values()),
        *_of_templates(), *_of_rows(), *_of_figures(), *_of_board(), *_of_patients(), *_of_privacy(),
        *_of_community(), *_of_admin(),
        *reasons, *lacks, *states, *times, *parts
    }  # fmt: skip


def _of_board() -> set[str]:
    known = (board.TABS, board.LIMITS, BUSINESS_STATUSES, timeline.EVENTS, timeline.STEPS)
    said = {text for each in known for text in each.values()}
    why = {reason.text for reason in task_machine.REASONS.values()}
    ways = {way.label for each in errand.WAYS.values() for way in each}
    return {
        *said,
        *why,
        *ways,
        *(desk.title for desk in desks.DESKS.values()),
        *vacancies.STATES.values(),
        *(board.QUESTION, unhelped.REFER_AGAIN, talking.NOBODY_HEARS, talking.NOBODY_LEFT),
        *(str(talking.lacks([], words)) for words in ("", "x")),
        "Choose one of them.",
        "waits {span}",
        "since {span}",
        "you",
        "whoever claims it",
        "This is over already.",
    }


def _of_patients() -> set[str]:
    known = (occurrences.KINDS, occurrences.STATES, chart.FINDINGS)
    said = {text for each in known for text in each.values()}
    refers = {*reasons.REASONS.values(), *reasons.WARNINGS.values(), *told.REASONS.values()}
    refers |= {one.title for one in candidates.kinds().values()}
    refers |= {one.title for kit in kits.in_use() for one in kit.back}
    refers |= {agreed.NOBODY, agreed.NO_REASON, agreed.NOT_ASKED}
    refers |= {
        *releasing.PURPOSES.values(),
        releasing.NOT_TICKED,
        releasing.NO_REASON,
        releasing.NO_DAY,
    }
    refers |= {one.title for one in requesting.questions().values()}
    refers |= {releasing.OVER, requesting.NOBODY, requesting.NOTHING, requesting.NOT_TO_BE_ASKED}
    return {*said, *refers, "Primary care", "high risk", "not named"}


def _of_community() -> set[str]:
    said = (
        community.TABS, stewarding.BECAUSE, seeking.SEXES, offering.LANGUAGES, offering.SEXES, opening_hours.ORDINALS,
    )  # fmt: skip
    hours = {
        opening_hours.EVERY_OTHER, "open now", "open now, until {time}", "closed now",
        "closed now, opens {moment}", "around the clock", "next {days}",
    }  # fmt: skip
    ages = {"{low} to {high} years old", "{low} years or older", "up to {high} years old"}
    return {
        *(text for each in said for text in each.values()), *hours, *ages,
        "said {span} ago", community.KEEPS, stewarding.OVER,
        "Write what you have noticed, in a few words.", "interpreters", "Another need",
        "quarter {n} of {year}", "A service", "{km} km ({miles} mi)",
    }  # fmt: skip


def _of_admin() -> set[str]:
    said = {*admitting.TITLES.values(), *people.ROLES.values(), people.LAST_ADMIN}
    said |= {admitting.NO_ROLE, admitting.UNFIT, admitting.UNDONE, you.NOT_MADE, you.ONLY_WAY}
    said |= {boarding.OUT, *boarding.STATES.values(), *boarding.RESULTS.values()}
    said |= {
        *boarding.ITEMS.values(),
        contents.NOTHING,
        *contents.STATES.values(),
        "This is no id of a delivery.",
    }
    return said | {"May not come in", "Comes in", "Has not come yet", "Passkey"}


def _of_privacy() -> set[str]:
    said = {*disclosed.WHY.values(), *disclosed.PURPOSES.values(), *disclosed.HEAD}
    kinds = {one for one in leave.KINDS.values() if one}
    said |= {*consented.STATES.values(), *consented.WITHDRAWN.values(), *provisions.texts()}
    said |= {text for pair in consented.ASLEEP.values() for text in pair}
    said |= {consented.LESS, consenting.LACKS, consenting.OVER, emergencies.OPEN, emergencies.LACKS}
    said |= {*reviewing.VERDICTS.values(), *chained.RULES.values(), *chained.MADE_BY.values()}
    said |= {*released.SAID.values(), *written_releases.LACKS.values()}
    said |= {chained.UNRULED, chained.NOTHING, marks.LACKS, marks.OVER}
    return {
        *said, *kinds, disclosed.OTHERWISE, "sent to it", "it looked",
        "somebody who is not in the directory any more",
    }  # fmt: skip


def _of_figures() -> set[str]:
    avoided = [
        measures.Warning_(kind, 1, "accepted", None, False, False, Decimal(1), "USD")
        for kind in ("test", "service")
    ]
    found = (
        *measures.of_sent([]), *measures.of_visits([]), *measures.of_received([]),
        *measures.of_warnings(avoided),
    )  # fmt: skip
    titles = {one.title.removesuffix(", USD") for one in found}
    beside = {"fewer than {n}", "{count} of {total}", "nine of ten within {n} h"}
    return {*titles, *(one.formula for one in found), *figures.GROUPS.values(), *beside}


def test_given_the_pages_when_read_then_all_that_they_say_is_found() -> None:
    assert len(_of_templates()) > 50
    assert {"Answer by", "Asked by", "Name"} <= _of_rows()


@pytest.mark.parametrize("tag", [one for one in language.LANGUAGES if one != "en"])
def test_given_a_language_when_a_page_speaks_then_nothing_is_left_in_english(tag: str) -> None:
    known = language.catalogue(tag)
    assert sorted(_said() - known.keys()) == []
    for text, said in known.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", said)), text


@pytest.mark.parametrize(
    "folder", sorted((PORTAL / "messages").iterdir()), ids=lambda one: one.name
)
def test_given_the_desks_when_each_has_words_of_its_own_then_none_says_a_thing_twice(
    folder: Path,
) -> None:
    said = [text for part in folder.iterdir() for text in json.loads(part.read_text())]
    assert sorted(text for text in set(said) if said.count(text) > 1) == []


@pytest.mark.parametrize(
    ("kept", "accepted", "spoken"),
    [
        (None, None, "en"),
        (None, "es", "es"),
        (None, "de, es-MX;q=0.8, en;q=0.5", "es"),
        (None, "en, es", "en"),
        (None, "es;q=0", "en"),
        (None, "es;q=x, *;q=1", "en"),
        ("en", "es", "en"),
        ("es", "en", "es"),
        ("fr", "es", "es"),
    ],
)
def test_given_what_a_browser_says_when_asked_then_the_language_follows(
    kept: str | None, accepted: str | None, spoken: str
) -> None:
    assert language.chosen(kept, accepted) == spoken
