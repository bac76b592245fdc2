"""What a scope's search parameters ask of a row, as SQL conditions on it.

Like `store.criteria`, but for what narrows every statement: it looks nothing up beforehand, and asks of one
row, which is at hand, no more than what a scope may ask (access.scopes).

http://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters
"""

from __future__ import annotations

from collections.abc import Callable

from coordhub.r4 import types
from coordhub.r4.parameters import sources
from coordhub.r4.search_criteria import Criterion
from coordhub.r4.search_values import ReferenceValue, TokenValue, Value

Add = Callable[[object, str], str]
"""Puts a value among the arguments of the statement, and gives the SQL that stands for it."""


def holds(criterion: Criterion, row: str, add: Add, stored: Callable[[str], list[str]]) -> str:
    """Whether `row` of table resource meets it; what was deleted has no index, and does not.

    stored: how a code may stand in the index.
    """
    parameter = criterion.parameter
    numbers = [each.id for each in sources(parameter.resource_type)[parameter.code]]
    table = "idx_token s"
    if parameter.kind == "reference":
        table = (
            "idx_reference s join resource t on t.rid = s.target"
            " and t.shard = (s.target & 255)::smallint"
        )
    values = " or ".join(f"({_value(each, add, stored)})" for each in criterion.values)
    return (
        f"exists (select from {table} where s.rid = {row}.rid"
        f" and s.param = any({add(numbers, 'smallint[]')}) and ({values}))"
    )


def _value(value: Value, add: Add, stored: Callable[[str], list[str]]) -> str:
    match value:
        case TokenValue(system, code, any_system):
            parts = []
            if system is not None:
                uri = add(system, "text")
                parts.append(f"s.system = (select n.id from code_system n where n.uri = {uri})")
            elif not any_system:
                parts.append("s.system = 0")
            if code is not None:
                parts.append(f"s.code = any({add(stored(code), 'text[]')})")
            return " and ".join(parts)
        case ReferenceValue(fhir_id, (kind,)):
            number, known = add(types.NUMBER[kind], "smallint"), add(fhir_id, "text")
            return f"t.type = {number} and t.fhir_id = {known}"
    raise AssertionError(value)
