"""Invariants of the data types, as predicates on an element.

http://hl7.org/fhir/R4/datatypes.html, http://hl7.org/fhir/R4/metadatatypes.html
"""

from __future__ import annotations

import re
from typing import Final

from coordhub.r4.invariant_words import (
    UCUM,
    Holds,
    Node,
    count,
    distinct,
    either,
    greater,
    has,
    has_choice,
    items,
    later,
    needs,
    not_both,
    only_one,
    values,
)

_NAME_PART = r"""[^\s.,:;'"/|?!@#$%&*()\[\]{}]{1,64}"""
_PATH: Final = re.compile(rf"{_NAME_PART}(?:\.{_NAME_PART}(?:\[x\])?(?::[^\s.]+)?)*")
_SLICE_NAME: Final = re.compile(r"[a-zA-Z0-9/\-_\[\]@]+")


def _quantity_of_ucum(node: Node) -> bool:
    """There is a code where there is a value, and the system, if any, is UCUM."""
    return (has(node, "code") or not has(node, "value")) and _system_is_ucum(node)


def _system_is_ucum(node: Node) -> bool:
    return not has(node, "system") or node.get("system") == UCUM


def _is_whole(node: Node) -> bool:
    return "value" not in node or "." not in str(node["value"])


def _age(node: Node) -> bool:
    return _quantity_of_ucum(node) and ("value" not in node or node["value"] > 0)


def _count(node: Node) -> bool:
    return (
        _quantity_of_ucum(node)
        and (not has(node, "code") or node.get("code") == "1")
        and _is_whole(node)
    )


def _duration(node: Node) -> bool:
    return not has(node, "code") or (node.get("system") == UCUM and has(node, "value"))


def _period(node: Node) -> bool:
    return "start" not in node or "end" not in node or not later(node["start"], node["end"])


def _range(node: Node) -> bool:
    return "low" not in node or "high" not in node or not greater(node["low"], node["high"])


def _ratio(node: Node) -> bool:
    if has(node, "numerator"):
        return has(node, "denominator")
    return not has(node, "denominator") and has(node, "extension")


def _not_negative(name: str) -> Holds:
    return lambda node: name not in node or bool(node[name] >= 0)


def _offset(node: Node) -> bool:
    if not has(node, "offset"):
        return True
    return has(node, "when") and not {"C", "CM", "CD", "CV"} & set(node.get("when") or ())


def _least_to_most(node: Node) -> bool:
    most = node.get("max")
    return "min" not in node or most in (None, "*") or not most.isdecimal() or (
        int(node["min"]) <= int(most)
    )  # fmt: skip


_BESIDE_CONTENT_REFERENCE = (
    ("type", "example", "maxLength", "binding"),
    ("defaultValue", "fixed", "pattern", "minValue", "maxValue"),
)


def _content_reference(node: Node) -> bool:
    plain, choices = _BESIDE_CONTENT_REFERENCE
    return not has(node, "contentReference") or not (
        has(node, *plain) or any(has_choice(node, name) for name in choices)
    )


def _value_set_of_binding(node: Node) -> bool:
    return "valueSet" not in node or node["valueSet"].startswith(("http:", "https", "urn:"))


def _of_reference(node: Node) -> bool:
    return node.get("code") in ("Reference", "canonical")


def _trigger(node: Node) -> bool:
    kind = node.get("type", "")
    if kind == "named-event":
        return has(node, "name")
    if kind == "periodic":
        return has_choice(node, "timing")
    return not kind.startswith("data-") or has(node, "data")


_qty_3: Final = needs("code", "system")

PREDICATES: Final[dict[tuple[str, str], Holds]] = {
    ("Age", "age-1"): _age,
    ("Age", "qty-3"): _qty_3,
    ("Attachment", "att-1"): needs("data", "contentType"),
    ("ContactPoint", "cpt-2"): needs("value", "system"),
    ("Count", "cnt-3"): _count,
    ("Count", "qty-3"): _qty_3,
    ("DataRequirement.codeFilter", "drq-1"): only_one("path", "searchParam"),
    ("DataRequirement.dateFilter", "drq-2"): only_one("path", "searchParam"),
    ("Distance", "dis-1"): _quantity_of_ucum,
    ("Distance", "qty-3"): _qty_3,
    ("Duration", "drt-1"): _duration,
    ("Duration", "qty-3"): _qty_3,
    ("ElementDefinition", "eld-2"): _least_to_most,
    ("ElementDefinition", "eld-5"): _content_reference,
    ("ElementDefinition", "eld-6"): lambda node: (
        not has_choice(node, "fixed") or count(node, "type") <= 1
    ),
    ("ElementDefinition", "eld-7"): lambda node: (
        not has_choice(node, "pattern") or count(node, "type") <= 1
    ),
    ("ElementDefinition", "eld-8"): lambda node: (
        not (has_choice(node, "pattern") and has_choice(node, "fixed"))
    ),
    ("ElementDefinition", "eld-13"): lambda node: distinct(values(items(node, "type"), "code")),
    ("ElementDefinition", "eld-14"): lambda node: distinct(
        values(items(node, "constraint"), "key")
    ),
    ("ElementDefinition", "eld-15"): lambda node: (
        not (has_choice(node, "defaultValue") and has(node, "meaningWhenMissing"))
    ),
    ("ElementDefinition", "eld-16"): lambda node: (
        "sliceName" not in node or _SLICE_NAME.fullmatch(node["sliceName"]) is not None
    ),
    ("ElementDefinition", "eld-18"): lambda node: (
        node.get("isModifier") is not True or has(node, "isModifierReason")
    ),
    ("ElementDefinition", "eld-19"): lambda node: (
        "path" not in node or _PATH.fullmatch(node["path"]) is not None
    ),
    ("ElementDefinition", "eld-22"): needs("sliceIsConstraining", "sliceName"),
    ("ElementDefinition.slicing", "eld-1"): either("discriminator", "description"),
    ("ElementDefinition.max", "eld-3"): lambda node: (
        "max" not in node or node["max"] == "*" or node["max"].isdecimal()
    ),
    ("ElementDefinition.type", "eld-4"): lambda node: (
        not has(node, "aggregation") or _of_reference(node)
    ),
    ("ElementDefinition.type", "eld-17"): lambda node: (
        not has(node, "targetProfile") or _of_reference(node)
    ),
    ("ElementDefinition.binding", "eld-12"): _value_set_of_binding,
    ("Expression", "exp-1"): either("expression", "reference"),
    ("Period", "per-1"): _period,
    ("Quantity", "qty-3"): _qty_3,
    ("Range", "rng-2"): _range,
    ("Ratio", "rat-1"): _ratio,
    ("Timing.repeat", "tim-1"): needs("duration", "durationUnit"),
    ("Timing.repeat", "tim-2"): needs("period", "periodUnit"),
    ("Timing.repeat", "tim-4"): _not_negative("duration"),
    ("Timing.repeat", "tim-5"): _not_negative("period"),
    ("Timing.repeat", "tim-6"): needs("periodMax", "period"),
    ("Timing.repeat", "tim-7"): needs("durationMax", "duration"),
    ("Timing.repeat", "tim-8"): needs("countMax", "count"),
    ("Timing.repeat", "tim-9"): _offset,
    ("Timing.repeat", "tim-10"): not_both("timeOfDay", "when"),
    ("TriggerDefinition", "trd-1"): lambda node: (
        not (has(node, "data") and has_choice(node, "timing"))
    ),
    ("TriggerDefinition", "trd-2"): needs("condition", "data"),
    ("TriggerDefinition", "trd-3"): _trigger,
}
