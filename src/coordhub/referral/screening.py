"""What the answers of a screening say: findings, needs, and what may be proposed for them.

http://hl7.org/fhir/us/sdoh-clinicalcare (Assessment survey Observation, Condition), https://loinc.org

Pure: a QuestionnaireResponse in, findings out. An item is known by the LOINC code that its linkId ends
in, as the published questionnaires have it (`/93042-0/71802-3`). What is not answered, or declined, says
nothing: not that there is a need, and not that there is none. screening.json has codes, and our own
words for needs; of nobody's wording of a question anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import msgspec

Document = Mapping[str, Any]

LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
ICD: Final = "http://hl7.org/fhir/sid/icd-10-cm"

ANSWERED: Final = frozenset({"completed", "amended"})
"""Statuses of a response that speaks; one in progress, stopped or entered in error does not."""

FOOD: Final = "food-insecurity"
_FOOD_ITEMS: Final = ("88122-7", "88123-5")
_FOOD_AT_RISK: Final = frozenset({"LA28397-0", "LA6729-3"})
_FOOD_NEVER: Final = "LA28398-8"
_FOOD_RISK: Final = "88124-3"
_AT_RISK, _NO_RISK = "LA19952-3", "LA19983-8"

_HITS_ITEMS: Final = ("95618-5", "95617-7", "95616-9", "95615-1")
_HITS_SCORE: Final = "95614-4"
_HITS_POINTS: Final = {
    "LA6270-8": 1, "LA10066-1": 2, "LA10082-8": 3, "LA16644-9": 4, "LA6482-9": 5,
}  # fmt: skip
_HITS_FROM: Final = 11
"""Points of the four together from which on somebody is taken not to be safe."""


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question. positive: by code of the answer, the kind of need that it shows. repeats: it takes several."""

    code: str
    category: str
    positive: dict[str, str] = {}
    repeats: bool = False
    sensitive: bool = False


class Need(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of need: a domain of SDOH Clinical Care, and what its Condition is coded as."""

    kind: str
    text: str
    snomed: str = ""
    icd: str = ""
    sensitive: bool = False


class Screening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A questionnaire: LOINC code of its panel, and the canonical URLs that mean it."""

    panel: str
    urls: list[str]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    screenings: list[Screening]
    items: list[Item]
    needs: list[Need]
    declined: list[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer that says something.

    value: code of the answer, or a number. need: kind that it shows; positive: whether it does, None where
    the question is not one of that sort. of: codes of the items that it was worked out of.
    """

    item: Item
    value: str | int
    display: str = ""
    need: str | None = None
    positive: bool | None = None
    of: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What it is called within its response."""
        return f"{self.item.code}/{self.value}" if self.item.repeats else self.item.code


@dataclass(frozen=True, slots=True)
class Said:
    """What a response says. needs: kinds in the order they came up; asked_of_safety: any such question has
    an answer, whatever that is."""

    panel: str
    findings: tuple[Finding, ...]
    needs: tuple[Need, ...]
    asked_of_safety: bool


@lru_cache(maxsize=1)
def _file() -> _File:
    text = files("coordhub.referral").joinpath("screening.json").read_bytes()
    return msgspec.json.decode(text, type=_File)


@lru_cache(maxsize=1)
def _items() -> dict[str, Item]:
    return {one.code: one for one in _file().items}


def needs() -> Mapping[str, Need]:
    """By kind."""
    return {one.kind: one for one in _file().needs}


def is_read(code: str) -> bool:
    """Whether the answer to the question of this LOINC code says anything here."""
    return code in _items()


def panel_of(document: Document) -> str | None:
    """The LOINC code of the panel that this response answers; None where it is no screening known here."""
    url = str(document.get("questionnaire", "")).partition("|")[0]
    for one in _file().screenings:
        if url in one.urls:
            return one.panel
    return None


def read(document: Document) -> Said | None:
    """What a QuestionnaireResponse says; None if it is of no screening known here, or does not speak."""
    panel = panel_of(document)
    if panel is None or document.get("status") not in ANSWERED:
        return None
    answers: dict[str, list[tuple[str | int, str]]] = {}
    for code, value, display in _answers(document.get("item")):
        if code in _items():
            answers.setdefault(code, []).append((value, display))
    findings = [
        *(
            _finding(_items()[code], value, display)
            for code, given in answers.items()
            if code not in (_FOOD_RISK, _HITS_SCORE)
            for value, display in given
            if value not in _file().declined
        ),
        *_food(answers),
        *_safety(answers),
    ]
    found = {one.key: one for one in findings}
    kinds = dict.fromkeys(one.need for one in found.values() if one.need is not None)
    known = needs()
    return Said(
        panel,
        tuple(found.values()),
        tuple(known[kind] for kind in kinds),
        any(_items()[code].sensitive for code in answers),
    )


def _finding(item: Item, value: str | int, display: str = "", of: tuple[str, ...] = ()) -> Finding:
    need = item.positive.get(value) if isinstance(value, str) else None
    return Finding(
        item, value, display, need, need is not None if item.positive else None, of
    )  # fmt: skip


def _food(answers: Mapping[str, list[tuple[str | int, str]]]) -> Iterator[Finding]:
    """The risk, of the two questions; where neither has an answer, as the response states it by itself."""
    given = {code: {value for value, _ in answers[code]} for code in _FOOD_ITEMS if code in answers}
    declined = set(_file().declined)
    of = tuple(code for code in _FOOD_ITEMS if given.get(code, set()) - declined)
    said = set[str | int]().union(*(given[code] for code in of))
    if said & _FOOD_AT_RISK:
        yield _finding(_items()[_FOOD_RISK], _AT_RISK, "At risk", of)
    elif len(of) == len(_FOOD_ITEMS) and said == {_FOOD_NEVER}:
        yield _finding(_items()[_FOOD_RISK], _NO_RISK, "No risk", of)
    elif not of:
        for value, display in answers.get(_FOOD_RISK, [])[:1]:
            if value in (_AT_RISK, _NO_RISK):
                yield _finding(_items()[_FOOD_RISK], value, display)


def _safety(answers: Mapping[str, list[tuple[str | int, str]]]) -> Iterator[Finding]:
    """The score, where all four have an answer."""
    points = [_HITS_POINTS.get(str(answers[code][0][0])) for code in _HITS_ITEMS if code in answers]
    scored = [one for one in points if one is not None]
    if len(scored) < len(_HITS_ITEMS):
        return
    total = sum(scored)
    need = "intimate-partner-violence" if total >= _HITS_FROM else None
    yield Finding(_items()[_HITS_SCORE], total, "", need, need is not None, _HITS_ITEMS)


def _answers(items: Any) -> Iterator[tuple[str, str | int, str]]:
    """LOINC code of the item, value and display of each answer, of all levels."""
    for item in _objects(items):
        code = str(item.get("linkId", "")).rpartition("/")[2]
        for answer in _objects(item.get("answer")):
            coding = answer.get("valueCoding")
            if isinstance(coding, Mapping) and coding.get("system") in (LOINC, None):
                if isinstance(coding.get("code"), str):
                    yield code, coding["code"], str(coding.get("display", ""))
            elif type(answer.get("valueInteger")) is int:
                yield code, answer["valueInteger"], ""
            yield from _answers(answer.get("item"))
        yield from _answers(item.get("item"))


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    for one in value if isinstance(value, list) else ():
        if isinstance(one, Mapping):
            yield one
