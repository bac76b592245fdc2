"""The OpenAPI document for one tag, with request bodies that a generator of cases can walk through.

R4's schemas refer to each other in circles (an Extension has 50 kinds of value, most with extensions):
schemathesis walks every path through them before it sends anything, and does not come back. So what is
sent is drawn from the same schemas cut at a depth; whatever fits the cut one fits the whole one. The
answers are judged by the document as it is.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
DEEP = frozenset(
    {"transaction", "createServiceRequest", "createTask", "createObservation", "createPatient"}
)
"""Operations whose bodies have two levels. All bodies go through one check, and these have among them
the datatypes of all; of the other bodies the first level is enough."""
WITHIN = {"Bundle": 1}  # the resources in it begin two levels down
KEPT = {"Extension": ("url", "valueString", "valueCode", "valueBoolean")}  # of 50 kinds of value
AMONG = ("Patient", "Task", "OtherResource")  # those in a Bundle or contained, of 16 kinds


def tags(document: Schema) -> list[str]:
    """The tags, in the order of the document."""
    return list(
        dict.fromkeys(_tag(one) for path in document["paths"].values() for one in path.values())
    )


def narrowed(document: Schema, tag: str) -> Schema:
    """The operations of that tag, all of them, as a document of their own."""
    paths = {
        path: {
            method: _operation(document, operation)
            for method, operation in item.items()
            if _tag(operation) == tag
        }
        for path, item in document["paths"].items()
    }
    return {**document, "paths": {path: item for path, item in paths.items() if item}}


def operations(document: Schema) -> set[str]:
    return {one["operationId"] for item in document["paths"].values() for one in item.values()}


def _tag(operation: Schema) -> str:
    return str(operation["tags"][0])


def _operation(document: Schema, operation: Schema) -> Schema:
    body = operation.get("requestBody")
    if body is None:
        return operation
    levels = 2 if operation["operationId"] in DEEP else 1
    content = {media: _content(document, one, levels) for media, one in body["content"].items()}
    return {**operation, "requestBody": {**body, "content": content}}


def _content(document: Schema, content: Schema, levels: int) -> Schema:
    whole = content["schema"]
    depth = levels + WITHIN.get(whole.get("$ref", "").rpartition("/")[2], 0)
    return {**content, "schema": _cut(document, whole, depth)}


def _cut(document: Schema, schema: Schema, depth: int) -> Schema:
    """The schema with `depth` levels of objects; what lies deeper and may be left out, is."""
    target = _followed(document, schema)
    if "anyOf" in target:
        few = [one for one in target["anyOf"] if one.get("$ref", "").endswith(AMONG)]
        return {"anyOf": [_cut(document, one, depth) for one in few or target["anyOf"]]}
    if target.get("type") == "array" and "items" in target:
        return {**target, "items": _cut(document, target["items"], depth)}
    if "properties" not in target:
        return schema
    required = target.get("required", ())
    few = KEPT.get(schema.get("$ref", "").rpartition("/")[2], target["properties"])
    kept = {
        name: _cut(document, one, depth - 1)
        for name, one in target["properties"].items()
        if name in few and (name in required or depth > 1 or not _has_parts(document, one))
    }
    return {**target, "properties": kept}


def _has_parts(document: Schema, schema: Schema) -> bool:
    target = _followed(document, schema)
    if target.get("type") == "array":
        return _has_parts(document, target.get("items", {}))
    return "properties" in target or any(
        _has_parts(document, one) for one in target.get("anyOf", ())
    )


def _followed(document: Schema, schema: Schema) -> Schema:
    found: Schema = schema
    while "$ref" in found:
        kind, _, name = found["$ref"].removeprefix("#/components/").partition("/")
        found = document["components"][kind][name]
    return found
