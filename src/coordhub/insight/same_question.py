"""Which tests answer the same question, and for how long an answer is new.

An order asks by one code what a result elsewhere has answered by another: HbA1c by HPLC, or by whatever
method. same_question.json says which codes do, of which panels a test is part, for how many days asking again
brings nothing new, and who says so; an operator's file adds to it or changes it. In it, LOINC stands for its
code system. Without a window a result is found, and nobody is warned.

https://loinc.org
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import Annotated, Final

import msgspec

LOINC: Final = "http://loinc.org"

Code = tuple[str, str]
"""System and code."""


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """window_days: 0 takes the window away that was shipped."""

    question: str
    title: str = ""
    codes: list[str] = []
    part_of: list[str] = []
    window_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] | None = None
    source: str = ""


class UnusableQuestionsError(ValueError):
    """The file says what cannot be; the message says where."""


@dataclass(frozen=True, slots=True)
class Question:
    """codes: by which it is asked. answers: by which it is answered, those of its panels among them.

    title: as people call it. window: how long an answer is new; None: nobody said. source: who says so.
    """

    name: str
    title: str
    codes: frozenset[Code]
    answers: frozenset[Code]
    window: timedelta | None
    source: str


Questions = Mapping[Code, Question]
"""By each code that it is asked by."""


def asked(codes: Iterable[Code]) -> Question | None:
    """What an order with these codings asks; None if it has none with a system.

    A code that no question has is one of its own, without a window.
    """
    stated = frozenset(code for code in codes if all(code))
    known = [in_use()[code] for code in sorted(stated) if code in in_use()]
    if known:
        return known[0]
    return Question("", "", stated, stated, None, "") if stated else None


def read(text: bytes | None = None) -> Questions:
    """The shipped questions, and those of an operator's file: an entry of one name goes on.

    Raises UnusableQuestionsError.
    """
    entries: dict[str, _Entry] = {}
    shipped = files("coordhub.insight").joinpath("same_question.json").read_bytes()
    for each in (shipped, text):
        if each is None:
            continue
        try:
            stated = msgspec.json.decode(each, type=list[_Entry])
        except msgspec.MsgspecError as error:
            raise UnusableQuestionsError(str(error)) from None
        for entry in stated:
            entries[entry.question] = _after(entries.get(entry.question), entry)
    found: dict[Code, Question] = {}
    for name in sorted(entries):
        question = _question(entries, name)
        for code in question.codes:
            if code in found:
                raise UnusableQuestionsError(
                    f"{code[1]!r} is of {found[code].name!r} and of {name!r}: a code asks one question"
                )
            found[code] = question
    return found


def _after(before: _Entry | None, entry: _Entry) -> _Entry:
    if before is None:
        return entry
    return _Entry(
        entry.question,
        entry.title or before.title,
        [*before.codes, *entry.codes],
        [*before.part_of, *entry.part_of],
        before.window_days if entry.window_days is None else entry.window_days,
        before.source if entry.window_days is None else entry.source,
    )


def _question(entries: Mapping[str, _Entry], name: str) -> Question:
    entry = entries[name]
    codes = frozenset(_code(one) for one in entry.codes)
    answers, seen, ahead = set(codes), {name}, list(entry.part_of)
    while ahead:
        panel = ahead.pop()
        if panel not in entries:
            raise UnusableQuestionsError(f"{name!r} is part of {panel!r}, which is not there")
        if panel not in seen:
            seen.add(panel)
            answers |= {_code(one) for one in entries[panel].codes}
            ahead += entries[panel].part_of
    days = entry.window_days
    window = timedelta(days=days) if days else None
    return Question(name, entry.title, codes, frozenset(answers), window, entry.source)


def _code(text: str) -> Code:
    system, bar, code = text.rpartition("|")
    if not bar or not code or not system:
        raise UnusableQuestionsError(f"{text!r} is not system|code")
    return (LOINC if system == "LOINC" else system), code


_in_use: list[Questions] = []


def in_use() -> Questions:
    """What this process goes by: the shipped questions, unless `use` gave it others."""
    if not _in_use:
        _in_use.append(read())
    return _in_use[0]


def use(chosen: Questions) -> None:
    """Have the whole process go by these; called once, before anything is asked."""
    _in_use[:] = [chosen]
