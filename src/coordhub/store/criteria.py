"""What a search asks of a resource, as SQL conditions on its row.

Every criterion is a semi-join with the index table of its kind, on rid: the planner may begin with
the index or with the resources, whichever is less. A chain or `_has` goes on to another resource's
row, which the viewer must be able to see like any other: what is hidden links nothing.

A rid carries its shard, so rows are joined on rid alone: with both, Postgres would multiply two
selectivities that are one, and expect a 256th of the rows that come.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from coordhub.r4 import types
from coordhub.r4.extract import normalise
from coordhub.r4.parameters import SearchParameter, hierarchies, is_moment, sources
from coordhub.r4.search import (
    Chain,
    CompositeValue,
    Condition,
    Criterion,
    DateValue,
    MissingValue,
    NearValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    Reverse,
    StringValue,
    TokenValue,
    UriValue,
)
from coordhub.r4.search_criteria import COLUMNS
from coordhub.r4.sensitivity import VSP, shown_by
from coordhub.store import narrowing, vault
from coordhub.store.arguments import Arguments, Shared, any_of
from coordhub.store.comparing import Comparing
from coordhub.store.resources import shard_of_id
from coordhub.store.visibility import Viewer, visible

TABLES = {
    "token": "idx_token",
    "string": "idx_string",
    "reference": "idx_reference",
    "date": "idx_date",
    "number": "idx_number",
    "quantity": "idx_quantity",
    "uri": "idx_uri",
    "composite": "idx_composite",
    "special": "idx_position",
}
_BESIDE = {
    ("token", "text"): "idx_string",
    ("token", "of-type"): "idx_token",
    ("reference", "identifier"): "idx_token",
}
_ALSO = {"token": ("idx_string",), "reference": ("idx_token",)}
"""Where a value of the kind may stand that has nothing in the kind's own table."""


MANY_LINKED = 100
MANY_LINKING = 2000
"""Of what a chain leads to and of what `_has` names: more than it pays to begin a search with."""

_OF_RESOURCE = ("_id", "_lastUpdated", "_security")
"""Parameters of which something stands in columns of the resource itself."""


class Criteria:
    """Makes conditions for one statement.

    systems: numbers of the code systems that are interned; what is not interned matches nothing.
    shared: where look-ups of named resources are put, if the statement begins with them.
    """

    def __init__(
        self,
        viewer: Viewer,
        systems: Mapping[str, int],
        arguments: Arguments,
        shared: Shared | None = None,
    ) -> None:
        self._viewer = viewer
        self._values = Comparing(systems, arguments)
        self._arguments = arguments
        self._shared = shared
        self._hops = 0
        self.probing = False
        """Whether links are looked up for each row that is walked, not read from their other side."""
        self.patient: str | None = None
        """SQL of the rid of the one patient in whose records the matches can only be."""

    @property
    def keeps_apart(self) -> bool:
        """Whether the viewer's own records are in no patient's chart: a victim service provider's."""
        return not self._viewer.everything and vault.in_use().has(self._viewer.organization)

    def condition(self, asked: Condition, row: str = "r") -> str:
        """A condition on alias `row` of table resource."""
        match asked:
            case Criterion():
                return self._criterion(asked, row)
            case Chain(parameter, links):
                return self._linked(row, parameter, links, forward=True)
            case Reverse(parameter, linked):
                links = ((parameter.resource_type, linked),)
                return self._linked(row, parameter, links, forward=False)

    def common(self, asked: Chain | Reverse) -> str:
        """Whether what a link leads to is met so often that walking rows soon finds some that have it.

        Counted up to a limit in the index; no estimate of Postgres' sees that a parameter which few
        of all resources have is one that all of its type have.
        """
        most = MANY_LINKED if isinstance(asked, Chain) else MANY_LINKING
        return any_of(self._common(leaf, most) for leaf in _leaves(asked))

    def _common(self, leaf: Criterion, most: int) -> str:
        if leaf.parameter.code == "_id":
            return "false"
        if (
            leaf.modifier == "not"
            or leaf.parameter.code in COLUMNS
            or isinstance(leaf.values[0], MissingValue)
        ):
            return "true"
        rows = self._criterion(leaf, None)
        return f"(select count(*) from ({rows} limit {most + 1}) c) > {most}"

    def dated(self, criterion: Criterion, row: str) -> str:
        """A condition on alias `row` of idx_date, of a parameter of which a resource has one value."""
        values = (each for each in criterion.values if isinstance(each, DateValue))
        moment = is_moment(criterion.parameter)
        return self._values.dates(values, f"{row}.low", f"{row}.high", moment=moment)

    def updated(self, values: Iterable[DateValue], row: str) -> str:
        """A condition on when alias `row` of table resource was last updated: to the millisecond."""
        return self._values.dates(values, f"{row}.updated", f"({row}.updated + interval '1 ms')")

    def _add(self, value: object, sql_type: str) -> str:
        return self._arguments.add(value, sql_type)

    def _linked(
        self,
        row: str,
        parameter: SearchParameter,
        links: Sequence[tuple[str, Condition]],
        *,
        forward: bool,
    ) -> str:
        """A resource that this one refers to, or that refers to this one, of one of the types.

        Several types are one union and not several EXISTS: that can be read from either side.
        """
        self._hops += 1
        link, other = f"l{self._hops}", f"r{self._hops}"
        here, there = ("rid", "target") if forward else ("target", "rid")
        param = self._param(parameter)
        by = () if forward else (parameter.code,)
        viewer = narrowing.of_links(self._viewer, links, by)
        seen, values = visible(viewer, other, self._arguments.following)
        self._arguments.extend(values)
        linked = [
            f"{'' if _tells_type(asked) else self._of_type(other, type_)}"
            f"{other}.body is not null and {seen} and {self.condition(asked, other)}"
            for type_, asked in links
        ]
        source, where = f"resource {other}", linked[0]
        if len(linked) > 1:
            parts = (f"select {other}.rid from {source} where {each}" for each in linked)
            source, where = f"({' union all '.join(parts)}) {other}", "true"
        return (
            f"exists (select from idx_reference {link} join {source}"
            f" on {other}.rid = {link}.{there}"
            f" where {link}.{here} = {row}.rid and {link}.{param} and {where}"
            # An OFFSET, even of nothing, keeps Postgres from turning the EXISTS into a join.
            f"{' offset 0' if self.probing and row == 'r' else ''})"
        )

    def _of_type(self, row: str, type_: str) -> str:
        return f"{row}.type = {self._add(types.NUMBER[type_], 'smallint')} and "

    def _param(self, parameter: SearchParameter) -> str:
        numbers = [each.id for each in sources(parameter.resource_type)[parameter.code]]
        if len(numbers) == 1:
            return f"param = {self._add(numbers[0], 'smallint')}"
        return f"param = any({self._add(numbers, 'smallint[]')})"

    def _criterion(self, criterion: Criterion, row: str | None) -> str:
        """A condition on the row; for no row the select of all index rows that fit."""
        parameter, modifier = criterion.parameter, criterion.modifier
        if parameter.code == "_id":
            ids = [each.code for each in criterion.values if isinstance(each, TokenValue)]
            return f"{row}.fhir_id = any({self._add(ids, 'text[]')})"
        if parameter.code == "_lastUpdated":
            values = (each for each in criterion.values if isinstance(each, DateValue))
            assert row is not None, "no index has it"
            return self.updated(values, row)
        table = _BESIDE.get((parameter.kind, modifier or ""), TABLES[parameter.kind])
        first = criterion.values[0]
        if isinstance(first, MissingValue):
            tables = (table, *_ALSO.get(parameter.kind, ()))
            stated = any_of(f"exists ({self._rows(each, parameter, row)})" for each in tables)
            if parameter.code == "_security":
                stated = f"({stated} or {row}.labels & {~VSP} <> 0)"  # VSP is shown to nobody
            return f"not {stated}" if first.missing else stated
        if modifier == "of-type":
            head = f"select from {table} i where i.param = {self._add(-parameter.id, 'smallint')}"
            head += f" and i.rid = {row}.rid" if row else ""
        else:
            head = self._rows(table, parameter, row)
        fits = self._fits(criterion)
        if row is None:
            return f"{head} and {fits}"
        found = f"exists ({head} and {fits})"
        if parameter.code == "_security" and (bits := _classes(criterion)):
            found = f"({found} or {row}.labels & {self._add(bits, 'bigint')} <> 0)"
        return f"not {found}" if modifier == "not" else found

    def _rows(self, table: str, parameter: SearchParameter, row: str | None) -> str:
        return (
            f"select from {table} i where i.{self._param(parameter)}"
            + (f" and i.rid = {row}.rid" if row else "")
            + (f" and i.patient = {self.patient}" if self.patient and row == "r" else "")
        )

    def is_dated(self, criterion: Criterion) -> bool:
        """Whether it asks for a date, and not for its lack."""
        values = criterion.values
        return criterion.modifier is None and all(isinstance(each, DateValue) for each in values)

    def is_of_code(self, criterion: Criterion) -> bool:
        """Whether all that fits is one code, so that its rows come in order of rid, each once."""
        parameter = criterion.parameter
        if parameter.kind != "token" or criterion.modifier or parameter.code in _OF_RESOURCE:
            return False
        if len(criterion.values) != 1 or self.keeps_apart:
            return False
        if len(sources(parameter.resource_type)[parameter.code]) != 1:
            return False
        (value,) = criterion.values
        return isinstance(value, TokenValue) and value.code is not None

    def coded(self, criterion: Criterion, row: str) -> str:
        """A condition on alias `row` of idx_token: of several systems that have the code, the first."""
        (value,) = criterion.values
        assert isinstance(value, TokenValue)
        param = self._param(criterion.parameter)
        fits = f"{row}.{param} and {self._token(value, f'{row}.system', f'{row}.code')}"
        if not value.any_system:
            return fits
        return (
            f"{fits} and not exists (select from idx_token o where o.{param} and o.code = {row}.code"
            f" and o.rid = {row}.rid and o.system < {row}.system)"
        )

    def _fits(self, criterion: Criterion) -> str:
        values = criterion.values
        codes = [
            each.code
            for each in values
            if isinstance(each, TokenValue) and each.any_system and each.code is not None
        ]
        if len(codes) == len(values) > 1:
            return f"i.code = any({self._add(self._stored(codes), 'text[]')})"
        return any_of(
            self._value(value, criterion.parameter, criterion.modifier) for value in values
        )

    def _value(self, value: object, parameter: SearchParameter, modifier: str | None) -> str:
        match value:
            case TokenValue():
                return self._token(value, "i.system", "i.code")
            case StringValue(text):
                if modifier == "exact":
                    folded = self._add(normalise(text), "text")
                    return f"i.value = {folded} and i.exact = {self._add(text, 'text')}"
                return self._values.like("i.value", text, within=modifier == "contains")
            case ReferenceValue():
                return self._reference(value, parameter, modifier)
            case DateValue():
                return self._values.date(value, "i.low", "i.high", moment=is_moment(parameter))
            case NumberValue():
                return self._values.measure(value.condition, "i.low", "i.high")
            case QuantityValue():
                return self._values.quantity(value, "i.system", "i.code")
            case UriValue(text):
                if modifier == "above":
                    return f"i.value = any({self._add(value.ancestors(), 'text[]')})"
                exact = f"i.value = {self._add(text, 'text')}"
                if modifier == "below":
                    return f"{exact} or {self._values.like('i.value', text.rstrip('/') + '/')}"
                return exact
            case NearValue():
                return self._values.near(value)
            case CompositeValue(parts):
                return self._composite(parts)
        raise AssertionError(value)

    def _token(self, value: TokenValue, system: str, code: str) -> str:
        parts = []
        if not value.any_system:
            parts.append(f"{system} = {self._values.system(value.system)}")
        if value.code is not None:
            stored = self._stored([value.code])
            if code == "i.code" and len(stored) > 1:
                parts.append(f"{code} = any({self._add(stored, 'text[]')})")
            else:
                parts.append(f"{code} = {self._add(value.code, 'text')}")
        return " and ".join(parts)

    def _stored(self, codes: Sequence[str]) -> list[str]:
        """As they stand in the index, for who has a key also as they stand in its own rows."""
        if not self.keeps_apart:
            return list(codes)
        keeper, vaulted = self._viewer.organization, vault.in_use()
        return [*codes, *(vaulted.blind(keeper, code) for code in codes)]

    def _reference(
        self, value: ReferenceValue, parameter: SearchParameter, modifier: str | None
    ) -> str:
        if value.id is None:
            return f"i.uri = {self._add(value.reference.text if value.reference else '', 'text')}"
        start = self.rids(value)
        if modifier not in ("above", "below"):
            return f"i.target = any(array({start}))"
        # What a resource is part of is followed as far as the viewer sees it.
        here, there = ("rid", "target") if modifier == "above" else ("target", "rid")
        numbers = self._add([each.id for each in hierarchies(parameter)], "smallint[]")
        seen, values = visible(self._viewer, "t", self._arguments.following)
        self._arguments.extend(values)
        return (
            f"i.target = any(array(with recursive tree(rid) as ({start} union"
            f" select t.rid from tree join idx_reference p on p.{here} = tree.rid"
            f" and p.param = any({numbers}) join resource t on t.rid = p.{there}"
            f" and t.shard = (p.{there} & 255)::smallint where t.body is not null and {seen})"
            " select rid from tree))"
        )

    def rids(self, value: ReferenceValue) -> str:
        """The rids of `Type/id`, of whatever types it may be."""
        if self._shared is None:
            return self._lookup(value)
        key = f"{value.id} {' '.join(value.types)}"
        return self._shared.named(key, lambda: self._lookup(value))

    def _lookup(self, value: ReferenceValue) -> str:
        known = self._add(value.id, "text")
        numbers = [types.NUMBER[name] for name in value.types if name in types.NUMBER] or list(
            types.NUMBER.values()
        )
        shard = self._add(shard_of_id(value.id or ""), "smallint")
        return (
            f"select t.rid from resource t where t.fhir_id = {known}"
            f" and t.type = any({self._add(numbers, 'smallint[]')}) and t.shard = any(array("
            f"select {shard} union all select a.shard from assigned_id a where a.fhir_id = {known}))"
        )

    def _composite(self, parts: Sequence[object]) -> str:
        # the code first, as in the table, where a parameter names it last
        first, second, *more = sorted(parts, key=lambda part: not isinstance(part, TokenValue))
        assert isinstance(first, TokenValue)
        conditions = [self._token(first, "i.system", "i.code"), self._component(second)]
        for third in more:
            assert isinstance(third, NumberValue)
            conditions.append(self._values.measure(third.condition, "i.third", "i.third"))
        return " and ".join(conditions)

    def _component(self, value: object) -> str:
        match value:
            case TokenValue():
                return self._token(value, "i.value_system", "i.value")
            case StringValue(text):
                return self._values.like("i.value", text)
            case NumberValue():
                return self._values.measure(value.condition, "i.low", "i.high")
            case QuantityValue():
                return self._values.quantity(value, "i.value_system", "i.value")
            case DateValue():
                return self._values.date(value, "i.first", "i.last")
            case ReferenceValue(id=None, reference=reference):
                return f"i.value = {self._add(reference.text if reference else '', 'text')}"
            case ReferenceValue():
                return f"i.target = any(array({self.rids(value)}))"
        raise AssertionError(value)


def _classes(criterion: Criterion) -> int:
    """The sensitivity classes that are shown by one of these labels, though no author wrote it."""
    bits = 0
    for value in criterion.values:
        if isinstance(value, TokenValue) and value.code is not None:
            bits |= shown_by(value.code, value.system, any_system=value.any_system)
    return bits


def _leaves(asked: Condition) -> Iterator[Criterion]:
    match asked:
        case Criterion():
            yield asked
        case Chain(links=links):
            for _, linked in links:
                yield from _leaves(linked)
        case Reverse(condition=linked):
            yield from _leaves(linked)


def _tells_type(asked: Condition) -> bool:
    """Whether the condition can only be met by resources of its parameter's type.

    Then the type is not asked for as well: Postgres would take it for one more sieve, and expect
    next to nothing of what all of them pass.
    """
    match asked:
        case Criterion(parameter, modifier, values):
            given = not isinstance(values[0], MissingValue) or not values[0].missing
            return given and modifier != "not" and parameter.code not in COLUMNS
        case Chain():
            return True
    return False
