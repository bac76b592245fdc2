"""A search as its parameters ask for it: the query of a URL, read and judged.

`parse_query` refuses a query with everything that is wrong with it at once, and never passes over
what it does not serve: an answer to half of a question is unsafe where referrals are concerned.
Only with `lenient` (Prefer: handling=lenient) is that left out, and then named in `Query.ignored`.

Criteria must all hold (AND); of the values of one criterion any may (OR). Diagnostics name
parameters, never the values, which may be a person's name.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.errors import FhirError, Issue
from coordhub.r4.parameters import SearchParameter, parameters
from coordhub.r4.search_criteria import (
    COLUMNS,
    SERVED,
    Chain,
    Condition,
    Criterion,
    Reverse,
    read_condition,
)
from coordhub.r4.search_measures import NearValue, NumberValue, QuantityValue
from coordhub.r4.search_text import Invalid, ModifierNotServed, NotServed, Unknown
from coordhub.r4.search_values import (
    CompositeValue,
    DateValue,
    MissingValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
    Value,
)

__all__ = [
    "SERVED",
    "Chain",
    "CompositeValue",
    "Condition",
    "Criterion",
    "DateValue",
    "MissingValue",
    "NearValue",
    "NumberValue",
    "QuantityValue",
    "Query",
    "ReferenceValue",
    "Reverse",
    "SortKey",
    "StringValue",
    "TokenValue",
    "UriValue",
    "Value",
    "parse_query",
]

LARGEST_COUNT = 1000
MOST_VALUES = 1000
MOST_CONDITIONS = 30
"""Parameters of one query that must all hold: what planning them costs grows faster than their number."""
PARAMETER_LIST = "http://hl7.org/fhir/R4/searchparameter-registry.html"

SORTED = frozenset({"string", "token", "date", "number", "quantity", "uri", "reference"})

_FORMAT = frozenset({"_format", "_pretty"})
_OF_RESULTS = "says how a search is answered, not what it finds: it has no place in criteria."
_NOT_SERVED = {
    "_contained": "is not served: contained resources are found with what contains them; leave it out.",
    "_containedType": "is not served: contained resources are found with what contains them; leave it out.",
    "_score": "is not served: nothing is ranked; leave it out.",
    "_type": "belongs to a search over several types, GET [base]?_type=...; leave it out.",
    **dict.fromkeys(("_elements", "_include", "_revinclude", "_summary", "_total"), _OF_RESULTS),
}


@dataclass(frozen=True, slots=True)
class SortKey:
    parameter: SearchParameter
    descending: bool


@dataclass(frozen=True, slots=True)
class Query:
    """What a search asks for.

    ids: what `_id` leaves to choose from; None without `_id`, empty where nothing can match.
    last_updated: each tuple is one `_lastUpdated`, of which any value must fit.
    count: of one page, 1 to 1000; None where the query does not say.
    cursor: `_cursor` as it came, the mark of a page of this hub's own links.
    ignored: names left out of a lenient query; they do not belong into the self link.
    """

    resource_type: str
    criteria: tuple[Condition, ...] = ()
    ids: tuple[str, ...] | None = None
    last_updated: tuple[tuple[DateValue, ...], ...] = ()
    sort: tuple[SortKey, ...] = ()
    count: int | None = None
    cursor: str | None = None
    ignored: tuple[str, ...] = ()


def parse_query(
    resource_type: str,
    pairs: Sequence[tuple[str, str]],
    *,
    lenient: bool = False,
    base: str | None = None,
    now: datetime | None = None,
) -> Query:
    """Read the (name, value) pairs of a query, percent-decoded, in their order.

    base: this server's FHIR base, below which absolute references are local.
    now: for the prefix `ap`, which is wider the longer ago its date is.
    Raises FhirError 400 with an issue for every fault. `lenient` forgives what is not known or not
    served, not what is badly written, and no modifier: without it a search asks for something else.
    """
    return _Reading(resource_type, lenient, base, now).read(pairs)


class _Reading:
    """The query so far, and its faults so far."""

    def __init__(
        self, resource_type: str, lenient: bool, base: str | None, now: datetime | None
    ) -> None:
        self.resource_type = resource_type
        self.parameters = parameters(resource_type)
        self.lenient = lenient
        self.base = base
        self.now = now
        self.issues: list[Issue] = []
        self.ignored: list[str] = []
        self.criteria: list[Condition] = []
        self.ids: tuple[str, ...] | None = None
        self.last_updated: list[tuple[DateValue, ...]] = []
        self.sort: list[SortKey] = []
        self.once: dict[str, str] = {}

    def read(self, pairs: Sequence[tuple[str, str]]) -> Query:
        values = 0
        for name, value in pairs:
            values += 1 + value.count(",")
            self._pair(name, value)
        asked = len(self.criteria) + len(self.last_updated)
        if asked > MOST_CONDITIONS:
            self.issues.append(
                Issue(
                    "too-costly",
                    f"The query has {asked} parameters that must all hold; ask for at most "
                    f"{MOST_CONDITIONS} at once.",
                )
            )
        if values > MOST_VALUES:
            self.issues.append(
                Issue(
                    "too-costly",
                    f"The query has {values} values; ask for at most {MOST_VALUES} at once.",
                )
            )
        count = self._count()
        if self.issues:
            raise FhirError(400, *self.issues)
        return Query(
            resource_type=self.resource_type,
            criteria=tuple(self.criteria),
            ids=self.ids,
            last_updated=tuple(self.last_updated),
            sort=tuple(self.sort),
            count=count,
            cursor=self.once.get("_cursor"),
            ignored=tuple(dict.fromkeys(self.ignored)),
        )

    def _pair(self, name: str, value: str) -> None:
        code, _, modifier = name.partition(":")
        if not (_is_text(name) and _is_text(value)):
            self._invalid(name, "U+0000 and halves of surrogate pairs have no place in a query.")
        elif code in _FORMAT:
            return
        elif code in _NOT_SERVED:
            self._not_served(name, f"{code} {_NOT_SERVED[code]}")
        elif code in ("_count", "_cursor", "_sort") and modifier:
            self._invalid(name, f"{code} takes no modifier.")
        elif code in ("_count", "_cursor"):
            if code in self.once:
                self._invalid(name, f"{code} may be given once.")
            self.once.setdefault(code, value)
        elif code == "_sort":
            self._sort(value)
        else:
            self._condition(name, value)

    def _condition(self, name: str, value: str) -> None:
        try:
            condition = read_condition(
                self.resource_type, name, value, base=self.base, now=self.now
            )
        except Unknown as fault:
            self._unknown(name, fault.resource_type, fault.code)
        except ModifierNotServed as reason:
            self._fault("not-supported", name, str(reason))
        except NotServed as reason:
            self._not_served(name, str(reason))
        except Invalid as reason:
            self._invalid(name, str(reason))
        else:
            if isinstance(condition, Criterion) and condition.parameter.code == "_id":
                self._id(condition)
            elif isinstance(condition, Criterion) and condition.parameter.code == "_lastUpdated":
                self.last_updated.append(
                    tuple(each for each in condition.values if isinstance(each, DateValue))
                )
            else:
                self.criteria.append(condition)

    def _id(self, criterion: Criterion) -> None:
        asked = tuple(
            each.code for each in criterion.values if isinstance(each, TokenValue) and each.code
        )
        if self.ids is None:
            self.ids = asked
        else:
            self.ids = tuple(each for each in self.ids if each in asked)

    def _sort(self, value: str) -> None:
        for key in value.split(","):
            descending = key.startswith("-")
            code = key.removeprefix("-").strip()
            parameter = self.parameters.get(code)
            if parameter is None:
                self._unknown("_sort", self.resource_type, code)
            elif parameter.kind not in SORTED or not (parameter.indexed or code in COLUMNS):
                self._not_served("_sort", f"Sorting by {code} is not served.")
            elif any(code == each.parameter.code for each in self.sort):
                self._invalid("_sort", f"_sort names {code} twice.")
            else:
                self.sort.append(SortKey(parameter, descending))

    def _count(self) -> int | None:
        value = self.once.get("_count")
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
            self._invalid(
                "_count", "_count is a whole number from 1 to 1000, or 0 for the number of matches."
            )
            return None
        if int(value) == 0:
            self._not_served("_count", f"_count=0 {_OF_RESULTS}")
            return None
        return min(int(value), LARGEST_COUNT)

    def _unknown(self, name: str, resource_type: str, code: str) -> None:
        near = difflib.get_close_matches(code, parameters(resource_type), n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]}?" if near else ""
        self._not_served(
            name,
            f"{resource_type} has no search parameter {_shown(code)}.{hint} "
            f"All of them: {PARAMETER_LIST}#{resource_type}",
            code="invalid",
        )

    def _not_served(self, name: str, diagnostics: str, *, code: str = "not-supported") -> None:
        if self.lenient:
            self.ignored.append(name)
        else:
            self._fault(code, name, diagnostics)

    def _invalid(self, name: str, diagnostics: str) -> None:
        self._fault("invalid", name, diagnostics)

    def _fault(self, code: str, name: str, diagnostics: str) -> None:
        self.issues.append(Issue(code, diagnostics, f"http.{_shown(name)}"))


def _is_text(value: str) -> bool:
    """Whether a database can take it."""
    return "\0" not in value and not re.search(r"[\ud800-\udfff]", value)


def _shown(name: str) -> str:
    """What a caller named, as far as it can be a name."""
    return re.sub(r"[^A-Za-z0-9_:.\-]", "?", name[:64])
