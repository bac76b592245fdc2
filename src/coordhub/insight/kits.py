"""Referral kits: what goes with a referral of a kind, and what is to come back of it.

As a hospital's form for a clinic says which results to enclose. kits.json has a kit for each kind of referral,
by the codes that it is asked for with (referral.same_kind says which mean the same); an operator's file adds
kits, or puts one in place of another of its name. In it, LOINC stands for its code system.

http://hl7.org/fhir/us/bser (supporting information, declared as searches for each kind of referral)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

import msgspec

from coordhub.errors import FhirError
from coordhub.insight import same_question
from coordhub.insight.same_question import LOINC, Code, Question, Questions
from coordhub.r4 import types
from coordhub.r4.parameters import main_patient_parameters
from coordhub.r4.search import parse_query
from coordhub.referral import same_kind
from coordhub.referral.wanted import codes

DATA_CODE: Final = {
    "coding": [
        {
            "system": "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp",
            "code": "data-code",
        }
    ],
    "text": "To come back",
}
"""Task.input.type of what is asked for by the code of its document.

http://hl7.org/fhir/us/davinci-hrex
"""

Document = Mapping[str, Any]

_Most = Annotated[int, msgspec.Meta(ge=1, le=50)]
_Days = Annotated[int, msgspec.Meta(ge=1, le=36500)]


class UnusableKitsError(ValueError):
    """The file says what cannot be; the message says where."""


class _Attach(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    question: str = ""
    codes: list[str] = []
    search: str = ""
    most: _Most = 1
    days: _Days | None = None


class _Back(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    codes: Annotated[list[str], msgspec.Meta(min_length=1)]
    if_any: bool = False


class _Kit(msgspec.Struct, forbid_unknown_fields=True):
    kit: str
    kinds: Annotated[list[str], msgspec.Meta(min_length=1)]
    title: str = ""
    attach: list[_Attach] = []
    back: list[_Back] = []
    community: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """The newest results that answer a question. within: how old they are at most."""

    question: Question
    most: int
    within: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What a search among the patient's own finds; parameter: which one says whose it is."""

    type: str
    pairs: tuple[tuple[str, str], ...]
    parameter: str
    most: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to come back: any document of one of these codes; the first is how it is asked for.

    if_any: nobody is chased for it, as there may be none.
    """

    title: str
    codes: tuple[Code, ...]
    if_any: bool = False

    def is_met(self, brought: Iterable[Code]) -> bool:
        return self.if_any or not frozenset(self.codes).isdisjoint(brought)


@dataclass(frozen=True, slots=True)
class Kit:
    """community: it goes to social services as well, as far as their data set has it. title: as people call it."""

    name: str
    kinds: frozenset[Code]
    answers: tuple[Answers, ...]
    searches: tuple[Search, ...]
    back: tuple[Expected, ...]
    community: bool = False
    title: str = ""

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Task.input for what is to come back."""
        return [
            {
                "type": DATA_CODE,
                "valueCodeableConcept": {
                    "coding": [{"system": one.codes[0][0], "code": one.codes[0][1]}],
                    "text": one.title,
                },
            }
            for one in self.back
        ]

    def missing(self, brought: Iterable[Code]) -> list[Expected]:
        """What somebody is to be reminded of, when this is what has come."""
        there = frozenset(brought)
        return [one for one in self.back if not one.is_met(there)]


def of(request: Document) -> Kit | None:
    """The kit of what this ServiceRequest asks for; of several the first by name."""
    asked = [
        code
        for element in ("category", "code", "performerType")
        for code in codes(request.get(element))
    ]
    stated = same_kind.kinds(asked)
    return next((kit for kit in in_use() if not kit.kinds.isdisjoint(stated)), None)


def read(text: bytes | None = None, questions: Questions | None = None) -> tuple[Kit, ...]:
    """The shipped kits and those of an operator's file, by name. Raises UnusableKitsError.

    questions: that a kit may name; those in use, if not given.
    """
    known = {one.name: one for one in (questions or same_question.in_use()).values()}
    entries: dict[str, _Kit] = {}
    shipped = files("coordhub.insight").joinpath("kits.json").read_bytes()
    for each in (shipped, text):
        if each is None:
            continue
        try:
            entries |= {one.kit: one for one in msgspec.json.decode(each, type=list[_Kit])}
        except msgspec.MsgspecError as error:
            raise UnusableKitsError(str(error)) from None
    return tuple(_kit(entries[name], known) for name in sorted(entries))


def _kit(entry: _Kit, known: Mapping[str, Question]) -> Kit:
    kinds = frozenset(_code(one) for one in entry.kinds)
    answers = [_answers(entry.kit, one, known) for one in entry.attach if not one.search]
    searches = [_search(entry.kit, one) for one in entry.attach if one.search]
    back = [
        Expected(one.title, tuple(_code(each) for each in one.codes), one.if_any)
        for one in entry.back
    ]
    return Kit(
        entry.kit, kinds, tuple(answers), tuple(searches), tuple(back), entry.community, entry.title
    )


def _answers(kit: str, entry: _Attach, known: Mapping[str, Question]) -> Answers:
    if bool(entry.question) == bool(entry.codes):
        raise UnusableKitsError(f"{kit!r}: {entry.title!r} says one of question, codes and search")
    within = timedelta(days=entry.days) if entry.days is not None else None
    if entry.codes:
        question = same_question.asked(_code(one) for one in entry.codes)
        assert question is not None
        return Answers(question, entry.most, within)
    if entry.question not in known:
        raise UnusableKitsError(
            f"{kit!r}: there is no question {entry.question!r} (docs/cds.md): {', '.join(sorted(known))}"
        )
    return Answers(known[entry.question], entry.most, within)


def _search(kit: str, entry: _Attach) -> Search:
    where = f"{kit!r}: {entry.search!r}"
    if entry.question or entry.codes or entry.days is not None:
        raise UnusableKitsError(f"{where} is a search: question, codes and days go without one")
    kind, _, query = entry.search.partition("?")
    whose = next(iter(main_patient_parameters(kind)), None) if kind in types.NUMBER else None
    if whose is None:
        raise UnusableKitsError(f"{where} searches no type of resource that is of one patient")
    pairs = tuple(parse_qsl(query, keep_blank_values=True))
    if any(name in ("_count", "_cursor", "_sort") for name, _ in pairs):
        raise UnusableKitsError(f"{where}: the newest come first, and most says how many")
    try:
        parse_query(kind, [*pairs, (whose, "Patient/1")])
    except FhirError as refused:
        said = "; ".join(issue.diagnostics for issue in refused.issues)
        raise UnusableKitsError(f"{where}: {said}") from None
    return Search(kind, pairs, whose, entry.most)


def _code(text: str) -> Code:
    system, bar, code = text.rpartition("|")
    if not bar or not code or not system:
        raise UnusableKitsError(f"{text!r} is not system|code")
    return (LOINC if system == "LOINC" else system), code


_in_use: list[Sequence[Kit]] = []


def in_use() -> Iterator[Kit]:
    """The kits of this process: the shipped ones, unless `use` gave it others."""
    if not _in_use:
        _in_use.append(read())
    return iter(_in_use[0])


def use(chosen: Sequence[Kit]) -> None:
    """Have the whole process go by these; called once, before anything is sent."""
    _in_use[:] = [chosen]
