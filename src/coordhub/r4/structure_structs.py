"""msgspec structs made from HL7's definitions: the quick yes to a document.

http://hl7.org/fhir/R4/json.html

The structs of a type are built when the first document of it comes (a few ms, most of it for the
data types that all share) and then take a document in tens of microseconds, in C. They only ever
say yes. What they do not take may still be right: an element with an extension instead of a value
(`_birthDate`), a number in an odd spelling, the 29th of February. Those are rare, and the walk
decides about them. So no struct has a field for `_birthDate`: its appearance alone means "not
plainly right", and the structs stay half as wide.

What a field cannot say stands in `__post_init__` of the few types that need it: at most one of the
types of a choice, at least one of a required choice, and of an Extension either a value or
extensions (ext-1).
"""

from __future__ import annotations

import keyword
import threading
from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any, Final, Literal

import msgspec

from coordhub.r4 import definitions
from coordhub.r4.structure_primitives import ANNOTATIONS, bound

_structs: Final[dict[str, type[msgspec.Struct]]] = {}
_ready: Final[set[str]] = set()
_building: Final = threading.Lock()


def accepts(document: dict[str, Any], resource_type: str) -> bool:
    """True only if all elements of the resource are right; False means "look closer".

    Not looked at: objects and control characters that ought not to be there (`{}`, U+0001), which
    the caller finds in the text, and the resources inside, which are to be checked by themselves.
    """
    if resource_type not in _ready:
        _build(resource_type)
    try:
        msgspec.convert(document, _structs[resource_type], builtin_types=(Decimal,))
    except (msgspec.ValidationError, RecursionError):
        return False
    return True


def _build(resource_type: str) -> None:
    """Make the structs of a resource and of all types it reaches.

    They refer to each other in circles (an Extension holds everything, everything holds an
    Extension), so the fields get their real types when all structs are there. msgspec looks at the
    annotations of a struct when it is first used.
    """
    with _building:
        made: list[str] = []
        waiting = [resource_type]
        while waiting:
            name = waiting.pop()
            if name in _structs:
                continue
            _structs[name] = _bare_struct(name)
            made.append(name)
            waiting.extend(
                type_name
                for element in definitions.elements(name)
                for type_name in element.types
                if type_name not in ANNOTATIONS and type_name != definitions.RESOURCE
            )
        for name in made:
            annotations = _structs[name].__annotations__
            for element in definitions.elements(name):
                for key, type_name in element.json_names().items():
                    annotations[_field(key)] = _annotation(element, type_name)
        _ready.add(resource_type)


def _bare_struct(name: str) -> type[msgspec.Struct]:
    """A struct with all fields of a type, each of them still `Any`."""
    elements = definitions.elements(name)
    fields: list[Any] = []
    if name in definitions.resources():
        fields.append(("resourceType", Literal[name]))
    fields += [
        (_field(key), Any)
        for element in elements
        if element.required and not element.choice
        for key in element.json_names()
    ]
    fields += [
        # None stands for absent only: no field accepts null.
        (_field(key), Any, None)
        for element in elements
        if not element.required or element.choice
        for key in element.json_names()
    ]
    names = [key for element in elements for key in element.json_names()]
    renamed = {_field(key): key for key in names if _field(key) != key}
    after = _after(name, elements)
    return msgspec.defstruct(
        name.replace(".", "_"),
        fields,
        namespace={"__post_init__": after} if after else None,
        forbid_unknown_fields=True,
        rename=renamed or None,
        eq=False,
        gc=False,
    )


def _field(key: str) -> str:
    return f"{key}_" if keyword.iskeyword(key) else key


def _annotation(element: definitions.Element, type_name: str) -> Any:
    if type_name == definitions.RESOURCE:
        single: Any = dict
    elif element.codes and type_name == "code":
        single = bound(element.codes)
    else:
        single = ANNOTATIONS.get(type_name) or _structs[type_name]
    if not element.repeats:
        return single
    return Annotated[list[single], msgspec.Meta(min_length=1)]


def _after(
    name: str, elements: tuple[definitions.Element, ...]
) -> Callable[[msgspec.Struct], None] | None:
    """The `__post_init__` of a type with choices."""
    groups: list[tuple[Callable[[Any], tuple[Any, ...]], int, int]] = []
    for element in elements:
        if element.choice:
            fields = [_field(key) for key in element.json_names()]
            required = element.required
            if name == "Extension":
                fields, required = ["extension", *fields], True
            most_absent = len(fields) - 1 if required else len(fields)
            if len(fields) > 1:
                groups.append((attrgetter(*fields), len(fields) - 1, most_absent))
    if not groups:
        return None

    def check_choices(self: msgspec.Struct) -> None:
        for values, fewest_absent, most_absent in groups:
            if not fewest_absent <= values(self).count(None) <= most_absent:
                raise ValueError("choice")

    return check_choices
