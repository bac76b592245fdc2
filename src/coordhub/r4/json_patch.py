"""JSON Patch of a resource: a list of operations on places that JSON Pointers name.

https://datatracker.ietf.org/doc/html/rfc6902, http://hl7.org/fhir/R4/http.html#patch

Numbers keep their spelling: the patch is read as any other document of the hub is, and what it does
not touch stays as it was. An array that a removal leaves empty goes too, since R4 has no empty ones.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any, Final

import jsonpatch
import jsonpointer

from coordhub.errors import FhirError, Issue, malformed
from coordhub.r4 import document as fhir_json

MOST_OPERATIONS: Final = 1000
MOST_COPIED: Final = 1024 * 1024
"""Characters that the `copy` operations of one patch may add: a few of them could double it for ever."""
MOST_VALUES_COPIED: Final = 10_000
"""Values that they may add: what is made of many small ones takes long before it is large."""

_NEEDS: Final = {
    "add": ("value",),
    "remove": (),
    "replace": ("value",),
    "move": ("from",),
    "copy": ("from",),
    "test": ("value",),
}
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """Operations as RFC 6902 writes them, found to be well-formed."""

    operations: tuple[dict[str, Any], ...]

    def apply(self, document: dict[str, Any], at: str = "") -> dict[str, Any]:
        """The document after all operations; the one given is used up.

        at: prefix of expressions, where the patch is an entry of a Bundle. 422 naming the first
        operation that cannot be done, a failed `test` among them.
        """
        values, characters = MOST_VALUES_COPIED, MOST_COPIED
        changed: Any = document
        for number, operation in enumerate(self.operations):
            try:
                if operation["op"] == "copy":
                    source = jsonpointer.resolve_pointer(changed, operation["from"])
                    values, characters = _after(source, values, characters)
                    if values < 0 or characters < 0:
                        why = f"copies too much: over {MOST_VALUES_COPIED} values or 1 MiB. Send an update"
                        raise _impossible(operation, number, why, changed, at)
                patch = jsonpatch.JsonPatch([copy.deepcopy(operation)])
                changed = patch.apply(changed, in_place=True)
            except jsonpatch.JsonPatchTestFailed:
                why = "found another value, so nothing was changed. Read the resource again"
                raise _impossible(operation, number, why, changed, at) from None
            except (
                jsonpatch.JsonPatchException,
                jsonpointer.JsonPointerException,
                TypeError,
                KeyError,
                IndexError,
            ):
                why = "names a place that is not there"
                raise _impossible(operation, number, why, changed, at) from None
        if not isinstance(changed, dict):
            raise FhirError(422, Issue("processing", "The patch leaves no resource.", at))
        if any(operation["op"] in ("remove", "move") for operation in self.operations):
            _drop_empty_arrays(changed)
        return changed


def read(data: bytes, *, deepest: int = fhir_json.DEEPEST, at: str = "") -> JsonPatch:
    """Read the body of a patch. 400 with everything that is wrong with it."""
    wrapped = fhir_json.parse(b'{"patch":' + data + b"}", deepest=deepest + 1)
    operations = wrapped.get("patch")
    if len(wrapped) != 1 or not isinstance(operations, list):
        raise malformed("A JSON Patch is an array of operations.", at)
    if len(operations) > MOST_OPERATIONS:
        raise malformed(f"A patch may have {MOST_OPERATIONS} operations here.", at)
    issues = [
        Issue("structure", f"Operation {number} {fault}.", at)
        for number, operation in enumerate(operations)
        if (fault := _fault(operation))
    ]
    if issues:
        raise FhirError(400, *issues)
    return JsonPatch(tuple(operations))


def _fault(operation: object) -> str | None:
    if not isinstance(operation, dict):
        return "is not an object"
    op = operation.get("op")
    if not isinstance(op, str) or op not in _NEEDS:
        return "has no `op` of add, remove, replace, move, copy, test"
    missing = [name for name in ("path", *_NEEDS[op]) if name not in operation]
    if missing:
        return f"({op}) lacks {' and '.join(missing)}"
    for name in ("path", "from"):
        text = operation.get(name, "")
        if not isinstance(text, str) or (text and not text.startswith("/")):
            return f"({op}) has a `{name}` that is no JSON Pointer"
    return None


def _impossible(
    operation: dict[str, Any], number: int, why: str, document: object, at: str
) -> FhirError:
    kind = document.get("resourceType") if isinstance(document, dict) else None
    place = at or _expression(str(kind or "Resource"), operation["path"])
    return FhirError(
        422, Issue("processing", f"Operation {number} ({operation['op']}) {why}.", place)
    )


def _expression(root: str, pointer: str) -> str:
    """FHIRPath of a JSON Pointer, as far as it is made of names and indexes."""
    path = root
    for part in pointer.split("/")[1:]:
        if part.isdigit() and part.isascii():
            path += f"[{part}]"
        elif _NAME.fullmatch(part):
            path += f".{part}"
        else:
            break
    return path


def _after(copied: Any, values: int, characters: int) -> tuple[int, int]:
    """What a copy leaves of them; looked through no further than until one is used up."""
    waiting = [copied]
    while waiting and values >= 0 and characters >= 0:
        here = waiting.pop()
        values -= 1
        if isinstance(here, dict):
            characters -= sum(map(len, here))
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
        else:
            characters -= len(here) if isinstance(here, str) else 8
    return values, characters


def _drop_empty_arrays(node: Any) -> None:
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            for name in [name for name, value in here.items() if value == []]:
                del here[name]
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
