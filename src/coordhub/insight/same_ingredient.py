"""Which codes of medications mean the same ingredient, and which ingredients are of one class.

A medication is coded as an ingredient, as a product, in another system in another country. same_ingredient.json
says which codes are of one ingredient, and of which ingredients an allergy to a class speaks; an operator's file
goes on. In it, RxNorm and ATC stand for their code systems. A code that is not there is an ingredient of its own.

https://www.nlm.nih.gov/research/umls/rxnorm, https://atcddd.fhi.no
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import msgspec

SYSTEMS: Final = {
    "RxNorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ATC": "http://www.whocc.no/atc",
}

Code = tuple[str, str]
"""System and code."""


class UnusableIngredientsError(ValueError):
    """The file says what cannot be; the message says where."""


class _Ingredient(msgspec.Struct, forbid_unknown_fields=True):
    ingredient: str
    title: str = ""
    codes: list[str] = []


class _Class(msgspec.Struct, forbid_unknown_fields=True, rename={"name": "class"}):
    name: str
    of: list[str]
    title: str = ""
    codes: list[str] = []


class _File(msgspec.Struct, forbid_unknown_fields=True):
    ingredients: list[_Ingredient] = []
    classes: list[_Class] = []


@dataclass(frozen=True, slots=True)
class Ingredients:
    """By code, names of ingredients: of a combination several, of a class all that are of it."""

    of_code: Mapping[Code, frozenset[str]]
    titles: Mapping[str, str]

    def of(self, stated: Iterable[Code]) -> frozenset[str]:
        """What these codes together say; codes that nobody has listed stand for themselves."""
        codes = list(stated)
        known = frozenset[str]().union(*(self.of_code.get(code, frozenset()) for code in codes))
        return known or frozenset("|".join(code) for code in codes)


def read(text: bytes | None = None) -> Ingredients:
    """The shipped ones, and those of an operator's file: an entry of one name goes on. Raises
    UnusableIngredientsError.
    """
    of_code: dict[Code, frozenset[str]] = {}
    titles: dict[str, str] = {}
    shipped = files("coordhub.insight").joinpath("same_ingredient.json").read_bytes()
    for each in (shipped, text):
        if each is None:
            continue
        try:
            stated = msgspec.json.decode(each, type=_File)
        except msgspec.MsgspecError as error:
            raise UnusableIngredientsError(str(error)) from None
        for one in stated.ingredients:
            titles[one.ingredient] = one.title or titles.get(one.ingredient, one.ingredient)
            for code in map(_code, one.codes):
                of_code[code] = of_code.get(code, frozenset()) | {one.ingredient}
        for kind in stated.classes:
            unknown = [name for name in kind.of if name not in titles]
            if unknown:
                raise UnusableIngredientsError(
                    f"{kind.name!r} is of {unknown[0]!r}, which is not there"
                )
            for code in map(_code, kind.codes):
                of_code[code] = of_code.get(code, frozenset()) | frozenset(kind.of)
    return Ingredients(of_code, titles)


def _code(text: str) -> Code:
    system, bar, code = text.rpartition("|")
    if not bar or not code or not system:
        raise UnusableIngredientsError(f"{text!r} is not system|code")
    return SYSTEMS.get(system, system), code


_in_use: list[Ingredients] = []


def in_use() -> Ingredients:
    """What this process goes by: the shipped ones, unless `use` gave it others."""
    if not _in_use:
        _in_use.append(read())
    return _in_use[0]


def use(chosen: Ingredients) -> None:
    """Have the whole process go by these; called once, before anything is asked."""
    _in_use[:] = [chosen]
